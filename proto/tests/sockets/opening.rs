//! bind, listen, accept, connect, and the names of both ends.

use tidegate_proto::socket::{Domain, Errno, Fd, Opt, Shutdown};

use crate::world::World;

/// What `bind` and `listen` say to the second of two sockets for one port, each with these options set.
fn second(options: [&[Opt]; 2], ips: [&str; 2], first_listens: bool) -> (Result<(), Errno>, Option<Result<(), Errno>>) {
    let mut w = World::new();
    let fds = [w.a.open(), w.a.open()];
    for (fd, options) in fds.into_iter().zip(options) {
        options.iter().for_each(|option| w.a.set(fd, *option, 1).unwrap());
    }
    let at = |ip: &str, port: u16| format!("{ip}:{port}").parse().unwrap();
    w.a.sockets.bind(fds[0], at(ips[0], 0)).unwrap();
    if first_listens {
        w.a.sockets.listen(fds[0], 1).unwrap();
    }
    let port = w.a.addr_of(fds[0]).port();
    let bound = w.a.sockets.bind(fds[1], at(ips[1], port));
    (bound, bound.is_ok().then(|| w.a.sockets.listen(fds[1], 1)))
}

#[test]
fn who_may_share_a_port() {
    const IN_USE: (Result<(), Errno>, Option<Result<(), Errno>>) = (Err(Errno::EADDRINUSE), None);
    const OK: (Result<(), Errno>, Option<Result<(), Errno>>) = (Ok(()), Some(Ok(())));
    let (a, any) = ("10.0.0.1", "0.0.0.0");
    let reuse: &[Opt] = &[Opt::ReuseAddr];
    let port: &[Opt] = &[Opt::ReusePort];
    for (options, ips, first_listens, expected) in [
        ([&[][..], &[]], [a, a], false, IN_USE),
        ([reuse, reuse], [a, a], false, OK),
        ([reuse, &[]], [a, a], false, IN_USE),
        ([&[], reuse], [a, a], false, IN_USE),
        ([reuse, reuse], [a, a], true, IN_USE),
        ([&[], &[]], [any, a], false, IN_USE),
        ([reuse, reuse], [any, a], false, OK),
        ([reuse, reuse], [any, a], true, IN_USE),
        ([port, &[]], [a, a], true, IN_USE),
        ([port, port], [a, a], false, OK),
    ] {
        assert_eq!(second(options, ips, first_listens), expected, "{options:?} {ips:?} {first_listens}");
    }
}

/// A server that starts again while connections of the last one live, or have just closed.
#[test]
fn a_restarted_server_needs_so_reuseaddr() {
    for closed in [false, true] {
        let mut w = World::new();
        let (listener, a, b) = w.pair();
        let to = w.b.addr_of(listener);
        w.b.set(b, Opt::ReuseAddr, 1).unwrap();
        w.b.close(listener);
        if closed {
            w.b.close(b);
            w.run(1);
            w.a.close(a);
            w.run(1);
        }
        let again = w.b.open();
        assert_eq!(w.b.sockets.bind(again, to), Err(Errno::EADDRINUSE));
        w.b.set(again, Opt::ReuseAddr, 1).unwrap();
        assert_eq!(w.b.sockets.bind(again, to), Ok(()));
        assert_eq!(w.b.sockets.listen(again, 1), Ok(()));
        // And clients find it.
        let client = w.a.open();
        assert_eq!(w.a.connect(client, to), Err(Errno::EINPROGRESS));
        w.run(1);
        assert_eq!(w.a.connect(client, to), Ok(()));
    }
}

#[test]
fn what_bind_refuses() {
    let mut w = World::new();
    let (fd, fd6) = (w.a.open(), w.a.open6());
    let at = |addr: &str| addr.parse().unwrap();
    assert_eq!(w.a.sockets.bind(Fd(77), at("0.0.0.0:1")), Err(Errno::EBADF));
    assert_eq!(w.a.sockets.bind(fd, at("203.0.113.1:0")), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(w.a.sockets.bind(fd, at("[fd00::1]:0")), Err(Errno::EAFNOSUPPORT));
    assert_eq!(w.a.sockets.bind(fd6, at("10.0.0.1:0")), Err(Errno::EINVAL));
    assert_eq!(w.a.sockets.bind(fd, w.a.at(0)), Ok(()));
    assert_eq!(w.a.sockets.bind(fd, w.a.at(0)), Err(Errno::EINVAL));
    // Never bound: `listen` finds a port.
    let fd = w.a.open();
    assert_eq!(w.a.sockets.listen(fd, -1), Ok(()));
    assert_ne!(w.a.addr_of(fd).port(), 0);
    // Shut and free: a port that nobody asked for by name is given back.
    assert_eq!(w.a.shutdown(fd, Shutdown::Read), Ok(()));
    assert_eq!(w.a.sockets.bind(fd, w.a.at(0)), Ok(()));
}

#[test]
fn names() {
    let mut w = World::new();
    let listener = w.b.listener(8);
    let to = w.b.addr_of(listener);
    let client = w.a.open();
    w.a.sockets.bind(client, "0.0.0.0:0".parse().unwrap()).unwrap();
    let port = w.a.addr_of(client).port();
    assert_eq!(w.a.connect(client, to), Err(Errno::EINPROGRESS));
    w.run(1);
    // The kernel's sequence: once it is there, one call says so, and the next that it is there already.
    assert_eq!((w.a.connect(client, to), w.a.connect(client, to)), (Ok(()), Err(Errno::EISCONN)));
    assert_eq!(w.a.addr_of(client), w.a.at(port));
    assert_eq!(w.a.sockets.peer_addr(client), Ok(to));
    let (server, peer) = w.b.accept(listener).unwrap();
    assert_eq!((peer, w.b.addr_of(server)), (w.a.at(port), to));
    assert_eq!(w.b.sockets.peer_addr(server), Ok(peer));
    // One four-tuple, one connection.
    let twin = w.a.open();
    for fd in [twin, client] {
        w.a.set(fd, Opt::ReuseAddr, 1).unwrap();
    }
    assert_eq!(w.a.sockets.bind(twin, w.a.at(port)), Ok(()));
    assert_eq!(w.a.connect(twin, to), Err(Errno::EADDRNOTAVAIL));
}

#[test]
fn one_listener_for_both_versions() {
    let mut w = World::new();
    let any = "[::]:0".parse().unwrap();
    let listener = w.b.open6();
    w.b.sockets.bind(listener, any).unwrap();
    w.b.sockets.listen(listener, 8).unwrap();
    let port = w.b.addr_of(listener).port();
    let (v4, v6, mapped) = (w.a.open(), w.a.open6(), w.a.open6());
    let mapped_to = format!("[::ffff:10.0.0.2]:{port}").parse().unwrap();
    for (fd, to) in [(v4, w.b.at(port)), (v6, w.b.at6(port)), (mapped, mapped_to)] {
        assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
        w.run(1);
        assert_eq!(w.a.connect(fd, to), Ok(()));
    }
    assert_eq!(w.a.sockets.peer_addr(mapped), Ok(mapped_to));
    assert_eq!(w.a.addr_of(mapped).ip().to_string(), "::ffff:10.0.0.1");
    let mut peers = Vec::new();
    for _ in 0..3 {
        let (fd, peer) = w.b.accept(listener).unwrap();
        assert_eq!(w.b.get(fd, Opt::Domain), Ok(10));
        assert!(w.b.addr_of(fd).is_ipv6());
        peers.push(peer.ip().to_string());
    }
    peers.sort();
    assert_eq!(peers, ["::ffff:10.0.0.1", "::ffff:10.0.0.1", "fd00::1"]);
    assert_eq!(w.b.accept(listener), Err(Errno::EAGAIN));
    // Its port is taken for IPv4, too, unless it is for IPv6 only.
    let other = w.b.open();
    assert_eq!(w.b.sockets.bind(other, w.b.at(port)), Err(Errno::EADDRINUSE));
    let only = w.b.open6();
    w.b.set(only, Opt::Ipv6V6Only, 1).unwrap();
    assert_eq!(w.b.sockets.bind(only, "[::ffff:10.0.0.2]:0".parse().unwrap()), Err(Errno::EINVAL));
    w.b.sockets.bind(only, any).unwrap();
    w.b.sockets.listen(only, 1).unwrap();
    let port = w.b.addr_of(only).port();
    assert_eq!(w.b.sockets.bind(other, w.b.at(port)), Ok(()));
    assert_eq!(w.b.connect(only, mapped_to), Err(Errno::EISCONN));
}

#[test]
fn versions_do_not_mix() {
    let mut w = World::new();
    let mapped = "[::ffff:10.0.0.2]:80".parse().unwrap();
    let only = w.a.open6();
    w.a.set(only, Opt::Ipv6V6Only, 1).unwrap();
    assert_eq!(w.a.connect(only, mapped), Err(Errno::ENETUNREACH));
    let fd = w.a.sockets.socket(Domain::V6).unwrap();
    w.a.sockets.bind(fd, "[::ffff:10.0.0.1]:0".parse().unwrap()).unwrap();
    assert_eq!(w.a.connect(fd, w.b.at6(80)), Err(Errno::EAFNOSUPPORT));
    let fd = w.a.open6();
    w.a.sockets.bind(fd, w.a.at6(0)).unwrap();
    assert_eq!(w.a.connect(fd, mapped), Err(Errno::ENETUNREACH));
}
