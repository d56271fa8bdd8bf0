//! Our stack in the same jobs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use tidegate_proto::net::{ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, SocketId, Stack, StackConfig, TxFrame};
use tidegate_proto::tcp::{Read, State};
use tidegate_proto::time::{Duration, Instant};

use super::{BUFFER, Mode};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 80);

/// Two hosts and one connection between them; beside it idle established connections.
pub struct Pair {
    a: Stack,
    b: Stack,
    now: Instant,
    listener: SocketId,
    client: SocketId,
    server: SocketId,
    arena: BytesMut,
    chunk: Vec<u8>,
    mode: Mode,
    /// How far the clock moves between two connections.
    tick: Duration,
}

impl Pair {
    pub fn new(mode: Mode, idle: usize) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut config = StackConfig::default();
        config.tcp.timestamps = false;
        config.tcp.nagle = false;
        let buffer = u32::try_from(BUFFER).expect("small");
        config.tcp = config.tcp.with_buffers(2 * buffer, buffer);
        config.host.tw_reuse = true;
        config.host.max_syn_backlog = 65_536;
        // Notes are for captures, which nobody takes here.
        config.host.notes = false;
        let mut a = host(&config, 1, mode, now);
        let mut b = host(&config, 2, mode, now);
        let listener = b.listen(SERVER, 65_536).expect("a free port");
        let client = a.connect(None, SERVER, now).expect("a route");
        let mut pair = Pair {
            a,
            b,
            now,
            listener,
            client,
            server: client,
            arena: BytesMut::with_capacity(1 << 20),
            chunk: vec![0x5a; BUFFER],
            mode,
            tick: Duration::from_millis(10),
        };
        pair.server = pair.establish();
        for _ in 0..idle {
            pair.client = pair.a.connect(None, SERVER, now).expect("a free port");
            pair.server = pair.establish();
        }
        pair
    }

    fn establish(&mut self) -> SocketId {
        loop {
            self.exchange();
            if let Some(server) = self.b.accept(self.listener, self.now) {
                return server;
            }
        }
    }

    /// Everything that either host has to say, until both are quiet.
    fn exchange(&mut self) {
        loop {
            let moved = hand_over(&mut self.a, &mut self.b, &mut self.arena, self.now, self.mode)
                + hand_over(&mut self.b, &mut self.a, &mut self.arena, self.now, self.mode);
            while self.a.poll_event().is_some() {}
            while self.b.poll_event().is_some() {}
            if moved == 0 {
                return;
            }
        }
    }

    /// Client to server.
    pub fn transfer(&mut self, bytes: usize) {
        let (mut sent, mut received) = (0, 0);
        while received < bytes {
            if sent < bytes {
                let n = self.chunk.len().min(bytes - sent);
                sent += self.a.write(self.client, &self.chunk[..n], self.now).expect("open");
            }
            hand_over(&mut self.a, &mut self.b, &mut self.arena, self.now, self.mode);
            while let Read::Data(n) = self.b.read(self.server, &mut self.chunk, self.now).expect("open") {
                received += n;
            }
            hand_over(&mut self.b, &mut self.a, &mut self.arena, self.now, self.mode);
            while self.a.poll_event().is_some() {}
            while self.b.poll_event().is_some() {}
        }
    }

    /// One byte there and one byte back.
    pub fn ping_pong(&mut self) {
        let mut byte = [1];
        self.a.write(self.client, &byte, self.now).expect("open");
        hand_over(&mut self.a, &mut self.b, &mut self.arena, self.now, self.mode);
        assert_eq!(self.b.read(self.server, &mut byte, self.now), Ok(Read::Data(1)));
        self.b.write(self.server, &byte, self.now).expect("open");
        hand_over(&mut self.b, &mut self.a, &mut self.arena, self.now, self.mode);
        assert_eq!(self.a.read(self.client, &mut byte, self.now), Ok(Read::Data(1)));
        while self.a.poll_event().is_some() {}
        while self.b.poll_event().is_some() {}
    }

    /// Ends the connection that is open, opens the next one and sends a byte each way.
    pub fn connect_request_close(&mut self) {
        self.ping_pong();
        self.a.close(self.client, self.now).expect("open");
        self.exchange();
        self.b.close(self.server, self.now).expect("open");
        self.exchange();
        assert_eq!(self.b.state(self.server), State::Closed);
        self.a.release(self.client, self.now);
        self.b.release(self.server, self.now);
        // A real clock would move on; TIME-WAIT records run out as they would there.
        self.now += self.tick;
        self.a.on_timeout(self.now);
        self.b.on_timeout(self.now);
        self.client = self.a.connect(None, SERVER, self.now).expect("a free port");
        self.server = self.establish();
    }
}

/// A host with one raw IP interface.
pub fn host(config: &StackConfig, last: u8, mode: Mode, now: Instant) -> Stack {
    let mut stack = Stack::new(config.clone(), [last; 32], now);
    stack.add_interface(IfaceConfig {
        mac: None,
        mtu: 1500,
        addrs: vec![Cidr { addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), prefix: 24 }],
        max_burst: if mode == Mode::Super { 65_160 } else { 0 },
        checksum_offload: mode != Mode::Checksums,
    });
    stack
}

fn hand_over(from: &mut Stack, to: &mut Stack, arena: &mut BytesMut, now: Instant, mode: Mode) -> usize {
    let mut moved = 0;
    while let Some(frame) = from.poll_transmit(now) {
        let segments = segments(&frame);
        let bytes = assemble(&frame, arena);
        let checksum = if mode == Mode::Checksums { ChecksumState::Unknown } else { ChecksumState::Verified };
        let _ = to.receive(IfaceId(0), Frame { bytes, checksum, segments }, now);
        moved += 1;
    }
    moved
}

fn segments(frame: &TxFrame) -> u16 {
    let payload: usize = frame.payload.iter().map(Bytes::len).sum();
    match usize::from(frame.gso_size) {
        0 => 1,
        size => u16::try_from(payload.div_ceil(size).max(1)).expect("a burst is at most 64 KiB"),
    }
}

/// The copy that a device would make: header and payload into one buffer, which is used again once it is free.
fn assemble(frame: &TxFrame, arena: &mut BytesMut) -> Bytes {
    let len = frame.header.len() + frame.payload.iter().map(Bytes::len).sum::<usize>();
    if arena.capacity() < len && !arena.try_reclaim(1 << 20) {
        *arena = BytesMut::with_capacity(1 << 20);
    }
    arena.extend_from_slice(&frame.header);
    for slice in &frame.payload {
        arena.extend_from_slice(slice);
    }
    arena.split().freeze()
}

/// Two hosts with a number of records of one kind; either host can be dropped alone.
pub struct Crowd {
    pub a: Option<Stack>,
    pub b: Option<Stack>,
}

impl Crowd {
    /// Connections that carried a byte each way and fell silent.
    pub fn established(records: usize) -> Self {
        let mut pair = Pair::new(Mode::Checksums, 0);
        for _ in 0..records {
            pair.client = pair.a.connect(None, SERVER, pair.now).expect("a free port");
            pair.server = pair.establish();
            pair.ping_pong();
        }
        pair.into()
    }

    /// SYNs whose SYN-ACK was never answered.
    pub fn half_open(records: usize) -> Self {
        let mut pair = Pair::new(Mode::Checksums, 0);
        for _ in 0..records {
            pair.a.connect(None, SERVER, pair.now).expect("a free port");
            hand_over(&mut pair.a, &mut pair.b, &mut pair.arena, pair.now, pair.mode);
            while pair.b.poll_transmit(pair.now).is_some() {}
        }
        assert_eq!(pair.b.population().half_open, records);
        pair.into()
    }

    /// Connections that the client closed first, both of whose ids were released.
    pub fn time_wait(records: usize) -> Self {
        let mut pair = Pair::new(Mode::Checksums, 0);
        pair.tick = Duration::ZERO;
        for _ in 0..records {
            pair.connect_request_close();
        }
        assert_eq!(pair.a.population().time_wait, records);
        pair.into()
    }
}

impl From<Pair> for Crowd {
    fn from(pair: Pair) -> Self {
        Crowd { a: Some(pair.a), b: Some(pair.b) }
    }
}
