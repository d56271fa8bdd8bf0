//! smoltcp in the same jobs: the yardstick.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::{BUFFER, Mode};

/// One end of the link: frames in, frames out, and emptied buffers to use again.
struct End {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
    /// Buffers to send with.
    free: Vec<Vec<u8>>,
    /// Buffers that were read and go back to the other end.
    spent: Vec<Vec<u8>>,
    mode: Mode,
}

struct Rx<'a>(Vec<u8>, &'a mut Vec<Vec<u8>>);
struct Tx<'a>(&'a mut VecDeque<Vec<u8>>, &'a mut Vec<Vec<u8>>);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.0);
        self.1.push(self.0);
        result
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.1.pop().unwrap_or_default();
        frame.resize(len, 0);
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let frame = self.rx.pop_front()?;
        Some((Rx(frame, &mut self.spent), Tx(&mut self.tx, &mut self.free)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx, &mut self.free))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = if self.mode == Mode::Super { 65_535 } else { 1500 };
        if self.mode != Mode::Checksums {
            caps.checksum = ChecksumCapabilities::ignored();
        }
        caps
    }
}

struct Host {
    iface: Interface,
    device: End,
    sockets: SocketSet<'static>,
}

impl Host {
    fn new(last: u8, mode: Mode, idle: usize) -> Self {
        let mut device = End { rx: VecDeque::new(), tx: VecDeque::new(), free: Vec::new(), spent: Vec::new(), mode };
        let mut iface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
        iface.update_ip_addrs(|addrs| {
            addrs.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24)).expect("room for one address");
        });
        let mut sockets = SocketSet::new(Vec::new());
        for port in 0..idle {
            let mut socket = tcp::Socket::new(buffer(16), buffer(16));
            socket.listen(10_000 + u16::try_from(port).expect("few idle sockets")).expect("a fresh socket");
            sockets.add(socket);
        }
        Host { iface, device, sockets }
    }

    fn add(&mut self) -> SocketHandle {
        let mut socket = tcp::Socket::new(buffer(BUFFER), buffer(BUFFER));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        self.sockets.add(socket)
    }

    fn poll(&mut self) {
        self.iface.poll(Instant::ZERO, &mut self.device, &mut self.sockets);
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

fn buffer(len: usize) -> tcp::SocketBuffer<'static> {
    tcp::SocketBuffer::new(vec![0; len])
}

/// Two hosts and one connection between them; beside it, on either host, idle sockets.
pub struct Pair {
    a: Host,
    b: Host,
    client: SocketHandle,
    server: SocketHandle,
    port: u16,
    chunk: Vec<u8>,
}

impl Pair {
    pub fn new(mode: Mode, idle: usize) -> Self {
        let (mut a, mut b) = (Host::new(1, mode, idle), Host::new(2, mode, idle));
        let (client, server) = (a.add(), b.add());
        let mut pair = Pair { a, b, client, server, port: 40_000, chunk: vec![0x5a; BUFFER] };
        pair.open();
        pair
    }

    fn open(&mut self) {
        self.b.socket(self.server).listen(80).expect("a closed socket");
        self.port = if self.port == 60_000 { 40_000 } else { self.port + 1 };
        let Host { iface, sockets, .. } = &mut self.a;
        sockets
            .get_mut::<tcp::Socket>(self.client)
            .connect(iface.context(), (IpAddress::v4(10, 0, 0, 2), 80), self.port)
            .expect("a closed socket");
        while !(self.a.socket(self.client).may_send() && self.b.socket(self.server).may_send()) {
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        self.a.poll();
        hand_over(&mut self.a.device, &mut self.b.device);
        self.b.poll();
        hand_over(&mut self.b.device, &mut self.a.device);
    }

    /// Client to server.
    pub fn transfer(&mut self, bytes: usize) {
        let (mut sent, mut received) = (0, 0);
        while received < bytes {
            if sent < bytes {
                let n = self.chunk.len().min(bytes - sent);
                sent += self.a.sockets.get_mut::<tcp::Socket>(self.client).send_slice(&self.chunk[..n]).expect("open");
            }
            self.exchange();
            loop {
                let n = self.b.sockets.get_mut::<tcp::Socket>(self.server).recv_slice(&mut self.chunk).expect("open");
                if n == 0 {
                    break;
                }
                received += n;
            }
        }
    }

    /// One byte there and one byte back.
    pub fn ping_pong(&mut self) {
        let mut byte = [1];
        self.a.socket(self.client).send_slice(&byte).expect("open");
        while self.b.socket(self.server).recv_slice(&mut byte).expect("open") == 0 {
            self.exchange();
        }
        self.b.socket(self.server).send_slice(&byte).expect("open");
        while self.a.socket(self.client).recv_slice(&mut byte).expect("open") == 0 {
            self.exchange();
        }
    }

    /// Ends the connection that is open, opens the next one and sends a byte each way.
    pub fn connect_request_close(&mut self) {
        self.ping_pong();
        self.a.socket(self.client).close();
        self.exchange();
        self.b.socket(self.server).close();
        while self.b.socket(self.server).is_open() {
            self.exchange();
        }
        // TIME-WAIT holds the socket for 10 s of a clock that stands still here; a new one would be allocated by a
        // server anyway.
        self.a.socket(self.client).abort();
        self.a.device.tx.clear();
        self.open();
    }
}

fn hand_over(from: &mut End, to: &mut End) {
    to.rx.append(&mut from.tx);
    from.free.append(&mut to.spent);
}
