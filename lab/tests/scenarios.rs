//! Every story of the lab ends as it should: states, causes, verdicts, and what the programs got.

use std::collections::BTreeSet;

use tidegate_lab::app::App;
use tidegate_lab::app::script::{Gave, Step};
use tidegate_lab::glimpse::Glimpse;
use tidegate_lab::rng::Ppm;
use tidegate_lab::scenario::{ALL, Scenario, Settings, Stage};
use tidegate_lab::world::{Change, HostId, Moment, Observer, Sighting, Way};
use tidegate_proto::net::{Cause, Population, SocketError};
use tidegate_proto::tcp::State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent, TimeWait,
};
use tidegate_proto::tcp::{
    self, AckCause, CloseReason, DropReason, ResetCause, RetransmitCause, SoftError, State, Verdict,
};
use tidegate_proto::time::Duration;
use tidegate_proto::wire::Flags;

/// Everything that happened in a world.
#[derive(Default, PartialEq, Debug)]
struct Chronicle {
    frames: Vec<Sighting>,
    changes: Vec<Change>,
}

impl Observer for Chronicle {
    fn on_moment(&mut self, moment: &Moment) {
        match moment {
            Moment::Frame(frame) => self.frames.push(frame.clone()),
            Moment::State(change) => self.changes.push(*change),
        }
    }
}

impl Chronicle {
    /// The states that a host's connections went through, in order, from the first `from` on.
    fn states(&self, host: HostId) -> Vec<State> {
        let mut out = Vec::new();
        for change in self.changes.iter().filter(|c| c.host == host) {
            if out.last() != Some(&change.from) {
                out.push(change.from);
            }
            out.push(change.to);
        }
        out
    }

    /// The TCP causes of what a host sent, in order.
    fn causes(&self, host: HostId) -> Vec<tcp::Cause> {
        let sent = self.frames.iter().filter(|f| f.port.host == host && f.is_out());
        sent.filter_map(|f| match f.origin.cause {
            Some(Cause::Tcp(cause)) => Some(cause),
            _ => None,
        })
        .collect()
    }

    /// What a host's stack said of frames that did not do their work.
    fn refusals(&self, host: HostId) -> Vec<Verdict> {
        let received = self.frames.iter().filter(|f| f.port.host == host);
        received
            .filter_map(|f| match f.way {
                Way::In(verdict) if verdict != Verdict::Accepted => Some(verdict),
                _ => None,
            })
            .collect()
    }

    /// How many data bytes, and in how many frames, a host received in `state`.
    fn data_seen_in(&self, host: HostId, state: State) -> (usize, usize) {
        let data = self.frames.iter().filter(|f| f.port.host == host && !f.is_out() && f.state == Some(state));
        data.filter_map(|f| Glimpse::of(&f.bytes).tcp).fold((0, 0), |(bytes, n), t| (bytes + t.payload, n + 1))
    }
}

fn play(name: &str, settings: &Settings) -> (Stage, Chronicle) {
    let scenario = Scenario::by_name(name).expect("a scenario of that name");
    let mut stage = (scenario.build)(settings);
    let mut chronicle = Chronicle::default();
    let ended = stage.world.run(&mut chronicle);
    assert_eq!(ended, Ok(()), "{name}");
    if scenario.succeeds {
        for host in [stage.a.host, stage.b.host] {
            for app in stage.world.apps(host) {
                assert_eq!(app.trouble(), None, "{name}: host {}", host.0);
            }
        }
    }
    (stage, chronicle)
}

fn told(name: &str) -> (Stage, Chronicle) {
    play(name, &Settings::default())
}

/// What a script's steps gave, without those that only wait.
fn gave(stage: &Stage, host: HostId) -> Vec<(Step, Gave)> {
    let script = stage.script(host).expect("a script runs there");
    let calls = script.done().iter().filter(|d| !matches!(d.step, Step::Wait(_) | Step::Until(_)));
    calls.map(|d| (d.step, d.gave)).collect()
}

const OPENED_BY_A: [State; 3] = [Closed, SynSent, Established];
const OPENED_BY_B: [State; 3] = [Listen, SynReceived, Established];
const CLOSED_FIRST: [State; 4] = [FinWait1, FinWait2, TimeWait, Closed];
const CLOSED_SECOND: [State; 3] = [CloseWait, LastAck, Closed];

#[test]
fn the_articles_scene_ends_in_the_articles_numbers() {
    let (stage, chronicle) = told("article");
    let App::Client(client) = &stage.world.apps(stage.a.host)[0] else { panic!("A runs the client") };
    let ports: Vec<u16> = client.downloads().iter().map(|d| d.port).collect();
    assert_eq!(ports, [37_584, 37_586]);
    assert!(client.downloads().iter().all(|d| d.bytes == 65_536 && d.trouble.is_none()));

    for port in ports {
        let segments: Vec<(bool, _)> = chronicle
            .frames
            .iter()
            .filter(|f| f.port == stage.a)
            .filter_map(|f| Some((f.is_out(), Glimpse::of(&f.bytes).tcp?)))
            .filter(|(_, t)| t.from.port() == port || t.to.port() == port)
            .collect();
        let isn = |out| {
            let syn = segments.iter().find(|(o, t)| *o == out && t.header.flags.has(Flags::SYN));
            syn.expect("both sides send SYN").1.header.seq
        };
        let (x, y) = (isn(true), isn(false));
        let fins: Vec<_> = segments.iter().filter(|(_, t)| t.header.flags.has(Flags::FIN)).collect();
        let [(true, u), (false, w)] = fins[..] else { panic!("A closes first, B second, once each") };
        assert_eq!((u.header.seq.distance(x), w.header.seq.distance(y)), (152, 65_801));
        assert_eq!(w.header.ack.distance(x), 153, "B's FIN carries the acknowledgement of A's");
        let release = segments.iter().position(|(_, t)| t.header.flags.has(Flags::FIN)).expect("there is a FIN");
        assert_eq!(segments.len() - release, 3, "three segments release the connection");
        let (out, last) = segments.last().expect("there are segments");
        assert!(out);
        assert_eq!(last.header.ack.distance(y), 65_802);
        let merged = segments.iter().filter(|(o, t)| !o && t.payload == 7_240).count();
        assert!(merged >= 2, "7,240 bytes are five segments merged");
    }
    // SYN to SYN-ACK: two delays of 70 us.
    let shook = chronicle.changes.iter().find(|c| c.to == Established).expect("the handshake is completed");
    assert_eq!(shook.at.since(Stage::FIRST_SYN), Duration::from_micros(140));
    assert_eq!(chronicle.refusals(stage.a.host), []);
    assert_eq!(chronicle.refusals(stage.b.host), []);
}

#[test]
fn nothing_is_left_when_the_article_is_over() {
    let (stage, _) = told("article");
    for (host, listeners) in [(stage.a.host, 0), (stage.b.host, 1)] {
        let left = Population { memory: 0, ..stage.world.stack(host).population() };
        assert_eq!(left, Population { listeners, timers: left.timers, ..Population::default() });
    }
}

#[test]
fn a_server_that_thinks_longer_than_the_delayed_acknowledgement_makes_four_segments() {
    let settings = Settings { think: Duration::from_millis(100), downloads: 1, ..Settings::default() };
    let (stage, chronicle) = play("article", &settings);
    let acks = chronicle.causes(stage.b.host).into_iter().filter(|c| *c == tcp::Cause::Ack(AckCause::Delayed)).count();
    assert_eq!(acks, 1, "A's FIN is acknowledged by the delayed-ACK timer");
    assert_eq!(chronicle.states(stage.a.host), [&OPENED_BY_A[..], &CLOSED_FIRST].concat());
}

#[test]
fn without_merging_every_segment_is_seen() {
    let (stage, chronicle) = play("article", &Settings { merge: None, ..Settings::default() });
    let largest = chronicle.frames.iter().map(|f| f.bytes.len()).max();
    assert_eq!(largest, Some(1_514));
    assert!(chronicle.frames.iter().all(|f| f.segments == 1));
    let data = chronicle.frames.iter().filter(|f| f.port == stage.a && !f.is_out() && Glimpse::of(&f.bytes).is_data());
    assert_eq!(data.count(), 2 * 46, "65,800 bytes are 45 segments of 1,448 and one of 640");
}

#[test]
fn it_works_over_ipv6_too() {
    let (stage, chronicle) = play("article", &Settings { ipv6: true, ..Settings::default() });
    assert!(stage.a_ip.is_ipv6());
    let mut lengths = chronicle.frames.iter().filter_map(|f| Glimpse::of(&f.bytes).tcp).map(|t| t.payload);
    assert!(lengths.any(|n| n == 5 * 1_428), "the IPv6 header is 20 bytes longer");
}

#[test]
fn simultaneous_open_makes_one_connection() {
    let (stage, chronicle) = told("simultaneous-open");
    for host in [stage.a.host, stage.b.host] {
        assert_eq!(chronicle.states(host)[..4], [Closed, SynSent, SynReceived, Established]);
        let causes = chronicle.causes(host);
        assert_eq!(causes[..2], [tcp::Cause::Syn, tcp::Cause::SynAck]);
    }
}

#[test]
fn simultaneous_close_passes_through_closing() {
    let (stage, chronicle) = told("simultaneous-close");
    for host in [stage.a.host, stage.b.host] {
        let states = chronicle.states(host);
        assert_eq!(states[2..], [Established, FinWait1, Closing, TimeWait, Closed]);
    }
}

#[test]
fn data_flows_back_over_a_half_closed_connection() {
    let (stage, chronicle) = told("half-close");
    assert_eq!(chronicle.states(stage.a.host), [&OPENED_BY_A[..], &CLOSED_FIRST].concat());
    assert_eq!(chronicle.states(stage.b.host), [&OPENED_BY_B[..], &CLOSED_SECOND].concat());
    assert_eq!(chronicle.data_seen_in(stage.a.host, FinWait2).0, 20_000);
}

#[test]
fn a_port_without_listener_refuses() {
    let (stage, chronicle) = told("connection-refused");
    assert_eq!(chronicle.states(stage.a.host), [Closed, SynSent, Closed]);
    assert_eq!(chronicle.states(stage.b.host), []);
    assert_eq!(chronicle.causes(stage.b.host), [tcp::Cause::Reset(ResetCause::NoConnection)]);
    assert_eq!(chronicle.refusals(stage.b.host), [Verdict::Answered(DropReason::NoConnection)]);
    assert_eq!(stage.script(stage.a.host).and_then(|s| s.ended()), Some(CloseReason::Refused));
}

#[test]
fn an_abort_resets_the_connection() {
    let (stage, chronicle) = told("reset-in-transfer");
    assert_eq!(chronicle.states(stage.a.host), [Closed, SynSent, Established, Closed]);
    assert_eq!(chronicle.states(stage.b.host), [Listen, SynReceived, Established, Closed]);
    assert!(chronicle.causes(stage.a.host).contains(&tcp::Cause::Reset(ResetCause::Abort)));
    assert_eq!(stage.script(stage.b.host).and_then(|s| s.ended()), Some(CloseReason::Reset));
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let (stage, chronicle) = told("zero-window");
    let windows: BTreeSet<u16> = chronicle
        .frames
        .iter()
        .filter(|f| f.port == stage.a && f.is_out())
        .filter_map(|f| Glimpse::of(&f.bytes).tcp)
        .filter(|t| t.header.flags == Flags::ACK)
        .map(|t| t.header.window)
        .collect();
    assert!(windows.contains(&0), "{windows:?}");
    let probes: Vec<u8> = chronicle
        .causes(stage.b.host)
        .into_iter()
        .filter_map(|c| if let tcp::Cause::WindowProbe(n) = c { Some(n) } else { None })
        .collect();
    assert!(probes.len() >= 2 && probes.is_sorted(), "{probes:?}");
    assert!(chronicle.causes(stage.a.host).contains(&tcp::Cause::Ack(AckCause::WindowUpdate)));
}

#[test]
fn both_directions_carry_data_at_once() {
    let (stage, chronicle) = told("full-duplex");
    for (host, closed) in [(stage.a.host, FinWait1), (stage.b.host, Established)] {
        let App::Pump(pump) = &stage.world.apps(host)[0] else { panic!("a pump runs there") };
        assert_eq!((pump.sent(), pump.received(), pump.saw_eof()), (50_000, 50_000, true));
        assert!(chronicle.data_seen_in(host, Established).0 > 10_000, "{closed}");
    }
}

#[test]
fn three_writes_are_one_read() {
    let (stage, _) = told("byte-stream");
    let writes: Vec<Gave> =
        gave(&stage, stage.a.host).into_iter().filter(|(s, _)| matches!(s, Step::Say(_))).map(|(_, g)| g).collect();
    assert_eq!(writes, [Gave::Bytes(4), Gave::Bytes(4), Gave::Bytes(6)]);
    let reads: Vec<Gave> = gave(&stage, stage.b.host)
        .into_iter()
        .filter(|(s, _)| matches!(s, Step::ReadOnce(_)))
        .map(|(_, g)| g)
        .collect();
    assert_eq!(reads, [Gave::Bytes(14)]);
}

#[test]
fn a_lost_syn_is_sent_again_after_a_second() {
    let (stage, chronicle) = told("lost-syn");
    let causes = chronicle.causes(stage.a.host);
    assert_eq!(causes[..2], [tcp::Cause::Syn, tcp::Cause::Retransmit(RetransmitCause::Syn(1))]);
    assert_eq!(chronicle.states(stage.a.host), [&OPENED_BY_A[..], &CLOSED_FIRST].concat());
    let established = chronicle.changes.iter().find(|c| c.to == Established).expect("it is established");
    let waited = established.at.since(stage.start);
    assert_eq!(waited.as_millis(), 1_000);
}

#[test]
fn a_lost_third_segment_is_healed_by_the_syn_ack() {
    let (stage, chronicle) = told("lost-third-ack");
    assert!(chronicle.causes(stage.b.host).contains(&tcp::Cause::Retransmit(RetransmitCause::SynAck(1))));
    let when = |host: HostId| {
        let change = chronicle.changes.iter().find(|c| c.host == host && c.to == Established);
        change.expect("both are established").at
    };
    // A believes in the connection a second before B does.
    assert_eq!(when(stage.b.host).since(when(stage.a.host)).as_millis(), 1_000);
    assert_eq!(chronicle.refusals(stage.a.host), [Verdict::Answered(DropReason::Duplicate)]);
}

#[test]
fn an_old_syn_is_answered_and_the_answer_is_reset() {
    let (stage, chronicle) = told("old-duplicate-syn");
    let a = [&OPENED_BY_A[..], &CLOSED_FIRST].concat();
    assert_eq!(chronicle.states(stage.a.host), a, "A has one connection, and never hears of another");
    let b = [&OPENED_BY_B[..], &CLOSED_SECOND, &[Listen, SynReceived, Listen]].concat();
    assert_eq!(chronicle.states(stage.b.host), b, "B takes the old SYN for a new one, until the RST comes");
    assert_eq!(chronicle.causes(stage.a.host).last(), Some(&tcp::Cause::Reset(ResetCause::NoConnection)));
    assert_eq!(chronicle.refusals(stage.a.host), [Verdict::Answered(DropReason::NoConnection)]);
}

#[test]
fn a_lost_last_acknowledgement_restarts_two_msl() {
    let (stage, chronicle) = told("lost-last-ack");
    assert!(chronicle.causes(stage.b.host).contains(&tcp::Cause::Retransmit(RetransmitCause::Timeout(1))));
    let again = chronicle
        .frames
        .iter()
        .filter(|f| f.port == stage.a && !f.is_out() && Glimpse::of(&f.bytes).is_fin())
        .map(|f| f.at)
        .next_back()
        .expect("the FIN came again");
    let gone = chronicle.changes.iter().find(|c| c.from == TimeWait).expect("TIME-WAIT ends");
    assert_eq!(gone.at.since(again), Duration::from_secs(60));
    assert_eq!(chronicle.states(stage.b.host), [&OPENED_BY_B[..], &CLOSED_SECOND].concat());
    assert!(chronicle.causes(stage.a.host).contains(&tcp::Cause::Ack(AckCause::TimeWait)));
}

#[test]
fn an_old_segment_is_too_old_by_its_timestamp() {
    let (stage, chronicle) = told("old-segment");
    assert_eq!(chronicle.refusals(stage.b.host), [Verdict::Answered(DropReason::Paws)]);
}

#[test]
fn an_old_segment_without_timestamp_lies_left_of_the_window() {
    let mut settings = Settings::default();
    settings.stack.tcp.timestamps = false;
    let (stage, chronicle) = play("old-segment", &settings);
    assert_eq!(chronicle.refusals(stage.b.host), [Verdict::Answered(DropReason::Duplicate)]);
}

#[test]
fn a_vanished_peer_is_given_up() {
    let (stage, chronicle) = told("peer-vanishes");
    assert_eq!(chronicle.states(stage.a.host), [Closed, SynSent, Established, Closed]);
    let script = stage.script(stage.a.host).expect("a script runs there");
    assert_eq!(script.ended(), Some(CloseReason::TimedOut));
    let warned = script.done().iter().any(|d| d.gave == Gave::Warned(SoftError::ExcessiveRetransmissions));
    assert!(warned, "R1 was reached");
    let timeouts = chronicle
        .causes(stage.a.host)
        .into_iter()
        .filter(|c| matches!(c, tcp::Cause::Retransmit(RetransmitCause::Timeout(_))))
        .count();
    assert_eq!(timeouts, 15, "tcp_retries2");
    let at = script.done().last().expect("it ended").at.since(Stage::FIRST_SYN).as_secs();
    assert!((900..960).contains(&at), "a quarter of an hour, as on Linux: {at}");
}

#[test]
fn multicast_is_refused_and_dropped() {
    let (stage, chronicle) = told("multicast");
    let call = gave(&stage, stage.a.host)[0].1;
    assert_eq!(call, Gave::Refused(SocketError::InvalidAddress));
    assert_eq!(chronicle.refusals(stage.b.host), [Verdict::Dropped(DropReason::Multicast)]);
    assert_eq!(chronicle.causes(stage.a.host), []);
    assert_eq!(chronicle.causes(stage.b.host), []);
}

/// I-41: the same seed gives the same world to the last bit, another seed another one.
#[test]
fn the_same_seed_tells_the_same_story() {
    let noisy = |seed| {
        let mut settings = Settings { seed, ..Settings::default() };
        settings.link.loss = Ppm::percent(3);
        settings.link.reorder = Ppm::percent(3);
        settings.link.duplicate = Ppm::percent(3);
        settings.link.corrupt = Ppm::percent(1);
        settings
    };
    for scenario in ALL {
        assert_eq!(told(scenario.name).1, told(scenario.name).1, "{}", scenario.name);
    }
    let one = play("article", &noisy(1)).1;
    assert_eq!(one, play("article", &noisy(1)).1);
    assert_ne!(one, play("article", &noisy(2)).1);
}

/// Damaged frames are told from others by their receiver, and the file arrives whole all the same.
#[test]
fn a_bad_link_is_repaired() {
    for seed in 0..20 {
        let mut settings = Settings { seed, downloads: 1, ..Settings::default() };
        settings.link.loss = Ppm::percent(10);
        settings.link.corrupt = Ppm::percent(5);
        settings.link.duplicate = Ppm::percent(5);
        settings.link.reorder = Ppm::percent(10);
        let (stage, chronicle) = play("article", &settings);
        let App::Client(client) = &stage.world.apps(stage.a.host)[0] else { panic!("A runs the client") };
        assert_eq!(client.received(), 65_536, "seed {seed}");
        let damaged = chronicle.frames.iter().any(|f| matches!(&f.way, Way::Out(p) if p.iter().any(|p| p.corrupted)));
        let noticed = [stage.a.host, stage.b.host]
            .iter()
            .flat_map(|h| chronicle.refusals(*h))
            .any(|v| matches!(v, Verdict::Dropped(DropReason::BadChecksum | DropReason::Malformed)));
        assert!(!damaged || noticed || seed > 0, "seed {seed}");
    }
}
