//! Two stacks over the links that need no privileges: what one writes, the other reads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;

use tidegate::clock;
use tidegate::dev::{Device, Merge, Offload, Tun, UnixLink, channel};
use tidegate::proto::net::SocketId;
use tidegate::proto::tcp::{Read, State};
use tidegate::proto::wire::frame::Link;

use crate::rig::Rig;

const A: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1))];
const B: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2))];
const LEN: usize = 3_000_000;

/// One stream from A to B over each IP version.
fn stream<D: Device, E: Device>(a: D, b: E) -> (Rig<D>, Rig<E>) {
    let (mut a, mut b) = (Rig::new(a, &A), Rig::new(b, &B));
    let data: Vec<u8> = (0_u32..).flat_map(|n| (n * 7).to_le_bytes()).take(LEN).collect();
    for to in B.map(|ip| SocketAddr::new(ip, 80)) {
        let listener = b.stack.listen(to, 1).expect("nobody listens there");
        let from = a.stack.connect(None, to, clock::now()).expect("there is a way");
        let (mut at, mut sent, mut received) = (None::<SocketId>, 0, Vec::new());
        let mut buffer = vec![0; 1 << 16];
        while received.len() < LEN {
            a.turn().expect("the link lives");
            b.turn().expect("the link lives");
            if a.stack.state(from) == State::Established {
                sent += a.stack.write(from, &data[sent..], clock::now()).expect("connected");
            }
            at = at.or_else(|| b.stack.accept(listener, clock::now()));
            while let Some(at) = at
                && let Read::Data(n) = b.stack.read(at, &mut buffer, clock::now()).expect("connected")
            {
                received.extend_from_slice(&buffer[..n]);
            }
        }
        assert!(received == data);
    }
    (a, b)
}

#[test]
fn over_a_channel() {
    for link in [Link::Ip, Link::Ethernet] {
        let (a, b) = channel(link, 1500, 256);
        let (a, b) = stream(a, b);
        assert_eq!((b.bursts.0, a.bursts.1 > 0), (0, true), "cut into segments by the channel's end");
    }
}

/// A lane with room for one frame holds the sender off again and again, and loses nothing.
#[test]
fn over_a_narrow_channel() {
    let (a, b) = channel(Link::Ethernet, 1500, 1);
    stream(a, b);
}

#[test]
fn over_a_channel_that_merges() {
    let (a, b) = channel(Link::Ethernet, 1500, 256);
    let (_, b) = stream(Merge::new(a), Merge::new(b));
    assert!(b.bursts.0 > 100, "many segments in one frame: {}", b.bursts.0);
}

#[test]
fn over_a_unix_socket() {
    for link in [Link::Ethernet, Link::Ip] {
        let (a, b) = UnixStream::pair().expect("a socket pair");
        let link_over = |stream| UnixLink::new(stream, link, 9000).expect("a socket");
        stream(link_over(a), Merge::new(link_over(b)));
    }
}

/// With a virtio header, bursts cross a packet socket whole; that is how an unprivileged process may share a link.
#[test]
fn over_a_packet_socket() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
    for offload in [Offload::Software, Offload::Kernel] {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).expect("a socket pair");
        for fd in [&a, &b] {
            sockopt::set_socket_send_buffer_size(fd, 200_000).expect("not much");
        }
        let over = |fd| Tun::from_packets(fd, Link::Ip, 1500, offload).expect("any descriptor will do");
        let (_, b) = stream(over(a), over(b));
        assert_eq!(b.bursts.0 > 0, offload == Offload::Kernel);
    }
}
