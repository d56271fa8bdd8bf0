//! getsockopt and setsockopt: ranges, rounding, inheritance, effect.

use tidegate_proto::socket::{Errno, MsgFlags, Opt, Value};
use tidegate_proto::tcp::cc::CcKind;

use crate::world::World;

/// A value and what it reads back as; `None` if it is refused with `EINVAL`.
type Row = (i32, Option<i32>);

/// Each option's default and rows; a Linux kernel gave the same answers.
const ROWS: [(Opt, i32, &[Row]); 20] = [
    (Opt::ReuseAddr, 0, &[(-1, Some(1)), (0, Some(0)), (7, Some(1))]),
    (Opt::ReusePort, 0, &[(7, Some(1)), (0, Some(0))]),
    (Opt::KeepAlive, 0, &[(-1, Some(1)), (0, Some(0))]),
    (Opt::OobInline, 0, &[(7, Some(1)), (0, Some(0))]),
    (Opt::RcvLowat, 1, &[(0, Some(1)), (7, Some(7)), (70_000, Some(70_000))]),
    (Opt::SndBuf, 16_384, &[(-1, Some(8_388_608)), (0, Some(4_608)), (1_000, Some(4_608)), (40_000, Some(80_000))]),
    (Opt::RcvBuf, 131_072, &[(-1, Some(8_388_608)), (0, Some(2_304)), (40_000, Some(80_000)), (70_000, Some(140_000))]),
    (Opt::NoDelay, 0, &[(7, Some(1)), (0, Some(0))]),
    (Opt::MaxSeg, 536, &[(-1, None), (0, Some(536)), (40, None), (100, Some(100)), (40_000, None)]),
    (Opt::Cork, 0, &[(7, Some(1)), (0, Some(0))]),
    (Opt::KeepIdle, 7_200, &[(-1, None), (0, None), (1, Some(1)), (1_000, Some(1_000)), (40_000, None)]),
    (Opt::KeepIntvl, 75, &[(0, None), (1, Some(1)), (40_000, None)]),
    (Opt::KeepCnt, 9, &[(0, None), (100, Some(100)), (1_000, None)]),
    (Opt::SynCnt, 7, &[(0, None), (100, Some(100)), (1_000, None)]),
    (Opt::Linger2, 60, &[(-1, Some(-1)), (0, Some(60)), (7, Some(7)), (1_000, Some(120))]),
    (Opt::WindowClamp, 0, &[(7, Some(1_152)), (0, Some(0)), (40_000, Some(40_000))]),
    (Opt::UserTimeout, 0, &[(-1, None), (7, Some(7)), (70_000, Some(70_000)), (0, Some(0))]),
    (Opt::NotSentLowat, 0, &[(-1, Some(-1)), (7, Some(7)), (0, Some(0))]),
    (Opt::IpTos, 0, &[(-1, Some(252)), (1, Some(0)), (7, Some(4)), (1_000, Some(232)), (70_000, Some(112))]),
    (Opt::IpTtl, 64, &[(0, None), (7, Some(7)), (1_000, None), (-1, Some(64))]),
];

#[test]
fn every_value_reads_back_as_the_kernels_does() {
    let mut w = World::new();
    for (option, default, rows) in ROWS {
        let fd = w.a.open();
        assert_eq!(w.a.get(fd, option), Ok(default), "{}", option.name());
        for &(value, back) in rows {
            let expected = back.ok_or(Errno::EINVAL);
            let set = w.a.set(fd, option, value);
            assert_eq!(set.and_then(|()| w.a.get(fd, option)), expected, "{} {value}", option.name());
        }
    }
    let v6: [(Opt, i32, &[Row]); 3] = [
        (Opt::Ipv6UnicastHops, 64, &[(-2, None), (0, Some(0)), (255, Some(255)), (256, None), (-1, Some(64))]),
        (Opt::Ipv6Tclass, 0, &[(-2, None), (7, Some(4)), (255, Some(252)), (256, None), (-1, Some(0))]),
        (Opt::Ipv6V6Only, 0, &[(-2, Some(1)), (0, Some(0)), (256, Some(1))]),
    ];
    for (option, default, rows) in v6 {
        let fd = w.a.open6();
        assert_eq!(w.a.get(fd, option), Ok(default));
        for &(value, back) in rows {
            let set = w.a.set(fd, option, value);
            assert_eq!(set.and_then(|()| w.a.get(fd, option)), back.ok_or(Errno::EINVAL), "{} {value}", option.name());
        }
    }
}

#[test]
fn what_cannot_be_set_or_read() {
    let mut w = World::new();
    let (fd, fd6) = (w.a.open(), w.a.open6());
    for option in [Opt::Type, Opt::Error, Opt::Protocol, Opt::Domain, Opt::AcceptConn, Opt::SndLowat, Opt::Info] {
        assert_eq!(w.a.set(fd, option, 1), Err(Errno::ENOPROTOOPT), "{}", option.name());
    }
    let read = [Opt::Type, Opt::Protocol, Opt::Domain, Opt::SndLowat, Opt::Error].map(|option| w.a.get(fd, option));
    assert_eq!(read, [Ok(1), Ok(6), Ok(2), Ok(1), Ok(0)]);
    assert_eq!(w.a.get(fd, Opt::Ipv6UnicastHops), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.a.set(fd, Opt::Ipv6UnicastHops, 5), Err(Errno::ENOPROTOOPT));
    assert_eq!((w.a.get(fd6, Opt::IpTtl), w.a.set(fd6, Opt::IpTtl, 9)), (Ok(64), Ok(())));
    assert_eq!(w.a.get(fd, Opt::IpMtu), Err(Errno::ENOTCONN));
    w.a.sockets.bind(fd6, w.a.at6(0)).unwrap();
    assert_eq!(w.a.set(fd6, Opt::Ipv6V6Only, 1), Err(Errno::EINVAL));
    for (level, number) in [(6, 999), (1, 999), (77, 1), (0, 999), (41, 999)] {
        assert_eq!(Opt::from_number(level, number), Err(Errno::ENOPROTOOPT));
    }
    assert_eq!(Opt::from_number(6, 1), Ok(Opt::NoDelay));
    assert_eq!(Opt::from_name("TCP_NODELAY").map(Opt::number), Ok((6, 1)));
    let name = |name: &str| Value::Name(name.into());
    let now = w.a.now;
    assert_eq!(w.a.sockets.option(fd, Opt::Congestion, now), Ok(name("cubic")));
    for kind in CcKind::NAMED {
        assert_eq!(w.a.sockets.set_option(fd, Opt::Congestion, &name(kind.name()), now), Ok(()));
        assert_eq!(w.a.sockets.option(fd, Opt::Congestion, now), Ok(name(kind.name())));
    }
    assert_eq!(w.a.sockets.set_option(fd, Opt::Congestion, &name("fixed"), now), Err(Errno::ENOENT));
    assert_eq!(w.a.sockets.set_option(fd, Opt::Congestion, &name("nosuch"), now), Err(Errno::ENOENT));
    // The time of a linger that is off stays.
    let linger = |on, seconds| Value::Linger { on, seconds };
    for (set, back) in [(linger(true, 7), linger(true, 7)), (linger(false, 9), linger(false, 7))] {
        assert_eq!(w.a.sockets.set_option(fd, Opt::Linger, &set, now), Ok(()));
        assert_eq!(w.a.sockets.option(fd, Opt::Linger, now), Ok(back));
    }
    assert_eq!(w.a.set(fd, Opt::Linger, 1), Err(Errno::EINVAL));
}

#[test]
fn an_accepted_socket_inherits() {
    let mut w = World::new();
    let listener = w.b.listener(8);
    let options = [
        (Opt::KeepAlive, 1),
        (Opt::ReuseAddr, 1),
        (Opt::NoDelay, 1),
        (Opt::KeepIdle, 77),
        (Opt::UserTimeout, 5_000),
        (Opt::IpTtl, 33),
        (Opt::IpTos, 40),
        (Opt::OobInline, 1),
        (Opt::RcvLowat, 3),
        (Opt::NotSentLowat, 9_999),
        (Opt::Cork, 1),
        (Opt::Linger2, 9),
        (Opt::ReusePort, 1),
    ];
    // Set while it listens already.
    for (option, value) in options {
        w.b.set(listener, option, value).unwrap();
    }
    let client = w.a.open();
    assert_eq!(w.a.connect(client, w.b.addr_of(listener)), Err(Errno::EINPROGRESS));
    w.run(1);
    let (fd, _) = w.b.accept(listener).unwrap();
    for (option, value) in options {
        assert_eq!(w.b.get(fd, option), Ok(value), "{}", option.name());
    }
    assert_eq!((w.b.get(fd, Opt::AcceptConn), w.b.get(listener, Opt::AcceptConn)), (Ok(0), Ok(1)));
    assert_eq!((w.b.get(fd, Opt::QuickAck), w.b.get(fd, Opt::IpMtu)), (Ok(1), Ok(1500)));
    // The SYN-ACK had the TTL, too.
    assert_eq!(w.log.iter().filter(|sent| !sent.0).map(|sent| sent.3).collect::<Vec<_>>(), [33]);
    assert_eq!(w.a.get(client, Opt::MaxSeg), Ok(1448));
    let Ok(Value::Info(info)) = w.b.sockets.option(fd, Opt::Info, w.b.now) else { panic!() };
    assert_eq!((info.state.name(), info.snd_mss), ("ESTABLISHED", 1448));
}

#[test]
fn a_smaller_segment_a_smaller_window_another_ttl() {
    let mut w = World::new();
    let listener = w.b.listener(8);
    let client = w.a.open();
    w.a.set(client, Opt::MaxSeg, 500).unwrap();
    w.a.set(client, Opt::WindowClamp, 5_000).unwrap();
    w.a.set(client, Opt::IpTtl, 9).unwrap();
    assert_eq!(w.a.connect(client, w.b.addr_of(listener)), Err(Errno::EINPROGRESS));
    w.run(1);
    assert_eq!(w.log[0].3, 9);
    assert_eq!(w.a.set(client, Opt::WindowClamp, 0), Err(Errno::EINVAL));
    let (server, _) = w.b.accept(listener).unwrap();
    w.b.send(server, &"x".repeat(20_000)).unwrap();
    w.run(50);
    assert!(w.log.iter().all(|(_, _, len, _)| *len <= 488));
    assert!((4_000..=5_000).contains(&w.a.sockets.inq(client).unwrap()));
    w.a.set(client, Opt::IpTtl, 77).unwrap();
    w.a.send(client, "x").unwrap();
    w.run(1);
    assert!(w.log.iter().any(|sent| sent.0 && sent.2 == 1 && sent.3 == 77));
}

#[test]
fn nagle_cork_and_more() {
    let mut w = World::new();
    let (_, a, _) = w.pair();
    let sent = |w: &mut World, millis| -> Vec<usize> {
        let start = w.log.len();
        w.run(millis);
        w.log[start..].iter().filter(|sent| sent.0 && sent.2 > 0).map(|sent| sent.2).collect()
    };
    w.a.set(a, Opt::Cork, 1).unwrap();
    w.a.send(a, &"x".repeat(2_000)).unwrap();
    assert_eq!(sent(&mut w, 199), [1448]);
    assert_eq!(sent(&mut w, 2), [552]);
    w.a.send(a, "abc").unwrap();
    assert_eq!(sent(&mut w, 10), [0; 0]);
    w.a.set(a, Opt::Cork, 0).unwrap();
    assert_eq!(sent(&mut w, 10), [3]);
    let now = w.a.now;
    w.a.sockets.send(a, b"head", MsgFlags::MORE, now).unwrap();
    assert_eq!(sent(&mut w, 10), [0; 0]);
    w.a.send(a, "body").unwrap();
    assert_eq!(sent(&mut w, 100), [8]);
    w.cut = true;
    w.a.send(a, "one").unwrap();
    w.a.send(a, "two").unwrap();
    assert_eq!(sent(&mut w, 10), [6]);
    w.a.send(a, "three").unwrap();
    assert_eq!(sent(&mut w, 10), [0; 0]);
    w.a.set(a, Opt::NoDelay, 1).unwrap();
    assert_eq!(sent(&mut w, 10), [5]);
}

#[test]
fn what_is_not_sent_is_limited() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    w.a.set(a, Opt::NotSentLowat, 10_000).unwrap();
    assert_eq!(w.a.send(a, &"x".repeat(9_000)), Ok(9_000));
    assert_eq!(w.a.poll(a), "-");
    w.cut = true;
    w.run(1);
    assert_eq!(w.a.poll(a), "OUT");
    assert_eq!(w.a.woken(a), ["OUT"]);
    let mut taken = 9_000;
    while let Ok(n) = w.a.send(a, &"x".repeat(9_000)) {
        taken += n;
        w.run(1);
    }
    // Ten segments go, the seventh being short, and 10,000 bytes more may wait.
    assert_eq!(taken, 9_000 + 3 * 1_448 + 10_000);
    assert_eq!(w.a.poll(a), "-");
    w.cut = false;
    w.run(2_000);
    assert_eq!((w.a.poll(a).as_str(), w.a.woken(a).len()), ("OUT", 1));
    assert_eq!(w.b.sockets.inq(b), Ok(taken));
}

#[test]
fn acknowledgements_on_demand() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    let acks = |w: &mut World, millis| {
        let start = w.log.len();
        w.run(millis);
        w.log[start..].iter().filter(|sent| !sent.0).count()
    };
    assert_eq!((w.b.set(b, Opt::QuickAck, 0), w.b.get(b, Opt::QuickAck)), (Ok(()), Ok(0)));
    w.a.send(a, "x").unwrap();
    assert_eq!(acks(&mut w, 30), 0);
    w.b.set(b, Opt::QuickAck, 1).unwrap();
    assert_eq!(acks(&mut w, 1), 1);
    w.a.send(a, "x").unwrap();
    assert_eq!(acks(&mut w, 1), 1);
}
