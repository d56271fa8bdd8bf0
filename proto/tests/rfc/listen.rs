//! Listening: half-open records, the two queues, and what a listener answers.
//!
//! Sections: RFC 9293 3.9.1.1, 3.10.1, 3.10.7.2, 3.10.7.4 (SYN-RECEIVED).
//! In: SYNs of many peers, and everything else at a listening port.
//! Out: connections for the program, at most as many as it asked for; nothing for anybody else.

use std::net::SocketAddr;

use tidegate_proto::net::{Event, Population, SocketError, SocketId, Stack};
use tidegate_proto::tcp::State;
use tidegate_proto::wire::{Flags, Header, Seq};

use crate::play::{Corner, Host, Play, Role, Setup, Subject, from_packet, to_packet};

fn listener() -> Play {
    Setup::default().host(Role::HostPassive, Corner::ALL[1])
}

fn population(p: &Play) -> Population {
    let Subject::Host(host) = &p.subject else { panic!("only a host counts") };
    host.stack.population()
}

fn stack(p: &mut Play) -> &mut Stack {
    let Subject::Host(host) = &mut p.subject else { panic!("a host was asked for") };
    &mut host.stack
}

/// A SYN is all that a listener takes; ACK is reset, RST ignored, the rest dropped.
#[test]
fn a_listener_answers_syn_and_nothing_else() {
    for (line, answer) in [
        ("S 0 <mss 1000>", Some("S. 0 ack 1")),
        (". 5 ack 9", Some("R *")),
        ("S. 5 ack 9", Some("R *")),
        ("P. 5:9 ack 9", Some("R *")),
        ("F. 5 ack 9", Some("R *")),
        ("R 0", None),
        ("R. 0 ack 9", None),
        ("F 0", None),
        ("P 0:5", None),
        ("none 0", None),
        ("SF 0", None),
        ("SR 0", None),
    ] {
        let mut p = listener();
        p.inject(line);
        if let Some(answer) = answer {
            let sent = p.expect(answer);
            if sent.header.flags.has(Flags::RST) {
                assert_eq!(sent.header.seq, Seq(9), "SEQ=SEG.ACK");
            }
        }
        p.expect_nothing();
        p.is(if line.starts_with("S 0") { State::SynReceived } else { State::Listen });
    }
}

/// A SYN repeated is answered again, with the same numbers.
#[test]
fn a_repeated_syn_gets_the_same_answer() {
    let mut p = listener();
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1 why syn-ack");
    p.wait(500);
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    assert_eq!(population(&p).half_open, 1);
}

/// Data on the SYN is not lost: taken later, or asked for again by not being acknowledged.
#[test]
fn data_on_the_syn_is_not_acknowledged_unless_kept() {
    let mut p = listener();
    p.inject_bytes("S 0 <mss 1000>", &crate::play::peer_bytes(1, 50));
    let answer = p.expect("S. 0");
    let acked = answer.header.ack.distance(p.irs);
    assert!(acked == 1 || acked == 51, "{acked}");
    p.inject(&format!(". {acked} ack 1"));
    p.accept();
    if acked == 1 {
        p.inject_blindly("P. 1:51 ack 1");
    }
    p.read(50);
    p.forget();
}

/// SYN-RECEIVED from a listener: the exact RST brings LISTEN back, and nobody is told (RFC 9293 3.10.7.4, second).
//= 9293/MUST-11
#[test]
fn a_reset_half_open_record_is_forgotten() {
    let mut p = listener();
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    p.inject("R 1");
    p.is(State::Listen);
    assert_eq!(population(&p).half_open, 0);
    assert!(p.take_events().is_empty());
}

//= 5961#3.2
#[test]
fn a_half_open_record_is_reset_only_exactly() {
    for seq in [0, 2, 100, -1, 100_000] {
        let mut p = listener();
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject(&format!("R {seq}"));
        p.forget();
        p.is(State::SynReceived);
    }
}

/// A SYN inside the window of a passive SYN-RECEIVED returns it to LISTEN or is challenged; it never becomes two.
#[test]
fn another_syn_for_a_half_open_record() {
    let mut p = listener();
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    p.wait(700);
    p.inject("S 500 <mss 1000>");
    p.forget();
    assert!(population(&p).half_open <= 1);
    assert_ne!(p.state(), State::Established);
}

/// FIN without ACK is nothing; with it, it is the third segment and the end of the peer's stream at once.
#[test]
fn fin_completes_and_closes() {
    let mut p = listener();
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    p.inject("F. 1 ack 1");
    p.expect(". 1 ack 2");
    p.is(State::CloseWait);
    p.accept();
    p.read_end();
}

/// A segment that completes nothing does not make the record a connection.
#[test]
fn only_the_right_acknowledgement_completes() {
    for line in [". 1 ack 2", ". 1 ack 0", ". 0 ack 1", "P. 70000:70001 ack 1", "P 1:5"] {
        let mut p = listener();
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject(line);
        p.forget();
        p.is(State::SynReceived);
        assert_eq!(population(&p).connections, 0, "{line}");
    }
}

/// Peers of one listener, told apart by their ports.
struct Crowd {
    host: Host,
    listener: SocketId,
    now: tidegate_proto::time::Instant,
}

impl Crowd {
    fn new(backlog: usize, setup: Setup) -> Self {
        let p = setup.closed_host(Role::HostPassive, Corner::ALL[5]);
        let (now, key) = (p.now, p.key);
        let Subject::Host(mut host) = p.subject else { unreachable!("a host was asked for") };
        let listener = host.stack.listen(key.local(), backlog).expect("the port is free");
        Crowd { host: *host, listener, now }
    }

    /// A segment from this port; the answers to it.
    fn send(&mut self, port: u16, flags: Flags, seq: u32, ack: u32) -> Vec<Header> {
        let header = Header {
            src_port: port,
            dst_port: 80,
            seq: Seq(seq),
            ack: Seq(ack),
            flags,
            window: 65_535,
            ..Header::default()
        };
        let packet = to_packet(&header, &[], &[], self.host.key.remote_ip, self.host.key.local_ip);
        self.host.receive(packet, self.now);
        let mut out = Vec::new();
        while let Some(frame) = self.host.stack.poll_transmit(self.now) {
            out.push(from_packet(&frame.header, &self.host.key).0);
        }
        out
    }

    /// The whole handshake; false if the listener did not answer the SYN.
    fn open(&mut self, port: u16) -> bool {
        let Some(syn_ack) = self.send(port, Flags::SYN, 1000, 0).pop() else { return false };
        assert!(syn_ack.flags.has(Flags::SYN | Flags::ACK), "{syn_ack:?}");
        self.send(port, Flags::ACK, 1001, syn_ack.seq.0.wrapping_add(1));
        true
    }

    fn acceptable(&mut self) -> usize {
        let accepted = std::iter::from_fn(|| self.host.stack.accept(self.listener, self.now));
        accepted.count()
    }
}

/// a program that never accepts keeps as many connections waiting as it asked for, and no more.
#[test]
fn the_accept_queue_is_bounded() {
    for backlog in [1, 3, 8] {
        let mut crowd = Crowd::new(backlog, Setup::default());
        for port in 1..=50 {
            crowd.open(port);
        }
        let population = crowd.host.stack.population();
        assert!(population.connections <= backlog + 1, "{population:?} with a backlog of {backlog}");
        let accepted = crowd.acceptable();
        assert!((backlog..=backlog + 1).contains(&accepted), "{accepted} with a backlog of {backlog}");
        assert!(crowd.host.stack.counters().listen_overflows > 0);
        // There is room again.
        crowd.now += tidegate_proto::time::Duration::from_secs(1);
        assert!(crowd.open(1000));
        assert_eq!(crowd.acceptable(), 1);
    }
}

/// A third segment that finds no room is not an error of the peer's: it completes when there is room again.
#[test]
fn a_completion_without_room_can_be_repeated() {
    let mut crowd = Crowd::new(1, Setup::default());
    let mut numbers = Vec::new();
    for port in 1..=3 {
        numbers
            .extend(crowd.send(port, Flags::SYN, 1000, 0).pop().map(|syn_ack| (port, syn_ack.seq.0.wrapping_add(1))));
    }
    for (port, ack) in &numbers {
        let answer = crowd.send(*port, Flags::ACK, 1001, *ack);
        assert!(answer.iter().all(|header| !header.flags.has(Flags::RST)), "silence, not a reset: {answer:?}");
    }
    let mut accepted = crowd.acceptable();
    for (port, ack) in &numbers {
        crowd.send(*port, Flags::ACK, 1001, *ack);
        accepted += crowd.acceptable();
    }
    assert_eq!(accepted, numbers.len(), "every peer that had a SYN-ACK gets in");
}

#[test]
fn overflow_can_be_answered_with_reset() {
    let mut crowd = Crowd::new(1, Setup::default().host_config(|h| h.abort_on_overflow = true));
    let mut numbers = Vec::new();
    for port in 1..=4 {
        numbers
            .extend(crowd.send(port, Flags::SYN, 1000, 0).pop().map(|syn_ack| (port, syn_ack.seq.0.wrapping_add(1))));
    }
    let mut resets = 0;
    for (port, ack) in numbers {
        resets += crowd.send(port, Flags::ACK, 1001, ack).iter().filter(|header| header.flags.has(Flags::RST)).count();
    }
    assert!(resets > 0);
}

/// A-16 in its simplest form: half-open records are bounded, and each is small.
#[test]
fn the_syn_queue_is_bounded() {
    let mut crowd = Crowd::new(1000, Setup::default().host_config(|h| h.max_syn_backlog = 100));
    for port in 1..=5000 {
        crowd.send(port, Flags::SYN, 1000, 0);
    }
    let population = crowd.host.stack.population();
    assert!(population.half_open <= 100, "{population:?}");
    assert_eq!(population.connections, 0);
    assert_eq!(population.memory, 0, "no buffers for half-open records");
}

/// Half-open records that nobody completes end by themselves.
#[test]
fn half_open_records_end() {
    let mut crowd = Crowd::new(100, Setup::default());
    for port in 1..=50 {
        crowd.send(port, Flags::SYN, 1000, 0);
    }
    assert_eq!(crowd.host.stack.population().half_open, 50);
    while let Some(at) = crowd.host.stack.next_timeout() {
        crowd.now = at;
        crowd.host.stack.on_timeout(at);
        while crowd.host.stack.poll_transmit(at).is_some() {}
    }
    let left = crowd.host.stack.population();
    assert_eq!((left.half_open, left.timers), (0, 0));
}

//= 9293/MUST-41
#[test]
fn a_second_listener_is_refused_and_disturbs_nothing() {
    let mut p = Setup::default().open(Role::HostPassive, Corner::ALL[1]);
    let local = p.key.local();
    assert_eq!(stack(&mut p).listen(local, 5), Err(SocketError::AddressInUse));
    p.is(State::Established);
    p.inject("P. 1:101 ack 1");
    p.expect(". 1 ack 101");
    p.read(100);
    // The wildcard of the same port holds the same address.
    let any = SocketAddr::new("0.0.0.0".parse().expect("an address"), local.port());
    assert_eq!(stack(&mut p).listen(any, 5), Err(SocketError::AddressInUse));
}

//= 9293/MUST-42
#[test]
fn a_port_with_a_connection_under_way_can_listen() {
    let mut p = Setup::default().connect(Role::HostActive, Corner::ALL[1]);
    p.expect("S 0");
    p.is(State::SynSent);
    let local = p.key.local();
    stack(&mut p).listen(local, 5).expect("SYN-SENT does not forbid LISTEN");
    p.inject("S. 0 ack 1 <mss 1000>");
    p.expect(". 1 ack 1");
    p.is(State::Established);
}

//= 9293/MUST-43
#[test]
fn a_listener_may_name_its_address_or_not() {
    let any = "0.0.0.0:80".parse::<SocketAddr>().expect("an address");
    let named = "192.0.2.1:80".parse::<SocketAddr>().expect("an address");
    let foreign = "192.0.2.77:80".parse::<SocketAddr>().expect("an address");
    for (local, answered) in [(any, true), (named, true)] {
        let mut p = Setup::default().closed_host(Role::HostPassive, Corner::ALL[1]);
        stack(&mut p).listen(local, 5).expect("an address of ours, or any");
        p.inject("S 0 <mss 1000>");
        let answer = p.forget();
        assert_eq!(answer.iter().any(|sent| sent.header.flags.has(Flags::SYN)), answered);
    }
    let mut p = Setup::default().closed_host(Role::HostPassive, Corner::ALL[1]);
    assert_eq!(stack(&mut p).listen(foreign, 5), Err(SocketError::AddressNotAvailable));
    // Any IPv4 address is no IPv6 address.
    let mut p = Setup::default().closed_host(Role::HostPassive6, Corner::ALL[1]);
    stack(&mut p).listen(any, 5).expect("any address");
    p.inject("S 0 <mss 1000>");
    p.expect("R. * ack 1");
}

/// Closing a listener ends what was half open, and resets what nobody accepted.
#[test]
fn closing_a_listener_ends_what_waits() {
    let mut crowd = Crowd::new(5, Setup::default());
    crowd.send(1, Flags::SYN, 1000, 0);
    assert!(crowd.open(2));
    crowd.host.stack.close(crowd.listener, crowd.now).expect("it listens");
    let mut resets = 0;
    while let Some(frame) = crowd.host.stack.poll_transmit(crowd.now) {
        resets += usize::from(from_packet(&frame.header, &crowd.host.key).0.flags.has(Flags::RST));
    }
    assert_eq!(resets, 1, "the connection that was ready");
    let left = crowd.host.stack.population();
    assert_eq!((left.listeners, left.half_open, left.connections), (0, 0, 0));
    let answer = crowd.send(3, Flags::SYN, 1000, 0);
    assert!(answer.iter().all(|header| header.flags.has(Flags::RST)) && answer.len() == 1);
}

/// A connection that was reset before the program took it is not handed out as if it lived.
#[test]
fn a_connection_that_died_waiting_is_not_alive() {
    let mut crowd = Crowd::new(5, Setup::default());
    assert!(crowd.open(1));
    crowd.send(1, Flags::RST, 1001, 0);
    if let Some(socket) = crowd.host.stack.accept(crowd.listener, crowd.now) {
        assert_eq!(crowd.host.stack.state(socket), State::Closed);
    }
}

/// The program is told that somebody waits.
#[test]
fn the_program_is_told_of_connections() {
    let mut crowd = Crowd::new(5, Setup::default());
    crowd.send(1, Flags::SYN, 1000, 0);
    assert_eq!(crowd.host.stack.poll_event(), None, "half open is not acceptable");
    assert!(crowd.open(2));
    let events = std::iter::from_fn(|| crowd.host.stack.poll_event()).collect::<Vec<_>>();
    assert!(events.contains(&(crowd.listener, Event::Acceptable)), "{events:?}");
}

/// Connections of one listener do not know each other.
#[test]
fn connections_of_one_listener_are_apart() {
    let mut crowd = Crowd::new(5, Setup::default());
    assert!(crowd.open(1) && crowd.open(2));
    let first = crowd.host.stack.accept(crowd.listener, crowd.now).expect("two wait");
    let second = crowd.host.stack.accept(crowd.listener, crowd.now).expect("two wait");
    assert_ne!(first, second);
    crowd.send(1, Flags::RST, 1001, 0);
    assert_eq!(crowd.host.stack.state(first), State::Closed);
    assert_eq!(crowd.host.stack.state(second), State::Established);
}

/// What came before the program took the connection waits for it.
#[test]
fn data_before_accept_waits() {
    let mut p = listener();
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    p.inject(". 1 ack 1");
    p.inject("P. 1:501 ack 1");
    p.expect(". 1 ack 501");
    p.accept();
    p.read(500);
    p.forget();
}
