//! Close, linger, and what stays behind.

use tidegate_proto::net::Population;
use tidegate_proto::socket::{Errno, Linger, Opt, Shutdown, Value};

use crate::world::World;

fn linger(w: &mut World, fd: tidegate_proto::socket::Fd, seconds: u32) -> Option<Linger> {
    let now = w.a.now;
    w.a.sockets.set_option(fd, Opt::Linger, &Value::Linger { on: true, seconds }, now).unwrap();
    w.a.sockets.close(fd, now).unwrap()
}

#[test]
fn a_close_lets_go_and_the_stack_finishes() {
    let mut w = World::new();
    let (listener, a, b) = w.pair();
    w.a.send(a, "the last words").unwrap();
    w.a.close(a);
    assert_eq!(w.a.sockets.close(a, w.a.now), Err(Errno::EBADF));
    assert!(w.a.sockets.is_empty());
    w.run(1);
    assert_eq!((w.b.recv(b, 99).as_deref(), w.b.recv(b, 9).as_deref()), (Ok("the last words"), Ok("")));
    w.b.close(b);
    w.b.close(listener);
    w.run(61_000);
    for host in [&w.a, &w.b] {
        assert_eq!(host.sockets.stack().population(), Population::default());
    }
}

#[test]
fn descriptors_are_the_lowest_free_numbers_and_there_are_so_many() {
    let mut w = World::new();
    let fds: Vec<_> = (0..100).map(|_| w.a.open()).collect();
    assert_eq!(w.a.sockets.socket(tidegate_proto::socket::Domain::V4), Err(Errno::EMFILE));
    for fd in [70, 7, 30] {
        w.a.close(fds[fd]);
    }
    assert_eq!([w.a.open(), w.a.open(), w.a.open()], [fds[7], fds[30], fds[70]]);
}

#[test]
fn linger_zero_resets() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    assert_eq!(linger(&mut w, a, 0), None);
    w.run(1);
    assert_eq!(w.b.recv(b, 1), Err(Errno::ECONNRESET));
    assert_eq!(w.a.sockets.stack().population().connections, 0);
    assert_eq!(w.a.sockets.stack().population().time_wait, 0);
}

#[test]
fn linger_waits_for_the_peer_and_no_longer_than_it_was_told() {
    let mut w = World::new();
    // The peer answers at once.
    let (_, a, _) = w.pair();
    w.a.send(a, "x").unwrap();
    let waits = linger(&mut w, a, 2).unwrap();
    assert!(w.a.sockets.is_lingering(&waits, w.a.now));
    w.run(45);
    assert!(!w.a.sockets.is_lingering(&waits, w.a.now), "acknowledged: FIN-WAIT-2");
    // The peer does not.
    let (_, a, _) = w.pair();
    w.a.send(a, "x").unwrap();
    w.cut = true;
    let waits = linger(&mut w, a, 1).unwrap();
    w.run(999);
    assert!(w.a.sockets.is_lingering(&waits, w.a.now));
    w.run(1);
    assert!(!w.a.sockets.is_lingering(&waits, w.a.now));
    assert_eq!(waits.until, w.a.now);
}

#[test]
fn what_nobody_will_read_resets() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.b.send(b, "unread").unwrap();
    w.run(1);
    assert_eq!(linger(&mut w, a, 5), None);
    w.run(1);
    assert_eq!(w.b.so_error(b), Some(Errno::ECONNRESET));
}

#[test]
fn fin_wait_2_of_a_closed_socket_is_bounded() {
    for (option, alive_ms) in [(None, 59_000), (Some(3), 2_500), (Some(-1), 0)] {
        let mut w = World::new();
        let (_, a, _) = w.pair();
        if let Some(seconds) = option {
            w.a.set(a, Opt::Linger2, seconds).unwrap();
        }
        w.a.close(a);
        w.run(50 + alive_ms);
        let alive = usize::from(alive_ms > 0);
        assert_eq!(w.a.sockets.stack().population().connections, alive, "{option:?}");
        w.run(2_000);
        assert_eq!(w.a.sockets.stack().population().connections, 0, "{option:?}");
    }
}

#[test]
fn shutting_twice_is_no_error_while_the_peer_is_there() {
    let mut w = World::new();
    let (_, a, _) = w.pair();
    for how in [Shutdown::Read, Shutdown::Read, Shutdown::Write, Shutdown::Write, Shutdown::Both] {
        assert_eq!(w.a.shutdown(a, how), Ok(()));
        w.run(1);
    }
    // What is not acknowledged counts the FIN.
    let (_, a, b) = w.pair();
    w.b.shutdown(b, Shutdown::Write).unwrap();
    assert_eq!((w.b.sockets.outq(b), w.b.sockets.outq_unsent(b)), (Ok(1), Ok(1)));
    w.run(50);
    assert_eq!((w.b.sockets.outq(b), w.a.sockets.inq(a)), (Ok(0), Ok(0)));
    let listener = w.a.listener(1);
    assert_eq!((w.a.sockets.inq(listener), w.a.sockets.outq(listener)), (Err(Errno::EINVAL), Err(Errno::EINVAL)));
    let fresh = w.a.open();
    assert_eq!(
        (w.a.sockets.inq(fresh), w.a.sockets.outq(fresh), w.a.sockets.is_at_mark(fresh)),
        (Ok(0), Ok(0), Ok(false))
    );
}

/// A peer that goes away without a word, and a program that asked to be told.
#[test]
fn a_vanished_peer_is_noticed() {
    for (set, fails_after) in [
        (&[(Opt::KeepAlive, 1), (Opt::KeepIdle, 10), (Opt::KeepIntvl, 2), (Opt::KeepCnt, 3)][..], 16),
        (&[(Opt::UserTimeout, 5_000)][..], 5),
    ] {
        let mut w = World::new();
        let (_, a, _) = w.pair();
        for &(option, value) in set {
            w.a.set(a, option, value).unwrap();
        }
        w.cut = true;
        if set.len() == 1 {
            w.a.send(a, "x").unwrap();
        }
        w.run(fails_after * 1_000 - 10);
        assert_eq!(w.a.so_error(a), None);
        w.run(20);
        assert_eq!(w.a.recv(a, 1), Err(Errno::ETIMEDOUT));
        assert_eq!(w.a.recv(a, 1).as_deref(), Ok(""));
    }
}
