//! What a conversation comes to: bytes, round trips, limits, how it ended.
//!
//! Sections: RFC 6298 2 (the smoothed round-trip time).
//! In: a `FlowReport`.
//! Out: a table and sentences.

use std::fmt::Display;

use tidegate_proto::trace::flow::{End, Outcome, Sent};

use super::super::layout;
use super::super::sentences::{self as say, Sentence};
use super::{INDENT, Teller, grouped, name};

impl Teller<'_> {
    pub(super) fn summary(&self) -> String {
        let report = self.report;
        let mut out = format!("\n{}\n\n", self.bold(&self.text(&say::SUMMARY)));
        let direction = |p: End| say::FROM_TO.say(self.lang, &[("p", &name(p)), ("q", &name(p.peer()))]);
        let row = |label: &Sentence, cell: &dyn Fn(&Sent) -> String| {
            vec![self.text(label), cell(&report.sent.a), cell(&report.sent.b)]
        };
        let mut rows = vec![vec![String::new(), direction(End::A), direction(End::B)]];
        rows.push(row(&say::ROW_PAYLOAD, &|s| grouped(s.payload)));
        rows.push(row(&say::ROW_HEADERS, &|s| grouped(s.headers)));
        rows.push(row(&say::ROW_SEGMENTS, &|s| grouped(s.segments)));
        if report.sent.a.merged + report.sent.b.merged > 0 {
            rows.push(row(&say::ROW_WIRE, &|s| grouped(s.wire_segments)));
        }
        rows.push(row(&say::ROW_BARE, &|s| grouped(s.bare_acks)));
        rows.push(row(&say::ROW_AGAIN, &|s| grouped(s.again)));
        out += &layout::table(&rows, INDENT);
        out.push('\n');
        out += &self.round_trip();
        out += &self.limited();
        if let Some(first) = report.release.first {
            let sentence = if report.release.simultaneous { &say::CLOSED_TOGETHER } else { &say::CLOSED_FIRST };
            out += &self.sentence(sentence, &[("end", &name(first))]);
        }
        out += &self.sentence(&say::ENDED, &[("how", &self.ending())]);
        out
    }

    /// The handshake, which shows both halves; then what the ends say themselves, else what the capture shows.
    fn round_trip(&self) -> String {
        let report = self.report;
        let mut out = String::new();
        let near = self.nearest();
        if let Some((to_b, to_a)) = report.handshake.filter(|(to_b, to_a)| !(*to_b + *to_a).is_zero()) {
            let vantage = match near {
                Some(End::A) => self.text(&say::NEAR_A),
                Some(End::B) => self.text(&say::NEAR_B),
                None => String::new(),
            };
            let total = to_b + to_a;
            let values: [(&str, &dyn Display); 4] =
                [("total", &total), ("far", &to_b), ("near", &to_a), ("vantage", &vantage)];
            out += &self.sentence(&say::HANDSHAKE, &values);
        }
        let own = match (report.sent.a.srtt, report.sent.b.srtt) {
            (Some(a), Some(b)) => self.sentence(&say::RTT_OWN_BOTH, &[("a", &a), ("b", &b)]),
            (Some(a), None) => self.sentence(&say::RTT_OWN, &[("end", &"A"), ("rtt", &a)]),
            (None, Some(b)) => self.sentence(&say::RTT_OWN, &[("end", &"B"), ("rtt", &b)]),
            (None, None) => String::new(),
        };
        if !own.is_empty() {
            return out + &own;
        }
        // What the end far from the capture sends has its round trip behind it when it is captured.
        for end in End::BOTH.into_iter().filter(|&end| near.is_none_or(|near| near == end)) {
            let rtt = &report.sent[end].rtt;
            let Some(mean) = rtt.mean().filter(|mean| !mean.is_zero()) else { continue };
            let range = match rtt.min < rtt.max {
                true => say::RTT_RANGE.say(self.lang, &[("min", &rtt.min), ("max", &rtt.max)]),
                false => String::new(),
            };
            let values: [(&str, &dyn Display); 4] =
                [("end", &name(end)), ("peer", &name(end.peer())), ("mean", &mean), ("range", &range)];
            out += &self.sentence(&say::RTT_ACKED, &values);
        }
        out
    }

    /// The end near which the capture was taken: it answers at once.
    fn nearest(&self) -> Option<End> {
        let (to_b, to_a) = self.report.handshake?;
        if to_b > to_a * 2 {
            Some(End::A)
        } else if to_a > to_b * 2 {
            Some(End::B)
        } else {
            None
        }
    }

    fn limited(&self) -> String {
        let Some(limits) = self.report.limits else { return String::new() };
        let [app, cwnd, window, buffer] = limits.percent();
        let how = if limits.exact { String::new() } else { self.text(&say::LIMITED_INFERRED) };
        let values: [(&str, &dyn Display); 7] = [
            ("end", &name(limits.sender)),
            ("peer", &name(limits.sender.peer())),
            ("app", &app),
            ("cwnd", &cwnd),
            ("window", &window),
            ("buffer", &buffer),
            ("how", &how),
        ];
        self.sentence(&say::LIMITED, &values)
    }

    pub(super) fn ending(&self) -> String {
        match self.report.outcome {
            Outcome::Closed => self.text(&say::END_CLOSED),
            Outcome::Closing => self.text(&say::END_CLOSING),
            Outcome::HalfClosed => self.text(&say::END_HALF_CLOSED),
            Outcome::Open => self.text(&say::END_OPEN),
            Outcome::Reset(by) => say::END_RESET.say(self.lang, &[("by", &name(by))]),
            Outcome::Refused => self.text(&say::END_REFUSED),
            Outcome::Disowned => say::END_DISOWNED.say(self.lang, &[("by", &"A")]),
            Outcome::Unanswered => self.text(&say::END_UNANSWERED),
            Outcome::HalfOpen => self.text(&say::END_HALF_OPEN),
        }
    }
}
