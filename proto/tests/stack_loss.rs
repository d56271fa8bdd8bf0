//! Two stacks over a link that loses frames: every byte arrives, and nothing stays behind.
#![allow(missing_docs)]

mod common;

use common::{A, B, Kind, Pair};
use proptest::prelude::*;
use tidegate_proto::net::{Population, StackConfig};
use tidegate_proto::tcp::State;

proptest! {
    /// Whatever is lost, both ends get every byte, say goodbye, and leave nothing behind (I-01, I-02, I-28, I-36, I-38).
    #[test]
    fn losses_are_repaired(
        seed in 1_u64..,
        percent in 0_u64..30,
        sizes in (0_usize..40_000, 0_usize..40_000),
        burst in prop_oneof![Just(0_u32), Just(65_536)],
        ipv6: bool,
    ) {
        // One run in some thousands loses all of sixteen tries and their answers; giving up is not what is shown here.
        let mut config = StackConfig::default();
        (config.tcp.syn_retries, config.tcp.retries2) = (60, 60);
        let mut pair = Pair::with(Kind::Ethernet, &config, burst);
        let to = if ipv6 { pair.addr6(B, 80) } else { pair.addr(B, 80) };
        let listener = pair.b.listen(to, 1).unwrap();
        let client = pair.a.connect(None, to, pair.now).unwrap();
        let mut state = seed;
        pair.lose = Box::new(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 100 < percent
        });
        let data = |n: usize, salt: u8| (0..n).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1] ^ salt).collect::<Vec<u8>>();
        let (up, down) = (data(sizes.0, 1), data(sizes.1, 2));
        let mut server = None;
        let (mut sent, mut received) = ([0, 0], [Vec::new(), Vec::new()]);
        let mut closed = [false, false];
        for _ in 0..100_000 {
            let now = pair.now;
            server = server.or_else(|| pair.b.accept(listener, now));
            for (n, side, socket, out) in [(0, A, Some(client), &up), (1, B, server, &down)] {
                let Some(socket) = socket else { continue };
                if let Ok(written) = pair.stack(side).write(socket, &out[sent[n]..], now) {
                    sent[n] += written;
                }
                // CLOSE in SYN-SENT would delete the TCB.
                if sent[n] == out.len() && !closed[n] && pair.stack(side).state(socket) != State::SynSent {
                    closed[n] = true;
                    pair.stack(side).close(socket, now).unwrap();
                }
                let more = pair.read_all(side, socket);
                received[n].extend(more);
            }
            let is_done = server.is_some() && received[0].len() == down.len() && received[1].len() == up.len();
            if is_done && closed == [true, true] || !pair.step() {
                break;
            }
        }
        prop_assert!(received[1] == up, "{} of {} bytes arrived at B", received[1].len(), up.len());
        prop_assert!(received[0] == down, "{} of {} bytes arrived at A", received[0].len(), down.len());
        let now = pair.now;
        pair.a.release(client, now);
        pair.b.release(server.unwrap(), now);
        pair.b.release(listener, now);
        pair.run_to_the_end();
        for stack in [&pair.a, &pair.b] {
            let left: Vec<_> = stack.connections().map(|(_, connection)| connection).collect();
            prop_assert_eq!(stack.population(), Population::default(), "{:#?}", left);
        }
    }
}
