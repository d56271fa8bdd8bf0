//! What `poll` says, and in which order errors are told.

use tidegate_proto::net::StackConfig;
use tidegate_proto::socket::{Errno, Fd, Opt, Shutdown};

use crate::world::World;

const GONE: &str = "IN|OUT|HUP|RDHUP";
const GONE_WITH_ERROR: &str = "IN|OUT|ERR|HUP|RDHUP";

#[test]
fn a_socket_that_is_not_connected() {
    let mut w = World::new();
    let fd = w.a.open();
    assert_eq!(w.a.poll(fd), "OUT|HUP");
    assert_eq!(w.a.send(fd, "x"), Err(Errno::EPIPE));
    assert_eq!(w.a.recv(fd, 1), Err(Errno::ENOTCONN));
    assert_eq!(w.a.sockets.peer_addr(fd), Err(Errno::ENOTCONN));
    assert_eq!(w.a.addr_of(fd), "0.0.0.0:0".parse().unwrap());
    assert_eq!(w.a.accept(fd), Err(Errno::EINVAL));
    w.a.sockets.bind(fd, w.a.at(0)).unwrap();
    assert_eq!(w.a.poll(fd), "OUT|HUP");
    // What is shut stays shut, although the call fails, and even when a connection comes of it.
    let fd = w.a.open();
    assert_eq!(w.a.shutdown(fd, Shutdown::Write), Err(Errno::ENOTCONN));
    assert_eq!(w.a.shutdown(fd, Shutdown::Read), Err(Errno::ENOTCONN));
    assert_eq!(w.a.poll(fd), GONE);
    let listener = w.b.listener(1);
    let to = w.b.addr_of(listener);
    assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
    w.run(1);
    assert_eq!(w.a.send(fd, "x"), Err(Errno::EPIPE));
    assert_eq!(w.a.recv(fd, 1).as_deref(), Ok(""));
    assert_eq!(w.a.poll(fd), GONE);
    assert_eq!(w.a.poll(Fd(99)), "NVAL");
}

#[test]
fn a_listener() {
    let mut w = World::new();
    let fd = w.b.listener(8);
    let to = w.b.addr_of(fd);
    assert_eq!(w.b.poll(fd), "-");
    assert_eq!(w.b.accept(fd), Err(Errno::EAGAIN));
    assert_eq!(w.b.send(fd, "x"), Err(Errno::EPIPE));
    assert_eq!(w.b.recv(fd, 1), Err(Errno::ENOTCONN));
    assert_eq!(w.b.connect(fd, to), Err(Errno::EISCONN));
    assert_eq!(w.b.sockets.peer_addr(fd), Err(Errno::ENOTCONN));
    assert_eq!(w.b.sockets.listen(fd, 3), Ok(()));
    assert_eq!(w.b.sockets.bind(fd, w.b.at(0)), Err(Errno::EINVAL));
    let client = w.a.open();
    assert_eq!(w.a.connect(client, to), Err(Errno::EINPROGRESS));
    w.run(1);
    assert_eq!(w.b.poll(fd), "IN");
    assert_eq!((w.b.shutdown(fd, Shutdown::Write), w.b.poll(fd).as_str()), (Ok(()), "IN"));
    assert_eq!((w.b.shutdown(fd, Shutdown::Read), w.b.poll(fd).as_str()), (Ok(()), "OUT|HUP"));
    assert_eq!(w.b.accept(fd), Err(Errno::EINVAL));
    w.run(1);
    assert_eq!((w.a.poll(client).as_str(), w.a.recv(client, 1)), (GONE_WITH_ERROR, Err(Errno::ECONNRESET)));
    assert_eq!(w.b.sockets.listen(fd, 3), Ok(()));
}

#[test]
fn a_refused_connection_tells_so_once() {
    let mut w = World::new();
    let to = w.b.at(9);
    let refused = |w: &mut World| {
        let fd = w.a.open();
        assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
        w.run(1);
        fd
    };
    let fd = refused(&mut w);
    assert_eq!(w.a.poll(fd), GONE_WITH_ERROR);
    assert_eq!(w.a.poll(fd), GONE_WITH_ERROR);
    assert_eq!((w.a.so_error(fd), w.a.so_error(fd)), (Some(Errno::ECONNREFUSED), None));
    assert_eq!(w.a.poll(fd), GONE);
    // The kernel's ways: the error is gone, the state is not.
    assert_eq!(w.a.connect(fd, to), Err(Errno::ECONNABORTED));
    assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
    w.run(1);
    assert_eq!(w.a.connect(fd, to), Err(Errno::ECONNREFUSED));
    assert_eq!((w.a.poll(fd).as_str(), w.a.so_error(fd)), ("OUT|HUP", None));

    let fd = refused(&mut w);
    assert_eq!((w.a.recv(fd, 1), w.a.recv(fd, 1).as_deref()), (Err(Errno::ECONNREFUSED), Ok("")));
    assert_eq!(w.a.send(fd, "x"), Err(Errno::EPIPE));

    let fd = refused(&mut w);
    assert_eq!((w.a.send(fd, "x"), w.a.send(fd, "x")), (Err(Errno::ECONNREFUSED), Err(Errno::EPIPE)));
    assert_eq!(w.a.recv(fd, 1).as_deref(), Ok(""));
    assert_eq!(w.a.sockets.peer_addr(fd), Err(Errno::ENOTCONN));
    assert_eq!(w.a.shutdown(fd, Shutdown::Write), Err(Errno::ENOTCONN));
    assert_ne!(w.a.addr_of(fd).port(), 0);
}

#[test]
fn a_connection_on_its_way() {
    let mut w = World::new();
    w.cut = true;
    let to = w.b.at(80);
    let start = |w: &mut World| {
        let fd = w.a.open();
        assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
        w.run(1);
        fd
    };
    let fd = start(&mut w);
    assert_eq!(w.a.poll(fd), "-");
    assert_eq!(w.a.connect(fd, to), Err(Errno::EALREADY));
    assert_eq!((w.a.send(fd, "x"), w.a.recv(fd, 1)), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
    assert_eq!(w.a.sockets.peer_addr(fd), Err(Errno::ENOTCONN));
    assert_eq!(w.a.sockets.bind(fd, w.a.at(0)), Err(Errno::EINVAL));
    assert_eq!(w.a.sockets.listen(fd, 1), Err(Errno::EINVAL));
    assert_eq!((w.a.shutdown(fd, Shutdown::Write), w.a.poll(fd).as_str()), (Ok(()), "OUT|ERR|HUP"));
    assert_eq!(w.a.send(fd, "x"), Err(Errno::ECONNRESET));
    assert_eq!(w.a.shutdown(fd, Shutdown::Write), Err(Errno::ENOTCONN));
    assert_eq!(w.a.so_error(fd), None);

    let fd = start(&mut w);
    assert_eq!((w.a.shutdown(fd, Shutdown::Read), w.a.poll(fd).as_str()), (Ok(()), "OUT|ERR|HUP"));
    assert_eq!(w.a.recv(fd, 1), Err(Errno::ECONNRESET));
    assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));

    // Nobody answers: 1 + 2 s and 4 more.
    let fd = w.a.open();
    w.a.set(fd, Opt::SynCnt, 2).unwrap();
    assert_eq!(w.a.connect(fd, to), Err(Errno::EINPROGRESS));
    w.run(6_999);
    assert_eq!(w.a.poll(fd), "-");
    w.run(2);
    assert_eq!((w.a.poll(fd).as_str(), w.a.connect(fd, to)), (GONE_WITH_ERROR, Err(Errno::ETIMEDOUT)));
}

#[test]
fn an_established_connection_and_its_ends() {
    let mut w = World::new();
    let (listener, a, b) = w.pair();
    let to = w.b.addr_of(listener);
    assert_eq!(w.a.poll(a), "OUT");
    assert_eq!(w.a.connect(a, to), Err(Errno::EISCONN));
    assert_eq!(w.a.sockets.listen(a, 1), Err(Errno::EINVAL));
    assert_eq!(w.a.accept(a), Err(Errno::EINVAL));
    assert_eq!(w.a.sockets.bind(a, w.a.at(0)), Err(Errno::EINVAL));
    assert_eq!(w.a.recv(a, 1), Err(Errno::EAGAIN));
    assert_eq!(w.a.send(a, ""), Ok(0));
    w.b.send(b, "ab").unwrap();
    w.run(1);
    assert_eq!((w.a.poll(a).as_str(), w.a.recv(a, 0).as_deref()), ("IN|OUT", Ok("")));
    w.b.shutdown(b, Shutdown::Write).unwrap();
    w.run(1);
    assert_eq!(w.a.poll(a), "IN|OUT|RDHUP");
    assert_eq!(w.a.recv(a, 10).as_deref(), Ok("ab"));
    assert_eq!(w.a.poll(a), "IN|OUT|RDHUP");
    assert_eq!((w.a.recv(a, 10).as_deref(), w.a.recv(a, 10).as_deref()), (Ok(""), Ok("")));
    assert_eq!(w.a.send(a, "x"), Ok(1));
    w.run(1);
    assert_eq!((w.b.poll(b).as_str(), w.b.send(b, "x")), ("IN|OUT", Err(Errno::EPIPE)));
    w.a.shutdown(a, Shutdown::Write).unwrap();
    w.run(1);
    // LAST-ACK is over, TIME-WAIT is not the socket's.
    for (host, fd, unread) in [(&mut w.a, a, ""), (&mut w.b, b, "x")] {
        assert_eq!(host.poll(fd), GONE);
        assert_eq!(host.send(fd, "x"), Err(Errno::EPIPE));
        assert_eq!((host.recv(fd, 9).as_deref(), host.recv(fd, 9).as_deref()), (Ok(unread), Ok("")));
        assert_eq!(host.sockets.peer_addr(fd), Err(Errno::ENOTCONN));
        assert_eq!(host.shutdown(fd, Shutdown::Write), Err(Errno::ENOTCONN));
        assert_eq!(host.sockets.listen(fd, 1), Err(Errno::EINVAL));
        assert_ne!(host.addr_of(fd).port(), 0);
        assert_eq!(host.so_error(fd), None);
    }
}

#[test]
fn a_reader_that_has_shut_its_side() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    assert_eq!((w.a.shutdown(a, Shutdown::Read), w.a.poll(a).as_str()), (Ok(()), "IN|OUT|RDHUP"));
    assert_eq!(w.a.recv(a, 1).as_deref(), Ok(""));
    w.b.send(b, "zz").unwrap();
    w.run(1);
    assert_eq!(w.a.poll(a), "IN|OUT|RDHUP");
    assert_eq!((w.a.recv(a, 9).as_deref(), w.a.recv(a, 9).as_deref()), (Ok("zz"), Ok("")));
    assert_eq!((w.a.shutdown(a, Shutdown::Both), w.a.poll(a).as_str()), (Ok(()), GONE));
    w.run(1);
    assert_eq!(w.b.poll(b), "IN|OUT|RDHUP");
    // Nobody will ever read what comes now.
    w.b.send(b, "x").unwrap();
    w.run(1);
    assert_eq!(
        (w.b.poll(b).as_str(), w.b.send(b, "x"), w.b.send(b, "x")),
        (GONE_WITH_ERROR, Err(Errno::EPIPE), Err(Errno::EPIPE))
    );
    assert_eq!(w.b.so_error(b), None);
}

#[test]
fn a_reset_is_told_once_and_then_it_is_the_end() {
    let mut w = World::new();
    let reset = |w: &mut World, data: &str| {
        let (_, a, b) = w.pair();
        w.b.send(b, data).unwrap();
        w.run(1);
        w.b.reset(b);
        w.run(1);
        assert_eq!(w.a.poll(a), GONE_WITH_ERROR);
        a
    };
    let a = reset(&mut w, "");
    assert_eq!((w.a.recv(a, 1), w.a.recv(a, 1).as_deref()), (Err(Errno::ECONNRESET), Ok("")));
    assert_eq!((w.a.poll(a).as_str(), w.a.send(a, "x")), (GONE, Err(Errno::EPIPE)));

    let a = reset(&mut w, "");
    assert_eq!((w.a.send(a, "x"), w.a.send(a, "x")), (Err(Errno::ECONNRESET), Err(Errno::EPIPE)));
    assert_eq!((w.a.recv(a, 1).as_deref(), w.a.poll(a).as_str()), (Ok(""), GONE));

    let a = reset(&mut w, "");
    assert_eq!((w.a.so_error(a), w.a.so_error(a)), (Some(Errno::ECONNRESET), None));
    assert_eq!(w.a.poll(a), GONE);
    assert_eq!((w.a.recv(a, 1).as_deref(), w.a.send(a, "x")), (Ok(""), Err(Errno::EPIPE)));
    assert_eq!(w.a.sockets.peer_addr(a), Err(Errno::ENOTCONN));
    assert_eq!(w.a.shutdown(a, Shutdown::Both), Err(Errno::ENOTCONN));
    assert_eq!(w.a.connect(a, w.b.at(9)), Err(Errno::EISCONN));

    // What came before is still there.
    let a = reset(&mut w, "data");
    assert_eq!((w.a.recv(a, 2).as_deref(), w.a.recv(a, 9).as_deref()), (Ok("da"), Ok("ta")));
    assert_eq!((w.a.recv(a, 1), w.a.poll(a).as_str()), (Err(Errno::ECONNRESET), GONE));
    let a = reset(&mut w, "data");
    assert_eq!(w.a.send(a, "x"), Err(Errno::ECONNRESET));
    assert_eq!((w.a.recv(a, 9).as_deref(), w.a.recv(a, 9).as_deref()), (Ok("data"), Ok("")));
}

#[test]
fn a_peer_that_closes_with_or_without_unread_data() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.a.send(a, "data").unwrap();
    w.run(1);
    w.b.close(b);
    w.run(1);
    assert_eq!(w.a.poll(a), GONE_WITH_ERROR);
    assert_eq!((w.a.recv(a, 1), w.a.recv(a, 1).as_deref()), (Err(Errno::ECONNRESET), Ok("")));

    for send_first in [true, false] {
        let (_, a, b) = w.pair();
        w.b.close(b);
        w.run(1);
        assert_eq!((w.a.poll(a).as_str(), w.a.send(a, "x")), ("IN|OUT|RDHUP", Ok(1)));
        w.run(1);
        assert_eq!(w.a.poll(a), GONE_WITH_ERROR);
        if send_first {
            assert_eq!((w.a.send(a, "x"), w.a.so_error(a)), (Err(Errno::EPIPE), None));
        }
        assert_eq!((w.a.recv(a, 1).as_deref(), w.a.recv(a, 1).as_deref()), (Ok(""), Ok("")));
        assert_eq!(w.a.send(a, "x"), Err(Errno::EPIPE));
    }
}

#[test]
fn the_accept_queue_holds_one_more_than_the_backlog() {
    let mut w = World::new();
    let listener = w.b.listener(0);
    let to = w.b.addr_of(listener);
    let clients: Vec<Fd> = (0..4).map(|_| w.a.open()).collect();
    for &client in &clients {
        assert_eq!(w.a.connect(client, to), Err(Errno::EINPROGRESS));
        w.run(1);
    }
    let polls: Vec<String> = clients.iter().map(|&fd| w.a.poll(fd)).collect();
    assert_eq!(polls, ["OUT", "-", "-", "-"]);
    // A wider backlog lets the others in when they ask again.
    w.b.sockets.listen(listener, 8).unwrap();
    w.run(1_100);
    assert!(clients.iter().all(|&fd| w.a.poll(fd) == "OUT"));
}

#[test]
fn who_is_reset_before_being_accepted_is_accepted_to_hear_so() {
    let mut w = World::new();
    let listener = w.b.listener(1);
    let client = w.a.open();
    assert_eq!(w.a.connect(client, w.b.addr_of(listener)), Err(Errno::EINPROGRESS));
    w.run(1);
    w.a.reset(client);
    w.run(1);
    assert_eq!(w.b.poll(listener), "IN");
    let (fd, peer) = w.b.accept(listener).unwrap();
    assert_eq!(peer.ip(), w.a.ip());
    assert_eq!((w.b.recv(fd, 1), w.b.sockets.peer_addr(fd)), (Err(Errno::ECONNRESET), Err(Errno::ENOTCONN)));
}

#[test]
fn a_writer_is_ready_again_when_a_third_of_the_buffer_is_free() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.a.set(a, Opt::SndBuf, 30_000).unwrap();
    w.b.set(b, Opt::RcvBuf, 2_000).unwrap();
    while w.a.send(a, &"x".repeat(7_000)).is_ok() {
        w.run(2);
    }
    assert_eq!((w.a.poll(a).as_str(), w.a.send(a, "x")), ("-", Err(Errno::EAGAIN)));
    assert_eq!(w.a.sockets.outq(a), Ok(60_000));
    w.a.woken(a);
    while w.a.poll(a) == "-" {
        assert_eq!(w.a.woken(a), [""; 0]);
        assert!(w.a.sockets.outq(a).unwrap() > 40_000);
        let _ = w.b.recv(b, 1_000);
        w.run(300);
    }
    assert!(w.a.sockets.outq(a).unwrap() <= 40_000);
    assert_eq!(w.a.woken(a), ["OUT"]);
}

#[test]
fn a_reader_waits_for_its_low_water_mark() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.b.set(b, Opt::RcvLowat, 4).unwrap();
    w.a.send(a, "abc").unwrap();
    w.run(1);
    assert_eq!((w.b.poll(b).as_str(), w.b.woken(b).len()), ("OUT", 0));
    assert_eq!(w.b.recv(b, 9).as_deref(), Ok("abc"));
    w.a.send(a, "abcd").unwrap();
    w.run(1);
    assert_eq!((w.b.poll(b).as_str(), w.b.woken(b).len()), ("IN|OUT", 1));
    assert_eq!(w.b.recv(b, 4).as_deref(), Ok("abcd"));
    w.a.send(a, "a").unwrap();
    w.a.shutdown(a, Shutdown::Write).unwrap();
    w.run(1);
    assert_eq!(w.b.poll(b), "IN|OUT|RDHUP");
}

#[test]
fn a_host_that_is_out_of_reach() {
    let mut config = StackConfig::default();
    config.tcp.syn_retries = 1;
    let mut w = World::with(&config);
    let fd = w.a.open();
    assert_eq!(w.a.connect(fd, "203.0.113.1:80".parse().unwrap()), Err(Errno::ENETUNREACH));
    for nowhere in ["224.0.0.1:1", "255.255.255.255:1", "10.0.0.255:1"] {
        assert_eq!(w.a.connect(fd, nowhere.parse().unwrap()), Err(Errno::ENETUNREACH), "{nowhere}");
    }
    assert_eq!(w.a.connect(fd, "10.0.0.2:0".parse().unwrap()), Err(Errno::ECONNREFUSED));
    assert_eq!(w.a.connect(fd, "[fd00::2]:80".parse().unwrap()), Err(Errno::EAFNOSUPPORT));
}
