//! One conversation, understood from its segments alone.
//!
//! Sections: RFC 9293 3.3.2 (states), 3.5 (establishment), 3.6 (release), 3.8 (retransmission, windows).
//! In: [`Record`]s of one four-tuple, in the order of capture.
//! Out: a [`FlowReport`]: who did what, in which phase, through which states, and how it ended. Numbers only; the
//! words belong to whoever prints it.
//!
//! Memory is bounded per flow: rows of a long middle are counted instead of kept ([`ladder`]).

pub(crate) mod http;
pub mod ladder;
pub mod limits;
mod report;
mod sender;
pub mod sent;
pub mod states;
pub mod table;

pub use ladder::{Gap, Ladder, Phase, Row, Step};
pub use limits::{LimitedBy, Limits};
pub use report::{FlowReport, Outcome, Segments};
pub use sent::{Again, Kind, Rtt, Sent};
pub use states::{Change, Known};
pub use table::{Detail, Flows, Options};

use alloc::boxed::Box;
use alloc::string::String;
use core::net::SocketAddr;

use self::limits::{DataSeen, Guess};
use self::sender::{Placed, Sender};
use self::states::{Signal, Track};
use super::Record;
use crate::tcp::{State, Verdict};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Pos};

/// One of the two ends of a conversation, named as RFC 9293's figures name them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum End {
    /// The end that opened the connection: the client.
    A,
    /// The end that was called: the server.
    B,
}

impl End {
    /// Both.
    pub const BOTH: [End; 2] = [End::A, End::B];

    /// The one across.
    pub const fn peer(self) -> End {
        match self {
            End::A => End::B,
            End::B => End::A,
        }
    }
}

/// Two of something, one per end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pair<T> {
    /// A's.
    pub a: T,
    /// B's.
    pub b: T,
}

impl<T> Pair<T> {
    /// This end's, and the other's.
    fn both(&mut self, end: End) -> (&mut T, &mut T) {
        match end {
            End::A => (&mut self.a, &mut self.b),
            End::B => (&mut self.b, &mut self.a),
        }
    }
}

impl<T> core::ops::Index<End> for Pair<T> {
    type Output = T;
    fn index(&self, end: End) -> &T {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }
}

impl<T> core::ops::IndexMut<End> for Pair<T> {
    fn index_mut(&mut self, end: End) -> &mut T {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }
}

/// What a conversation's first segment was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// A's SYN: the capture has all of it.
    Syn,
    /// B's SYN-ACK: the SYN was sent before the capture began, or never reached it.
    SynAck,
    /// Something in the middle.
    Middle,
}

/// One conversation while its capture is being read.
#[derive(Clone, Debug)]
pub struct Flow {
    sockets: Pair<SocketAddr>,
    start: Start,
    interface: u32,
    first: Instant,
    last: Instant,
    records: u64,
    senders: Pair<Sender>,
    track: Track,
    /// Rows are kept only where somebody will draw them.
    ladder: Option<Box<Ladder>>,
    marks: Marks,
    /// The SYN-ACK came twice before it was answered: which of them was, nobody can tell (Karn's rule).
    answered_unclear: bool,
    guesses: Pair<Guess>,
    reset: Option<Reset>,
    release: Release,
    http: Http,
    limits: Option<Limits>,
}

/// When the landmarks of a connection passed the capture, counted from its first record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// The SYN that was answered: its last sending before the answer.
    pub syn: Option<Duration>,
    /// The first SYN-ACK.
    pub syn_ack: Option<Duration>,
    /// A's first segment after that.
    pub third: Option<Duration>,
    /// The first data of each end.
    pub data: Pair<Option<Duration>>,
    /// The last new data of either.
    pub last_data: Option<Duration>,
    /// The first FIN.
    pub fin: Option<Duration>,
    /// The other end's.
    pub second_fin: Option<Duration>,
}

/// A reset that ended the conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reset {
    by: End,
    phase: Phase,
}

/// What the release showed. `first` is the end that sent the first FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Release {
    /// Who sent the first FIN.
    pub first: Option<End>,
    /// A segment without FIN acknowledged the first FIN; it stood at this position, the article's v.
    pub separate_ack: Option<Pos>,
    /// Payload bytes that the other end sent when it had the first FIN.
    pub half_closed_bytes: u64,
    /// The second FIN did not acknowledge the first: both were under way at once.
    pub simultaneous: bool,
    /// FINs that were sent again.
    pub resent: u32,
    /// Of these, the FINs of the end that closed second: the other one answered them from TIME-WAIT, if it was there.
    pub second_resent: u32,
}

/// The first lines of an HTTP exchange.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Http {
    /// The first request line.
    pub request: Option<String>,
    /// The first status line.
    pub status: Option<String>,
    /// Bytes of the first response's head with its blank line, if it was captured whole in one segment.
    pub head_len: Option<u32>,
    /// How many requests began a segment.
    pub requests: u64,
    /// How many responses began a segment.
    pub responses: u64,
}

impl Flow {
    /// A conversation that begins with `record`; [`push`](Self::push) that one, too. With `detailed`, the rows of its
    /// ladder are kept.
    pub fn new(record: &Record, detailed: bool) -> Self {
        let (start, a, b) = match (record.has(Flags::SYN), record.has(Flags::ACK)) {
            (true, false) => (Start::Syn, record.src, record.dst),
            (true, true) => (Start::SynAck, record.dst, record.src),
            // Who called whom can only be guessed: ephemeral ports are the higher ones.
            (false, _) if record.src.port() >= record.dst.port() => (Start::Middle, record.src, record.dst),
            (false, _) => (Start::Middle, record.dst, record.src),
        };
        Flow {
            sockets: Pair { a, b },
            start,
            interface: record.interface,
            first: record.time,
            last: record.time,
            records: 0,
            senders: Pair::default(),
            track: Track::new(start),
            ladder: detailed.then(Box::default),
            marks: Marks::default(),
            answered_unclear: false,
            guesses: Pair::default(),
            reset: None,
            release: Release::default(),
            http: Http::default(),
            limits: None,
        }
    }

    /// When its last segment was captured.
    pub fn last(&self) -> Instant {
        self.last
    }

    /// What our own stack knows about what limited a sender; replaces what the capture suggests.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = Some(limits);
    }

    /// True if `record` belongs to a new conversation between the same sockets.
    pub fn is_followed_by(&self, record: &Record) -> bool {
        if !record.has(Flags::SYN) || record.has(Flags::RST) {
            return false;
        }
        match self.senders[self.end_of(record)].isn() {
            Some(isn) if isn == record.header.seq => false,
            // Another initial number. A bare SYN in a living conversation may be an old duplicate, so it stays a
            // stray of this one; a SYN-ACK shows that the other end has agreed to something new.
            Some(_) => self.is_over() || !self.track.was_established() || record.has(Flags::ACK),
            // A first SYN belongs to an opening, not to something over or under way.
            None => self.start == Start::Middle || self.is_over(),
        }
    }

    /// True once nothing more can come but repetitions.
    pub fn is_over(&self) -> bool {
        self.reset.is_some() || self.track.is_released()
    }

    /// The next segment, in the order of capture. Of a capture at several interfaces, those of the interface that
    /// saw the first one count: the others saw the same segments a little earlier or later.
    pub fn push(&mut self, record: &Record) {
        if record.interface != self.interface {
            return;
        }
        let from = self.end_of(record);
        self.records += 1;
        self.last = self.last.max(record.time);
        let at = record.time.since(self.first);
        let was_open = self.track.was_established();
        let is_third = self.is_third(record, from);

        let (me, peer) = self.senders.both(from);
        let was_idle = peer.acked.is_some_and(|acked| acked >= me.next);
        let placed = me.observe(peer, record, is_third);
        let phase = self.phase(record, was_open, &placed);
        if !placed.belongs() {
            return self.draw(phase, record, from, &placed, None);
        }
        self.mark(record, from, &placed, at);
        self.note_release(record, from, &placed, phase);
        let line = self.note_http(record, &placed);
        self.guess(record, from, &placed, was_idle);
        self.track.observe(from, &self.signal(record, from, &placed));
        self.draw(phase, record, from, &placed, line);
    }

    /// Everything known so far, as plain data.
    pub fn report(&self) -> FlowReport {
        report::of(self)
    }

    fn end_of(&self, record: &Record) -> End {
        if record.src == self.sockets.a { End::A } else { End::B }
    }

    fn is_third(&self, record: &Record, from: End) -> bool {
        from == End::A
            && record.has(Flags::ACK)
            && !record.header.flags.any(Flags::SYN | Flags::RST)
            && self.track.state(End::A) == State::Established
            && self.track.state(End::B) == State::SynReceived
            && self.marks.third.is_none()
    }

    fn phase(&self, record: &Record, was_open: bool, placed: &Placed) -> Phase {
        let ends = record.header.flags.any(Flags::FIN | Flags::RST) && placed.belongs();
        if self.release.first.is_some() || self.reset.is_some() || (was_open && ends) {
            Phase::Release
        } else if was_open && !record.has(Flags::SYN) {
            Phase::Transfer
        } else {
            Phase::Establishment
        }
    }

    fn mark(&mut self, record: &Record, from: End, placed: &Placed, at: Duration) {
        let marks = &mut self.marks;
        match placed.kind {
            Kind::Syn | Kind::Again(Again::Syn) if marks.syn_ack.is_none() => marks.syn = Some(at),
            Kind::SynAck => marks.syn_ack = marks.syn_ack.or(Some(at)),
            Kind::Again(Again::SynAck | Again::Asked) => self.answered_unclear |= marks.third.is_none(),
            _ => {}
        }
        if from == End::A && marks.syn_ack.is_some() && !record.header.flags.any(Flags::SYN | Flags::RST) {
            marks.third.get_or_insert(at);
        }
        if record.payload_len > 0 && placed.kind != Kind::KeepAlive {
            marks.data[from].get_or_insert(at);
            if placed.new_bytes > 0 {
                marks.last_data = Some(at);
            }
        }
        if record.has(Flags::FIN) {
            match self.release.first {
                None => marks.fin = Some(at),
                Some(first) if first != from => marks.second_fin = marks.second_fin.or(Some(at)),
                Some(_) => {}
            }
        }
    }

    fn note_release(&mut self, record: &Record, from: End, placed: &Placed, phase: Phase) {
        let release = &mut self.release;
        if record.has(Flags::RST) && self.reset.is_none() && !self.track.is_released() {
            self.reset = Some(Reset { by: from, phase });
        }
        let fin = record.has(Flags::FIN);
        match release.first {
            None if fin => release.first = Some(from),
            None => {}
            Some(first) => {
                let acks_first = self.senders[first].sent.fin.zip(placed.ack).is_some_and(|(fin, ack)| ack > fin);
                if from != first {
                    release.half_closed_bytes += if acks_first { placed.new_bytes } else { 0 };
                    if acks_first && !fin && self.senders[from].sent.fin.is_none() {
                        release.separate_ack.get_or_insert(placed.pos);
                    }
                    if fin && !acks_first && matches!(placed.kind, Kind::Fin) {
                        release.simultaneous = true;
                    }
                }
                if fin && matches!(placed.kind, Kind::Again(_)) {
                    release.resent += 1;
                    release.second_resent += u32::from(from != first);
                }
            }
        }
    }

    /// Gives the first line of a head that begins in this segment.
    fn note_http(&mut self, record: &Record, placed: &Placed) -> Option<String> {
        if placed.new_bytes == 0 {
            return None;
        }
        let head = http::Head::begin(&record.payload)?;
        let http = &mut self.http;
        if head.is_response {
            http.responses += 1;
            if http.status.is_none() {
                http.status = Some(head.line.clone());
                http.head_len = head.len;
            }
        } else {
            http.requests += 1;
            http.request.get_or_insert_with(|| head.line.clone());
        }
        Some(head.line)
    }

    fn guess(&mut self, record: &Record, from: End, placed: &Placed, was_idle: bool) {
        let handshake = self.handshake();
        let (me, peer) = self.senders.both(from);
        if placed.new_bytes > 0 {
            let size = me.segment_size(peer).unwrap_or(1);
            let away = handshake.map_or(Duration::ZERO, |(to_b, to_a)| if from == End::A { to_a } else { to_b });
            let begin = self.first + self.marks.third.unwrap_or(Duration::ZERO);
            let data = DataSeen {
                now: record.time,
                was_idle,
                fills_window: peer.right_edge.is_some_and(|edge| edge.since(me.next) < u64::from(size)),
                pushed_short: record.has(Flags::PSH) && !record.payload_len.is_multiple_of(size),
                away,
            };
            self.guesses[from].on_data(begin, &data);
        }
        let size = peer.segment_size(me).unwrap_or(1);
        if me.right_edge.is_some_and(|edge| edge.since(peer.next) >= u64::from(size)) {
            self.guesses[from.peer()].on_room(record.time);
        }
        let (me, peer) = self.senders.both(from);
        if me.acked.is_some_and(|acked| acked >= peer.next) {
            self.guesses[from.peer()].on_all_acked(record.time);
        }
    }

    /// How long B, and how long A, took to answer in the handshake, as seen where the capture was taken.
    fn handshake(&self) -> Option<(Duration, Duration)> {
        if self.track.is_simultaneous_open() || self.answered_unclear {
            return None;
        }
        let Marks { syn: Some(syn), syn_ack: Some(syn_ack), third: Some(third), .. } = self.marks else { return None };
        Some((syn_ack.saturating_sub(syn), third.saturating_sub(syn_ack)))
    }

    fn signal(&self, record: &Record, from: End, placed: &Placed) -> Signal {
        Signal {
            number: record.number,
            syn: record.has(Flags::SYN),
            fin: record.has(Flags::FIN),
            rst: record.has(Flags::RST),
            pos: placed.pos,
            end: placed.pos + record.seq_len(),
            ack: placed.ack,
            again: matches!(placed.kind, Kind::Again(_)),
            refused: matches!(record.verdict, Some(Verdict::Answered(_) | Verdict::Dropped(_))),
            in_order: self.senders[from].is_gapless(),
        }
    }

    fn draw(&mut self, phase: Phase, record: &Record, from: End, placed: &Placed, line: Option<String>) {
        let Some(ladder) = &mut self.ladder else { return };
        let step = Step {
            number: record.number,
            at: record.time.since(self.first),
            from,
            flags: record.header.flags,
            pos: placed.pos,
            ack: placed.ack,
            seq: record.header.seq,
            ack_seq: record.header.ack,
            window: record.header.window,
            len: record.payload_len,
            kind: placed.kind,
            line,
            cause: record.cause,
            note: record.note,
            verdict: record.verdict,
        };
        ladder.push(phase, step);
    }
}
