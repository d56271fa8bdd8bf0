//! Sending and receiving in all their forms.

use bytes::Bytes;
use tidegate_proto::socket::{Errno, MsgFlags, Opt, Shutdown};

use crate::world::World;

#[test]
fn flags() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    let send = |w: &mut World, data: &str| {
        w.a.send(a, data).unwrap();
        w.run(1);
    };
    send(&mut w, "abcdef");
    assert_eq!((w.b.sockets.inq(b), w.b.recv_with(b, 3, MsgFlags::PEEK).as_deref()), (Ok(6), Ok("abc")));
    assert_eq!(w.b.recv_with(b, 9, MsgFlags::DONTWAIT | MsgFlags::WAITALL).as_deref(), Ok("abcdef"));
    assert_eq!(w.b.recv(b, 9), Err(Errno::EAGAIN));
    assert_eq!(w.b.recv_with(b, 9, MsgFlags::ERRQUEUE), Err(Errno::EAGAIN));
    send(&mut w, "hello");
    let mut out = *b"....";
    assert_eq!(w.b.sockets.recv(b, &mut out[..3], MsgFlags::TRUNC, w.b.now), Ok(3));
    assert_eq!((&out, w.b.recv(b, 9).as_deref()), (b"....", Ok("lo")));
    for (flags, target) in [(MsgFlags::NONE, 4), (MsgFlags::WAITALL, 100)] {
        w.b.set(b, Opt::RcvLowat, 4).unwrap();
        assert_eq!(w.b.sockets.recv_target(b, 100, flags), Ok(target));
    }
    assert_eq!(w.b.sockets.recv_target(b, 2, MsgFlags::NONE), Ok(2));
}

#[test]
fn several_parts_are_one_write_and_several_places_one_read() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    let now = w.a.now;
    let parts: [&[u8]; 4] = [b"one ", b"", b"two ", b"three"];
    assert_eq!(w.a.sockets.send_vectored(a, &parts, MsgFlags::NONE, now), Ok(13));
    w.run(1);
    let data: Vec<_> = w.log.iter().filter(|sent| sent.2 > 0).map(|sent| (sent.1.as_str(), sent.2)).collect();
    assert_eq!(data, [("P.", 13)]);
    let (mut first, mut second, mut third) = ([0; 5], [0; 0], [0; 20]);
    for flags in [MsgFlags::PEEK, MsgFlags::NONE] {
        let mut places: [&mut [u8]; 3] = [&mut first, &mut second, &mut third];
        assert_eq!(w.b.sockets.recv_vectored(b, &mut places, flags, w.b.now), Ok(13));
        assert_eq!((&first, &third[..8]), (b"one t", &b"wo three"[..]));
    }
}

#[test]
fn bytes_go_through_without_copies() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    let data: Bytes = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut rest = data.clone();
    let mut received = Vec::new();
    w.a.set(a, Opt::SndBuf, 20_000).unwrap();
    loop {
        if !rest.is_empty() {
            match w.a.sockets.send_bytes(a, &mut rest, MsgFlags::NONE, w.a.now) {
                Ok(_) | Err(Errno::EAGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        } else {
            w.a.shutdown(a, Shutdown::Write).unwrap();
        }
        w.run(1);
        match w.b.sockets.recv_bytes(b, w.b.now) {
            Ok(chunk) if chunk.is_empty() => break,
            Ok(chunk) => received.extend_from_slice(&chunk),
            Err(error) => assert_eq!(error, Errno::EAGAIN),
        }
    }
    assert!(received == data);
}
