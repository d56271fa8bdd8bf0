//! The third phase in words: u, v, w, why three segments or four, and why 2 x MSL.
//!
//! Sections: RFC 9293 3.6 and Figures 12, 13.
//! In: a `FlowReport`.
//! Out: sentences.

use std::fmt::Display;

use tidegate_proto::time::Duration;
use tidegate_proto::trace::flow::{End, Outcome, Segments};
use tidegate_proto::wire::Pos;

use super::super::sentences as say;
use super::super::states;
use super::{Teller, grouped, joined, name};

impl Teller<'_> {
    pub(super) fn release(&self) -> String {
        let report = self.report;
        let mut out = String::new();
        let states = states::values(self.lang);
        let states: Vec<(&str, &dyn Display)> = states.iter().map(|(name, text)| (*name, text as _)).collect();
        if let Some((p, u, w)) = self.fins() {
            out += &match (report.release_segments(), w) {
                (Some(Segments::Crossed), Some(w)) => {
                    let (a, b) = if p == End::A { (u, w) } else { (w, u) };
                    self.sentence(&say::STEP_CROSSED, &joined(&states, &[("a", &a.0), ("b", &b.0)]))
                }
                (how, w) => self.release_steps(p, u, w, how, &states),
            };
            if report.release.resent > 0 {
                out += &self
                    .sentence(&say::FIN_AGAIN, &joined(&states, &[("n", &self.times(report.release.resent.into()))]));
            }
            if report.release.second_resent > 0 && report.outcome == Outcome::Closed {
                out +=
                    &self.sentence(&say::FIN_AGAIN_LATE, &joined(&states, &[("p", &name(p)), ("q", &name(p.peer()))]));
            }
        }
        let none: &[(&str, &dyn Display)] = &[];
        match report.outcome {
            Outcome::Reset(by) => {
                let after = report.release.first.is_some();
                let sentence = if after { &say::RESET_AFTER_FIN } else { &say::RESET_BY };
                out += &self.sentence(sentence, &[("by", &name(by))]);
            }
            Outcome::Closing => out += &self.sentence(&say::CLOSING_UNSEEN, none),
            Outcome::Open => out += &self.sentence(&say::STILL_OPEN, none),
            Outcome::HalfClosed => {
                if let Some((p, u, _)) = self.fins() {
                    let values: [(&str, &dyn Display); 3] = [("p", &name(p)), ("q", &name(p.peer())), ("u", &u.0)];
                    out += &self.sentence(&say::HALF_CLOSED, &values);
                }
            }
            _ => {}
        }
        if matches!(report.outcome, Outcome::Open | Outcome::HalfClosed) {
            for end in End::BOTH {
                let n = report.sent[end].unacknowledged;
                if n > 0 {
                    let values: [(&str, &dyn Display); 3] =
                        [("n", &grouped(n)), ("end", &name(end)), ("peer", &name(end.peer()))];
                    out += &self.sentence(&say::UNACKNOWLEDGED, &values);
                }
            }
        }
        out
    }

    fn release_steps(
        &self,
        p: End,
        u: Pos,
        w: Option<Pos>,
        how: Option<Segments>,
        states: &[(&str, &dyn Display)],
    ) -> String {
        let report = self.report;
        let q = p.peer();
        let (p_name, q_name) = (name(p), name(q));
        let u1 = u.0 + 1;
        let mut values: Vec<(&str, &dyn Display)> = states.to_vec();
        values.extend::<[(&str, &dyn Display); 4]>([("p", &p_name), ("q", &q_name), ("u", &u.0), ("u1", &u1)]);
        let mut out = match report.sent[p].isn {
            Some(isn) => {
                let absolute = isn + u32::try_from(u.0.rem_euclid(1 << 32)).unwrap_or(0);
                self.sentence(&say::STEP_FIN, &joined(&values, &[("isn", &isn), ("abs", &absolute)]))
            }
            None => self.sentence(&say::STEP_FIN_RELATIVE, &values),
        };
        let Some(w) = w else { return out };
        let gap = self.fin_gap();
        let sent_meanwhile = report.release.half_closed_bytes;
        let w1 = w.0 + 1;
        values.extend::<[(&str, &dyn Display); 3]>([("w", &w.0), ("w1", &w1), ("gap", &gap)]);
        let meanwhile = grouped(sent_meanwhile);
        let four = match (how, report.release.separate_ack) {
            (Some(Segments::Four), Some(v)) => {
                let more = match sent_meanwhile {
                    0 => String::new(),
                    _ => say::STEP_ACK_MORE.say(self.lang, &[("n", &meanwhile)]),
                };
                out += &self.sentence(&say::STEP_ACK, &joined(&values, &[("v", &v.0), ("more", &more)]));
                out += &self.sentence(&say::STEP_SECOND_FIN, &values);
                true
            }
            _ => {
                out += &self.sentence(&say::STEP_BOTH, &values);
                false
            }
        };
        if report.outcome == Outcome::Closed {
            let nth = self.text(if four { &say::FOURTH } else { &say::THIRD });
            out += &self.sentence(&say::STEP_LAST, &joined(&values, &[("nth", &nth)]));
        }
        out += &if four {
            let why = match sent_meanwhile {
                0 => self.text(&say::WHY_FOUR_LATE),
                _ => say::WHY_FOUR_DATA.say(self.lang, &[("q", &q_name), ("n", &meanwhile)]),
            };
            self.sentence(&say::WHY_FOUR_CLOSE, &joined(&values, &[("why", &why)]))
        } else {
            self.sentence(&say::WHY_THREE_CLOSE, &values)
        };
        if report.outcome == Outcome::Closed && !self.style.brief {
            out += &self.sentence(&say::WHY_2MSL, &values);
        }
        out
    }

    /// From the first FIN to the second, as captured.
    fn fin_gap(&self) -> Duration {
        let marks = &self.report.marks;
        marks.second_fin.zip(marks.fin).map_or(Duration::ZERO, |(second, first)| second - first)
    }
}
