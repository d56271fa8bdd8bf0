//! The driver: no wake-up is lost, deadlines are exact, and who has nothing to do sleeps.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use tidegate::clock;
use tidegate::dev::{Device, Offload, Tun, UnixLink, channel};
use tidegate::proto::net::{Cidr, Stack, StackConfig};
use tidegate::proto::socket::{Domain, Errno, Fd, MsgFlags, Ready, Sockets};
use tidegate::proto::wire::eth::MacAddr;
use tidegate::proto::wire::frame::{self, Link};
use tidegate::rt::Driver;

use crate::namespace::for_root;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));

pub fn host(device: impl Device + 'static, addr: IpAddr) -> Driver {
    let stack = Stack::new(StackConfig::default(), [1; 32], clock::now());
    let interface = device.capabilities().interface(MacAddr([2, 0, 0, 0, 0, 9]), vec![Cidr { addr, prefix: 24 }]);
    Driver::start(Sockets::new(stack, 1000), device, interface).expect("a thread")
}

/// Runs a future on this thread. Waiting longer than this means that a wake-up was lost.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        let before = clock::now();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(Duration::from_secs(20)),
        }
        assert!(clock::now().since(before).as_secs() < 20, "a lost wake-up");
    }
}

/// Tries until the socket does not say "later".
fn until_done<T>(
    driver: &Driver,
    fd: Fd,
    interest: Ready,
    mut call: impl FnMut(&mut Sockets) -> Result<T, Errno>,
) -> T {
    loop {
        match driver.call(|sockets, _| call(sockets)) {
            Ok(value) => return value,
            Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY) => {
                block_on(driver.ready(fd, interest));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub fn listen(driver: &Driver, addr: SocketAddr) -> Fd {
    driver.call(|sockets, _| {
        let fd = sockets.socket(Domain::V4).expect("a descriptor");
        sockets.bind(fd, addr).expect("a free port");
        sockets.listen(fd, 100).expect("bound");
        fd
    })
}

pub fn accept(driver: &Driver, listener: Fd) -> Fd {
    until_done(driver, listener, Ready::IN, |sockets| sockets.accept(listener, clock::now())).0
}

pub fn connect(driver: &Driver, to: SocketAddr) -> Fd {
    let fd = driver.call(|sockets, _| sockets.socket(Domain::V4)).expect("a descriptor");
    until_done(driver, fd, Ready::OUT, |sockets| sockets.connect(fd, to, clock::now()));
    fd
}

pub fn write_all(driver: &Driver, fd: Fd, mut data: &[u8]) {
    while !data.is_empty() {
        let n = until_done(driver, fd, Ready::OUT, |sockets| sockets.send(fd, data, MsgFlags::NONE, clock::now()));
        data = &data[n..];
    }
}

fn read(driver: &Driver, fd: Fd, out: &mut [u8]) -> usize {
    until_done(driver, fd, Ready::IN, |sockets| sockets.recv(fd, out, MsgFlags::NONE, clock::now()))
}

pub fn read_to_end(driver: &Driver, fd: Fd) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match read(driver, fd, &mut buffer) {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

pub fn content(seed: u32, len: usize) -> Vec<u8> {
    (seed..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
}

/// Each message waits for the answer to the last: one wake-up lost, and nothing moves any more. With room for one
/// frame the device, too, has to be waited for.
#[test]
fn no_wake_up_is_lost() {
    for (capacity, rounds) in [(256, 3000), (1, 1000)] {
        let (end_a, end_b) = channel(Link::Ip, 1500, capacity);
        let (a, b) = (host(end_a, A), host(end_b, B));
        let to = SocketAddr::new(B, 80);
        let listener = listen(&b, to);
        thread::scope(|scope| {
            scope.spawn(|| {
                let fd = accept(&b, listener);
                let mut byte = [0];
                while read(&b, fd, &mut byte) == 1 {
                    write_all(&b, fd, &byte);
                }
                b.close(fd);
            });
            let fd = connect(&a, to);
            for n in (0..=u8::MAX).cycle().take(rounds) {
                let sent = [n];
                write_all(&a, fd, &sent);
                let mut answer = [0];
                assert_eq!((read(&a, fd, &mut answer), answer), (1, sent));
            }
            a.close(fd);
        });
    }
}

/// Many threads, one lock, both directions at once, through links that are often full.
#[test]
fn many_threads_share_a_driver() {
    let (end_a, end_b) = channel(Link::Ethernet, 1500, 8);
    share(&host(end_a, A), &host(end_b, B));

    let (end_a, end_b) = UnixStream::pair().expect("a socket pair");
    let over = |stream: UnixStream| {
        sockopt::set_socket_send_buffer_size(&stream, 5000).expect("little");
        UnixLink::new(stream, Link::Ethernet, 1500).expect("a socket")
    };
    share(&host(over(end_a), A), &host(over(end_b), B));

    let (end_a, end_b) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).expect("a socket pair");
    let over = |fd| Tun::from_packets(fd, Link::Ip, 1500, Offload::Kernel).expect("any descriptor will do");
    share(&host(over(end_a), A), &host(over(end_b), B));
}

fn share(a: &Driver, b: &Driver) {
    let to = SocketAddr::new(B, 80);
    let listener = listen(b, to);
    let len = 400_000;
    thread::scope(|scope| {
        for seed in 0..6 {
            scope.spawn(move || {
                let fd = accept(b, listener);
                let received = read_to_end(b, fd);
                write_all(b, fd, &received);
                b.close(fd);
            });
            scope.spawn(move || {
                let fd = connect(a, to);
                let data = content(seed * 1_000_000, len);
                write_all(a, fd, &data);
                a.call(|sockets, now| sockets.shutdown(fd, tidegate::proto::socket::Shutdown::Write, now))
                    .expect("connected");
                assert!(read_to_end(a, fd) == data);
                a.close(fd);
            });
        }
    });
}

/// The SYN comes again after exactly the initial timeout of a second: not before, and soon after.
#[test]
fn deadlines_are_exact() {
    let (end, wire) = channel(Link::Ip, 1500, 10);
    let driver = host(end, A);
    driver.call(|sockets, now| {
        let fd = sockets.socket(Domain::V4).expect("a descriptor");
        assert_eq!(sockets.connect(fd, SocketAddr::new(B, 80), now), Err(Errno::EINPROGRESS));
    });
    let first = wire.try_recv_packet().expect("alive").expect("it went out before the call was over");
    let sent = clock::now();
    let second = block_on(wire.recv_packet()).expect("alive");
    let waited = clock::now().since(sent);
    for packet in [first, second] {
        let parsed = frame::Tcp::parse(Link::Ip, &packet, None).expect("a segment");
        assert_eq!(parsed.tcp.flags.to_string(), "S");
    }
    assert!((995..1400).contains(&waited.as_millis()), "{} ms", waited.as_millis());
}

/// What a full device did not take goes as soon as there is room, long before any timer would send it again.
#[test]
fn room_is_waited_for() {
    let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    sockopt::set_socket_send_buffer_size(&ours, 5000).expect("little");
    let driver = host(UnixLink::new(ours, Link::Ip, 1500).expect("a socket"), A);
    let count = 200;
    // By now the driver's thread sleeps, and waits for no room yet.
    thread::sleep(Duration::from_millis(50));
    let started = clock::now();
    driver.call(|sockets, now| {
        for _ in 0..count {
            let fd = sockets.socket(Domain::V4).expect("a descriptor");
            assert_eq!(sockets.connect(fd, SocketAddr::new(B, 80), now), Err(Errno::EINPROGRESS));
        }
    });
    theirs.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    for _ in 0..count {
        let mut prefix = [0; 4];
        theirs.read_exact(&mut prefix).expect("a frame");
        let mut packet = vec![0; usize::try_from(u32::from_be_bytes(prefix)).expect("short")];
        theirs.read_exact(&mut packet).expect("all of it");
    }
    let waited = clock::now().since(started);
    assert!(waited.as_millis() < 900, "{} ms: a retransmission timer had to help", waited.as_millis());
}

#[test]
fn who_has_nothing_to_do_sleeps() {
    let (end_a, end_b) = channel(Link::Ip, 1500, 10);
    let (a, b) = (host(end_a, A), host(end_b, B));
    let listener = listen(&b, SocketAddr::new(B, 80));
    let fd = connect(&a, SocketAddr::new(B, 80));
    let at = accept(&b, listener);
    write_all(&a, fd, b"x");
    assert_eq!(read(&b, at, &mut [0; 10]), 1);
    // The last acknowledgement, delayed, and what follows from it.
    thread::sleep(Duration::from_millis(400));
    let before = (a.wakeups(), b.wakeups());
    thread::sleep(Duration::from_millis(300));
    assert_eq!((a.wakeups(), b.wakeups()), before, "an open connection without traffic costs nothing");
}

#[test]
fn who_waits_for_a_socket_learns_that_it_was_closed() {
    let (end, _wire) = channel(Link::Ip, 1500, 10);
    let driver = host(end, A);
    let listener = listen(&driver, SocketAddr::new(A, 80));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(driver.ready(listener, Ready::IN)));
        thread::sleep(Duration::from_millis(30));
        driver.close(listener);
        assert_eq!(waiting.join().expect("no panic"), Ready::NVAL);
    });
}

#[test]
fn the_end_of_a_device_is_told_and_the_last_handle_ends_the_thread() {
    let (end, wire) = channel(Link::Ip, 1500, 10);
    let driver = host(end, A);
    assert!(driver.device_error().is_none());
    drop(wire);
    while driver.device_error().is_none() {
        thread::yield_now();
    }
    let (end, wire) = channel(Link::Ip, 1500, 10);
    let driver = host(end, A);
    let other = driver.clone();
    drop(driver);
    assert!(wire.try_recv_packet().is_ok());
    drop(other);
    assert!(wire.try_recv_packet().is_err(), "the device went with its driver");
}

/// The kernel's TCP at the other end, as in the tests without a driver; and its interface deleted under our feet.
#[test]
fn over_a_kernel_interface() {
    let Some(namespace) = for_root() else { return };
    let tun = namespace.run(|| Tun::open("tide0", Link::Ip, Offload::Kernel)).expect("root may make one");
    namespace.ip(&["link", "set", "tide0", "up"]);
    namespace.ip(&["addr", "add", "10.9.0.1/24", "dev", "tide0"]);
    namespace.ip(&["route", "replace", "10.9.0.0/24", "dev", "tide0", "congctl", "cubic"]);
    let driver = host(tun, B);
    let to = SocketAddr::new(B, 80);
    let listener = listen(&driver, to);
    let data = content(1, 64 << 20);
    let sent = data.clone();
    let peer = namespace.spawn(move || {
        let stream = TcpStream::connect(to).expect("we listen");
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&sent).expect("connected");
                stream.shutdown(std::net::Shutdown::Write).expect("connected");
            });
            let mut received = Vec::new();
            (&stream).read_to_end(&mut received).expect("we close in order");
            received
        })
    });
    let fd = accept(&driver, listener);
    thread::scope(|scope| {
        scope.spawn(|| {
            write_all(&driver, fd, &data);
            driver
                .call(|sockets, now| sockets.shutdown(fd, tidegate::proto::socket::Shutdown::Write, now))
                .expect("connected");
        });
        assert!(read_to_end(&driver, fd) == data, "64 MiB from the kernel");
    });
    assert!(peer.join().expect("the kernel's end is content") == data, "64 MiB to the kernel");
    namespace.ip(&["link", "delete", "tide0"]);
    let patience = clock::now() + tidegate::proto::time::Duration::from_secs(20);
    while driver.device_error().is_none() {
        assert!(clock::now() < patience, "the deletion was not noticed");
        thread::sleep(Duration::from_millis(5));
    }
}
