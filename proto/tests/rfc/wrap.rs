//! More than the number space holds: streams of over 2^32 bytes.
//!
//! Sections: RFC 9293 3.4; A-39.
//! In: four gigabytes each way, in segments of nearly 64 KiB.
//! Out: every byte counted, nothing confused at the wrap.

use bytes::Bytes;
use tidegate_proto::tcp::{Config, Connection, Segment, State, TxLimit};
use tidegate_proto::time::Duration;
use tidegate_proto::wire::{Flags, Header, Options, Seq};

use crate::play::{Role, START, key};

const SIZE: usize = 65_000;
/// A little more than 2^32 bytes.
const ROUNDS: u32 = 66_100;

fn config() -> Config {
    Config { mtu: 65_535, timestamps: false, ..Config::default() }
}

fn open(iss: Seq, irs: Seq) -> Connection {
    let key = key(Role::Active);
    let mut connection = Connection::connect(&config(), key, iss, 0, START);
    assert!(connection.poll_transmit(START, LIMIT).is_some());
    let options = Options { mss: Some(65_000), window_scale: Some(7), ..Options::default() };
    let header =
        Header { seq: irs, ack: iss + 1, flags: Flags::SYN | Flags::ACK, window: 65_535, options, ..Header::default() };
    connection.on_segment(segment(header, Bytes::new()), START);
    while connection.poll_transmit(START, LIMIT).is_some() {}
    assert_eq!(connection.state(), State::Established);
    connection
}

const LIMIT: TxLimit = TxLimit { burst: 65_536 };

fn segment(header: Header, payload: Bytes) -> Segment {
    Segment { header, payload, segments: 1, ttl: 64, ..Segment::default() }
}

#[test]
fn four_gigabytes_come_in() {
    let (iss, irs) = (Seq(7), Seq(0xffff_0000));
    let mut connection = open(iss, irs);
    let payload = Bytes::from(vec![0x5a; SIZE]);
    let mut now = START;
    let mut seq = irs + 1;
    for _ in 0..ROUNDS {
        let header = Header { seq, ack: iss + 1, flags: Flags::ACK, window: 65_535, ..Header::default() };
        connection.on_segment(segment(header, payload.clone()), now);
        seq = seq + SIZE as u32;
        let mut got = 0;
        while let Ok(Some(chunk)) = connection.recv_bytes(now) {
            got += chunk.len();
        }
        assert_eq!(got, SIZE);
        now += Duration::from_millis(41);
        connection.on_timeout(now);
        while let Some(sent) = connection.poll_transmit(now, LIMIT) {
            assert_eq!(sent.header.ack, seq);
        }
    }
    assert_eq!(connection.info(now).bytes_received, u64::from(ROUNDS) * SIZE as u64);
    assert!(connection.info(now).rcv_nxt.0 > 1 << 32);
}

#[test]
fn four_gigabytes_go_out() {
    let (iss, irs) = (Seq(0xffff_0000), Seq(7));
    let mut connection = open(iss, irs);
    let payload = Bytes::from(vec![0xa5; SIZE]);
    let mut now = START;
    let mut next = iss + 1;
    for _ in 0..ROUNDS {
        let taken = connection.send_bytes(&mut payload.clone(), now);
        assert_eq!(taken, Ok(SIZE));
        while let Some(sent) = connection.poll_transmit(now, LIMIT) {
            assert_eq!(sent.header.seq, next, "nothing is sent twice");
            next = next + sent.payload_len() as u32;
        }
        now += Duration::from_millis(1);
        let header = Header { seq: irs + 1, ack: next, flags: Flags::ACK, window: 65_535, ..Header::default() };
        connection.on_segment(segment(header, Bytes::new()), now);
    }
    let info = connection.info(now);
    assert_eq!((info.bytes_acked, info.total_retrans), (u64::from(ROUNDS) * SIZE as u64, 0));
    assert!(info.snd_una.0 > 1 << 32);
}
