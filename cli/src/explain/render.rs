//! A conversation told: the ladder of its three phases, sentences, a summary.
//!
//! Sections: RFC 9293 3.5, 3.6 and Figures 5, 6, 12; the order and the letters x, y, u, v, w are the article's.
//! In: a [`FlowReport`].
//! Out: text.

use std::fmt::Display;

use owo_colors::OwoColorize;
use tidegate_proto::tcp::State;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::flow::{
    Again, End, FlowReport, Gap, Kind, Known, Outcome, Phase, Row, Segments, Sent, Start, Step,
};
use tidegate_proto::wire::{Flags, Pos};

use super::layout::{self, Columns, Rung};
use super::reasons;
use super::sentences::{self as say, Lang, Sentence};

/// How to tell it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// In which language.
    pub(crate) lang: Lang,
    /// With escape sequences for a terminal.
    pub(crate) colour: bool,
    /// Without what holds for every connection, because another one told it already.
    pub(crate) brief: bool,
}

/// One conversation, whole.
pub(crate) fn flow(report: &FlowReport, style: Style) -> String {
    Teller { report, style, lang: style.lang }.tell()
}

/// What the letters between brackets mean.
pub(crate) fn legend(style: Style) -> String {
    let mut out = layout::wrap(&say::LEGEND.say(style.lang, &[]), "", WIDTH);
    out += &layout::wrap(&say::INFERRED.say(style.lang, &[]), "", WIDTH);
    out
}

/// All conversations, one line each, in the given order.
pub(crate) fn overview(reports: &[FlowReport], begun: u64, records: u64, left_out: u64, style: Style) -> String {
    let lang = style.lang;
    let mut out = layout::wrap(&say::OVERVIEW.say(lang, &[("n", &begun), ("records", &records)]), "", WIDTH);
    let head = [
        &say::LINE_COLUMNS,
        &say::LINE_ID,
        &say::LINE_TIME,
        &say::LINE_AB,
        &say::LINE_BA,
        &say::LINE_AGAIN,
        &say::LINE_END,
    ];
    let mut rows = vec![head.map(|sentence| sentence.say(lang, &[])).to_vec()];
    for report in reports {
        let teller = Teller { report, style, lang };
        rows.push(vec![
            report.index.to_string(),
            teller.id(),
            report.duration.to_string(),
            grouped(report.sent.a.stream),
            grouped(report.sent.b.stream),
            grouped(report.again()),
            teller.ending(),
        ]);
    }
    out += &layout::table(&rows, 0);
    if left_out > 0 {
        out += &layout::wrap(&say::OVERVIEW_MORE.say(lang, &[("n", &left_out)]), "", WIDTH);
    }
    out
}

struct Teller<'a> {
    report: &'a FlowReport,
    style: Style,
    lang: Lang,
}

impl Teller<'_> {
    fn tell(&self) -> String {
        let phases = [Phase::Establishment, Phase::Transfer, Phase::Release];
        let ladders = phases.map(|phase| self.rungs(phase));
        let header = self.header();
        let columns = Columns::of(ladders.iter().flatten().chain([&header]));

        let mut out = self.head();
        let titles = [self.establishment_title(), self.transfer_title(), self.release_title()];
        let texts = [self.establishment(), self.transfer(), self.release()];
        // Of a connection that never was there is nothing more to tell.
        let phases = if self.report.established { 3 } else { 1 };
        for ((title, rungs), text) in titles.iter().zip(&ladders).zip(texts).take(phases) {
            out += &format!("\n{}\n\n", self.bold(title));
            if !rungs.is_empty() {
                out += &self.faint(&columns.draw(&header));
                for rung in rungs {
                    let line = columns.draw(rung);
                    out += &if rung.unusual { self.warn(&line) } else { line };
                }
                out.push('\n');
            }
            out += &text;
        }
        out + &self.summary()
    }

    // Heads.

    fn id(&self) -> String {
        let sockets = &self.report.sockets;
        format!("{{{}, {}}}", sockets.a, sockets.b)
    }

    fn head(&self) -> String {
        let report = self.report;
        let title = say::HEAD.say(self.lang, &[("n", &report.index), ("id", &self.id())]);
        let who = if report.start == Start::Middle { &say::WHO_MIDDLE } else { &say::WHO };
        let values: [(&str, &dyn Display); 4] = [
            ("a", &report.sockets.a),
            ("b", &report.sockets.b),
            ("records", &self.segments(report.records)),
            ("time", &report.duration),
        ];
        let mut out = format!("{}\n", self.bold(&title));
        out += &layout::wrap(&who.say(self.lang, &values), "", WIDTH);
        if report.first == Instant::ZERO && report.duration.is_zero() && report.records > 1 {
            out += &self.sentence(&say::NO_TIMES, &[]);
        }
        out
    }

    fn header(&self) -> Rung {
        let unit = if self.in_seconds() { &say::COLUMN_SECONDS } else { &say::COLUMN_MILLIS };
        Rung {
            number: self.text(&say::COLUMN_NUMBER),
            time: self.text(unit),
            a: self.text(&say::COLUMN_A),
            text: self.text(&say::COLUMN_SEGMENT),
            b: self.text(&say::COLUMN_B),
            ..Rung::default()
        }
    }

    fn establishment_title(&self) -> String {
        let report = self.report;
        let how = match report.outcome {
            _ if report.start == Start::Middle => &say::IN_UNSEEN,
            Outcome::Refused | Outcome::Disowned | Outcome::Unanswered | Outcome::HalfOpen => &say::IN_VAIN,
            _ if report.simultaneous_open => &say::IN_CROSSING,
            _ => &say::IN_THREE,
        };
        say::ESTABLISHMENT.say(self.lang, &[("how", &self.text(how))])
    }

    fn transfer_title(&self) -> String {
        let (ab, ba) = (self.report.sent.a.stream, self.report.sent.b.stream);
        if ab == 0 && ba == 0 {
            return self.text(&say::NO_TRANSFER);
        }
        say::TRANSFER.say(self.lang, &[("ab", &grouped(ab)), ("ba", &grouped(ba))])
    }

    fn release_title(&self) -> String {
        let report = self.report;
        let how = match (report.outcome, report.release_segments()) {
            (Outcome::Reset(_), _) => &say::RELEASE_RESET,
            (_, Some(Segments::Three)) => &say::RELEASE_THREE,
            (_, Some(Segments::Four)) => &say::RELEASE_FOUR,
            (_, Some(Segments::Crossed)) => &say::RELEASE_CROSSED,
            (Outcome::HalfClosed | Outcome::Closing, None) => &say::RELEASE_UNFINISHED,
            _ => &say::RELEASE_NONE,
        };
        say::RELEASE.say(self.lang, &[("how", &self.text(how))])
    }

    // Ladders.

    fn rungs(&self, phase: Phase) -> Vec<Rung> {
        let Some(ladder) = &self.report.ladder else { return Vec::new() };
        let rows = ladder.rows(phase);
        let mut rungs = Vec::new();
        if phase == Phase::Establishment && self.report.start == Start::Syn {
            rungs.push(self.listen_rung());
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
            // Of an end that was never heard nothing can be said.
            Some(_) if end == End::B && self.report.outcome == Outcome::Unanswered => String::new(),
            Some(change) if change.known == Known::Proven => self.state_name(change.state),
            Some(change) => self.marked(change.state),
        }
    }

    /// A state's name with the mark of what is inferred.
    fn marked(&self, state: State) -> String {
        format!("{} *", self.state_name(state))
    }

    fn state_name(&self, state: State) -> String {
        match self.lang {
            Lang::En => state.name().to_owned(),
            Lang::Zh => chinese(state).to_owned(),
        }
    }

    /// Flags, numbers, length: between the rails.
    fn segment(&self, step: &Step) -> String {
        let flags = layout::left(&format!("[{}]", step.flags), 5);
        let numbers = match step.kind {
            Kind::Syn | Kind::Again(Again::Syn) if step.ack.is_none() => {
                let letter = if step.from == End::A { "x" } else { "y" };
                format!("seq = {letter} = {}", step.seq)
            }
            Kind::SynAck | Kind::Again(Again::SynAck) => match step.from {
                End::A => format!("seq = x = {}, ack = y+1", step.seq),
                End::B => format!("seq = y = {}, ack = x+1", step.seq),
            },
            Kind::Third => "seq = x+1, ack = y+1".to_owned(),
            Kind::Stray => format!("seq {} ({})", step.pos.0, step.seq),
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

    /// Who closed first, where its FIN stood (u), and where the other's did (w).
    fn fins(&self) -> Option<(End, Pos, Option<Pos>)> {
        let p = self.report.release.first?;
        Some((p, self.report.sent[p].fin?, self.report.sent[p.peer()].fin))
    }

    /// What there is to say about a row, below it.
    fn note_rungs(&self, step: &Step) -> Vec<Rung> {
        let refusal = reasons::refusal(step.verdict).map(|why| {
            let why = reasons::drop(why).say(self.lang, &[]);
            say::NOTE_REFUSED.say(self.lang, &[("end", &name(step.from.peer())), ("why", &why)])
        });
        // Where a loss has moved the sender's variables.
        let knew = step.note.filter(|_| matches!(step.kind, Kind::Again(_))).map(|note| {
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
        let values: [(&str, &dyn Display); 4] = [
            ("sa", &grouped(gap.segments.a)),
            ("ba", &grouped(gap.bytes.a)),
            ("sb", &grouped(gap.segments.b)),
            ("bb", &grouped(gap.bytes.b)),
        ];
        Rung { text: say::GAP.say(self.lang, &values), ..Rung::default() }
    }

    // Establishment in words.

    fn establishment(&self) -> String {
        let report = self.report;
        let mut out = String::new();
        let (sent_a, sent_b) = (&report.sent.a, &report.sent.b);
        if report.start == Start::Middle {
            return self.sentence(&say::UNSEEN_OPEN, &[]);
        }
        let states = self.state_values();
        let states: Vec<(&str, &dyn Display)> = states.iter().map(|(name, text)| (*name, text as _)).collect();
        if report.simultaneous_open {
            out += &self.sentence(&say::CROSSED_OPEN, &states);
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
            Outcome::Refused => out += &self.sentence(&say::REFUSED, &[("port", &report.sockets.b.port())]),
            Outcome::Disowned => {
                let by = report.changes.iter().rev().find(|c| c.state == State::Closed).map_or(End::A, |c| c.end);
                let by = if sent_a.resets > 0 { End::A } else { by };
                out += &self.sentence(&say::DISOWNED, &[("by", &name(by))]);
            }
            Outcome::Unanswered => {
                let n = self.times(sent_a.segments);
                let values: [(&str, &dyn Display); 2] = [("n", &n), ("time", &report.duration)];
                out += &self.sentence(&say::UNANSWERED, &values);
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

    // Transfer in words.

    fn transfer(&self) -> String {
        let mut out = self.http();
        for end in [End::B, End::A] {
            out += &self.merged(end);
        }
        for end in End::BOTH {
            out += &self.windows(end);
        }
        let trouble: String = End::BOTH.iter().map(|&end| self.trouble(end)).collect();
        if trouble.is_empty() && self.report.established {
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
        let told = sent.again_timeout + sent.again_fast + sent.again_repair + sent.again_needless;
        let mut out = String::new();
        for (count, sentence) in [
            (sent.again_timeout, &say::AGAIN_TIMEOUT),
            (sent.again_fast, &say::AGAIN_FAST),
            (sent.again_repair, &say::AGAIN_REPAIR),
            (sent.again_needless, &say::AGAIN_NEEDLESS),
            (sent.again - told, &say::AGAIN_UNCLEAR),
            (sent.out_of_order, &say::OUT_OF_ORDER),
            (sent.strays, &say::STRAYS),
            (sent.refused, &say::REFUSED_SEGMENTS),
        ] {
            if count > 0 {
                let values: [(&str, &dyn Display); 3] = [("end", &name), ("n", &self.segments(count)), ("peer", &peer)];
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

    /// How often, in words.
    fn times(&self, count: u64) -> String {
        match count {
            1 => self.text(&say::ONCE),
            2 => self.text(&say::TWICE),
            n => say::TIMES.say(self.lang, &[("n", &grouped(n))]),
        }
    }

    fn segments(&self, count: u64) -> String {
        match count {
            1 => self.text(&say::SEGMENT),
            n => say::SEGMENTS.say(self.lang, &[("n", &grouped(n))]),
        }
    }

    // Release in words.

    fn release(&self) -> String {
        let report = self.report;
        let mut out = String::new();
        let states = self.state_values();
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

    // Summary.

    fn summary(&self) -> String {
        let report = self.report;
        let mut out = format!("\n{}\n\n", self.bold(&self.text(&say::SUMMARY)));
        let direction = |p: End| say::FROM_TO.say(self.lang, &[("p", &name(p)), ("q", &name(p.peer()))]);
        let row = |label: &Sentence, cell: &dyn Fn(&Sent) -> String| {
            vec![self.text(label), cell(&report.sent.a), cell(&report.sent.b)]
        };
        let rtt = |sent: &Sent| sent.rtt.mean().map_or_else(|| "-".to_owned(), |mean| mean.to_string());
        let mut rows = vec![vec![String::new(), direction(End::A), direction(End::B)]];
        rows.push(row(&say::ROW_PAYLOAD, &|s| grouped(s.payload)));
        rows.push(row(&say::ROW_HEADERS, &|s| grouped(s.headers)));
        rows.push(row(&say::ROW_SEGMENTS, &|s| grouped(s.segments)));
        if report.sent.a.merged + report.sent.b.merged > 0 {
            rows.push(row(&say::ROW_WIRE, &|s| grouped(s.wire_segments)));
        }
        rows.push(row(&say::ROW_BARE, &|s| grouped(s.bare_acks)));
        rows.push(row(&say::ROW_AGAIN, &|s| grouped(s.again)));
        rows.push(row(&say::ROW_RTT, &rtt));
        out += &layout::table(&rows, INDENT);
        out.push('\n');
        if let Some((far, near)) = report.handshake.filter(|(far, near)| !(*far + *near).is_zero()) {
            let vantage = if far > near * 2 {
                self.text(&say::NEAR_A)
            } else if near > far * 2 {
                self.text(&say::NEAR_B)
            } else {
                String::new()
            };
            let total = far + near;
            let values: [(&str, &dyn Display); 4] =
                [("total", &total), ("far", &far), ("near", &near), ("vantage", &vantage)];
            out += &self.sentence(&say::HANDSHAKE, &values);
        }
        out += &self.limited();
        if let Some(first) = report.release.first {
            out += &self.sentence(&say::CLOSED_FIRST, &[("end", &name(first))]);
        }
        out += &self.sentence(&say::ENDED, &[("how", &self.ending())]);
        out
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

    fn ending(&self) -> String {
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

    // Small things.

    fn text(&self, sentence: &Sentence) -> String {
        sentence.say(self.lang, &[])
    }

    /// A sentence as a paragraph of its own.
    fn sentence(&self, sentence: &Sentence, values: &[(&str, &dyn Display)]) -> String {
        layout::wrap(&sentence.say(self.lang, values), BULLET, WIDTH)
    }

    /// Every state's name as sentences call for it: `{fin_wait_1}` and its like.
    fn state_values(&self) -> Vec<(&'static str, String)> {
        let name = |state: State| match self.lang {
            Lang::En => state.name().to_owned(),
            Lang::Zh => format!("{}({})", state.name(), chinese(state)),
        };
        STATES.iter().map(|&(key, state)| (key, name(state))).collect()
    }

    fn in_seconds(&self) -> bool {
        self.report.duration >= Duration::from_secs(10)
    }

    /// A time in the ladder: milliseconds or seconds, three digits behind the point.
    fn time(&self, at: Duration) -> String {
        let unit = if self.in_seconds() { 1_000_000 } else { 1_000 };
        let thousandths = at.as_nanos() / unit;
        format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
    }

    fn bold(&self, text: &str) -> String {
        if self.style.colour { text.bold().to_string() } else { text.to_owned() }
    }

    fn faint(&self, text: &str) -> String {
        if self.style.colour { text.dimmed().to_string() } else { text.to_owned() }
    }

    fn warn(&self, text: &str) -> String {
        if self.style.colour { text.yellow().to_string() } else { text.to_owned() }
    }
}

fn joined<'a>(
    one: &[(&'a str, &'a dyn Display)],
    other: &[(&'a str, &'a dyn Display)],
) -> Vec<(&'a str, &'a dyn Display)> {
    one.iter().chain(other).copied().collect()
}

fn name(end: End) -> &'static str {
    match end {
        End::A => "A",
        End::B => "B",
    }
}

/// The note beside an unusual row.
fn note(kind: Kind) -> Option<&'static Sentence> {
    Some(match kind {
        Kind::BeyondGap => &say::NOTE_BEYOND,
        Kind::Again(Again::Timeout | Again::Syn | Again::SynAck) => &say::NOTE_TIMEOUT,
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

/// `5 x 1,448`, with the rest if there is one.
fn pieces(len: u32, size: u32) -> String {
    let (whole, rest) = (len / size, len % size);
    let whole = match whole {
        1 => grouped(size.into()),
        n => format!("{n} x {}", grouped(size.into())),
    };
    if rest == 0 { whole } else { format!("{whole} + {}", grouped(rest.into())) }
}

/// Digits in groups of three.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A line of a head, short enough for a sentence.
fn shortened(line: &str) -> String {
    if line.len() <= 60 { line.to_owned() } else { format!("{}...", line.get(..57).unwrap_or_default()) }
}

/// The article's words for the states.
fn chinese(state: State) -> &'static str {
    match state {
        State::Closed => "关闭",
        State::Listen => "收听",
        State::SynSent => "同步已发送",
        State::SynReceived => "同步收到",
        State::Established => "已建立连接",
        State::FinWait1 => "终止等待1",
        State::FinWait2 => "终止等待2",
        State::CloseWait => "关闭等待",
        State::Closing => "正在关闭",
        State::LastAck => "最后确认",
        State::TimeWait => "时间等待",
    }
}

/// How sentences call the states.
const STATES: [(&str, State); 10] = [
    ("syn_sent", State::SynSent),
    ("syn_received", State::SynReceived),
    ("established", State::Established),
    ("fin_wait_1", State::FinWait1),
    ("fin_wait_2", State::FinWait2),
    ("close_wait", State::CloseWait),
    ("closing", State::Closing),
    ("last_ack", State::LastAck),
    ("time_wait", State::TimeWait),
    ("closed", State::Closed),
];
/// Columns of running text.
pub(crate) const WIDTH: usize = 100;
/// What a sentence stands behind.
const BULLET: &str = "  - ";
/// Spaces before a table.
const INDENT: usize = 4;
