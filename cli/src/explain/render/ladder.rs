//! The ladder of a phase: A's state, the segments between, B's state.
//!
//! Sections: RFC 9293 3.5, 3.6 and Figures 5, 6, 12; the letters x, y, u, v, w are the article's.
//! In: a `FlowReport`.
//! Out: [`Rung`]s.

use std::fmt::Display;

use tidegate_proto::tcp::State;
use tidegate_proto::trace::flow::{Again, End, Gap, Kind, Known, Outcome, Phase, Row, Start, Step};
use tidegate_proto::wire::{Flags, Pos};

use super::super::layout::{self, Rung};
use super::super::sentences::{self as say, Sentence};
use super::super::{reasons, states};
use super::{Teller, grouped, name, pieces, shortened};

impl Teller<'_> {
    pub(super) fn rungs(&self, phase: Phase) -> Vec<Rung> {
        let Some(ladder) = &self.report.ladder else { return Vec::new() };
        let rows = ladder.rows(phase);
        let mut rungs = Vec::new();
        if phase == Phase::Establishment && self.report.start == Start::Syn {
            rungs.push(self.listen_rung());
        }
        if phase == Phase::Transfer && self.report.start == Start::Middle && !rows.is_empty() {
            let open = self.marked(State::Established);
            rungs.push(Rung { a: open.clone(), b: open, ..Rung::default() });
        }
        for row in &rows {
            match row {
                Row::Step(step) => {
                    rungs.push(self.step_rung(step));
                    rungs.extend(self.note_rungs(step));
                }
                Row::Gap(gap) => rungs.push(self.gap_rung(gap)),
            }
        }
        if phase == Phase::Release && self.report.outcome == Outcome::Closed {
            rungs.push(self.farewell_rung());
        }
        rungs
    }

    /// Before the first segment: what the capture cannot show.
    fn listen_rung(&self) -> Rung {
        let closed = self.marked(State::Closed);
        if self.report.outcome == Outcome::Refused || self.report.simultaneous_open {
            return Rung { a: closed.clone(), b: closed, ..Rung::default() };
        }
        if self.report.outcome == Outcome::Unanswered {
            return Rung { a: closed, ..Rung::default() };
        }
        Rung { a: closed, text: self.text(&say::LISTENS), b: self.marked(State::Listen), ..Rung::default() }
    }

    /// After the last one.
    fn farewell_rung(&self) -> Rung {
        let waits = |end: End| self.report.state[end] == State::TimeWait;
        let cell = |end: End| if waits(end) { self.marked(State::Closed) } else { String::new() };
        Rung { a: cell(End::A), b: cell(End::B), text: self.text(&say::ROW_2MSL), ..Rung::default() }
    }

    fn step_rung(&self, step: &Step) -> Rung {
        Rung {
            number: step.number.to_string(),
            time: self.time(step.at),
            a: self.state_at(step.number, End::A),
            text: self.segment(step),
            from: Some(step.from),
            b: self.state_at(step.number, End::B),
            unusual: !step.kind.is_usual(),
        }
    }

    /// The state that `end` entered by record `number`; empty if it stayed where it was.
    fn state_at(&self, number: u64, end: End) -> String {
        let change = self.report.changes.iter().rev().find(|c| c.number == number && c.end == end);
        match change {
            None => String::new(),
            Some(change) if change.known == Known::Proven => states::short(change.state, self.lang).to_owned(),
            Some(change) => self.marked(change.state),
        }
    }

    /// A state's name with the mark of what is inferred.
    fn marked(&self, state: State) -> String {
        format!("{} *", states::short(state, self.lang))
    }

    /// Flags, numbers, length: between the rails.
    fn segment(&self, step: &Step) -> String {
        let flags = layout::left(&format!("[{}]", step.flags), 5);
        let numbers = match step.kind {
            Kind::Stray => format!("seq {} ({})", step.pos.0, step.seq),
            _ if step.flags.has(Flags::SYN) && step.ack.is_none() => {
                let letter = if step.from == End::A { "x" } else { "y" };
                format!("seq = {letter} = {}", step.seq)
            }
            _ if step.flags.has(Flags::SYN) => match step.from {
                End::A => format!("seq = x = {}, ack = y+1", step.seq),
                End::B => format!("seq = y = {}, ack = x+1", step.seq),
            },
            Kind::Third => "seq = x+1, ack = y+1".to_owned(),
            _ => return format!("{flags} {}", self.numbers(step)),
        };
        format!("{flags} {numbers}")
    }

    fn numbers(&self, step: &Step) -> String {
        let release = self.release_numbers(step);
        let (seq_letter, ack_letter) = release.unwrap_or_default();
        let mut parts = Vec::new();
        let occupies = step.len > 0 || step.flags.any(Flags::FIN | Flags::RST);
        let probes = matches!(step.kind, Kind::WindowProbe | Kind::KeepAlive);
        if occupies || probes || !seq_letter.is_empty() {
            let end = step.pos + u64::from(step.len);
            parts.push(match (seq_letter.is_empty(), step.len) {
                (true, 0) => format!("seq {}", step.pos.0),
                (true, _) => format!("seq {}:{}", step.pos.0, end.0),
                (false, 0) => format!("seq = {seq_letter} = {}", step.pos.0),
                (false, _) => format!("seq {}:{} ({seq_letter} = {})", step.pos.0, end.0, end.0),
            });
        }
        if let Some(ack) = step.ack {
            parts.push(match ack_letter.is_empty() {
                true => format!("ack {}", ack.0),
                false => format!("ack = {ack_letter} = {}", ack.0),
            });
        }
        let mut text = parts.join(", ");
        if step.len > 0 {
            let bytes = say::BYTES.say(self.lang, &[("n", &grouped(step.len.into()))]);
            text += &format!("; {bytes}{}", self.pieces_of(step));
        } else if !step.flags.any(Flags::FIN | Flags::RST) && release.is_none() {
            text += &format!(", win {}", self.window(step.from, step.window));
        }
        text
    }

    /// ` = 5 x 1,448` for a length that was merged from several segments.
    fn pieces_of(&self, step: &Step) -> String {
        match self.report.segment_size[step.from] {
            Some(size) if step.len > size => format!(" = {}", pieces(step.len, size)),
            _ => String::new(),
        }
    }

    /// `229 x 128 = 29,312`, or what is known of it.
    fn window(&self, end: End, raw: u16) -> String {
        match self.report.sent[end].scale {
            Some(shift) if shift > 0 && raw > 0 => {
                format!("{raw} x {} = {}", 1_u32 << shift, grouped(u64::from(raw) << shift))
            }
            _ => raw.to_string(),
        }
    }

    /// The article's letters for the numbers of a release: of the sequence number, and of the acknowledgement.
    fn release_numbers(&self, step: &Step) -> Option<(&'static str, &'static str)> {
        let (p, u, w) = self.fins()?;
        let fin = step.flags.has(Flags::FIN);
        let acks = |pos: Option<Pos>| step.ack.zip(pos).is_some_and(|(ack, pos)| ack > pos);
        if step.flags.has(Flags::RST) || (step.len > 0 && !fin) {
            return None;
        }
        if step.from == p {
            return match (fin, acks(w)) {
                (true, false) => Some(("u", "")),
                (true, true) => Some(("u", "w+1")),
                (false, true) => Some(("u+1", "w+1")),
                (false, false) => None,
            };
        }
        match (fin, acks(Some(u))) {
            (true, true) => Some(("w", "u+1")),
            (true, false) => Some(("w", "")),
            (false, true) if w.is_none_or(|w| step.pos <= w) => Some(("v", "u+1")),
            (false, true) => Some(("w+1", "u+1")),
            (false, false) => None,
        }
    }

    /// What there is to say about a row, below it.
    fn note_rungs(&self, step: &Step) -> Vec<Rung> {
        // A probe is sent so that it is refused.
        let probes = matches!(step.kind, Kind::WindowProbe | Kind::KeepAlive);
        let refusal = reasons::refusal(step.verdict).filter(|_| !probes).map(|why| {
            let why = reasons::drop(why).say(self.lang, &[]);
            say::NOTE_REFUSED.say(self.lang, &[("end", &name(step.from.peer())), ("why", &why)])
        });
        // Where a loss of data has moved the sender's variables.
        let knew = step.note.filter(|_| step.len > 0 && matches!(step.kind, Kind::Again(_))).map(|note| {
            let values: [(&str, &dyn Display); 3] =
                [("cwnd", &note.cwnd), ("flight", &grouped(note.in_flight)), ("rto", &note.rto)];
            say::NOTE_KNEW.say(self.lang, &values)
        });
        let line = step.line.as_deref().map(shortened);
        let unusual = !step.kind.is_usual();
        let notes = [line, self.cause_note(step), knew, refusal].into_iter().flatten();
        notes.map(|note| Rung { text: format!("      {note}"), unusual, ..Rung::default() }).collect()
    }

    /// Why it was sent: as its sender says, else as the numbers suggest.
    fn cause_note(&self, step: &Step) -> Option<String> {
        match step.kind {
            // Nobody counts further.
            Kind::DuplicateAck(4..) => return None,
            Kind::DuplicateAck(n) => return Some(say::NOTE_DUPLICATE.say(self.lang, &[("n", &n)])),
            _ => {}
        }
        let told = step.cause.and_then(|cause| reasons::cause(cause, self.lang));
        told.or_else(|| note(step.kind).map(|sentence| self.text(sentence)))
    }

    fn gap_rung(&self, gap: &Gap) -> Rung {
        let from = |end: End| {
            let sentence = if gap.bytes[end] > 0 { &say::GAP_FROM_DATA } else { &say::GAP_FROM };
            let values: [(&str, &dyn Display); 3] =
                [("end", &name(end)), ("n", &grouped(gap.segments[end])), ("bytes", &grouped(gap.bytes[end]))];
            (gap.segments[end] > 0).then(|| sentence.say(self.lang, &values))
        };
        let list: Vec<String> = End::BOTH.into_iter().filter_map(from).collect();
        let list = list.join(say::BETWEEN.text(self.lang));
        Rung { text: say::GAP.say(self.lang, &[("list", &list)]), ..Rung::default() }
    }
}

/// The note beside an unusual row.
fn note(kind: Kind) -> Option<&'static Sentence> {
    Some(match kind {
        Kind::BeyondGap => &say::NOTE_BEYOND,
        Kind::Again(Again::Timeout | Again::Syn | Again::SynAck) => &say::NOTE_TIMEOUT,
        Kind::Again(Again::Asked) => &say::CAUSE_SYN_ACK_ASKED,
        Kind::Doubled => &say::NOTE_DOUBLED,
        Kind::Again(Again::Fast) => &say::NOTE_FAST,
        Kind::Again(Again::Needless) => &say::NOTE_NEEDLESS,
        Kind::Again(Again::Repair | Again::Unclear) => &say::NOTE_AGAIN,
        Kind::OutOfOrder => &say::NOTE_OUT_OF_ORDER,
        Kind::ZeroWindow => &say::NOTE_ZERO_WINDOW,
        Kind::WindowUpdate => &say::NOTE_WINDOW_UPDATE,
        Kind::WindowProbe => &say::NOTE_PROBE,
        Kind::ProbeAnswer => &say::NOTE_PROBE_ANSWER,
        Kind::KeepAlive => &say::NOTE_KEEP_ALIVE,
        Kind::KeepAliveAnswer => &say::NOTE_KEEP_ALIVE_ANSWER,
        Kind::Stray => &say::NOTE_STRAY,
        _ => return None,
    })
}
