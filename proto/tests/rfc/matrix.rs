//! The whole of Figure 5 and section 3.10: every state against every event.
//!
//! Sections: RFC 9293 3.3.2, 3.10; RFC 5961; RFC 1337.
//! In: each of the eleven states, reached by segments on a whole host; each kind of segment, call and timeout.
//! Out: a table to hold against the RFC; and for all 256 flag bytes, what must never happen.

use std::fmt::Write as _;

use tidegate_proto::tcp::{CloseReason, Event, State, Verdict};
use tidegate_proto::time::Duration;
use tidegate_proto::wire::Flags;

use crate::play::{Corner, Host, Origin, Play, Role, Sent, Setup, Subject, cause_name, to_packet};

/// A state and the numbers in it: 100 bytes came and went, and, where the state allows it, 100 more are on their way.
#[derive(Clone)]
struct Row {
    name: &'static str,
    play: Play,
    una: i64,
    nxt: i64,
    rcv: i64,
}

fn rows() -> Vec<Row> {
    let setup = Setup::default();
    let row = |name, play: Play, una, nxt, rcv| {
        let mut row = Row { name, play, una, nxt, rcv };
        row.play.forget();
        row.play.take_events();
        row
    };
    let passive = Role::HostPassive;
    let corner = Corner::ALL[5];
    let mut rows = vec![
        row("CLOSED", setup.closed_host(passive, corner), 0, 0, 0),
        row("LISTEN", setup.host(passive, corner), 0, 0, 0),
        row("SYN-SENT", setup.connect(Role::HostActive, corner), 0, 1, 0),
    ];
    let mut p = setup.host(passive, corner);
    p.inject("S 0 <mss 1000>");
    rows.push(row("SYN-RECEIVED (passive: from LISTEN)", p, 0, 1, 1));
    let mut p = setup.connect(Role::HostActive, corner);
    p.forget();
    p.inject("S 0 <mss 1000>");
    rows.push(row("SYN-RECEIVED (active: from SYN-SENT)", p, 0, 1, 1));
    for (name, steps, nxt, rcv) in [
        ("ESTABLISHED", &[][..], 201, 101),
        ("FIN-WAIT-1", &["close"], 202, 101),
        ("FIN-WAIT-2", &["close", ". 101 ack 202"], 202, 101),
        ("CLOSE-WAIT", &["F. 101 ack 101"], 201, 102),
        ("CLOSING", &["close", "F. 101 ack 101"], 202, 102),
        ("LAST-ACK", &["F. 101 ack 101", "close"], 202, 102),
        ("TIME-WAIT", &["close", "F. 101 ack 202"], 202, 102),
    ] {
        let mut p = setup.open(passive, corner);
        p.inject_blindly("P. 1:101 ack 1");
        p.write(100);
        p.forget();
        p.inject_blindly(". 101 ack 101");
        p.write(100);
        for step in steps {
            p.forget();
            match *step {
                "close" => p.close(),
                segment => drop(p.inject(segment)),
            }
        }
        p.wait(50);
        let una = if matches!(name, "FIN-WAIT-2" | "TIME-WAIT") { 202 } else { 101 };
        rows.push(row(name, p, una, nxt, rcv));
    }
    for row in &rows {
        assert!(row.name.starts_with(row.play.state().name()), "{}\n{}", row.name, row.play.story());
    }
    rows
}

/// What happened in one cell.
struct Cell {
    state: State,
    sent: Vec<Sent>,
    told: Vec<Event>,
    note: String,
}

impl Row {
    fn segments(&self) -> Vec<(&'static str, String)> {
        let Row { una, nxt, rcv, .. } = *self;
        let to = |first: i64, len: i64| format!("{first}:{}", first + len);
        vec![
            ("SYN, the peer's first", "S 0 <mss 1000>".to_owned()),
            ("SYN in the window", format!("S {}", rcv + 50)),
            ("SYN beyond the window", format!("S {} <mss 1000>", rcv + 500_000)),
            ("SYN+ACK of all we sent", format!("S. 0 ack {nxt} <mss 1000>")),
            ("SYN+ACK of too much", format!("S. 0 ack {} <mss 1000>", nxt + 1)),
            ("ACK of all we sent", format!(". {rcv} ack {nxt}")),
            ("ACK of nothing new", format!(". {rcv} ack {una}")),
            ("ACK, old", format!(". {rcv} ack {}", una - 50)),
            ("ACK, older than the connection", format!(". {rcv} ack {}", una - 300)),
            ("ACK of too much", format!(". {rcv} ack {}", nxt + 1)),
            ("ACK at an old number", format!(". {} ack {nxt}", rcv - 1)),
            ("data in order", format!("P. {} ack {nxt}", to(rcv, 10))),
            ("data out of order", format!("P. {} ack {nxt}", to(rcv + 50, 10))),
            ("data received before", format!("P. {} ack {nxt}", to(rcv - 10, 10))),
            ("data beyond the window", format!("P. {} ack {nxt}", to(rcv + 500_000, 10))),
            ("data that acknowledges too much", format!("P. {} ack {}", to(rcv, 10), nxt + 1)),
            ("data without ACK", format!("P {}", to(rcv, 10))),
            ("urgent data", format!("U. {} ack {nxt} urg 5", to(rcv, 10))),
            ("FIN", format!("F. {rcv} ack {una}")),
            ("FIN that acknowledges all", format!("F. {rcv} ack {nxt}")),
            ("FIN behind a gap", format!("F. {} ack {nxt}", rcv + 50)),
            ("FIN again", format!("F. {} ack {nxt}", rcv - 1)),
            ("FIN without ACK", format!("F {rcv}")),
            ("RST at RCV.NXT", format!("R {rcv}")),
            ("RST+ACK of all we sent", format!("R. {rcv} ack {nxt}")),
            ("RST+ACK of too much", format!("R. {rcv} ack {}", nxt + 1)),
            ("RST in the window", format!("R {}", rcv + 50)),
            ("RST beyond the window", format!("R {}", rcv + 500_000)),
            ("no flags", format!("none {rcv}")),
            ("SYN+FIN", format!("SF {rcv}")),
            ("SYN+RST", format!("SR {rcv}")),
            ("SYN+FIN+ACK", format!("SF. {rcv} ack {nxt}")),
        ]
    }

    fn cell(&self, act: impl FnOnce(&mut Play) -> String) -> Cell {
        let mut p = self.play.clone();
        let note = act(&mut p);
        let told = p.take_events();
        let (state, sent) = (p.state(), p.forget());
        Cell { state, sent, told, note }
    }

    fn inject(&self, line: &str) -> Cell {
        self.cell(|p| verdict(p.inject(line)))
    }

    /// The numbers of this row's segments, relative.
    fn show(&self, sent: &Sent) -> String {
        let first = Origin::relative(self.play.iss.unwrap_or_default(), sent.header.seq);
        let mut text = format!("{} ", sent.header.flags);
        let unknown = self.play.iss.is_none() && sent.header.flags.has(Flags::SYN);
        text.push_str(&if unknown { "ISS".to_owned() } else { first.to_string() });
        if !sent.payload.is_empty() {
            write!(text, ":{}", first + sent.payload.len() as i64).expect("a string takes everything");
        }
        if sent.header.flags.has(Flags::ACK) {
            let ack = Origin::relative(self.play.irs, sent.header.ack);
            write!(text, " ack {ack}").expect("a string takes everything");
        }
        format!("{text} ({})", cause_name(sent.cause))
    }
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Answered(reason) => format!("answered: {}", reason.name()),
        Verdict::Dropped(reason) => format!("dropped: {}", reason.name()),
    }
}

/// A call of the program, if this row has a socket for it.
type Call = (&'static str, fn(&mut Play) -> String);

const CALLS: [Call; 6] = [
    ("OPEN of the same sockets", |p| {
        let (key, now) = (p.key, p.now);
        let result = host(p).stack.connect(Some(key.local()), key.remote(), now).map(|_| "opened");
        p.drain();
        format!("{result:?}")
    }),
    ("SEND of 10 bytes", |p| with_socket(p, |p| format!("{:?}", p.write_some(10)))),
    ("RECEIVE of 1 byte", |p| with_socket(p, |p| format!("{:?}", p.try_read()))),
    ("CLOSE", |p| {
        with_socket(p, |p| {
            p.close();
            "ok".to_owned()
        })
    }),
    ("ABORT", |p| {
        with_socket(p, |p| {
            p.abort();
            "ok".to_owned()
        })
    }),
    ("STATUS", |p| {
        with_socket(p, |p| {
            let Host { stack, socket, .. } = host(p);
            stack.state(socket.expect("there is one")).to_string()
        })
    }),
];

const TIMEOUTS: [Call; 2] = [
    ("the next timer", |p| {
        let before = p.now;
        if p.next_timer() { format!("after {}", p.now.since(before)) } else { "there is none".to_owned() }
    }),
    ("an hour of silence", |p| {
        let end = p.now + Duration::from_secs(3600);
        while p.subject.next_timeout().is_some_and(|at| at <= end) && p.next_timer() {
            p.forget();
        }
        String::new()
    }),
];

fn host(p: &mut Play) -> &mut Host {
    let Subject::Host(host) = &mut p.subject else { unreachable!("the rows are hosts") };
    host
}

fn with_socket(p: &mut Play, call: impl FnOnce(&mut Play) -> String) -> String {
    if host(p).socket.is_some() { call(p) } else { "there is no socket".to_owned() }
}

#[test]
fn every_state_against_every_event() {
    let mut table = String::new();
    for row in rows() {
        let _ = writeln!(table, "{} (snd.una {}, snd.nxt {}, rcv.nxt {})", row.name, row.una, row.nxt, row.rcv);
        let segments = row.segments().into_iter().map(|(name, line)| {
            let cell = row.inject(&line);
            (format!("{name:31} {line}"), cell)
        });
        let damaged = (format!("{:31} P. {}", "a bad checksum", row.rcv), row.cell(|p| damaged(p, row.rcv)));
        let calls = CALLS.iter().chain(&TIMEOUTS).map(|(name, call)| (name.to_string(), row.cell(call)));
        for (event, cell) in segments.chain([damaged]).chain(calls.collect::<Vec<_>>()) {
            let state = if cell.state == row.play.state() { "=".to_owned() } else { cell.state.to_string() };
            let sent = cell.sent.iter().map(|sent| row.show(sent)).collect::<Vec<_>>().join("; ");
            let told = cell.told.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>().join(", ");
            let line = format!("  {event:60} | {state:12} | {sent:44} | {:34} | {told}", cell.note);
            let _ = writeln!(table, "{}", line.trim_end().trim_end_matches('|').trim_end());
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

/// Data in order whose checksum is wrong.
fn damaged(p: &mut Play, rcv: i64) -> String {
    let header = tidegate_proto::wire::Header {
        src_port: p.key.remote_port,
        dst_port: p.key.local_port,
        seq: Origin::absolute(p.irs, rcv),
        ack: p.iss.unwrap_or_default(),
        flags: Flags::PSH | Flags::ACK,
        window: 1,
        ..Default::default()
    };
    let mut packet = to_packet(&header, &[], &[1, 2, 3], p.key.remote_ip, p.key.local_ip);
    *packet.last_mut().expect("it is not empty") ^= 0x40;
    let now = p.now;
    let result = host(p).receive(packet, now);
    p.drain();
    verdict(result)
}

/// Figure 5, and the ways out by RST and ABORT: from a state, everything that one segment may lead to.
fn may_follow(from: State, to: State, row: &Row) -> bool {
    use State::*;
    let listens = row.play.subject.is_listening();
    let over = if listens { Listen } else { Closed };
    from == to
        || match from {
            Listen => to == SynReceived,
            SynSent => matches!(to, SynReceived | Established) || to == over,
            // The segment that completes the handshake may carry FIN.
            SynReceived => matches!(to, Established | CloseWait) || to == over,
            Established => to == CloseWait || to == over,
            FinWait1 => matches!(to, FinWait2 | Closing | TimeWait) || to == over,
            FinWait2 => to == TimeWait || to == over,
            CloseWait | LastAck => to == over,
            Closing => to == TimeWait || to == over,
            // A new SYN beyond the old numbers (MAY-2).
            TimeWait => listens && to == SynReceived,
            Closed => false,
        }
}

/// all 256 flag bytes in all states, with and without payload, at several numbers.
#[test]
fn every_flag_byte_in_every_state() {
    for row in rows() {
        let from = row.play.state();
        for bits in 0..=255_u16 {
            let flags = Flags(bits);
            for (seq, len) in [(row.rcv, 0), (row.rcv, 10), (row.rcv + 50, 0), (row.rcv - 1, 1), (row.rcv + 500_000, 5)]
            {
                for ack in [row.nxt, row.una, row.nxt + 1, row.una - 300] {
                    let cell = row.cell(|p| verdict(p.inject_flags(flags, seq, len, ack)));
                    let what = format!("{flags} {seq}+{len} ack {ack} in {}: {} {:?}", row.name, cell.note, cell.state);
                    check(&row, from, flags, &cell, &what);
                }
            }
        }
    }
}

fn check(row: &Row, from: State, flags: Flags, cell: &Cell, what: &str) {
    let has = |flag| flags.has(flag);
    let answers = cell.sent.iter().filter(|sent| sent.payload.is_empty()).count();
    assert!(answers <= 1, "one answer to one segment: {what}");
    assert!(may_follow(from, cell.state, row), "no such arrow in Figure 5: {what}");
    let reset = cell.sent.iter().any(|sent| sent.header.flags.has(Flags::RST));
    assert!(!(reset && has(Flags::RST)), "a reset for a reset: {what}");
    let nonsense = has(Flags::SYN) && flags.any(Flags::FIN | Flags::RST)
        || !flags.any(Flags::SYN | Flags::FIN | Flags::RST | Flags::ACK);
    if nonsense && from != State::Closed {
        assert_eq!(cell.state, from, "nonsense changes nothing: {what}");
        assert!(cell.sent.is_empty() && cell.told.is_empty(), "nonsense gets no answer: {what}");
    }
    if from.is_synchronized() && !flags.any(Flags::ACK | Flags::SYN | Flags::RST) {
        assert_eq!(cell.state, from, "without ACK nothing happens: {what}");
        assert!(cell.told.is_empty(), "without ACK nobody is told anything: {what}");
    }
    if from.is_synchronized() && has(Flags::SYN) {
        assert!(cell.state == from || from == State::TimeWait, "SYN ends nothing: {what}");
    }
    let over = matches!(cell.state, State::Closed | State::Listen) && cell.state != from;
    let aborted = cell
        .told
        .iter()
        .any(|event| matches!(event, Event::Closed(CloseReason::Reset | CloseReason::Refused | CloseReason::Aborted)));
    assert!(!aborted || has(Flags::RST), "only RST aborts: {what}");
    let why = match from {
        // RFC 9293 3.10.7.4, fourth: a SYN in the window sends a half-open record of a listener back to LISTEN.
        State::SynReceived => has(Flags::RST) || has(Flags::SYN) && row.play.subject.is_listening(),
        State::LastAck => true,
        _ => has(Flags::RST),
    };
    assert!(!over || why, "only RST, or the last ACK, ends a connection: {what}");
}

/// PSH, ECE, CWR and URG never decide about the state.
#[test]
fn four_flags_never_change_the_state() {
    for row in rows() {
        for bits in 0..=255_u16 {
            let core = Flags(bits & (Flags::FIN.0 | Flags::SYN.0 | Flags::RST.0 | Flags::ACK.0));
            let plain = row.cell(|p| verdict(p.inject_flags(core, row.rcv, 5, row.nxt)));
            let full = row.cell(|p| verdict(p.inject_flags(Flags(bits), row.rcv, 5, row.nxt)));
            assert_eq!((plain.state, plain.note), (full.state, full.note), "{} in {}", Flags(bits), row.name);
        }
    }
}
