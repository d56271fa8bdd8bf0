//! Initial sequence numbers: nobody can guess them, and they grow.
//!
//! Sections: RFC 9293 3.4.1; RFC 6528 3.
//! In: opens at many times, to many peers, on hosts with many seeds.
//! Out: the number of each SYN.

use std::net::SocketAddr;

use tidegate_proto::time::Duration;
use tidegate_proto::wire::Seq;

use crate::play::{Corner, Host, Play, Role, Setup, from_packet};

/// The number of the SYN that a fresh host sends from and to these ports after so long.
fn isn(seed: u8, local: u16, remote: u16, after: Duration) -> Seq {
    let mut key = crate::play::key(Role::HostActive);
    key.local_port = local;
    key.remote_port = remote;
    let config = tidegate_proto::net::StackConfig::default();
    let mut host = Host::new(config, seed, key, crate::play::START);
    let now = crate::play::START + after;
    host.stack.connect(Some(key.local()), key.remote(), now).expect("an address of ours");
    first_syn(&mut host, now)
}

fn first_syn(host: &mut Host, now: tidegate_proto::time::Instant) -> Seq {
    let frame = host.stack.poll_transmit(now).expect("a SYN");
    from_packet(&frame.header, &host.key).0.seq
}

//= 9293/MUST-8
#[test]
fn numbers_of_one_tuple_grow_with_the_clock() {
    for seed in 0..20 {
        let mut last = isn(seed, 40_000, 80, Duration::ZERO);
        for step in [10_u64, 1_000, 100_000, 10_000_000] {
            // RFC 9293 asks for about one every 4 us; faster is allowed, standing still is not.
            let next = isn(seed, 40_000, 80, Duration::from_micros(step));
            let grown = next.distance(last);
            assert!(grown > 0, "{last} then {next} after {step} us");
            last = next;
        }
    }
}

//= 9293/MUST-8
#[test]
fn the_clock_does_not_wrap_within_a_segments_lifetime() {
    let (first, second) = (isn(1, 40_000, 80, Duration::ZERO), isn(1, 40_000, 80, Duration::from_secs(60)));
    assert!(second.distance(first) > 0, "{first} then {second} a minute later");
}

//= 9293/MUST-9
//= 9293/SHLD-1
#[test]
fn another_tuple_or_another_secret_gives_an_unrelated_number() {
    let mut bits = [0_u32; 32];
    let mut all = std::collections::BTreeSet::new();
    for port in 1..=1000 {
        let (here, next) = (isn(1, 40_000, port, Duration::ZERO), isn(1, 40_000, port + 1, Duration::ZERO));
        all.insert(here.0);
        let differing = here.0 ^ next.0;
        (0..32).for_each(|bit| bits[bit] += differing >> bit & 1);
    }
    assert_eq!(all.len(), 1000, "a thousand ports, a thousand numbers");
    // Each bit flips in half of the pairs: 500, standard deviation 16.
    assert!(bits.iter().all(|flips| (400..=600).contains(flips)), "{bits:?}");
    let seeds =
        (0..=255).map(|seed| isn(seed, 40_000, 80, Duration::ZERO).0).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(seeds.len(), 256, "each secret its own");
    assert_ne!(isn(1, 40_000, 80, Duration::ZERO), isn(1, 40_001, 80, Duration::ZERO), "our port counts");
}

/// The same seed, the same time: the same number.
#[test]
fn numbers_are_determined_by_seed_and_time() {
    assert_eq!(isn(9, 40_000, 80, Duration::from_secs(5)), isn(9, 40_000, 80, Duration::from_secs(5)));
}

/// The passive side uses the same rule.
//= 9293/MUST-8
//= 9293/SHLD-1
#[test]
fn the_listener_chooses_like_the_opener() {
    let mut all = std::collections::BTreeSet::new();
    for port in 1..=200 {
        let mut p = listening(port);
        p.inject("S 0 <mss 1000>");
        all.insert(p.expect("S. 0 ack 1").header.seq.0);
    }
    assert_eq!(all.len(), 200);
}

fn listening(remote_port: u16) -> Play {
    let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[5]);
    p.key.remote_port = remote_port;
    let crate::play::Subject::Host(host) = &mut p.subject else { unreachable!("a host was asked for") };
    host.key.remote_port = remote_port;
    p
}

/// RFC 6056: ephemeral ports are spread over their range, and never used twice at a time.
#[test]
fn ephemeral_ports_are_spread_and_distinct() {
    let mut p = Setup::default().closed_host(Role::HostActive, Corner::ALL[5]);
    let remote = p.key.remote();
    let crate::play::Subject::Host(host) = &mut p.subject else { unreachable!("a host was asked for") };
    let mut ports = std::collections::BTreeSet::<u16>::new();
    let mut adjacent = 0;
    let mut last = 0;
    for _ in 0..500 {
        let socket = host.stack.connect(None, remote, p.now).expect("a free port");
        let port = host.stack.key(socket).expect("connecting").local().port();
        assert!((32_768..=60_999).contains(&port));
        adjacent += u32::from(port.abs_diff(last) == 1);
        last = port;
        ports.insert(port);
    }
    assert_eq!(ports.len(), 500);
    assert!(adjacent < 25, "{adjacent} of 500 follow their predecessor");
}

/// When every port is taken the call says so, and ends.
#[test]
fn exhausted_ports_are_an_error() {
    use tidegate_proto::net::SocketError;
    let setup = Setup::default().host_config(|h| h.local_port_range = (50_000, 50_019));
    let mut p = setup.closed_host(Role::HostActive, Corner::ALL[5]);
    let remote: SocketAddr = p.key.remote();
    let crate::play::Subject::Host(host) = &mut p.subject else { unreachable!("a host was asked for") };
    for _ in 0..20 {
        host.stack.connect(None, remote, p.now).expect("a free port");
    }
    assert_eq!(host.stack.connect(None, remote, p.now), Err(SocketError::NoPorts));
    let mut other = remote;
    other.set_port(81);
    host.stack.connect(None, other, p.now).expect("towards another port all are free");
}
