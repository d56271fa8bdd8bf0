//! Two hosts with sockets, a wire between them, and short names for calls.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::net::{ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, Stack, StackConfig, TxFrame, offload};
use tidegate_proto::socket::{Domain, Errno, Fd, MsgFlags, Opt, Ready, Shutdown, Sockets, Value};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::frame::{Link, Tcp};

const DELAY: Duration = Duration::from_micros(70);

/// One host.
pub(crate) struct Host {
    pub(crate) sockets: Sockets,
    pub(crate) now: Instant,
    last: u8,
    pub(crate) wakes: Vec<(Fd, Ready)>,
}

/// Two hosts, and what is on its way between them.
pub(crate) struct World {
    pub(crate) a: Host,
    pub(crate) b: Host,
    wire: VecDeque<(Instant, bool, Bytes)>,
    /// The TCP segments so far: from A, flags, payload length, TTL.
    pub(crate) log: Vec<(bool, String, usize, u8)>,
    pub(crate) cut: bool,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(&StackConfig::default())
    }

    pub(crate) fn with(config: &StackConfig) -> World {
        let host = |last: u8| {
            let now = Instant::ZERO + Duration::from_secs(1);
            let mut stack = Stack::new(config.clone(), [last; 32], now);
            let addrs = vec![
                Cidr { addr: IpAddr::from([10, 0, 0, last]), prefix: 24 },
                Cidr { addr: IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]), prefix: 64 },
            ];
            stack.add_interface(IfaceConfig {
                mac: None,
                mtu: 1500,
                addrs,
                max_burst: 65_536,
                checksum_offload: false,
            });
            Host { sockets: Sockets::new(stack, 100), now, last, wakes: Vec::new() }
        };
        World { a: host(1), b: host(2), wire: VecDeque::new(), log: Vec::new(), cut: false }
    }

    /// A connection from A to B: the listener, A's end, B's end. Both ends are connected and woken for it.
    pub(crate) fn pair(&mut self) -> (Fd, Fd, Fd) {
        let listener = self.b.listener(8);
        let to = self.b.addr_of(listener);
        let client = self.a.open();
        assert_eq!(self.a.connect(client, to), Err(Errno::EINPROGRESS));
        self.run(1);
        assert_eq!(self.a.connect(client, to), Ok(()));
        let (server, _) = self.b.accept(listener).unwrap();
        self.run(1);
        self.a.wakes.clear();
        self.b.wakes.clear();
        (listener, client, server)
    }

    /// Time passes, milliseconds.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.a.now + Duration::from_millis(millis);
        loop {
            self.drain();
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let timers = [self.a.sockets.next_timeout(), self.b.sockets.next_timeout()];
            let next = timers.into_iter().chain([arrival]).flatten().min().filter(|next| *next <= end);
            let now = next.unwrap_or(end);
            (self.a.now, self.b.now) = (now, now);
            if next.is_none() {
                return;
            }
            while let Some((_, to_b, bytes)) = self.wire.pop_front_if(|(at, ..)| *at <= now) {
                let frame = Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 };
                let host = if to_b { &mut self.b } else { &mut self.a };
                host.sockets.receive(IfaceId(0), frame, now);
            }
            for host in [&mut self.a, &mut self.b] {
                if host.sockets.next_timeout().is_some_and(|at| at <= now) {
                    host.sockets.on_timeout(now);
                }
            }
        }
    }

    fn drain(&mut self) {
        for from_a in [true, false] {
            let host = if from_a { &mut self.a } else { &mut self.b };
            let mut frames: Vec<TxFrame> = Vec::new();
            // What a wake does to the sockets may make output again.
            loop {
                while let Some(frame) = host.sockets.poll_transmit(host.now) {
                    frames.push(frame);
                }
                match host.sockets.poll_wake() {
                    Some(wake) => host.wakes.push(wake),
                    None if host.sockets.next_timeout().is_none_or(|at| at > host.now) => break,
                    None => host.sockets.on_timeout(host.now),
                }
            }
            for bytes in frames.iter().flat_map(|frame| offload::split(frame, Link::Ip, portable)) {
                let tcp = Tcp::parse(Link::Ip, &bytes, Some(portable)).unwrap();
                self.log.push((from_a, tcp.tcp.flags.to_string(), tcp.payload.len(), tcp.ip.ttl()));
                if !self.cut {
                    self.wire.push_back((host.now + DELAY, from_a, bytes));
                }
            }
        }
    }
}

impl Host {
    pub(crate) fn ip(&self) -> IpAddr {
        [10, 0, 0, self.last].into()
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(), port)
    }

    pub(crate) fn at6(&self, port: u16) -> SocketAddr {
        ([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(self.last)], port).into()
    }

    pub(crate) fn open(&mut self) -> Fd {
        self.sockets.socket(Domain::V4).unwrap()
    }

    pub(crate) fn open6(&mut self) -> Fd {
        self.sockets.socket(Domain::V6).unwrap()
    }

    pub(crate) fn listener(&mut self, backlog: i32) -> Fd {
        let fd = self.open();
        self.sockets.bind(fd, self.at(0)).unwrap();
        self.sockets.listen(fd, backlog).unwrap();
        fd
    }

    pub(crate) fn addr_of(&self, fd: Fd) -> SocketAddr {
        self.sockets.local_addr(fd).unwrap()
    }

    pub(crate) fn accept(&mut self, fd: Fd) -> Result<(Fd, SocketAddr), Errno> {
        self.sockets.accept(fd, self.now)
    }

    pub(crate) fn connect(&mut self, fd: Fd, to: SocketAddr) -> Result<(), Errno> {
        self.sockets.connect(fd, to, self.now)
    }

    pub(crate) fn send(&mut self, fd: Fd, data: &str) -> Result<usize, Errno> {
        self.sockets.send(fd, data.as_bytes(), MsgFlags::NONE, self.now)
    }

    pub(crate) fn send_oob(&mut self, fd: Fd, data: &str) -> Result<usize, Errno> {
        self.sockets.send(fd, data.as_bytes(), MsgFlags::OOB, self.now)
    }

    pub(crate) fn recv(&mut self, fd: Fd, len: usize) -> Result<String, Errno> {
        self.recv_with(fd, len, MsgFlags::NONE)
    }

    pub(crate) fn recv_with(&mut self, fd: Fd, len: usize, flags: MsgFlags) -> Result<String, Errno> {
        let mut out = vec![0; len];
        let n = self.sockets.recv(fd, &mut out, flags, self.now)?;
        Ok(String::from_utf8(out[..n].to_vec()).unwrap())
    }

    pub(crate) fn poll(&mut self, fd: Fd) -> String {
        format!("{:?}", self.sockets.poll(fd))
    }

    pub(crate) fn shutdown(&mut self, fd: Fd, how: Shutdown) -> Result<(), Errno> {
        self.sockets.shutdown(fd, how, self.now)
    }

    pub(crate) fn close(&mut self, fd: Fd) {
        assert_eq!(self.sockets.close(fd, self.now), Ok(None));
    }

    pub(crate) fn reset(&mut self, fd: Fd) {
        let value = Value::Linger { on: true, seconds: 0 };
        self.sockets.set_option(fd, Opt::Linger, &value, self.now).unwrap();
        self.close(fd);
    }

    pub(crate) fn set(&mut self, fd: Fd, option: Opt, value: i32) -> Result<(), Errno> {
        self.sockets.set_option(fd, option, &Value::Int(value), self.now)
    }

    pub(crate) fn get(&mut self, fd: Fd, option: Opt) -> Result<i32, Errno> {
        match self.sockets.option(fd, option, self.now)? {
            Value::Int(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn so_error(&mut self, fd: Fd) -> Option<Errno> {
        self.sockets.take_error(fd).unwrap()
    }

    /// The wakes of a descriptor since the last time.
    pub(crate) fn woken(&mut self, fd: Fd) -> Vec<String> {
        let wakes = std::mem::take(&mut self.wakes);
        wakes.into_iter().filter(|(woken, _)| *woken == fd).map(|(_, ready)| format!("{ready:?}")).collect()
    }
}
