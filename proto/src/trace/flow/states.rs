//! The states of both ends, step by step, as far as a capture can tell.
//!
//! Sections: RFC 9293 3.3.2, Figure 5.
//! In: each segment's flags, and what it acknowledges.
//! Out: a list of [`Change`]s, each proven by what the end did next, or marked as inferred.
//!
//! A capture shows what passed, not what arrived. So every delivery is first assumed, then proven by an answer that
//! presupposes it, or withdrawn when the end goes on as if nothing had come.

use arrayvec::ArrayVec;

use super::{End, Pair, Start};
use crate::tcp::State;
use crate::wire::Pos;

/// How sure a state is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Known {
    /// It did not happen.
    #[default]
    No,
    /// It must have happened if the segment arrived; nothing captured proves that.
    Inferred,
    /// A later segment presupposes it.
    Proven,
}

/// An end enters a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The record by which it does.
    pub number: u64,
    /// Which end.
    pub end: End,
    /// The state entered.
    pub state: State,
    /// How sure that is.
    pub known: Known,
    cause: Fact,
}

/// What one segment means for the states.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal {
    pub(super) number: u64,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) pos: Pos,
    /// Behind its last number.
    pub(super) end: Pos,
    pub(super) ack: Option<Pos>,
    /// Sent before.
    pub(super) again: bool,
    /// Its receiver was our own stack, which did not take it.
    pub(super) refused: bool,
    /// The sender's stream has no gap before it.
    pub(super) in_order: bool,
}

/// Both ends' states.
#[derive(Clone, Debug)]
pub(super) struct Track {
    facts: Pair<Facts>,
    current: Pair<State>,
    changes: ArrayVec<Change, CHANGES>,
    /// Each end sent a SYN without ACK.
    crossed: bool,
}

/// What has happened to one end; its state follows from these.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    syn_sent: bool,
    syn_received: Known,
    syn_acked: Known,
    syn_ack_sent: bool,
    /// In a simultaneous open, the peer's SYN-ACK came before this end had sent its own: until then it was in
    /// SYN-RECEIVED, whatever had arrived.
    acked_early: bool,
    fin_sent: Option<Pos>,
    fin_received: Known,
    /// The peer's FIN came first: this end closes second.
    second: bool,
    fin_acked: Known,
    /// The peer's acknowledgement of its FIN came with the first sign of the peer's own: it was in CLOSING between.
    fin_acked_early: bool,
    /// Its own segment must acknowledge this to prove that `fin_acked` had happened.
    fin_acked_proof: Pos,
    reset: Known,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fact {
    Sent,
    SynReceived,
    SynAcked,
    FinReceived,
    FinAcked,
    Reset,
}

impl Track {
    pub(super) fn new(start: Start) -> Self {
        let mut facts = Pair { a: Facts::default(), b: Facts::default() };
        match start {
            Start::Syn => {}
            Start::SynAck => facts.a.syn_sent = true,
            Start::Middle => {
                for end in End::BOTH {
                    facts[end] = Facts {
                        syn_sent: true,
                        syn_received: Known::Inferred,
                        syn_acked: Known::Inferred,
                        ..Facts::default()
                    };
                }
            }
        }
        let current = Pair { a: facts.a.state(End::A), b: facts.b.state(End::B) };
        Track { facts, current, changes: ArrayVec::new(), crossed: false }
    }

    /// Where an end stands now.
    pub(super) fn state(&self, end: End) -> State {
        self.current[end]
    }

    /// How both ends got there.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Both ends have left the handshake behind.
    pub(super) fn was_established(&self) -> bool {
        End::BOTH.iter().all(|&end| self.facts[end].syn_acked > Known::No)
    }

    /// Both FINs have been acknowledged.
    pub(super) fn is_released(&self) -> bool {
        End::BOTH.iter().all(|&end| self.facts[end].fin_acked > Known::No)
    }

    /// Both ends were in SYN-SENT at once.
    pub(super) fn is_simultaneous_open(&self) -> bool {
        self.crossed
    }

    /// `from` has sent a segment.
    pub(super) fn observe(&mut self, from: End, signal: &Signal) {
        self.prove(from, signal);
        self.send(from, signal);
        if !signal.refused {
            self.deliver(from.peer(), from, signal);
        }
    }

    /// What the segment says about what its sender had received before.
    fn prove(&mut self, from: End, signal: &Signal) {
        let peer_fin = self.facts[from.peer()].fin_sent;
        let facts = &mut self.facts[from];
        let mut proven: ArrayVec<Fact, 5> = ArrayVec::new();
        match signal.ack {
            // A reset from an end that never sent a SYN: nobody was there, so nobody entered SYN-RECEIVED.
            _ if signal.rst && !facts.syn_sent => facts.syn_received.withdraw(),
            Some(ack) if ack >= Pos::FIRST => {
                facts.syn_received = Known::Proven;
                proven.push(Fact::SynReceived);
                if !signal.syn && facts.syn_acked > Known::No {
                    facts.syn_acked = Known::Proven;
                    proven.push(Fact::SynAcked);
                }
            }
            // Its own SYN without ACK: the peer's had not arrived (simultaneous open, or the same SYN again).
            _ if signal.syn => facts.syn_received.withdraw(),
            _ => {}
        }
        if signal.syn && signal.again {
            facts.syn_acked.withdraw();
        }
        if let (Some(fin), Some(ack)) = (peer_fin, signal.ack) {
            if ack > fin {
                facts.fin_received = Known::Proven;
                proven.push(Fact::FinReceived);
            } else if signal.fin || signal.again {
                // Anything else may have been under way already when the FIN came.
                facts.fin_received.withdraw();
            }
        }
        if signal.fin && signal.again {
            facts.fin_acked.withdraw();
        }
        if facts.fin_acked > Known::No && signal.ack.is_some_and(|ack| ack >= facts.fin_acked_proof) {
            facts.fin_acked = Known::Proven;
            proven.push(Fact::FinAcked);
        }
        if signal.again {
            // What is new may have been under way already when the RST came.
            facts.reset.withdraw();
        }
        for change in self.changes.iter_mut().filter(|c| c.end == from && proven.contains(&c.cause)) {
            change.known = Known::Proven;
        }
        // Whatever the sender knew when it sent, it had entered by now.
        self.settle(from, signal.number);
    }

    fn send(&mut self, from: End, signal: &Signal) {
        let facts = &mut self.facts[from];
        facts.syn_sent |= signal.syn;
        self.crossed |= from == End::B && signal.syn && signal.ack.is_none();
        if signal.fin && facts.fin_sent.is_none() {
            facts.fin_sent = Some(signal.end - 1);
            facts.second = facts.fin_received > Known::No;
        }
        if signal.rst {
            facts.reset = Known::Proven;
        }
        facts.syn_ack_sent |= signal.syn && signal.ack.is_some();
        let was_acked = facts.acked_early && facts.syn_ack_sent;
        self.settle(from, signal.number);
        let facts = &mut self.facts[from];
        if was_acked {
            facts.syn_acked.infer();
        }
        if core::mem::take(&mut facts.fin_acked_early) {
            facts.fin_acked.infer();
        }
        self.settle(from, signal.number);
    }

    fn deliver(&mut self, to: End, from: End, signal: &Signal) {
        if signal.again {
            // The first sending may not have arrived; what it seemed to do moves to this one.
            let facts = &mut self.facts[to];
            if signal.syn {
                facts.syn_received.withdraw();
            }
            if signal.fin {
                facts.fin_received.withdraw();
            }
            self.settle(to, signal.number);
        }
        let established = self.facts[from].syn_sent;
        let crossed = self.crossed;
        // What comes from behind a FIN comes after it.
        let fin_before = self.facts[from].fin_sent.is_some_and(|fin| signal.pos > fin) && signal.in_order;
        let facts = &mut self.facts[to];
        if signal.syn {
            facts.syn_received.infer();
        }
        if let Some(ack) = signal.ack.filter(|_| !signal.rst && established) {
            if crossed && signal.syn && !facts.syn_ack_sent {
                facts.acked_early = true;
            } else if ack >= Pos::FIRST && facts.syn_sent {
                facts.syn_acked.infer();
            }
            if facts.fin_sent.is_some_and(|fin| ack > fin) && facts.fin_acked == Known::No {
                facts.fin_acked_proof = signal.end.max(signal.pos + 1);
                match fin_before && facts.fin_received == Known::No {
                    true => facts.fin_acked_early = true,
                    false => facts.fin_acked = Known::Inferred,
                }
            }
        }
        if fin_before {
            facts.fin_received.infer();
        }
        if signal.fin && signal.in_order {
            facts.fin_received.infer();
        }
        if signal.rst {
            facts.reset.infer();
        }
        self.settle(to, signal.number);
    }

    /// Writes down the state of `end` if its facts now say another one.
    fn settle(&mut self, end: End, number: u64) {
        let facts = self.facts[end];
        let state = facts.state(end);
        if state == self.current[end] {
            return;
        }
        self.current[end] = state;
        let mut own = self.changes.iter().enumerate().rev().filter(|(_, c)| c.end == end);
        let latest = own.next().map(|(at, change)| (at, *change));
        let earlier = own.next().map_or(Facts::initial(end), |(_, change)| change.state);
        if let Some((at, change)) = latest
            && change.known == Known::Inferred
            && earlier == state
        {
            // What was assumed last did not happen then.
            self.changes.remove(at);
            return;
        }
        if !self.changes.is_full() {
            let (cause, known) = facts.latest();
            self.changes.push(Change { number, end, state, known, cause });
        }
    }
}

impl Facts {
    const fn initial(end: End) -> State {
        match end {
            End::A => State::Closed,
            End::B => State::Listen,
        }
    }

    /// RFC 9293 Figure 5, read backwards: from what has happened to the state's name.
    fn state(&self, end: End) -> State {
        let yes = |known: Known| known > Known::No;
        if yes(self.reset) {
            // RFC 9293 3.10.7.4: a passive open that a reset ends goes back to where it came from.
            let returns = end == End::B && self.reset != Known::Proven && !self.acked_early && !yes(self.syn_acked);
            return if returns && yes(self.syn_received) { State::Listen } else { State::Closed };
        }
        match (yes(self.syn_received), yes(self.syn_acked)) {
            (false, false) if !self.syn_sent => return Self::initial(end),
            (false, _) => return State::SynSent,
            (true, false) => return State::SynReceived,
            (true, true) => {}
        }
        match (self.fin_sent.is_some(), yes(self.fin_received), yes(self.fin_acked)) {
            (false, false, _) => State::Established,
            (false, true, _) => State::CloseWait,
            (true, false, false) => State::FinWait1,
            (true, false, true) => State::FinWait2,
            (true, true, false) if self.second => State::LastAck,
            (true, true, true) if self.second => State::Closed,
            (true, true, false) => State::Closing,
            (true, true, true) => State::TimeWait,
        }
    }

    /// The fact that the present state rests on, and how sure it is.
    fn latest(&self) -> (Fact, Known) {
        if self.reset > Known::No {
            return (Fact::Reset, self.reset);
        }
        let known = [
            (Fact::FinAcked, self.fin_acked),
            (Fact::FinReceived, self.fin_received),
            (Fact::SynAcked, self.syn_acked),
            (Fact::SynReceived, self.syn_received),
        ];
        // The least sure one names the state: the others had to come before it, or are beyond doubt.
        let doubtful = known.iter().find(|(_, known)| *known == Known::Inferred);
        doubtful.copied().unwrap_or((Fact::Sent, Known::Proven))
    }
}

impl Known {
    fn infer(&mut self) {
        *self = (*self).max(Known::Inferred);
    }

    fn withdraw(&mut self) {
        if *self == Known::Inferred {
            *self = Known::No;
        }
    }
}

/// A connection enters at most seven states per end; twice that leaves room for the odd ones.
const CHANGES: usize = 28;
