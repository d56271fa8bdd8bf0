//! No rule that cannot fail: a sound world is recorded, one thing in the record is falsified, and the watcher that sees
//! it played again must name the rule.
//!
//! Sections: the invariants, each once or more.
//! In: a world with a loss, a timeout, a duplicate and a clean close.
//! Out: the ids that the watcher gives.

use alloc::vec;

use tidegate_proto::net::{Cidr, HostConfig, IfaceConfig, InitialSequence, StackConfig};
use tidegate_proto::tcp::{AckCause, Cause, CloseReason, DropReason, ResetCause};
use tidegate_proto::wire::eth::MacAddr;
use tidegate_proto::wire::{Pos, Seq};

use super::frame::{ACK, FIN, Options};
use super::*;
use crate::app::Content;
use crate::app::pump::{CloseWhen, Open, Pump, PumpConfig};
use crate::link::{Act, LinkConfig, Rule};

type Record = Vec<(Instant, usize, Seen)>;
/// What is done to a record so that it is no longer true.
type Falsify = fn(&mut Record);

const A: usize = 0;
const B: usize = 1;
const PATH: Duration = Duration::from_millis(5);

fn setup(side: usize, host: HostId) -> Setup {
    let tcp = tcp::Config { timestamps: side == A, ..tcp::Config::default() };
    Setup {
        host,
        socket: SocketAddr::from(([192, 0, 2, 1 + u8::try_from(side).expect("0 or 1")], 80)),
        mtu: 576,
        link: Link::Ethernet,
        tcp,
        delay: PATH,
        merge: Duration::ZERO,
        may_abort: false,
    }
}

/// A sends 20,000 bytes and closes; B closes after it. One data segment and one acknowledgement are lost.
fn sound_world() -> (Record, [Setup; 2]) {
    let mut world = World::new(1);
    let setups = [A, B].map(|side| setup(side, HostId(side)));
    let ports = setups.each_ref().map(|setup| {
        let host = HostConfig { initial_sequence: InitialSequence::Fixed(Seq(u32::MAX)), ..HostConfig::default() };
        let id = world.add_host(StackConfig { tcp: setup.tcp.clone(), host });
        assert_eq!(id, setup.host);
        let addrs = vec![Cidr { addr: setup.socket.ip(), prefix: 24 }];
        let mac = Some(MacAddr([2, 0, 0, 0, 0, u8::try_from(id.0).expect("two hosts")]));
        world.add_interface(id, IfaceConfig { mac, mtu: setup.mtu, addrs, max_burst: 0, checksum_offload: false }, None)
    });
    let link = LinkConfig { delay: PATH, rate: Some(10_000_000), ..LinkConfig::default() };
    let there = world.add_link(ports[A], ports[B], link.clone());
    let back = world.add_link(ports[B], ports[A], link);
    world.add_rule(there, Rule { what: |g| g.is_data(), skip: 15, times: 1, act: Act::Drop });
    world.add_rule(back, Rule { what: |g| g.is_bare_ack(), skip: 2, times: 1, act: Act::Drop });
    for side in [A, B] {
        let (local, remote) = (setups[side].socket, setups[1 - side].socket);
        let pump = PumpConfig {
            open: match side {
                A => Open::Connect { local, remote, at: Instant::from_nanos(1) },
                _ => Open::Listen(local),
            },
            tcp: None,
            send: if side == A { 20_000 } else { 0 },
            sends: Content::new(1),
            write_size: 20_000,
            write_gap: Duration::ZERO,
            receives: Content::new(1),
            expect: if side == A { 0 } else { 20_000 },
            read_size: 65_536,
            read_gap: Duration::ZERO,
            read_after: Duration::ZERO,
            close: if side == A { CloseWhen::AllSent } else { CloseWhen::PeerClosed },
            abort_after: None,
        };
        world.add_app(ports[side].host, App::Pump(Pump::new(pump)));
    }
    let mut watcher = Watcher::new(1, setups.clone());
    watcher.keep_record();
    let result = world.run(&mut watcher);
    watcher.on_end(&world, &result);
    assert_eq!(watcher.violations(), []);
    (watcher.take_record(), setups)
}

fn judge(record: &Record, setups: &[Setup; 2]) -> Vec<&'static str> {
    let mut watcher = Watcher::new(1, setups.clone());
    for (at, side, seen) in record {
        watcher.judge(*at, *side, seen.clone());
    }
    watcher.violations().iter().map(|violation| violation.id).collect()
}

/// Where the `nth` segment is that leaves `side` and fits.
fn place_of(record: &Record, side: usize, nth: usize, fits: fn(&Sent) -> bool) -> usize {
    let found = record
        .iter()
        .enumerate()
        .filter(|(_, (_, at, seen))| matches!(seen, Seen::Sent(sent) if *at == side && fits(sent)));
    found.map(|(index, _)| index).nth(nth).expect("such a segment")
}

/// The `nth` segment that leaves `side` and fits.
fn sent(record: &mut Record, side: usize, nth: usize, fits: fn(&Sent) -> bool) -> &mut Sent {
    let index = place_of(record, side, nth, fits);
    let Seen::Sent(sent) = &mut record[index].2 else { unreachable!("just found") };
    sent
}

/// The variables of `side` at the `nth` rest in which they fit.
fn rest(record: &mut Record, side: usize, nth: usize, fits: fn(&Tcb) -> bool) -> (Instant, &mut View) {
    let views = record.iter_mut().filter_map(|(at, _, seen)| match seen {
        Seen::Rest(views) => Some((*at, &mut views[side])),
        _ => None,
    });
    views.filter(|(_, view)| view.live().is_some_and(fits)).nth(nth).expect("such a rest")
}

fn tcb(record: &mut Record, side: usize, nth: usize, fits: fn(&Tcb) -> bool) -> &mut Tcb {
    rest(record, side, nth, fits).1.tcb.as_mut().expect("live")
}

fn inner(record: &mut Record, side: usize, nth: usize, fits: fn(&Tcb) -> bool) -> &mut Inspection {
    tcb(record, side, nth, fits).inner.as_mut().expect("established")
}

fn end(record: &mut Record, side: usize) -> &mut View {
    match record.last_mut() {
        Some((_, _, Seen::End(views, _))) => &mut views[side],
        _ => unreachable!("a record ends with the end"),
    }
}

/// Inserts something behind the rest that follows on the segment that fits, and another rest behind that.
fn insert(record: &mut Record, index: usize, side: usize, seen: &[Seen], falsify: fn(&mut View)) {
    let behind = (index..).find(|i| matches!(record[*i].2, Seen::Rest(_))).expect("a rest follows");
    let (at, _, mut last) = record[behind].clone();
    if let Seen::Rest(views) = &mut last {
        falsify(&mut views[side]);
    }
    let new: Record = seen.iter().cloned().chain([last]).map(|seen| (at, side, seen)).collect();
    record.splice(behind + 1..behind + 1, new);
}

fn is_data(sent: &Sent) -> bool {
    !sent.segment.payload.is_empty()
}

fn is_again(sent: &Sent) -> bool {
    matches!(sent.cause, Some(Cause::Retransmit(_)))
}

fn is_established(tcb: &Tcb) -> bool {
    tcb.inner.is_some()
}

fn is_busy(tcb: &Tcb) -> bool {
    is_established(tcb) && tcb.info.bytes_in_flight > 2_000
}

fn has_gap(tcb: &Tcb) -> bool {
    tcb.inner.as_ref().is_some_and(|inner| !inner.ooo.is_empty())
}

fn damaged() -> Seen {
    let verdict = Verdict::Dropped(DropReason::BadChecksum);
    Seen::Arrived(Arrival { segment: None, segments: 1, verdict })
}

/// One falsification a line: the rule that must see it, and what is done to the record.
const FALSIFIED: &[(&str, Falsify)] = &[
    ("I-01", |r| rest(r, B, 9, is_established).1.app.read = 30_000),
    ("I-01", |r| rest(r, B, 9, is_established).1.app.trouble = Some(Trouble::WrongByte(5))),
    ("I-02", |r| end(r, B).app.read = 19_999),
    ("I-02", |r| end(r, B).app.trouble = Some(Trouble::Short { got: 1, expected: 2 })),
    ("I-03", |r| rest(r, B, 20, is_established).1.app.read = 0),
    ("I-03", |r| rest(r, B, 9, is_established).1.app.eof = true),
    ("I-04", |r| {
        let index = place_of(r, A, 12, is_data);
        insert(r, index, B, &[damaged()], |view| view.tcb.as_mut().expect("live").info.rcv_wnd -= 1);
    }),
    ("I-05", |r| tcb(r, A, 30, is_busy).info.snd_una = Pos(1)),
    ("I-05", |r| tcb(r, A, 9, is_busy).info.snd_nxt = Pos(-1)),
    ("I-06", |r| sent(r, B, 4, |s| s.segment.has(ACK)).segment.ack += 5_000),
    ("I-06", |r| sent(r, B, 9, |s| s.segment.has(ACK)).segment.ack -= 2_000),
    ("I-07", |r| tcb(r, A, 3, is_busy).info.snd_una = Pos(15_000)),
    ("I-07", |r| tcb(r, B, 3, is_established).info.rcv_nxt = Pos(15_000)),
    ("I-08", |r| {
        for (_, side, seen) in r {
            if let (A, Seen::Arrived(Arrival { segment: Some(segment), .. })) = (*side, seen) {
                segment.window = 1;
            }
        }
    }),
    ("I-09", |r| sent(r, B, 4, |s| s.segment.has(ACK)).segment.window = 0),
    ("I-09", |r| inner(r, B, 4, is_established).rcv_edge = Pos(100)),
    ("I-10", |r| {
        let segment = &mut sent(r, A, 0, is_again).segment;
        let mut bytes = segment.payload.to_vec();
        bytes[3] ^= 1;
        segment.payload = bytes.into();
    }),
    ("I-11", |r| sent(r, A, 1, is_data).segment.flags |= FIN),
    ("I-11", |r| sent(r, A, 1, is_data).segment.flags |= SYN),
    ("I-11", |r| sent(r, A, 1, is_data).segment.seq += 7),
    ("I-12", |r| inner(r, A, 4, is_busy).snd_wl.1 = Pos(2)),
    ("I-12", |r| inner(r, A, 4, is_busy).snd_edge = Pos(900_000)),
    ("I-13", |r| sent(r, B, 0, |s| !s.segment.options.sack.is_empty()).segment.options.sack[0].1 += 5_000),
    ("I-13", |r| sent(r, B, 2, |s| !s.segment.options.sack.is_empty()).segment.options.sack[0].1 -= 536),
    ("I-14", |r| inner(r, A, 4, is_busy).inflight.truncate(1)),
    ("I-14", |r| inner(r, A, 4, is_busy).pipe += 100),
    ("I-15", |r| inner(r, B, 0, has_gap).ooo[0].1 = Pos(900_000)),
    ("I-15", |r| inner(r, B, 0, has_gap).ooo[0].0 = Pos(1)),
    ("I-16", |r| {
        let (at, view) = rest(r, A, 4, is_busy);
        view.next_timeout = Some(at);
    }),
    ("I-16", |r| rest(r, A, 4, is_busy).1.next_timeout = None),
    ("I-17", |r| inner(r, A, 4, is_busy).timers.clear()),
    ("I-17", |r| {
        let idle = |tcb: &Tcb| is_established(tcb) && tcb.info.snd_una == tcb.info.snd_end;
        inner(r, B, 4, idle).timers.push((Timer::Retransmission, Instant::ZERO));
    }),
    ("I-18", |r| tcb(r, A, 4, is_busy).info.rto = Duration::ZERO),
    ("I-18", |r| tcb(r, A, 4, is_busy).info.backoff = 1),
    ("I-19", |r| tcb(r, A, 4, is_busy).info.min_rtt = Some(PATH)),
    ("I-19", |r| tcb(r, A, 1, is_busy).info.rtt = Some(Duration::from_secs(1))),
    ("I-21", |r| r.retain(|(_, side, seen)| !matches!((side, seen), (&B, Seen::Sent(s)) if !s.segment.has(SYN)))),
    ("I-22", |r| tcb(r, A, 2, is_busy).info.snd_cwnd = 0),
    ("I-22", |r| tcb(r, A, 2, is_busy).info.snd_ssthresh = 1),
    ("I-23", |r| sent(r, A, 8, is_data).note.as_mut().expect("a note").in_flight = 15_000),
    ("I-25", |r| tcb(r, A, 2, is_busy).info.snd_cwnd += 10),
    ("I-26", |r| {
        tcb(r, A, 2, is_busy).info.snd_ssthresh = 9;
        tcb(r, A, 3, is_busy).info.snd_ssthresh = 8;
    }),
    ("I-27", |r| tcb(r, A, 2, is_busy).info.memory = 0),
    ("I-27", |r| rest(r, A, 2, is_busy).1.population.memory += 1),
    ("I-28", |r| end(r, A).population.time_wait = 1),
    ("I-30", |r| {
        for nth in 1..4 {
            sent(r, A, nth, is_data).cause = Some(Cause::Ack(AckCause::Duplicate));
        }
    }),
    ("I-30", |r| {
        for nth in [3, 6] {
            sent(r, A, nth, is_data).cause = Some(Cause::Ack(AckCause::Challenge(DropReason::SynInWindow)));
        }
    }),
    ("I-32", |r| sent(r, A, 4, is_data).segment.packet_len = 577),
    ("I-32", |r| sent(r, A, 4, is_data).segment.options.mss = Some(536)),
    ("I-32", |r| r.insert(5, (Instant::ZERO, A, Seen::Garbage("the TCP checksum is wrong")))),
    ("I-33", |r| r.insert(5, (Instant::ZERO, A, Seen::Changed(State::FinWait2, State::LastAck)))),
    ("I-34", |r| {
        let first = sent(r, A, 0, is_data);
        first.segment.flags |= RST;
        first.cause = Some(Cause::Reset(ResetCause::NoConnection));
    }),
    ("I-34", |r| sent(r, A, 4, is_data).segment.flags |= RST),
    ("I-34", |r| {
        let index = place_of(r, A, 12, is_data);
        let mut reset = sent(r, A, 12, is_data).clone();
        reset.segment.flags |= RST;
        reset.cause = Some(Cause::Reset(ResetCause::NoConnection));
        let arrival = Arrival { segment: Some(reset.segment.clone()), segments: 1, verdict: Verdict::Accepted };
        insert(r, index, A, &[Seen::Arrived(arrival), Seen::Sent(reset)], |_| {});
    }),
    ("I-35", |r| sent(r, A, 4, is_data).segment.options.timestamps = Some((1, 2))),
    ("I-35", |r| sent(r, B, 0, |s| s.segment.has(SYN)).segment.options.timestamps = Some((1, 2))),
    ("I-35", |r| sent(r, A, 4, is_data).segment.options = Options { scale: Some(7), ..Options::default() }),
    ("I-36", |r| end(r, A).app.trouble = Some(Trouble::Ended(CloseReason::TimedOut))),
    ("I-36", |r| end(r, A).app.trouble = Some(Trouble::Ended(CloseReason::Reset))),
    ("I-36", |r| end(r, A).app.finished = false),
    ("I-38", |r| end(r, A).state = State::FinWait2),
];

#[test]
fn what_is_falsified_is_seen() {
    let (record, setups) = sound_world();
    assert_eq!(judge(&record, &setups), [] as [&str; 0]);
    let mut unseen = Vec::new();
    for (index, (id, falsify)) in FALSIFIED.iter().enumerate() {
        let mut falsified = record.clone();
        falsify(&mut falsified);
        let found = judge(&falsified, &setups);
        if !found.contains(id) {
            unseen.push(format!("line {index} of the table: {id} is not among {found:?}"));
        }
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
}

#[test]
fn every_rule_can_fail() {
    let rules = ON_SENT.iter().map(|(id, _)| id).chain(ON_REST.iter().chain(ON_END).map(|(id, _)| id));
    for id in rules.chain(&["I-33"]) {
        assert!(FALSIFIED.iter().any(|(falsified, _)| falsified == id), "{id}");
    }
}

#[test]
fn a_violation_tells_everything_that_is_needed_to_find_it() {
    let (mut record, setups) = sound_world();
    tcb(&mut record, A, 30, is_busy).info.snd_una = Pos(1);
    let mut watcher = Watcher::new(77, setups);
    for (at, side, seen) in record {
        watcher.judge(at, side, seen);
    }
    let text = format!("{}", watcher.violations()[0]);
    for part in ["I-05", "at A", "event", "seed 77", "A FIN-WAIT-1 una @1 nxt", "B ESTABLISHED", "rcv_edge"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
