//! For tests: a connection whose peer is made of segments, and two connections wired back to back.
//!
//! Sections: none.
//! In: segments in relative numbers, calls, time.
//! Out: what the connection sends, in one line a segment: `P. 1:101 ack 1 win 512 <data>`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::cc::CcKind;
use super::open::{syn_ack_options, syn_window, ts_clock};
use super::*;
use crate::time::Duration;
use crate::wire::{Flags, Header, Pos, SackBlock, Space};

/// Our initial sequence number in every played connection, near the wrap, so that no test forgets it.
pub(super) const ISS: Seq = Seq(u32::MAX - 500);
/// The peer's.
pub(super) const IRS: Seq = Seq(0x7fff_ff00);
/// Our timestamp offset, and the peer's first TSval.
pub(super) const TS_OFFSET: u32 = 0xffff_ff00;
pub(super) const PEER_TS: u32 = 5_000;

pub(super) const S: Flags = Flags::SYN;
pub(super) const A: Flags = Flags::ACK;
pub(super) const F: Flags = Flags(Flags::FIN.0 | Flags::ACK.0);
pub(super) const SA: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);
pub(super) const R: Flags = Flags::RST;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// All options, and a send buffer that takes whatever a test writes.
pub(super) fn full() -> Config {
    Config { snd_buf: 4_194_304, ..Config::default() }
}

/// Settings without timestamps and SACK, and with Reno, not paced: plain RFC 9293, easy to read.
pub(super) fn plain() -> Config {
    let congestion = CcKind::Reno;
    Config { timestamps: false, sack: false, window_scaling: false, congestion, pacing: false, ..full() }
}

pub(super) fn key() -> FourTuple {
    let ip = |n| IpAddr::V4(Ipv4Addr::new(192, 168, 131, n));
    FourTuple { local_ip: ip(132), remote_ip: ip(138), local_port: 37584, remote_port: 80 }
}

/// One segment of the peer's, in relative numbers.
#[derive(Clone)]
pub(super) struct Seg {
    pub(super) flags: Flags,
    pub(super) seq: i64,
    pub(super) ack: i64,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) data: Vec<u8>,
    pub(super) options: Options,
    pub(super) segments: u16,
}

pub(super) fn seg(flags: Flags, seq: i64, ack: i64) -> Seg {
    Seg { flags, seq, ack, window: 60_000, urgent: 0, data: Vec::new(), options: Options::default(), segments: 1 }
}

impl Seg {
    /// With `n` bytes of the stream that belongs at its place.
    pub(super) fn data(self, n: usize) -> Seg {
        Seg { data: stream(Pos(self.seq), n), ..self }
    }

    pub(super) fn window(self, window: u16) -> Seg {
        Seg { window, ..self }
    }

    pub(super) fn ts(mut self, val: u32, ecr: u32) -> Seg {
        self.options.timestamps = Some(Timestamps { val, ecr });
        self
    }
}

/// The bytes `[at, at + n)` of the stream that every test sends: their positions tell what they must be.
pub(super) fn stream(at: Pos, n: usize) -> Vec<u8> {
    (0..n as i64).map(|i| ((at.0 + i) % 251) as u8).collect()
}

/// A connection under test; the test plays its peer.
pub(super) struct Play {
    pub(super) conn: Connection,
    pub(super) now: Instant,
}

impl Play {
    /// SYN-SENT, the SYN already sent.
    pub(super) fn syn_sent(cfg: &Config) -> Play {
        let now = Instant::ZERO + ms(1000);
        let mut play = Play { conn: Connection::connect(cfg, key(), ISS, TS_OFFSET, now), now };
        assert_eq!(play.sent().len(), 1);
        play
    }

    /// ESTABLISHED by an active open, the third segment sent, a round trip of 10 ms measured.
    pub(super) fn established(cfg: &Config) -> Play {
        let mut play = Play::syn_sent(cfg);
        play.now += ms(10);
        let tsval = ts_clock(play.now, 0);
        let mut answer = seg(SA, 0, 1);
        answer.options = syn_ack_options(cfg, &key(), PEER_TS, &syn_options_of(cfg, tsval));
        assert_eq!(play.receive(answer), Verdict::Accepted);
        assert_eq!(play.sent().len(), 1);
        assert_eq!(play.conn.poll_event(), Some(Event::Connected));
        play
    }

    /// SYN-RECEIVED by a passive open, as the listener hands it over.
    pub(super) fn syn_received(cfg: &Config) -> Play {
        let now = Instant::ZERO + ms(1000);
        let accepted = Accepted {
            key: key(),
            iss: ISS,
            irs: IRS,
            options: syn_options_of(cfg, PEER_TS),
            window: 60_000,
            sent: now,
            retransmits: 0,
            ts_offset: TS_OFFSET,
        };
        Play { conn: Connection::accept(cfg, &accepted, now), now }
    }

    /// A segment arrives. Timestamps are added where the connection uses them and the test gave none.
    pub(super) fn receive(&mut self, seg: Seg) -> Verdict {
        let mut options = seg.options;
        if self.conn.info(self.now).timestamps && options.timestamps.is_none() {
            options.timestamps = Some(Timestamps { val: PEER_TS, ecr: ts_clock(self.now, TS_OFFSET) });
        }
        let header = Header {
            src_port: 80,
            dst_port: 37584,
            seq: Space::new(IRS).seq(Pos(seg.seq)),
            ack: Space::new(ISS).seq(Pos(seg.ack)),
            flags: seg.flags,
            window: seg.window,
            urgent: seg.urgent,
            options,
        };
        let segment = Segment { header, payload: Bytes::from(seg.data), segments: seg.segments, ..Segment::default() };
        self.conn.on_segment(segment, self.now)
    }

    /// Everything that goes out now.
    pub(super) fn bursts(&mut self) -> Vec<Transmit> {
        let limit = TxLimit { burst: 65_536 };
        let mut bursts = Vec::new();
        while let Some(burst) = self.conn.poll_transmit(self.now, limit) {
            assert!(bursts.len() < 1000, "the connection never stops sending");
            bursts.push(burst);
        }
        bursts
    }

    /// The same in words.
    pub(super) fn sent(&mut self) -> Vec<String> {
        self.bursts().iter().map(describe).collect()
    }

    /// `time` passes; timers run when they are due. What is sent on the way, with the time in ms since the call.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<(u64, String)> {
        let (start, end) = (self.now, self.now + time);
        let mut sent = Vec::new();
        while let Some((at, _)) = self.conn.next_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.conn.on_timeout(self.now);
            let bursts = self.sent();
            sent.extend(bursts.into_iter().map(|burst| (self.now.since(start).as_millis(), burst)));
        }
        self.now = end;
        sent
    }

    pub(super) fn write(&mut self, n: usize) -> usize {
        let at = self.conn.info(self.now).snd_end;
        let at = if at == Pos::SYN { Pos::FIRST } else { at };
        self.conn.write(&stream(at, n), self.now).expect("open for writing")
    }

    pub(super) fn read(&mut self, n: usize) -> Result<Read, ConnError> {
        let mut out = alloc::vec![0; n];
        self.conn.read(&mut out, self.now)
    }

    pub(super) fn state(&self) -> State {
        self.conn.state()
    }

    pub(super) fn info(&self) -> TcpInfo {
        self.conn.info(self.now)
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.conn.poll_event()).collect()
    }
}

/// What a peer with the same settings offers.
pub(super) fn syn_options_of(cfg: &Config, tsval: u32) -> Options {
    super::open::syn_options(cfg, &key(), tsval)
}

/// One burst in relative numbers.
pub(super) fn describe(burst: &Transmit) -> String {
    let header = &burst.header;
    let seq = Space::new(ISS).pos(header.seq, Pos(0)).0;
    let len = burst.payload_len() as i64;
    let mut line = format!("{} {seq}:{}", header.flags, seq + len);
    if header.flags.has(A) {
        line += &format!(" ack {}", Space::new(IRS).pos(header.ack, Pos(0)).0);
    }
    let count = burst.cause.count().map_or(String::new(), |n| format!(" {n}"));
    line + &format!(" {}{count}", burst.cause.name())
}

/// The SACK blocks of a burst, relative to the peer's SYN.
pub(super) fn sack_of(burst: &Transmit) -> ArrayVec<(i64, i64), 4> {
    let pos = |seq| Space::new(IRS).pos(seq, Pos(0)).0;
    burst.header.options.sack.iter().map(|SackBlock { start, end }| (pos(*start), pos(*end))).collect()
}

/// What the wire does to a segment: how often it arrives, and how late.
pub(super) struct Fate {
    pub(super) copies: usize,
    pub(super) late: Duration,
}

impl Fate {
    pub(super) const FINE: Fate = Fate { copies: 1, late: Duration::ZERO };
    pub(super) const LOST: Fate = Fate { copies: 0, late: Duration::ZERO };
}

/// Two connections and the wire between them.
pub(super) struct Pair {
    pub(super) a: Connection,
    /// `None` until the first SYN arrives.
    pub(super) b: Option<Connection>,
    pub(super) now: Instant,
    cfg: Config,
    delay: Duration,
    wire: VecDeque<(Instant, bool, Segment)>,
    /// Called with a running number and the direction (true: from A).
    fate: Box<dyn FnMut(u64, bool) -> Fate>,
    count: u64,
}

impl Pair {
    pub(super) fn new(cfg: &Config, iss: Seq, delay: Duration, fate: impl FnMut(u64, bool) -> Fate + 'static) -> Pair {
        let now = Instant::ZERO;
        let a = Connection::connect(cfg, key(), iss, 7, now);
        Pair { a, b: None, now, cfg: cfg.clone(), delay, wire: VecDeque::new(), fate: Box::new(fate), count: 0 }
    }

    /// Runs until nothing happens before `end`. `app` is called after every event.
    pub(super) fn run(
        &mut self,
        end: Duration,
        mut app: impl FnMut(&mut Connection, Option<&mut Connection>, Instant),
    ) {
        let end = Instant::ZERO + end;
        for _ in 0..1_000_000 {
            self.drain();
            app(&mut self.a, self.b.as_mut(), self.now);
            self.drain();
            let timers = [self.a.next_timeout(), self.b.as_ref().and_then(Connection::next_timeout)];
            let timer = timers.into_iter().flatten().map(|(at, _)| at).min();
            assert!(timer.is_none_or(|at| at > self.now), "a timer that is due was run");
            let arrival = self.wire.iter().map(|(at, ..)| *at).min();
            let Some(next) = timer.into_iter().chain(arrival).min().filter(|next| *next <= end) else { return };
            self.now = self.now.max(next);
            while let Some(index) = self.wire.iter().position(|(at, ..)| *at <= self.now) {
                let (_, from_a, segment) = self.wire.remove(index).expect("just seen");
                self.deliver(from_a, segment);
                self.drain();
            }
            self.a.on_timeout(self.now);
            if let Some(b) = &mut self.b {
                b.on_timeout(self.now);
            }
        }
        panic!("a million events and no end");
    }

    fn deliver(&mut self, from_a: bool, segment: Segment) {
        if !from_a {
            self.a.on_segment(segment, self.now);
        } else if let Some(b) = &mut self.b {
            b.on_segment(segment, self.now);
        } else if segment.header.flags.has(S) {
            self.answer_syn(&segment.header);
        }
    }

    /// What a listener would do.
    fn answer_syn(&mut self, syn: &Header) {
        let accepted = Accepted {
            key: key().reversed(),
            iss: IRS,
            irs: syn.seq,
            options: syn.options.clone(),
            window: syn.window,
            sent: self.now,
            retransmits: 0,
            ts_offset: 99,
        };
        let header = Header {
            src_port: 80,
            dst_port: 37584,
            seq: IRS,
            ack: syn.seq + 1,
            flags: SA,
            window: syn_window(&self.cfg, &accepted.key),
            urgent: 0,
            options: syn_ack_options(&self.cfg, &accepted.key, ts_clock(self.now, 99), &syn.options),
        };
        self.b = Some(Connection::accept(&self.cfg, &accepted, self.now));
        self.put(false, header, &[]);
    }

    fn drain(&mut self) {
        for from_a in [true, false] {
            while let Some(burst) =
                self.side(from_a).and_then(|(conn, now)| conn.poll_transmit(now, TxLimit { burst: 65_536 }))
            {
                let payload: Vec<u8> = burst.payload.iter().flatten().copied().collect();
                let size = usize::from(burst.segment_size).max(1);
                let count = payload.len().div_ceil(size).max(1);
                for i in 0..count {
                    let mut header = burst.header.clone();
                    header.seq = header.seq + (i * size) as u32;
                    if i + 1 < count {
                        header.flags = Flags(header.flags.0 & !(Flags::FIN | Flags::PSH).0);
                    }
                    self.put(from_a, header, payload.chunks(size).nth(i).unwrap_or_default());
                }
            }
            self.side(from_a).and_then(|(conn, now)| conn.take_time_wait(now));
        }
    }

    fn side(&mut self, a: bool) -> Option<(&mut Connection, Instant)> {
        let conn = if a { Some(&mut self.a) } else { self.b.as_mut() };
        conn.map(|conn| (conn, self.now))
    }

    fn put(&mut self, from_a: bool, header: Header, payload: &[u8]) {
        self.count += 1;
        let Fate { copies, late } = (self.fate)(self.count, from_a);
        let segment = Segment { header, payload: Bytes::copy_from_slice(payload), segments: 1, ..Segment::default() };
        for _ in 0..copies {
            self.wire.push_back((self.now + self.delay + late, from_a, segment.clone()));
        }
    }
}
