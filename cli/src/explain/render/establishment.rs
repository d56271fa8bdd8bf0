//! The first phase in words: who called, what was agreed, why a third segment.
//!
//! Sections: RFC 9293 3.5 and Figures 6 to 8.
//! In: a `FlowReport`.
//! Out: sentences.

use std::fmt::Display;
use std::net::Ipv4Addr;

use tidegate_proto::tcp::State;
use tidegate_proto::trace::flow::{End, Outcome, Start};

use super::super::sentences as say;
use super::super::states;
use super::{Teller, joined, name};

impl Teller<'_> {
    pub(super) fn establishment(&self) -> String {
        let report = self.report;
        let mut out = String::new();
        let (sent_a, sent_b) = (&report.sent.a, &report.sent.b);
        if report.start == Start::Middle {
            return self.sentence(&say::UNSEEN_OPEN, &[]);
        }
        let states = states::values(self.lang);
        let states: Vec<(&str, &dyn Display)> = states.iter().map(|(name, text)| (*name, text as _)).collect();
        if report.simultaneous_open {
            let (x, y) = (sent_a.isn.unwrap_or_default(), sent_b.isn.unwrap_or_default());
            let values: [(&str, &dyn Display); 4] = [("x", &x), ("x1", &(x + 1)), ("y", &y), ("y1", &(y + 1))];
            out += &self.sentence(&say::CROSSED_OPEN, &joined(&states, &values));
        } else {
            if let Some(x) = sent_a.isn {
                out += &self.sentence(&say::STEP_SYN, &joined(&states, &[("x", &x)]));
                if let Some(y) = sent_b.isn {
                    let values: [(&str, &dyn Display); 3] = [("x", &x), ("x1", &(x + 1)), ("y", &y)];
                    out += &self.sentence(&say::STEP_SYN_ACK, &joined(&states, &values));
                }
            }
            if let (Some(y), true) = (sent_b.isn, report.established) {
                out += &self.sentence(&say::STEP_THIRD, &joined(&states, &[("y", &y), ("y1", &(y + 1))]));
            }
        }
        match report.outcome {
            Outcome::Refused => {
                let x1 = sent_a.isn.unwrap_or_default() + 1;
                out += &self.sentence(&say::REFUSED, &[("port", &report.sockets.b.port()), ("x1", &x1)]);
            }
            Outcome::Disowned => {
                let by = report.changes.iter().rev().find(|c| c.state == State::Closed).map_or(End::A, |c| c.end);
                let by = if sent_a.resets > 0 { End::A } else { by };
                out += &self.sentence(&say::DISOWNED, &[("by", &name(by))]);
            }
            Outcome::Unanswered => {
                let n = self.times(sent_a.segments);
                let values: [(&str, &dyn Display); 2] = [("n", &n), ("time", &report.duration)];
                let sentence = if sent_a.segments > 1 { &say::UNANSWERED_AGAIN } else { &say::UNANSWERED };
                out += &self.sentence(sentence, &values);
                let ip = report.sockets.b.ip();
                if ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
                    out += &self.sentence(&say::NO_MULTICAST, &[("ip", &ip)]);
                }
            }
            Outcome::HalfOpen => out += &self.sentence(&say::HALF_OPEN, &states),
            _ => {
                if sent_a.isn.is_some() && sent_b.isn.is_some() {
                    out += &self.sentence(&say::RELATIVE, &[]);
                }
                out += &self.offers();
                if !report.simultaneous_open && !self.style.brief {
                    out += &self.sentence(&say::WHY_THREE, &[]);
                }
            }
        }
        out
    }

    fn offers(&self) -> String {
        let (Some(a), Some(b)) = (&self.report.sent.a.options, &self.report.sent.b.options) else {
            return String::new();
        };
        let mut list = Vec::new();
        if let (Some(a), Some(b)) = (a.mss, b.mss) {
            list.push(say::OFFER_MSS.say(self.lang, &[("a", &a), ("b", &b)]));
        }
        if let (Some(a), Some(b)) = (a.window_scale, b.window_scale) {
            let factor = |shift: u8| 1_u32 << shift.min(14);
            let values: [(&str, &dyn Display); 4] = [("a", &a), ("b", &b), ("fa", &factor(a)), ("fb", &factor(b))];
            list.push(say::OFFER_SCALE.say(self.lang, &values));
        }
        if a.sack_permitted && b.sack_permitted {
            list.push(self.text(&say::OFFER_SACK));
        }
        if a.timestamps.is_some() && b.timestamps.is_some() {
            list.push(self.text(&say::OFFER_TIMESTAMPS));
        }
        if list.is_empty() {
            return String::new();
        }
        self.sentence(&say::OFFERS, &[("list", &list.join(say::BETWEEN.text(self.lang)))])
    }
}
