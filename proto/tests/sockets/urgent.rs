//! Urgent data, as the kernel's `recv` sees it.

use tidegate_proto::socket::{Errno, Fd, MsgFlags, Opt, Shutdown};

use crate::world::World;

const PEEK: MsgFlags = MsgFlags::PEEK;
const OOB: MsgFlags = MsgFlags::OOB;

/// A pair whose second end has received these writes, the urgent ones marked with `!`.
fn sent(w: &mut World, writes: &[&str]) -> (Fd, Fd) {
    let (_, a, b) = w.pair();
    send(w, a, writes);
    (a, b)
}

fn send(w: &mut World, a: Fd, writes: &[&str]) {
    for data in writes {
        match data.strip_suffix('!') {
            Some(urgent) => w.a.send_oob(a, urgent).unwrap(),
            None => w.a.send(a, data).unwrap(),
        };
        w.run(1);
    }
}

#[test]
fn alone() {
    let mut w = World::new();
    let (_, b) = sent(&mut w, &["U!"]);
    assert_eq!(w.b.poll(b), "PRI|OUT");
    // A read steps over it, and it is lost.
    assert_eq!(w.b.recv(b, 9), Err(Errno::EAGAIN));
    assert_eq!(w.b.recv_with(b, 9, OOB), Err(Errno::EINVAL));
    assert_eq!(w.b.poll(b), "OUT");
    let (_, b) = sent(&mut w, &[]);
    assert_eq!(w.b.recv_with(b, 9, OOB), Err(Errno::EINVAL));
    let (_, b) = sent(&mut w, &["U!", "cd"]);
    assert_eq!((w.b.sockets.inq(b), w.b.poll(b).as_str()), (Ok(0), "IN|PRI|OUT"));
    assert_eq!((w.b.recv(b, 9).as_deref(), w.b.recv_with(b, 9, OOB)), (Ok("cd"), Err(Errno::EINVAL)));
}

#[test]
fn in_the_middle() {
    let mut w = World::new();
    let (_, b) = sent(&mut w, &["abU!", "cd"]);
    assert_eq!((w.b.poll(b).as_str(), w.b.sockets.is_at_mark(b)), ("IN|PRI|OUT", Ok(false)));
    assert_eq!((w.b.recv_with(b, 9, OOB | PEEK).as_deref(), w.b.sockets.inq(b)), (Ok("U"), Ok(2)));
    assert_eq!((w.b.recv_with(b, 9, PEEK).as_deref(), w.b.recv_with(b, 9, PEEK).as_deref()), (Ok("ab"), Ok("ab")));
    assert_eq!(w.b.recv(b, 9).as_deref(), Ok("ab"));
    assert_eq!((w.b.poll(b).as_str(), w.b.sockets.is_at_mark(b)), ("IN|PRI|OUT", Ok(true)));
    assert_eq!((w.b.sockets.inq(b), w.b.recv_with(b, 9, PEEK).as_deref()), (Ok(0), Ok("cd")));
    assert_eq!(w.b.recv_with(b, 9, OOB).as_deref(), Ok("U"));
    assert_eq!(w.b.recv_with(b, 9, PEEK).as_deref(), Ok("cd"));
    assert_eq!(w.b.recv(b, 9).as_deref(), Ok("cd"));
    assert_eq!((w.b.poll(b).as_str(), w.b.recv_with(b, 9, OOB)), ("OUT", Err(Errno::EINVAL)));
    // Without copying, the same stream.
    let (_, b) = sent(&mut w, &["abU!", "cd"]);
    let chunks: Vec<_> = std::iter::from_fn(|| w.b.sockets.recv_bytes(b, w.b.now).ok()).collect();
    assert_eq!(chunks, ["ab", "cd"]);
}

#[test]
fn inline() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.b.set(b, Opt::OobInline, 1).unwrap();
    send(&mut w, a, &["abU!", "cd"]);
    assert_eq!((w.b.poll(b).as_str(), w.b.recv_with(b, 1, OOB)), ("IN|PRI|OUT", Err(Errno::EINVAL)));
    assert_eq!(w.b.recv(b, 9).as_deref(), Ok("ab"));
    assert_eq!((w.b.sockets.is_at_mark(b), w.b.poll(b).as_str(), w.b.sockets.inq(b)), (Ok(true), "IN|PRI|OUT", Ok(3)));
    assert_eq!((w.b.recv(b, 9).as_deref(), w.b.poll(b).as_str()), (Ok("Ucd"), "OUT"));
}

#[test]
fn one_after_the_other() {
    let mut w = World::new();
    let (_, b) = sent(&mut w, &["ab1!", "cd2!"]);
    assert_eq!(w.b.sockets.inq(b), Ok(5));
    assert_eq!((w.b.recv(b, 9).as_deref(), w.b.recv_with(b, 9, OOB).as_deref()), (Ok("ab1cd"), Ok("2")));
    assert_eq!(w.b.recv(b, 9), Err(Errno::EAGAIN));
    // At the old mark the old byte stays out of the stream; before it, it was never taken out.
    for (at_mark, rest) in [(true, "xy"), (false, "abUxy")] {
        let (a, b) = sent(&mut w, &["abU!"]);
        if at_mark {
            assert_eq!(w.b.recv(b, 9).as_deref(), Ok("ab"));
        }
        assert_eq!(w.b.recv_with(b, 9, OOB).as_deref(), Ok("U"));
        send(&mut w, a, &["xyV!"]);
        assert_eq!(w.b.recv(b, 9).as_deref(), Ok(rest));
        assert_eq!(w.b.recv_with(b, 9, OOB).as_deref(), Ok("V"));
    }
}

#[test]
fn at_the_end_of_the_stream() {
    let mut w = World::new();
    let (a, b) = sent(&mut w, &["abU!"]);
    w.a.shutdown(a, Shutdown::Write).unwrap();
    w.run(1);
    assert_eq!(w.b.recv_with(b, 1, OOB).as_deref(), Ok("U"));
    assert_eq!((w.b.recv(b, 9).as_deref(), w.b.recv(b, 9).as_deref()), (Ok("ab"), Ok("")));
    assert_eq!(w.b.recv_with(b, 1, OOB), Err(Errno::EINVAL));
    let fd = w.b.open();
    assert_eq!(w.b.recv_with(fd, 1, OOB), Err(Errno::EINVAL));
    let fd = w.b.listener(1);
    assert_eq!(w.b.recv_with(fd, 1, OOB), Err(Errno::ENOTCONN));
}
