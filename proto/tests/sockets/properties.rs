//! Whatever programs call in whatever order: readiness keeps its word, no wake-up is lost, and nothing stays behind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_proto::net::Population;
use tidegate_proto::socket::{Errno, Fd, MsgFlags, Opt, Ready, Shutdown};

use crate::world::{Host, World};

#[derive(Clone, Debug)]
enum Step {
    Open,
    Bind(u32, u16),
    Listen(u32),
    Accept(u32),
    Connect(u32, u16),
    Send(u32, usize, u32),
    Recv(u32, usize, u32),
    RecvBytes(u32),
    Shutdown(u32, Shutdown),
    Close(u32),
    Reset(u32),
    Set(u32, Opt, i32),
    Run(u64),
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let fd = || 0..6_u32;
    let port = || 80..82_u16;
    let how = prop::sample::select(vec![Shutdown::Read, Shutdown::Write, Shutdown::Both]);
    let option = prop::sample::select(vec![
        (Opt::RcvLowat, 1),
        (Opt::RcvLowat, 3_000),
        (Opt::SndBuf, 3_000),
        (Opt::RcvBuf, 3_000),
        (Opt::OobInline, 1),
        (Opt::NotSentLowat, 2_000),
        (Opt::Cork, 1),
        (Opt::ReuseAddr, 1),
        (Opt::UserTimeout, 1_000),
    ]);
    let flags = || prop::sample::select(vec![0, 0, 0, 1, 2, 0x20, 0x8000, 3]);
    let step = prop_oneof![
        2 => Just(Step::Open),
        2 => (fd(), port()).prop_map(|(fd, port)| Step::Bind(fd, port)),
        2 => fd().prop_map(Step::Listen),
        3 => fd().prop_map(Step::Accept),
        3 => (fd(), port()).prop_map(|(fd, port)| Step::Connect(fd, port)),
        5 => (fd(), 0..9_000_usize, flags()).prop_map(|(fd, len, flags)| Step::Send(fd, len, flags)),
        5 => (fd(), 0..9_000_usize, flags()).prop_map(|(fd, len, flags)| Step::Recv(fd, len, flags)),
        1 => fd().prop_map(Step::RecvBytes),
        1 => (fd(), how).prop_map(|(fd, how)| Step::Shutdown(fd, how)),
        1 => fd().prop_map(Step::Close),
        1 => fd().prop_map(Step::Reset),
        1 => (fd(), option).prop_map(|(fd, (option, value))| Step::Set(fd, option, value)),
        6 => prop::sample::select(vec![1, 50, 500]).prop_map(Step::Run),
    ];
    (any::<bool>(), step)
}

/// One call; whatever it answers is an answer.
fn call(host: &mut Host, other: &Host, step: &Step) {
    let now = host.now;
    let at = |port| std::net::SocketAddr::new([0, 0, 0, 0].into(), port);
    let sockets = &mut host.sockets;
    let _ = match *step {
        Step::Open => sockets.socket(tidegate_proto::socket::Domain::V4).map(|_| ()),
        Step::Bind(fd, port) => sockets.bind(Fd(fd), at(port)),
        Step::Listen(fd) => sockets.listen(Fd(fd), 1),
        Step::Accept(fd) => sockets.accept(Fd(fd), now).map(|_| ()),
        Step::Connect(fd, port) => sockets.connect(Fd(fd), other.at(port), now),
        Step::Send(fd, len, flags) => sockets.send(Fd(fd), &vec![7; len], MsgFlags(flags), now).map(|_| ()),
        Step::Recv(fd, len, flags) => sockets.recv(Fd(fd), &mut vec![0; len], MsgFlags(flags), now).map(|_| ()),
        Step::RecvBytes(fd) => sockets.recv_bytes(Fd(fd), now).map(|_| ()),
        Step::Shutdown(fd, how) => sockets.shutdown(Fd(fd), how, now),
        Step::Close(fd) => sockets.close(Fd(fd), now).map(|_| ()),
        Step::Reset(fd) => {
            let linger = tidegate_proto::socket::Value::Linger { on: true, seconds: 0 };
            let set = sockets.set_option(Fd(fd), Opt::Linger, &linger, now);
            set.and_then(|()| sockets.close(Fd(fd), now)).map(|_| ())
        }
        Step::Set(fd, option, value) => host.set(Fd(fd), option, value),
        Step::Run(_) => Ok(()),
    };
}

fn levels(host: &mut Host) -> BTreeMap<Fd, Ready> {
    (0..12).map(Fd).map(|fd| (fd, host.sockets.poll(fd))).filter(|(_, ready)| !ready.has(Ready::NVAL)).collect()
}

/// What `poll` promises, held against the calls themselves.
fn check_promises(host: &mut Host) -> Result<(), TestCaseError> {
    for (fd, ready) in levels(host) {
        let mut trial = host.sockets.clone();
        let peeked = trial.recv(fd, &mut [0; 9], MsgFlags::PEEK, host.now);
        let error = trial.take_error(fd).unwrap();
        let is_listener = host.get(fd, Opt::AcceptConn) == Ok(1);
        if is_listener {
            let accepted = trial.accept(fd, host.now);
            prop_assert_eq!(ready.has(Ready::IN), accepted != Err(Errno::EAGAIN));
            continue;
        }
        if ready.has(Ready::IN) && host.get(fd, Opt::OobInline) == Ok(1) {
            prop_assert_ne!(&peeked, &Err(Errno::EAGAIN), "{:?}", ready);
        }
        if host.sockets.connection_id(fd).is_some() {
            let mut trial = host.sockets.clone();
            let sent = trial.send(fd, b"x", MsgFlags::NONE, host.now);
            prop_assert!(!(ready.has(Ready::OUT) && sent == Err(Errno::EAGAIN)), "{:?} {:?}", ready, sent);
        }
        let was_taken = peeked.is_err() && peeked != Err(Errno::EAGAIN) && peeked != Err(Errno::ENOTCONN);
        prop_assert_eq!(ready.has(Ready::ERR), error.is_some() || was_taken, "{:?} {:?}", ready, peeked);
    }
    Ok(())
}

proptest! {
    #[test]
    fn readiness_keeps_its_word_and_no_wake_up_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        let mut w = World::new();
        for host in [&mut w.a, &mut w.b] {
            for step in [Step::Open, Step::Open, Step::Bind(0, 80), Step::Listen(0)] {
                let peer = World::new().a;
                call(host, &peer, &step);
            }
        }
        for (at_a, step) in steps {
            if let Step::Run(millis) = step {
                let before = [levels(&mut w.a), levels(&mut w.b)];
                w.a.wakes.clear();
                w.b.wakes.clear();
                w.run(millis);
                for (host, before) in [&mut w.a, &mut w.b].into_iter().zip(before) {
                    let after = levels(host);
                    for (fd, ready) in after {
                        let news = ready & !before[&fd];
                        let woken = host.wakes.iter().filter(|wake| wake.0 == fd).fold(Ready::NONE, |all, wake| all | wake.1);
                        prop_assert!(woken.has(news), "{} became {:?}, was {:?}, woken for {:?}", fd, ready, before[&fd], woken);
                    }
                    check_promises(host)?;
                }
            } else if at_a {
                call(&mut w.a, &w.b, &step);
            } else {
                call(&mut w.b, &w.a, &step);
            }
        }
        for host in [&mut w.a, &mut w.b] {
            for fd in (0..100).map(Fd) {
                let _ = host.sockets.close(fd, host.now);
            }
        }
        w.run(200_000);
        for host in [&w.a, &w.b] {
            prop_assert_eq!(host.sockets.stack().population(), Population::default());
            prop_assert!(host.sockets.is_empty());
        }
    }
}
