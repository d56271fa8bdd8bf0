//! The second phase in words: requests, lengths, windows, losses and their repair.
//!
//! Sections: RFC 9293 3.8; RFC 7323 2 (window scale).
//! In: a `FlowReport`.
//! Out: sentences.

use std::fmt::Display;

use tidegate_proto::trace::flow::{End, Outcome};

use super::super::sentences as say;
use super::{Teller, grouped, name, pieces, shortened};

impl Teller<'_> {
    pub(super) fn transfer(&self) -> String {
        let mut out = self.http();
        // One example is enough.
        out +=
            &[End::B, End::A].map(|end| self.merged(end)).into_iter().find(|told| !told.is_empty()).unwrap_or_default();
        for end in End::BOTH {
            out += &self.windows(end);
        }
        let trouble: String = End::BOTH.iter().map(|&end| self.trouble(end)).collect();
        let lost = matches!(self.report.outcome, Outcome::Reset(_))
            || End::BOTH.iter().any(|&end| self.report.sent[end].unacknowledged > 0);
        if trouble.is_empty() && self.report.established && !lost {
            out += &self.sentence(&say::CLEAN, &[]);
        }
        out + &trouble
    }

    fn http(&self) -> String {
        let http = &self.report.http;
        let (ab, ba) = (self.report.sent.a.stream, self.report.sent.b.stream);
        match (&http.request, &http.status) {
            (Some(request), Some(status)) if http.requests == 1 && http.responses == 1 => {
                let (request, status) = (shortened(request), shortened(status));
                let (ab, all) = (grouped(ab), grouped(ba));
                let mut values: Vec<(&str, &dyn Display)> = vec![("request", &request), ("ab", &ab)];
                values.push(("status", &status));
                match http.head_len.map(u64::from).filter(|&head| head < ba) {
                    Some(head) => {
                        let (head_len, body) = (grouped(head), grouped(ba - head));
                        values.extend::<[(&str, &dyn Display); 2]>([("head", &head_len), ("body", &body)]);
                        self.sentence(&say::HTTP_BODY, &values)
                    }
                    None => {
                        values.push(("ba", &all));
                        self.sentence(&say::HTTP_ONE, &values)
                    }
                }
            }
            (Some(request), _) => {
                let request = shortened(request);
                let values: [(&str, &dyn Display); 3] =
                    [("n", &http.requests), ("request", &request), ("m", &http.responses)];
                self.sentence(&say::HTTP_MANY, &values)
            }
            _ => String::new(),
        }
    }

    fn merged(&self, end: End) -> String {
        let sent = &self.report.sent[end];
        let Some((len, size)) = sent.merged_first else { return String::new() };
        let mss = self.report.sent[end.peer()].options.as_ref().and_then(|o| o.mss).map_or(size, u32::from);
        let less = match mss - size.min(mss) {
            0 => String::new(),
            n => say::MERGED_LESS.say(self.lang, &[("n", &n)]),
        };
        let values: [(&str, &dyn Display); 5] = [
            ("len", &grouped(len.into())),
            ("pieces", &pieces(len, size)),
            ("size", &grouped(size.into())),
            ("mss", &grouped(mss.into())),
            ("less", &less),
        ];
        self.sentence(&say::MERGED, &values)
    }

    fn windows(&self, end: End) -> String {
        let sent = &self.report.sent[end];
        // A window matters where the other end sent something.
        let Some(first) = sent.first_window.filter(|_| self.report.sent[end.peer()].data_segments > 1) else {
            return String::new();
        };
        let name = name(end);
        let max = sent.max_window;
        let Some(shift) = sent.scale else {
            return self.sentence(&say::WINDOW_RAW, &[("end", &name), ("first", &first), ("max", &max)]);
        };
        let factor = 1_u32 << shift;
        let bytes = |raw: u16| grouped(u64::from(raw) << shift);
        let plain = shift == 0;
        let grows = if plain { &say::WINDOW_PLAIN_GROWS } else { &say::WINDOW_GROWS };
        let more = if max > first {
            grows.say(self.lang, &[("max", &max), ("factor", &factor), ("bytes", &bytes(max))])
        } else {
            String::new()
        };
        let values: [(&str, &dyn Display); 6] = [
            ("end", &name),
            ("peer", &self::name(end.peer())),
            ("first", &first),
            ("factor", &factor),
            ("bytes", &bytes(first)),
            ("more", &more),
        ];
        self.sentence(if plain { &say::WINDOW_PLAIN } else { &say::WINDOW }, &values)
    }

    /// What went wrong with what `end` sent.
    fn trouble(&self, end: End) -> String {
        let sent = &self.report.sent[end];
        let (name, peer) = (name(end), name(end.peer()));
        let told = sent.again_timeout + sent.again_fast + sent.again_repair + sent.again_needless + sent.again_asked;
        let mut out = String::new();
        for (count, sentence) in [
            (sent.again_timeout, &say::AGAIN_TIMEOUT),
            (sent.again_fast, &say::AGAIN_FAST),
            (sent.again_repair, &say::AGAIN_REPAIR),
            (sent.again_needless, &say::AGAIN_NEEDLESS),
            (sent.again_asked, &say::AGAIN_ASKED),
            (sent.again - told, &say::AGAIN_UNCLEAR),
            (sent.out_of_order, &say::OUT_OF_ORDER),
            (sent.doubled, &say::DOUBLED),
            (sent.strays, &say::STRAYS),
            (sent.refused, &say::REFUSED_SEGMENTS),
        ] {
            if count > 0 {
                let n = self.segments(count);
                let values: [(&str, &dyn Display); 4] = [("end", &name), ("n", &n), ("count", &count), ("peer", &peer)];
                out += &self.sentence(sentence, &values);
            }
        }
        for (count, sentence) in [
            (sent.duplicate_acks, &say::DUPLICATE_ACKS),
            (sent.zero_windows, &say::ZERO_WINDOW),
            (sent.window_probes, &say::PROBES),
            (sent.keep_alives, &say::KEEP_ALIVES),
            (sent.unseen, &say::UNSEEN),
        ] {
            if count > 0 {
                let values: [(&str, &dyn Display); 4] =
                    [("end", &name), ("n", &grouped(count)), ("times", &self.times(count)), ("peer", &peer)];
                out += &self.sentence(sentence, &values);
            }
        }
        out
    }
}
