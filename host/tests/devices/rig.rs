//! A stack over a device, driven by the thread that uses it.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tidegate::clock;
use tidegate::dev::{Device, Room, Wait};
use tidegate::proto::net::{Cidr, Event, Frame, IfaceId, SocketId, Stack, StackConfig, TxFrame};
use tidegate::proto::tcp::Read;
use tidegate::proto::time::{Duration, Instant};
use tidegate::proto::wire::eth::MacAddr;

pub struct Rig<D> {
    pub stack: Stack,
    pub device: D,
    iface: IfaceId,
    received: Vec<Frame>,
    queue: VecDeque<TxFrame>,
    room: Room,
    /// Frames of many segments: received, sent.
    pub bursts: (u64, u64),
    /// When a test has hung.
    patience: Instant,
}

impl<D: Device> Rig<D> {
    pub fn new(device: D, addrs: &[IpAddr]) -> Self {
        let now = clock::now();
        let mut stack = Stack::new(StackConfig::default(), [7; 32], now);
        let addrs = addrs.iter().map(|&addr| Cidr { addr, prefix: if addr.is_ipv4() { 24 } else { 64 } }).collect();
        let mac = MacAddr([2, 0, 0, 0, 0, 2]);
        let iface = stack.add_interface(device.capabilities().interface(mac, addrs));
        let patience = now + Duration::from_secs(60);
        let (received, queue) = (Vec::new(), VecDeque::new());
        Rig { stack, device, iface, received, queue, room: Room::Free, bursts: (0, 0), patience }
    }

    /// Receives, runs timers, sends. False if there was nothing to receive.
    pub fn turn(&mut self) -> io::Result<bool> {
        let now = clock::now();
        assert!(now < self.patience, "this should not take a minute");
        let arrived = self.device.receive(&mut self.received, 64)?;
        for frame in self.received.drain(..) {
            self.bursts.0 += u64::from(frame.segments > 1);
            self.stack.receive(self.iface, frame, now);
        }
        if self.stack.next_timeout().is_some_and(|at| at <= now) {
            self.stack.on_timeout(now);
        }
        while let Some(frame) = self.stack.poll_transmit(now) {
            self.bursts.1 += u64::from(frame.gso_size > 0);
            self.queue.push_back(frame);
        }
        self.room = self.device.send(&mut self.queue)?;
        Ok(arrived > 0)
    }

    /// Sends a frame that somebody else has taken out of the stack.
    pub fn hand_over(&mut self, frame: TxFrame) {
        self.queue.push_back(frame);
    }

    /// Waits for the device or the next timer.
    pub fn wait(&self) {
        self.wait_until(self.patience);
    }

    fn wait_until(&self, limit: Instant) {
        let Wait::Fd(fd) = self.device.wait() else { panic!("these devices have descriptors") };
        let room = if self.room == Room::Full { PollFlags::OUT } else { PollFlags::empty() };
        let until = self.stack.next_timeout().map_or(limit, |at| at.min(limit));
        let timeout = Timespec::try_from(std::time::Duration::from_nanos(until.since(clock::now()).as_nanos()));
        poll(&mut [PollFd::new(&fd, PollFlags::IN | room)], timeout.ok().as_ref()).expect("poll works");
    }

    /// Drives the stack until `done` has an answer.
    pub fn until<T>(&mut self, mut done: impl FnMut(&mut Stack) -> Option<T>) -> T {
        loop {
            while self.turn().expect("the device lives") {}
            while self.stack.poll_event().is_some() {}
            if let Some(answer) = done(&mut self.stack) {
                self.turn().expect("the device lives");
                return answer;
            }
            self.wait();
        }
    }

    /// Drives the stack until a thread that talks to it is done.
    pub fn join<T>(&mut self, peer: JoinHandle<T>) -> T {
        while !peer.is_finished() {
            while self.turn().expect("the device lives") {}
            // The end of a thread is nothing that a device reports.
            self.wait_until(clock::now() + Duration::from_millis(5));
        }
        peer.join().expect("the peer is content")
    }

    /// An active open.
    pub fn connect(&mut self, to: SocketAddr) -> SocketId {
        let socket = self.stack.connect(None, to, clock::now()).expect("there is a way");
        loop {
            while self.turn().expect("the device lives") {}
            match self.stack.poll_event() {
                Some((id, Event::Tcp(tidegate::proto::tcp::Event::Connected))) if id == socket => return socket,
                Some((id, event)) if id == socket => panic!("{event:?} in place of a connection"),
                // An earlier connection's last words.
                Some(_) => {}
                None => self.wait(),
            }
        }
    }

    /// The next connection of a listener.
    pub fn accept(&mut self, listener: SocketId) -> SocketId {
        self.until(|stack| stack.accept(listener, clock::now()))
    }

    /// Sends all of `data`, closes, and waits for the peer's end.
    pub fn send_all(&mut self, socket: SocketId, data: &[u8]) {
        let mut sent = 0;
        self.until(|stack| {
            sent += stack.write(socket, &data[sent..], clock::now()).expect("connected");
            (sent == data.len()).then_some(())
        });
        self.stack.close(socket, clock::now()).expect("it is ours");
        assert_eq!(self.receive_all(socket), b"");
    }

    /// Everything that the peer sends before it closes.
    pub fn receive_all(&mut self, socket: SocketId) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
        self.until(|stack| {
            loop {
                match stack.read(socket, &mut buffer, clock::now()).expect("connected") {
                    Read::Data(n) => all.extend_from_slice(&buffer[..n]),
                    Read::Pending => return None,
                    Read::Eof => return Some(()),
                }
            }
        });
        all
    }
}
