//! What is known of a conversation when its capture ends.
//!
//! Sections: RFC 9293 3.5, 3.6.
//! In: a [`Flow`].
//! Out: a [`FlowReport`]: plain data for whoever puts it into words, a table or JSON.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Change, End, Flow, Http, Ladder, Limits, Marks, Pair, Phase, Release, Sent, Start};
use crate::tcp::State;
use crate::time::{Duration, Instant};

/// One conversation, understood.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowReport {
    /// Its place among the conversations of the capture; the first is 1.
    pub index: u64,
    /// Who talked.
    pub sockets: Pair<SocketAddr>,
    /// What the capture saw first.
    pub start: Start,
    /// When its first record was captured.
    pub first: Instant,
    /// From the first record to the last.
    pub duration: Duration,
    /// Records in all.
    pub records: u64,
    /// What each end sent.
    pub sent: Pair<Sent>,
    /// Payload bytes of one segment on the wire, where the SYNs tell.
    pub segment_size: Pair<Option<u32>>,
    /// Where each end stood when the capture ended.
    pub state: Pair<State>,
    /// How they got there.
    pub changes: Vec<Change>,
    /// The rows of the ladder, if they were kept.
    pub ladder: Option<Box<Ladder>>,
    /// When what passed.
    pub marks: Marks,
    /// How long B, and how long A, took to answer in the handshake, as seen where the capture was taken.
    pub handshake: Option<(Duration, Duration)>,
    /// The handshake was completed, or the capture began after it.
    pub established: bool,
    /// Both ends sent SYN before either had the other's.
    pub simultaneous_open: bool,
    /// How the release went.
    pub release: Release,
    /// How it ended.
    pub outcome: Outcome,
    /// What limited the end that sent the most; `None` if too little was sent to say.
    pub limits: Option<Limits>,
    /// HTTP, if it was spoken.
    pub http: Http,
}

/// How a conversation ended, or where it stood when the capture did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Both FINs were sent and acknowledged.
    Closed,
    /// Both FINs were sent; the last acknowledgement was not seen.
    Closing,
    /// One end has closed, the other has not.
    HalfClosed,
    /// Neither end has closed.
    Open,
    /// An end that was established sent RST.
    Reset(End),
    /// The SYN was answered by RST.
    Refused,
    /// The SYN-ACK was answered by RST: its receiver wanted no connection (RFC 9293 3.5.1, Figure 7).
    Disowned,
    /// The SYN was not answered.
    Unanswered,
    /// The SYN-ACK was not answered.
    HalfOpen,
}

/// In how many segments a connection was released.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Segments {
    /// The second end's FIN carried its acknowledgement of the first.
    Three,
    /// The acknowledgement of the first FIN left before the second.
    Four,
    /// Both FINs were under way at once.
    Crossed,
}

impl FlowReport {
    /// Segments that were sent again, both ends together.
    pub fn again(&self) -> u64 {
        self.sent.a.again + self.sent.b.again
    }

    /// In how many segments it was released; `None` if it was not.
    pub fn release_segments(&self) -> Option<Segments> {
        let first = self.release.first?;
        self.sent[first.peer()].fin?;
        Some(match self.release {
            Release { simultaneous: true, .. } => Segments::Crossed,
            Release { separate_ack: Some(_), .. } => Segments::Four,
            _ => Segments::Three,
        })
    }

    /// How much it deserves a look: the larger, the worse. Ends first, then repairs, then the odd ones.
    pub fn badness(&self) -> u64 {
        let end: u64 = match self.outcome {
            Outcome::Reset(_) => 6,
            Outcome::Unanswered => 5,
            Outcome::Refused | Outcome::Disowned => 4,
            Outcome::HalfOpen => 3,
            Outcome::Open | Outcome::HalfClosed if self.sent.a.unacknowledged + self.sent.b.unacknowledged > 0 => 2,
            Outcome::Open | Outcome::HalfClosed | Outcome::Closing => 1,
            Outcome::Closed => 0,
        };
        let count = |of: fn(&Sent) -> u64| of(&self.sent.a) + of(&self.sent.b);
        let trouble = count(|s| s.again).saturating_mul(16)
            + count(|s| s.zero_windows).saturating_mul(8)
            + count(|s| s.window_probes + s.keep_alives + s.out_of_order + s.duplicate_acks + s.strays + s.refused);
        (end << 48) + trouble.min((1 << 48) - 1)
    }
}

pub(super) fn of(flow: &Flow) -> FlowReport {
    let (a, b) = (&flow.senders.a, &flow.senders.b);
    let outcome = outcome(flow);
    // Of an end that was never heard nothing can be said.
    let heard = |end: End| end == End::A || outcome != Outcome::Unanswered;
    FlowReport {
        index: 0,
        sockets: flow.sockets,
        start: flow.start,
        first: flow.first,
        duration: flow.last.since(flow.first),
        records: flow.records,
        sent: Pair {
            a: Sent { unacknowledged: a.unacknowledged(b), ..a.sent.clone() },
            b: Sent { unacknowledged: b.unacknowledged(a), ..b.sent.clone() },
        },
        segment_size: Pair { a: a.segment_size(b), b: b.segment_size(a) },
        state: Pair {
            a: flow.track.state(End::A),
            b: if heard(End::B) { flow.track.state(End::B) } else { State::Closed },
        },
        changes: flow.track.changes().iter().filter(|change| heard(change.end)).copied().collect(),
        ladder: flow.ladder.clone(),
        marks: flow.marks,
        handshake: flow.handshake(),
        established: flow.track.was_established(),
        simultaneous_open: flow.track.is_simultaneous_open(),
        release: flow.release,
        outcome,
        limits: flow.limits.or_else(|| guess(flow)),
        http: flow.http.clone(),
    }
}

fn outcome(flow: &Flow) -> Outcome {
    let fins = End::BOTH.iter().filter(|&&end| flow.senders[end].sent.fin.is_some()).count();
    if let Some(reset) = flow.reset {
        return match reset.phase {
            Phase::Establishment if flow.senders.b.sent.isn.is_some() => Outcome::Disowned,
            Phase::Establishment if reset.by == End::B => Outcome::Refused,
            Phase::Establishment => Outcome::Unanswered,
            Phase::Transfer | Phase::Release => Outcome::Reset(reset.by),
        };
    }
    if flow.track.is_released() {
        return Outcome::Closed;
    }
    match fins {
        2 => Outcome::Closing,
        1 => Outcome::HalfClosed,
        _ if flow.track.was_established() => Outcome::Open,
        _ if flow.senders.b.sent.isn.is_some() => Outcome::HalfOpen,
        _ => Outcome::Unanswered,
    }
}

/// The account of the end that sent the most, if it sent more than a few segments.
fn guess(flow: &Flow) -> Option<Limits> {
    let sent = |end: End| &flow.senders[end].sent;
    let sender = if sent(End::A).stream > sent(End::B).stream { End::A } else { End::B };
    (sent(sender).data_segments >= ENOUGH).then(|| flow.guesses[sender].limits(sender))
}

/// With fewer data segments there is no rate to explain.
const ENOUGH: u64 = 4;
