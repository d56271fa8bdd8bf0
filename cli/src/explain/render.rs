//! A conversation told: heads, and what the three phases and the summary share.
//!
//! Sections: RFC 9293 3.5, 3.6 and Figures 5, 6, 12; the order and the letters x, y, u, v, w are the article's.
//! In: a [`FlowReport`].
//! Out: text.

mod establishment;
mod ladder;
mod release;
mod summary;
mod transfer;

use std::fmt::Display;

use owo_colors::OwoColorize;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::flow::{End, FlowReport, Outcome, Phase, Segments, Start};
use tidegate_proto::wire::Pos;

use super::layout::{self, Columns, Rung};
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
    /// Of a capture that is being made: nobody can be asked for one connection of it yet.
    pub(crate) live: bool,
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
    let how = if style.live { &say::OVERVIEW_ONE_OF_LAB } else { &say::OVERVIEW_ONE };
    let how = how.say(lang, &[]);
    let mut out =
        layout::wrap(&say::OVERVIEW.say(lang, &[("n", &begun), ("records", &records), ("how", &how)]), "", WIDTH);
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
                out += if text.is_empty() { "" } else { "\n" };
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
        let who = match report.start {
            Start::Middle => &say::WHO_MIDDLE,
            _ if report.simultaneous_open => &say::WHO_CROSSED,
            _ if report.outcome == Outcome::Disowned => &say::WHO_DISOWNED,
            _ => &say::WHO,
        };
        let records = self.segments(report.records);
        let span = match report.duration {
            Duration::ZERO => records,
            time => say::SPAN.say(self.lang, &[("records", &records), ("time", &time)]),
        };
        let values: [(&str, &dyn Display); 3] = [("a", &report.sockets.a), ("b", &report.sockets.b), ("span", &span)];
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

    /// Who closed first, where its FIN stood (u), and where the other's did (w).
    fn fins(&self) -> Option<(End, Pos, Option<Pos>)> {
        let p = self.report.release.first?;
        Some((p, self.report.sent[p].fin?, self.report.sent[p.peer()].fin))
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

    // Small things.

    fn text(&self, sentence: &Sentence) -> String {
        sentence.say(self.lang, &[])
    }

    /// A sentence as a paragraph of its own.
    fn sentence(&self, sentence: &Sentence, values: &[(&str, &dyn Display)]) -> String {
        layout::wrap(&sentence.say(self.lang, values), BULLET, WIDTH)
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

/// Columns of running text.
pub(crate) const WIDTH: usize = 100;
/// What a sentence stands behind.
const BULLET: &str = "  - ";
/// Spaces before a table.
const INDENT: usize = 4;
