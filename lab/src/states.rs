//! Which state each connection of a host was last seen in.
//!
//! Sections: RFC 9293 3.3.2, Figure 5.
//! In: the state that the stack names now.
//! Out: what has changed; and which connections are worth another look.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use tidegate_proto::tcp::State;
use tidegate_proto::wire::FourTuple;

/// The connections of a host that are neither CLOSED nor LISTEN.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    last: BTreeMap<FourTuple, State>,
    /// Those of them that any call or timer may move on.
    moving: BTreeSet<FourTuple>,
    /// Those in TIME-WAIT, the first to leave it first. There may be thousands, and only their end is of interest.
    resting: VecDeque<FourTuple>,
}

impl States {
    /// Takes down that the stack says `now` of a connection: from where to where it went, if it did.
    pub(crate) fn note(&mut self, key: FourTuple, now: State) -> Option<(State, State)> {
        let is_rest = matches!(now, State::Closed | State::Listen);
        let from = match self.last.get(&key) {
            Some(before) => *before,
            None if is_rest => return None,
            None if now == State::SynSent => State::Closed,
            None => State::Listen,
        };
        self.keep(key, from, (!is_rest).then_some(now));
        // What falls out of SYN-RECEIVED returns to its listener; everything else ends.
        let to = match (is_rest, from) {
            (true, State::SynReceived) | (false, _) => now,
            (true, _) => State::Closed,
        };
        (from != to).then_some((from, to))
    }

    /// Every connection and its state.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FourTuple, State)> {
        self.last.iter().map(|(key, state)| (key, *state))
    }

    /// The connections that a call or a timer may have moved, TIME-WAIT apart.
    pub(crate) fn moving(&self) -> Vec<FourTuple> {
        self.moving.iter().copied().collect()
    }

    /// The connection whose TIME-WAIT ends first.
    pub(crate) fn first_resting(&self) -> Option<FourTuple> {
        self.resting.front().copied()
    }

    /// A segment came for a connection in TIME-WAIT: 2 x MSL may have begun anew.
    pub(crate) fn rest_again(&mut self, key: &FourTuple) {
        if let Some(at) = self.resting.iter().rposition(|resting| resting == key) {
            self.resting.remove(at);
            self.resting.push_back(*key);
        }
    }

    /// Notes that a connection has gone from `from` to `to`, `None` being its end.
    fn keep(&mut self, key: FourTuple, from: State, to: Option<State>) {
        match to {
            None => self.last.remove(&key),
            Some(to) => self.last.insert(key, to),
        };
        if matches!(to, None | Some(State::TimeWait)) {
            self.moving.remove(&key);
        } else {
            self.moving.insert(key);
        }
        if from == State::TimeWait && to != Some(State::TimeWait) {
            // Mostly the first, whose time is up; in the middle where a new connection takes the sockets over.
            if self.resting.front() == Some(&key) {
                self.resting.pop_front();
            } else {
                self.resting.retain(|resting| *resting != key);
            }
        }
        if from != State::TimeWait && to == Some(State::TimeWait) {
            self.resting.push_back(key);
        }
    }
}
