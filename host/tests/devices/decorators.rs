//! Decorators under a running driver: deadlines that are kept, content that survives, records that are whole.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use tidegate::clock;
use tidegate::dev::{Capture, CaptureFiles, Device, Impair, Merge, channel};
use tidegate::lab::capture::Reasons;
use tidegate::lab::link::LinkConfig;
use tidegate::lab::rng::Ppm;
use tidegate::proto::time;
use tidegate::proto::wire::frame::Link;

use crate::driver::{accept, connect, content, host, listen, read_to_end, write_all};

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));

fn ideal() -> LinkConfig {
    LinkConfig { delay: time::Duration::ZERO, rate: None, ..LinkConfig::default() }
}

/// `len` bytes from A, over `device`, to B at the other end.
fn transfer(device: impl Device + 'static, far: impl Device + 'static, len: usize) {
    let (a, b) = (host(device, A), host(far, B));
    let to = SocketAddr::new(B, 80);
    let listener = listen(&b, to);
    let receiver = thread::spawn(move || {
        let connection = accept(&b, listener);
        let all = read_to_end(&b, connection);
        b.close(connection);
        // The handle lives until the peer's last segment has come.
        thread::sleep(Duration::from_millis(50));
        all
    });
    let socket = connect(&a, to);
    let data = content(3, len);
    write_all(&a, socket, &data);
    a.call(|sockets, now| sockets.shutdown(socket, tidegate::proto::socket::Shutdown::Write, now)).expect("connected");
    assert!(read_to_end(&a, socket).is_empty());
    a.close(socket);
    assert!(receiver.join().expect("it reads") == data, "not what was sent");
}

#[test]
fn a_delay_is_kept_exactly_and_nobody_polls() {
    let (near, far) = channel(Link::Ip, 1500, 256);
    let slow = LinkConfig { delay: time::Duration::from_millis(30), ..ideal() };
    let a = host(Impair::new(near, slow.clone(), slow, 1).expect("no offload"), A);
    let b = host(far, B);
    let listener = listen(&b, SocketAddr::new(B, 80));
    let before = clock::now();
    connect(&a, SocketAddr::new(B, 80));
    let took = clock::now().since(before);
    assert!(took >= time::Duration::from_millis(60), "{took}: a round trip is twice 30 ms");
    // Generous: the machine may be busy. A deadline that is missed waits for a retransmission after a second.
    assert!(took < time::Duration::from_millis(500), "{took}");
    accept(&b, listener);
    thread::sleep(Duration::from_millis(100));
    let wakeups = a.wakeups();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(a.wakeups(), wakeups, "nothing happens, and nobody looks");
}

#[test]
fn content_survives_every_vice() {
    let bad = LinkConfig {
        delay: time::Duration::from_millis(2),
        jitter: time::Duration::from_millis(1),
        loss: Ppm::percent(2),
        duplicate: Ppm::percent(2),
        reorder: Ppm::percent(2),
        corrupt: Ppm::percent(1),
        ..ideal()
    };
    let (near, far) = channel(Link::Ethernet, 1500, 256);
    let impaired = Impair::new(near, bad.clone(), bad, 7).expect("no offload");
    transfer(Merge::new(impaired), far, 1_000_000);
}

/// The blocks of a pcapng file: type, and body.
fn blocks(path: &Path) -> Vec<(u32, Vec<u8>)> {
    let bytes = fs::read(path).expect("the file exists");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut blocks) = (0, Vec::new());
    while at < bytes.len() {
        let len = word(at + 4) as usize;
        blocks.push((word(at), bytes[at + 8..at + len - 4].to_vec()));
        at += len;
    }
    blocks
}

/// An IPv4 header, and a TCP header with timestamps.
const HEADERS: u32 = 20 + 32;

/// The frames of a file: the lengths kept and on the wire, and everything behind the bytes as text.
fn packets(path: &Path) -> Vec<(u32, u32, String)> {
    let blocks = blocks(path);
    assert_eq!((blocks[0].0, blocks[1].0), (0x0a0d_0d0a, 1), "every file begins by itself");
    let packets = blocks.iter().filter(|(kind, _)| *kind == 6).map(|(_, body)| {
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes"));
        let options = 20 + (word(12) as usize).next_multiple_of(4);
        (word(12), word(16), String::from_utf8_lossy(&body[options..]).into_owned())
    });
    packets.collect()
}

#[test]
fn both_directions_are_recorded_with_their_reasons_and_segments_as_the_wire_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcapng");
    let (near, far) = channel(Link::Ip, 1500, 256);
    let files = CaptureFiles::single(&path).expect("a file");
    let status = files.status();
    transfer(Capture::new(near, "link0", files, 0, Reasons::All), far, 100_000);
    let packets = packets(&path);
    assert_eq!(packets.len() as u64, status.frames());
    assert!(status.failure().is_none());
    assert!(packets.iter().all(|(kept, len, _)| kept == len && *len <= 1500), "bursts are cut before they are seen");
    let with = |text: &str| packets.iter().filter(|(_, _, comment)| comment.contains(text)).count();
    assert_eq!(with("syn: "), 1);
    assert_eq!(with("handshake: the third segment"), 1);
    let is_ours = |comment: &str| {
        comment.contains("data: the application wrote") || comment.contains("fin: the application closed")
    };
    let sent = packets.iter().filter(|(_, _, comment)| is_ours(comment)).map(|(_, len, _)| len - HEADERS);
    assert_eq!(sent.sum::<u32>(), 100_000, "every byte is on record once, however the bursts fell");
    assert!(with("fin: the application closed") >= 1, "the last burst has the FIN");
    assert!(with("accepted: ") >= 3, "what was received has been judged");
    assert!(packets.iter().all(|(_, _, comment)| comment.contains(": ")), "everything has a reason");
}

#[test]
fn files_take_turns_and_frames_are_cut_at_the_snap_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let (near, far) = channel(Link::Ip, 1500, 256);
    let files = CaptureFiles::ring(folder.path().join("ring"), 8 * 1024, 3).expect("files");
    transfer(Capture::new(near, "link0", files, 96, Reasons::Unusual), far, 1_000_000);
    let names = ["ring0", "ring1", "ring2"];
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), names.len());
    for name in names {
        let path = folder.path().join(name);
        let packets = packets(&path);
        assert!(!packets.is_empty(), "{name} was used");
        assert!(packets.iter().all(|(kept, len, _)| *kept == (*len).min(96)));
        // The last record comes on top: 96 bytes, and what surrounds them.
        assert!(fs::metadata(&path).expect("it is there").len() < 8 * 1024 + 512);
    }
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_traffic() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let files = CaptureFiles::single("/dev/full").expect("it opens");
    let status = files.status();
    let (near, far) = channel(Link::Ip, 1500, 256);
    transfer(Capture::new(near, "link0", files, 0, Reasons::None), far, 10_000);
    assert_eq!(status.failure().map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
}
