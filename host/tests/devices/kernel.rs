//! Our stack against the kernel's, over TUN and TAP, in network namespaces that the tests make.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use crate::namespace::{Namespace, for_root};
use crate::rig::Rig;
use tidegate::clock;
use tidegate::dev::{Device, Offload, Tun};
use tidegate::proto::wire::frame::Link;

const KERNEL: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1))];
const OURS: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2))];

/// An interface whose kernel end is up and has addresses.
fn interface(namespace: &Namespace, name: &'static str, link: Link, offload: Offload) -> Tun {
    let tun = namespace.run(move || Tun::open(name, link, offload)).expect("root may make one");
    assert_eq!(tun.name(), name);
    namespace.ip(&["link", "set", name, "up"]);
    namespace.ip(&["addr", "add", "10.9.0.1/24", "dev", name]);
    namespace.ip(&["addr", "add", "fd09::1/64", "dev", name, "nodad"]);
    // New namespaces inherit the machine's default congestion control, which may pace.
    namespace.ip(&["route", "replace", "10.9.0.0/24", "dev", name, "congctl", "cubic"]);
    namespace.ip(&["route", "replace", "fd09::/64", "dev", name, "congctl", "cubic"]);
    tun
}

/// `len` bytes that repeat only after a prime number of them, so that no piece can pass for another.
fn content(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let period: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(65_521)
    .collect();
    period.iter().copied().cycle().take(len).collect()
}

fn transfers(link: Link, offload: Offload) {
    let Some(namespace) = for_root() else { return };
    let tun = interface(&namespace, "tide0", link, offload);
    let mut rig = Rig::new(tun, &OURS);
    for (version, (kernel, ours)) in KERNEL.into_iter().zip(OURS).enumerate() {
        for (round, len) in [64 << 10, 64 << 20].into_iter().enumerate() {
            let port = u16::try_from(8000 + 2 * version + round).expect("small");
            kernel_sends(&namespace, &mut rig, SocketAddr::new(ours, port), len);
            kernel_receives(&namespace, &mut rig, SocketAddr::new(kernel, port), len);
        }
    }
    let (received, sent) = rig.bursts;
    assert!(sent > 1000, "the stack sends in bursts: {sent}");
    match offload {
        Offload::Kernel => assert!(received > 1000, "the kernel sends in bursts: {received}"),
        Offload::Software => assert_eq!(received, 0),
    }
    assert_eq!(rig.device.lost(), 0);
}

/// The kernel opens, sends, and closes first.
fn kernel_sends(namespace: &Namespace, rig: &mut Rig<Tun>, to: SocketAddr, len: usize) {
    let listener = rig.stack.listen(to, 1).expect("nobody listens there");
    let peer = namespace.spawn(move || {
        let mut stream = TcpStream::connect(to).expect("we listen");
        stream.write_all(&content(len)).expect("connected");
        stream.shutdown(Shutdown::Write).expect("connected");
        assert_eq!(stream.read(&mut [0; 1]).expect("we close in order"), 0);
    });
    let socket = rig.accept(listener);
    let received = rig.receive_all(socket);
    rig.stack.release(socket, clock::now());
    rig.join(peer);
    assert!(received == content(len), "{len} bytes from the kernel");
    rig.stack.close(listener, clock::now()).expect("it is ours");
}

/// We open, send, and close first.
fn kernel_receives(namespace: &Namespace, rig: &mut Rig<Tun>, to: SocketAddr, len: usize) {
    let listener = namespace.run(move || TcpListener::bind(to).expect("a free port"));
    let peer = namespace.spawn(move || {
        let (mut stream, _) = listener.accept().expect("we connect");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("we close in order");
        received
    });
    let socket = rig.connect(to);
    rig.send_all(socket, &content(len));
    rig.stack.release(socket, clock::now());
    assert!(rig.join(peer) == content(len), "{len} bytes to the kernel");
}

#[test]
fn the_kernels_tcp_over_tun() {
    transfers(Link::Ip, Offload::Kernel);
}

#[test]
fn the_kernels_tcp_over_tun_without_offload() {
    transfers(Link::Ip, Offload::Software);
}

#[test]
fn the_kernels_tcp_over_tap() {
    transfers(Link::Ethernet, Offload::Kernel);
}

#[test]
fn the_kernels_tcp_over_tap_without_offload() {
    transfers(Link::Ethernet, Offload::Software);
}

#[test]
fn the_kernels_ping_is_answered() {
    let Some(namespace) = for_root() else { return };
    for (name, link) in [("tide0", Link::Ip), ("tide1", Link::Ethernet)] {
        let tun = interface(&namespace, name, link, Offload::Kernel);
        let mut rig = Rig::new(tun, &OURS);
        for addr in OURS {
            for size in ["0", "56", "1400"] {
                let (inside, addr) = (namespace.inside(), addr.to_string());
                let ping = std::thread::spawn(move || {
                    inside.command(&["ping", "-q", "-c", "3", "-i", "0.02", "-W", "5", "-s", size, &addr])
                });
                assert!(rig.join(ping), "three echoes of {size} bytes over {link:?}");
            }
        }
        drop(rig);
    }
}

/// A deleted interface reports an error and nothing else; whoever waits wakes up and learns of it.
#[test]
fn a_deleted_interface_is_noticed() {
    let Some(namespace) = for_root() else { return };
    for (name, link) in [("tide0", Link::Ip), ("tide1", Link::Ethernet)] {
        let tun = interface(&namespace, name, link, Offload::Kernel);
        let mut rig = Rig::new(tun, &OURS);
        while rig.turn().expect("the device lives") {}
        let deletion = std::thread::spawn({
            let inside = namespace.inside();
            move || {
                std::thread::sleep(std::time::Duration::from_millis(50));
                inside.ip(&["link", "delete", name]);
            }
        });
        let error = loop {
            // Before the end the kernel may have something to say: router solicitations.
            match rig.turn() {
                Ok(true) => {}
                Ok(false) => rig.wait(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::BADFD.raw_os_error()), "{error}");
        deletion.join().expect("ip does it");
    }
}

#[test]
fn an_interface_that_exists_is_opened_by_name_and_by_descriptor() {
    let Some(namespace) = for_root() else { return };
    namespace.ip(&["tuntap", "add", "dev", "tide7", "mode", "tap"]);
    namespace.ip(&["link", "set", "tide7", "mtu", "1280"]);
    namespace.run(|| {
        let wrong = Tun::open("tide7", Link::Ip, Offload::Kernel).expect_err("it is a TAP");
        assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
        for offload in [Offload::Kernel, Offload::Software] {
            let tap = Tun::open("tide7", Link::Ethernet, offload).expect("it exists");
            assert_eq!(tap.capabilities().mtu, 1280);
            let busy = Tun::open("tide7", Link::Ethernet, offload).expect_err("somebody has it");
            assert_eq!(busy.kind(), ErrorKind::ResourceBusy);
            let again = Tun::from_fd(tap.as_fd().try_clone_to_owned().expect("a duplicate")).expect("the kernel knows");
            assert_eq!((again.name(), again.capabilities()), ("tide7", tap.capabilities()));
            assert_eq!(again.capabilities().checksum_offload, offload == Offload::Kernel);
        }
        let numbered = Tun::open("tide%d", Link::Ip, Offload::Kernel).expect("a pattern");
        assert_eq!(numbered.name(), "tide0");
        let not_one = Tun::from_fd(std::fs::File::open("/dev/null").expect("it is there").into());
        assert!(not_one.is_err());
    });
}

/// What is sent while the kernel's end is down is lost and counted, and what comes afterwards goes through.
#[test]
fn an_interface_that_is_down_loses_frames_and_comes_back() {
    let Some(namespace) = for_root() else { return };
    let tun = interface(&namespace, "tide0", Link::Ip, Offload::Kernel);
    let mut rig = Rig::new(tun, &OURS);
    let to = SocketAddr::new(KERNEL[0], 8000);
    let listener = namespace.run(move || TcpListener::bind(to).expect("a free port"));
    namespace.ip(&["link", "set", "tide0", "down"]);
    rig.stack.connect(None, to, clock::now()).expect("there is a way");
    while rig.turn().expect("down is not gone") {}
    assert!(rig.device.lost() >= 1);
    namespace.ip(&["link", "set", "tide0", "up"]);
    let peer = namespace.spawn(move || listener.accept().map(|_| ()));
    rig.join(peer).expect("the SYN came again");
}
