//! How a conversation starts: settings of both sides, who opens, and where the sequence numbers begin.
//!
//! Sections: RFC 9293 3.5.
//! In: a [`Setup`].
//! Out: a [`Play`] with an established connection, brought there by segments; once for every corner and role.

use std::net::SocketAddr;

use tidegate_proto::net::{HostConfig, StackConfig};
use tidegate_proto::tcp::cc::CcKind;
use tidegate_proto::tcp::{Accepted, Config, Connection, State};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::{Flags, FourTuple, Header, Options, Seq, Timestamps};

use super::{Bare, Host, Line, Origin, Play, Subject};

/// Which side opens, and what the subject is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A connection that sends the first SYN.
    Active,
    /// A connection made of an accepted half-open record.
    Passive,
    /// A whole host that connects, or listens; over IPv4 and IPv6.
    HostActive,
    HostPassive,
    HostActive6,
    HostPassive6,
}

/// Where both sequence spaces start. A host chooses its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Corner {
    pub(crate) iss: u32,
    pub(crate) irs: u32,
}

impl Corner {
    /// Zero, 2^31 and 2^32 lie inside the first few thousand bytes of one direction or both.
    pub(crate) const ALL: [Corner; 6] = [
        Corner { iss: 0, irs: 0 },
        Corner { iss: u32::MAX, irs: 0x7fff_ffff },
        Corner { iss: 0x7fff_fffe, irs: u32::MAX },
        Corner { iss: u32::MAX - 1500, irs: u32::MAX - 2500 },
        Corner { iss: 0x8000_0000 - 1500, irs: 0x8000_0000 - 2500 },
        Corner { iss: 2_508_684_482, irs: 3_124_300_130 },
    ];
}

/// Settings of both sides.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) host: HostConfig,
    /// Options of the peer's SYN.
    pub(crate) syn: String,
    /// Window of all the peer's segments, as it stands in the header.
    pub(crate) window: u16,
}

/// The default: segments of 1,000 bytes in both directions, no options but MSS from the peer, Reno.
impl Default for Setup {
    fn default() -> Self {
        let congestion = CcKind::Reno;
        let config =
            Config { max_segment: Some(1000), snd_buf: 4_194_304, congestion, pacing: false, ..Config::default() };
        Setup { config, host: HostConfig::default(), syn: "mss 1000".to_owned(), window: 65_535 }
    }
}

/// The default, with some settings changed.
pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.config);
    setup
}

/// The script runs on an established connection at every corner and in every role.
pub(crate) fn established(script: impl Fn(&mut Play)) {
    Setup::default().established(script);
}

/// One way, and back: what every handshake here takes.
pub(crate) const RTT: Duration = Duration::from_millis(10);

impl Setup {
    /// The options that the peer's SYN carries.
    pub(crate) fn peer(mut self, options: &str) -> Self {
        options.clone_into(&mut self.syn);
        self
    }

    /// The window that the peer's segments carry.
    pub(crate) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    pub(crate) fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn host_config(mut self, change: impl FnOnce(&mut HostConfig)) -> Self {
        change(&mut self.host);
        self
    }

    /// Runs the script at every corner and in every role. What is left over at its end fails it.
    pub(crate) fn established(&self, script: impl Fn(&mut Play)) {
        for corner in Corner::ALL {
            for role in [Role::Active, Role::Passive] {
                self.play(role, corner, &script);
            }
        }
        self.hosts(&script);
    }

    /// Runs the script on whole hosts only.
    pub(crate) fn hosts(&self, script: impl Fn(&mut Play)) {
        for role in [Role::HostActive, Role::HostPassive, Role::HostActive6, Role::HostPassive6] {
            self.play(role, Corner::ALL[1], &script);
        }
    }

    /// Runs the script on connections that the subject opened, at every corner.
    pub(crate) fn active(&self, script: impl Fn(&mut Play)) {
        for corner in Corner::ALL {
            self.play(Role::Active, corner, &script);
        }
        self.play(Role::HostActive, Corner::ALL[1], &script);
        self.play(Role::HostActive6, Corner::ALL[3], &script);
    }

    /// Runs the script before anything was sent but the SYN, at every corner.
    pub(crate) fn syn_sent(&self, script: impl Fn(&mut Play)) {
        for corner in Corner::ALL {
            let mut p = self.connect(Role::Active, corner);
            script(&mut p);
            p.expect_nothing();
        }
        for role in [Role::HostActive, Role::HostActive6] {
            let mut p = self.connect(role, Corner::ALL[1]);
            script(&mut p);
            p.expect_nothing();
        }
    }

    pub(crate) fn play(&self, role: Role, corner: Corner, script: impl Fn(&mut Play)) {
        let mut p = self.open(role, corner);
        p.is(State::Established);
        p.forget();
        p.take_events();
        script(&mut p);
        p.expect_nothing();
    }

    /// An established connection.
    pub(crate) fn open(&self, role: Role, corner: Corner) -> Play {
        match role {
            Role::Active | Role::HostActive | Role::HostActive6 => {
                let mut p = self.connect(role, corner);
                p.expect("S 0");
                p.wait(RTT.as_millis());
                p.inject(&self.with_echo("S. 0 ack 1", &p));
                p.expect(". 1 ack 1 why ack-handshake");
                p
            }
            Role::Passive => {
                let mut p = self.accepted(corner);
                p.wait(RTT.as_millis());
                p.inject(". 1 ack 1");
                p
            }
            Role::HostPassive | Role::HostPassive6 => {
                let mut p = self.host(role, corner);
                p.inject(&self.with_echo("S 0", &p));
                p.expect("S. 0 ack 1");
                p.wait(RTT.as_millis());
                p.inject(". 1 ack 1");
                p.accept();
                p
            }
        }
    }

    /// OPEN, active: the SYN is out, and waits to be expected.
    pub(crate) fn connect(&self, role: Role, corner: Corner) -> Play {
        let (key, now) = (key(role), START);
        let mut p = match role {
            Role::Active => {
                let connection = Connection::connect(&self.config, key, Seq(corner.iss), corner.irs, now);
                let bare = Subject::Connection(Box::new(Bare { connection, time_wait: None }));
                Play::new(bare, role, Some(Seq(corner.iss)), Seq(corner.irs), now)
            }
            _ => {
                let mut host = self.new_host(key, now);
                host.socket =
                    Some(host.stack.connect(Some(key.local()), key.remote(), now).expect("an address of ours"));
                Play::new(Subject::Host(Box::new(host)), role, None, Seq(corner.irs), now)
            }
        };
        p.window = self.window;
        p.drain();
        p
    }

    /// A host that listens on the key's port, and nothing else yet.
    pub(crate) fn host(&self, role: Role, corner: Corner) -> Play {
        let mut p = self.closed_host(role, corner);
        let local = p.key.local();
        let Subject::Host(host) = &mut p.subject else { unreachable!("a host was asked for") };
        host.listener = Some(host.stack.listen(local, 8).expect("the port is free"));
        p
    }

    /// A host on which nothing is open.
    pub(crate) fn closed_host(&self, role: Role, corner: Corner) -> Play {
        let (key, now) = (key(role), START);
        let host = self.new_host(key, now);
        let mut p = Play::new(Subject::Host(Box::new(host)), role, None, Seq(corner.irs), now);
        p.window = self.window;
        p
    }

    fn new_host(&self, key: FourTuple, now: Instant) -> Host {
        let config = StackConfig { tcp: self.config.clone(), host: self.host.clone() };
        Host::new(config, 7, key, now)
    }

    /// A connection made of a half-open record whose SYN-ACK has just gone: SYN-RECEIVED.
    pub(crate) fn accepted(&self, corner: Corner) -> Play {
        let (key, now) = (key(Role::Passive), START);
        let (iss, irs) = (Seq(corner.iss), Seq(corner.irs));
        let origin = Origin { seq: irs, ack: iss, ts_val: irs.0.wrapping_sub(5005), ts_ecr: 0 };
        let syn = Line::parse(&self.with_syn_options("S 0")).header(origin, self.window);
        let ours = self.syn_ack(&syn.options);
        let accepted = Accepted {
            key,
            iss,
            irs,
            options: syn.options.clone(),
            window: syn.window,
            sent: now,
            retransmits: 0,
            ts_offset: corner.iss,
        };
        let connection = Connection::accept(&self.config, &accepted, now);
        let bare = Subject::Connection(Box::new(Bare { connection, time_wait: None }));
        let mut p = Play::new(bare, Role::Passive, Some(iss), irs, now);
        p.window = self.window;
        let first_ts = ours.timestamps.map(|_| (now.as_millis() as u32).wrapping_add(corner.iss));
        let ours = Options { timestamps: first_ts.map(|val| Timestamps { val, ecr: origin.ts_val }), ..ours };
        p.note_handshake(syn, Header { flags: Flags::SYN | Flags::ACK, options: ours, ..Header::default() });
        p
    }

    /// What a SYN-ACK to these options offers.
    fn syn_ack(&self, theirs: &Options) -> Options {
        let mut shift = 0;
        while self.config.rcv_buf_max >> shift > 65_535 && shift < 14 {
            shift += 1;
        }
        Options {
            mss: self.config.max_segment,
            window_scale: theirs.window_scale.filter(|_| self.config.window_scaling).map(|_| shift),
            sack_permitted: theirs.sack_permitted && self.config.sack,
            timestamps: theirs.timestamps.filter(|_| self.config.timestamps),
            ..Options::default()
        }
    }

    fn with_syn_options(&self, line: &str) -> String {
        format!("{line} <{}>", self.syn.replace("TS", "TS val 0 ecr *"))
    }

    /// The peer's SYN or SYN-ACK: its options, its clock, and our clock's echo.
    pub(crate) fn with_echo(&self, line: &str, p: &Play) -> String {
        let val = i64::from(p.peer_clock().wrapping_sub(p.ts_base).cast_signed());
        let echo = if line.starts_with("S.") { p.echo().to_string() } else { "*".to_owned() };
        format!("{line} <{}>", self.syn.replace("TS", &format!("TS val {val} ecr {echo}")))
    }
}

impl Play {
    /// The program takes the connection that is ready.
    pub(crate) fn accept(&mut self) {
        let now = self.now;
        let Subject::Host(host) = &mut self.subject else { panic!("only a host accepts") };
        let listener = host.listener.expect("something listens");
        host.socket = host.stack.accept(listener, now);
        assert!(host.socket.is_some(), "a connection is ready\n{}", self.story());
        self.drain();
    }

    /// The last TSval of the subject, relative to its first.
    pub(crate) fn echo(&self) -> i64 {
        match (self.seen.first_ts, self.seen.last_ts) {
            (Some(first), Some(last)) => i64::from(last.wrapping_sub(first)),
            _ => 0,
        }
    }
}

/// The time at which every play starts: not zero, so that nothing confuses the two.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// The four-tuple, seen from the subject.
pub(crate) fn key(role: Role) -> FourTuple {
    let (local, remote) = match role {
        Role::HostActive6 | Role::HostPassive6 => ("[2001:db8::1]", "[2001:db8::2]"),
        _ => ("192.0.2.1", "192.0.2.2"),
    };
    let (ours, theirs) = match role {
        Role::Active | Role::HostActive | Role::HostActive6 => (40_000, 80),
        _ => (80, 40_000),
    };
    let addr = |ip: &str, port: u16| format!("{ip}:{port}").parse::<SocketAddr>().expect("an address");
    FourTuple::new(addr(local, ours), addr(remote, theirs))
}
