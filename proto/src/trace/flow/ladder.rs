//! The rows of a ladder diagram, kept up to a bound.
//!
//! Sections: none; the diagram is that of RFC 9293 3.5, Figure 6.
//! In: every segment of a conversation.
//! Out: the first and the last rows of each phase and what was unusual between them; the rest counted.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::{End, Kind, Pair};
use crate::net::Note;
use crate::tcp::{Cause, Verdict};
use crate::time::Duration;
use crate::wire::{Flags, Pos, Seq};

/// The article's three phases.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Up to the third segment.
    Establishment,
    /// From there to the first FIN or RST.
    Transfer,
    /// From the first FIN or RST on.
    Release,
}

/// One row.
#[derive(Clone, PartialEq, Debug)]
pub enum Row {
    /// A segment.
    Step(Step),
    /// Segments that are only counted.
    Gap(Gap),
}

/// A segment in a ladder.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The record's number in the capture.
    pub number: u64,
    /// Time since the conversation's first record.
    pub at: Duration,
    /// Who sent it.
    pub from: End,
    /// Its control bits.
    pub flags: Flags,
    /// Its sequence number, relative.
    pub pos: Pos,
    /// Its acknowledgement number, relative.
    pub ack: Option<Pos>,
    /// Its sequence number as it stands in the header.
    pub seq: Seq,
    /// Its acknowledgement number as it stands in the header.
    pub ack_seq: Seq,
    /// Its window as it stands in the header.
    pub window: u16,
    /// Payload bytes.
    pub len: u32,
    /// What it was for.
    pub kind: Kind,
    /// The first line of an HTTP head that begins in it.
    pub line: Option<String>,
    /// Why it was sent, as its sender says.
    pub cause: Option<Cause>,
    /// What its sender knew then.
    pub note: Option<Note>,
    /// What became of it, as its receiver says.
    pub verdict: Option<Verdict>,
}

/// Segments between two rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gap {
    /// How many each end sent.
    pub segments: Pair<u64>,
    /// How many payload bytes those carried.
    pub bytes: Pair<u64>,
    /// How many of them were unusual.
    pub unusual: u64,
}

/// The rows of the three phases.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ladder {
    establishment: Rows,
    transfer: Rows,
    release: Rows,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Rows {
    /// Rows that stay.
    kept: Vec<Row>,
    /// What came after them: too few rows to be worth a gap.
    few: ArrayVec<Step, FEW_ROWS>,
    /// The latest ones, which stay until enough others have come.
    recent: VecDeque<Step>,
    unusual: usize,
}

impl Ladder {
    /// The rows of a phase, in order.
    pub fn rows(&self, phase: Phase) -> Vec<Row> {
        let rows = match phase {
            Phase::Establishment => &self.establishment,
            Phase::Transfer => &self.transfer,
            Phase::Release => &self.release,
        };
        let steps = rows.few.iter().chain(&rows.recent).cloned().map(Row::Step);
        rows.kept.iter().cloned().chain(steps).collect()
    }

    pub(super) fn push(&mut self, phase: Phase, step: Step) {
        let rows = match phase {
            Phase::Establishment => &mut self.establishment,
            Phase::Transfer => &mut self.transfer,
            Phase::Release => &mut self.release,
        };
        rows.push(step);
    }
}

impl Rows {
    fn push(&mut self, step: Step) {
        if self.kept.len() < FIRST_ROWS && self.recent.is_empty() {
            return self.kept.push(Row::Step(step));
        }
        self.recent.push_back(step);
        if self.recent.len() <= LAST_ROWS {
            return;
        }
        let Some(step) = self.recent.pop_front() else { return };
        if self.unusual < UNUSUAL_ROWS && step.is_remarkable() {
            self.unusual += 1;
            self.kept.extend(self.few.drain(..).map(Row::Step));
            return self.kept.push(Row::Step(step));
        }
        if !matches!(self.kept.last(), Some(Row::Gap(_))) {
            let Err(full) = self.few.try_push(step) else { return };
            let mut gap = Gap::default();
            self.few.drain(..).for_each(|step| gap.add(&step));
            gap.add(&full.element());
            return self.kept.push(Row::Gap(gap));
        }
        if let Some(Row::Gap(gap)) = self.kept.last_mut() {
            gap.add(&step);
        }
    }
}

impl Step {
    /// There is something to say beside it.
    fn is_remarkable(&self) -> bool {
        !self.kind.is_usual() && !matches!(self.kind, Kind::DuplicateAck(n) if n > 3)
    }
}

impl Gap {
    fn add(&mut self, step: &Step) {
        self.segments[step.from] += 1;
        self.bytes[step.from] += u64::from(step.len);
        self.unusual += u64::from(!step.kind.is_usual());
    }
}

/// Rows kept from the beginning of a phase: together with the last ones, a transfer like
/// the article's, of twenty segments, stands whole, and one half as long again, too.
const FIRST_ROWS: usize = 20;
/// Rows kept from the end of a phase.
const LAST_ROWS: usize = 12;
/// Unusual rows kept between.
const UNUSUAL_ROWS: usize = 16;
/// So many rows in a row are not worth a gap, which takes a row itself.
const FEW_ROWS: usize = 3;
