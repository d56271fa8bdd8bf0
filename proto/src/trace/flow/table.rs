//! All conversations of a capture.
//!
//! Sections: RFC 9293 3.3.1 (a connection is its two sockets).
//! In: the records of a capture, in order.
//! Out: one report per conversation.
//!
//! Memory is bounded whatever the capture holds: so many conversations are followed at once, so many reports are kept,
//! and rows only for those that will be drawn.

use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::SocketAddr;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::{Flow, FlowReport, Limits};
use crate::trace::Record;

/// Which conversations keep the rows of their ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// The first so many.
    First(u64),
    /// Only this one; the first is 1.
    Only(u64),
}

/// Bounds and choices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whose rows are kept.
    pub detail: Detail,
    /// How many conversations are followed at once; of more, those that have been silent longest are reported as
    /// they stand.
    pub max_live: usize,
    /// How many reports are kept; of more, the worst.
    pub max_reports: usize,
    /// Keys the table, so that no capture can be made that slows it down.
    pub seed: [u8; 16],
}

/// A conversation takes some 2.5 KB while it is followed and 1.1 KB as a report, so these bounds mean at most 160 MB for
/// the one and twice 150 MB for the other, rows not counted.
impl Default for Options {
    fn default() -> Self {
        Options { detail: Detail::First(u64::MAX), max_live: 1 << 16, max_reports: 1 << 17, seed: [0; 16] }
    }
}

/// The conversations of one capture.
#[derive(Debug)]
pub struct Flows {
    options: Options,
    live: HashMap<(SocketAddr, SocketAddr), Entry, Keyed>,
    done: Vec<FlowReport>,
    begun: u64,
    records: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Entry {
    index: u64,
    flow: Flow,
}

impl Flows {
    /// No conversation yet.
    pub fn new(options: Options) -> Self {
        Flows {
            live: HashMap::with_hasher(Keyed(SipHasher13::new_with_key(&options.seed))),
            options,
            done: Vec::new(),
            begun: 0,
            records: 0,
            left_out: 0,
        }
    }

    /// The next record of the capture.
    pub fn push(&mut self, record: &Record) {
        self.records += 1;
        let key = key(record.src, record.dst);
        if self.live.get(&key).is_some_and(|entry| entry.flow.is_followed_by(record))
            && let Some(entry) = self.live.remove(&key)
        {
            self.report(entry);
        }
        if !self.live.contains_key(&key) && self.live.len() >= self.options.max_live.max(1) {
            self.retire_the_silent();
        }
        let (begun, options) = (&mut self.begun, &self.options);
        let entry = self.live.entry(key).or_insert_with(|| {
            *begun += 1;
            let detailed = match options.detail {
                Detail::First(n) => *begun <= n,
                Detail::Only(n) => *begun == n,
            };
            Entry { index: *begun, flow: Flow::new(record, detailed) }
        });
        entry.flow.push(record);
    }

    /// What our own stack knows of the conversation that these sockets have now.
    pub fn set_limits(&mut self, one: SocketAddr, other: SocketAddr, limits: Limits) {
        if let Some(entry) = self.live.get_mut(&key(one, other)) {
            entry.flow.set_limits(limits);
        }
    }

    /// How many conversations have begun.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How many records have been read.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many conversations are followed now.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// The capture has ended: the reports in the order in which the conversations began, and how many more there
    /// were, none worse than the best of these.
    pub fn finish(mut self) -> (Vec<FlowReport>, u64) {
        let nothing = HashMap::with_hasher(self.live.hasher().clone());
        let live = core::mem::replace(&mut self.live, nothing);
        for (_, entry) in live {
            self.report(entry);
        }
        self.keep_the_worst(self.options.max_reports);
        self.done.sort_by_key(|report| report.index);
        (self.done, self.left_out)
    }

    fn report(&mut self, entry: Entry) {
        self.done.push(FlowReport { index: entry.index, ..entry.flow.report() });
        if self.done.len() >= self.options.max_reports.max(1).saturating_mul(2) {
            self.keep_the_worst(self.options.max_reports);
        }
    }

    fn keep_the_worst(&mut self, keep: usize) {
        if self.done.len() > keep {
            // Rows were kept because somebody wants to see them.
            self.done.sort_by_key(|r| (r.ladder.is_none(), core::cmp::Reverse(r.badness()), r.index));
            self.left_out += u64::try_from(self.done.len() - keep).unwrap_or(u64::MAX);
            self.done.truncate(keep);
        }
    }

    /// Half of the room is made at once, so that the cost per record stays constant.
    fn retire_the_silent(&mut self) {
        let mut lasts: Vec<_> = self.live.values().map(|entry| entry.flow.last()).collect();
        let middle = lasts.len() / 2;
        let (_, &mut bound, _) = lasts.select_nth_unstable(middle);
        let mut silent: Vec<Entry> =
            self.live.extract_if(|_, entry| entry.flow.last() <= bound).map(|(_, entry)| entry).collect();
        // The table's own order depends on its key; reports must not.
        silent.sort_by_key(|entry| entry.index);
        for entry in silent {
            self.report(entry);
        }
    }
}

/// The same whichever end sent.
fn key(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    if one <= other { (one, other) } else { (other, one) }
}

#[derive(Clone, Debug)]
struct Keyed(SipHasher13);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        self.0
    }
}
