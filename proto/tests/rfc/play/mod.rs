//! A scripted peer made of segments, and a scripted application, against one connection.
//!
//! Sections: none of an RFC's; what must hold for every segment whatever the test is checked here, once.
//! In: `inject("P. 1:1001 ack 1")`, `write(1000)`, `wait(40)`.
//! Out: `expect(". 1 ack 1001")`; when it fails, both lines, what differs, the cause, and everything that led there.

mod script;
mod setup;
mod subject;

use std::collections::VecDeque;

use rangemap::RangeSet;
use tidegate_proto::net::SocketError;
use tidegate_proto::tcp::{CloseReason, Config, ConnError, Event, Read, State, TcpInfo, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::{Flags, FourTuple, Header, Seq, Timestamps};

pub(crate) use script::{Line, Opt, Origin, cause_name, show};
pub(crate) use setup::{Corner, Role, START, Setup, established, key, with};
pub(crate) use subject::{Bare, Host, Sent, Subject, from_packet, to_packet};

/// One scripted conversation.
#[derive(Clone)]
pub(crate) struct Play {
    pub(crate) now: Instant,
    pub(crate) subject: Subject,
    pub(crate) key: FourTuple,
    /// Which of the ways to play a script this is.
    pub(crate) role: Role,
    /// Our, the peer's, initial sequence number.
    pub(crate) irs: Seq,
    /// The subject's, once its SYN was seen.
    pub(crate) iss: Option<Seq>,
    /// The window that injected segments carry unless they say otherwise.
    pub(crate) window: u16,
    /// The peer's timestamp clock at time zero.
    pub(crate) ts_base: u32,
    started: Instant,
    out: VecDeque<Sent>,
    events: VecDeque<Event>,
    log: Vec<String>,
    seen: Seen,
    written: u64,
    read: u64,
}

/// What the two sides have shown of themselves; everything that is checked on every segment needs it.
#[derive(Clone, Default)]
struct Seen {
    /// Options of the peer's SYN and of the subject's.
    theirs: Option<Header>,
    ours: Option<Header>,
    /// The numbers that the peer has sent, relative to its SYN.
    sent_by_peer: RangeSet<i64>,
    /// Where its SYNs stood: one, unless a test tries others.
    syns: Vec<i64>,
    /// The right edge of the subject's window, relative.
    edge: Option<i64>,
    /// The first and the last TSval of the subject, and the highest of the peer.
    first_ts: Option<u32>,
    last_ts: Option<u32>,
    /// The number behind the subject's FIN.
    fin: Option<i64>,
}

impl Play {
    pub(crate) fn new(subject: Subject, role: Role, iss: Option<Seq>, irs: Seq, now: Instant) -> Self {
        Play {
            now,
            subject,
            key: key(role),
            role,
            irs,
            iss,
            window: 65_535,
            // The clock wraps five seconds into a play in which the sequence numbers wrap.
            ts_base: irs.0.wrapping_sub(5005),
            started: now,
            out: VecDeque::new(),
            events: VecDeque::new(),
            log: Vec::new(),
            seen: Seen::default(),
            written: 0,
            read: 0,
        }
    }

    // ---- the peer ----

    /// A segment of the peer's arrives; what it provokes waits for `expect`. Nothing may be waiting from before.
    pub(crate) fn inject(&mut self, line: &str) -> Verdict {
        self.inject_all(&[line])[0]
    }

    /// Several segments arrive before the subject is asked for output.
    pub(crate) fn inject_all(&mut self, lines: &[&str]) -> Vec<Verdict> {
        self.expect_nothing();
        let parsed = lines.iter().map(|line| Line::parse(line)).collect::<Vec<_>>();
        let verdicts = parsed.iter().map(|line| self.receive(line, None)).collect();
        self.drain();
        if parsed.iter().all(|line| line.flags.has(Flags::RST)) {
            let reset = self.out.iter().any(|sent| sent.header.flags.has(Flags::RST));
            assert!(!reset, "a reset was answered by a reset\n{}", self.story());
        }
        verdicts
    }

    /// As `inject`, with a payload that is not the stream's.
    pub(crate) fn inject_bytes(&mut self, line: &str, payload: &[u8]) -> Verdict {
        self.expect_nothing();
        let verdict = self.receive(&Line::parse(line), Some(payload.to_vec()));
        self.drain();
        verdict
    }

    /// As `inject`, but whatever is waiting or comes out is forgotten: for sweeps that look at the state alone.
    pub(crate) fn inject_blindly(&mut self, line: &str) -> Verdict {
        self.forget();
        let verdict = self.inject(line);
        self.forget();
        verdict
    }

    /// A segment with exactly these flag bits, which a line cannot always spell.
    pub(crate) fn inject_flags(&mut self, flags: Flags, seq: i64, len: i64, ack: i64) -> Verdict {
        self.inject_flags_with(flags, seq, len, ack, "")
    }

    /// The same, with options beside the timestamps that were agreed on.
    pub(crate) fn inject_flags_with(&mut self, flags: Flags, seq: i64, len: i64, ack: i64, options: &str) -> Verdict {
        self.expect_nothing();
        let mut line = Line::parse(&format!("none {seq}:{} ack {ack} win {} urg 3", seq + len, self.window));
        line.flags = flags;
        line.beside = Line::parse(&format!("none 0 <{options}>")).options.unwrap_or_default();
        let verdict = self.receive(&line, None);
        self.drain();
        verdict
    }

    fn receive(&mut self, line: &Line, payload: Option<Vec<u8>>) -> Verdict {
        let mut header = line.header(self.inbound(), self.window);
        header.src_port = self.key.remote_port;
        header.dst_port = self.key.local_port;
        if line.options.is_none() && self.timestamps_agreed() && !header.flags.has(Flags::SYN) {
            header.options.timestamps =
                Some(Timestamps { val: self.peer_clock(), ecr: self.seen.last_ts.unwrap_or_default() });
        }
        line.add_beside(&mut header, self.inbound());
        let raw = line.options.iter().flatten().filter_map(|option| match option {
            Opt::Raw(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        let raw = raw.collect::<Vec<_>>().concat();
        let (first, _) = line.seq.expect("an injected segment has a sequence number");
        let payload = payload.unwrap_or_else(|| peer_bytes(first, line.payload_len()));
        let mut log = format!("{} < {}", self.clock(), show(&header, payload.len(), self.inbound()));
        self.note_peer(&header, first, payload.len());
        let verdict = self.subject.receive(header, &raw, payload, self.now);
        log.push_str(&format!("    {verdict:?}"));
        self.log.push(log);
        verdict
    }

    // ---- what the subject sends ----

    /// The next segment that went out is this one.
    pub(crate) fn expect(&mut self, line: &str) -> Sent {
        let expected = Line::parse(line);
        let Some(sent) = self.out.pop_front() else {
            panic!("expected: {line}\n  actual: nothing\n{}", self.story());
        };
        let different = expected.differences(&sent.header, sent.payload.len(), sent.cause, self.outbound());
        if !different.is_empty() {
            panic!(
                "expected: {line}\n  actual: {}    {}\n differs: {}\n{}",
                show(&sent.header, sent.payload.len(), self.outbound()),
                cause_name(sent.cause),
                different.join(", "),
                self.story()
            );
        }
        sent
    }

    /// The next segments that go out are these.
    pub(crate) fn expect_all(&mut self, lines: &[&str]) {
        for line in lines {
            self.expect(line);
        }
    }

    /// Nothing (more) went out.
    pub(crate) fn expect_nothing(&mut self) {
        if let Some(sent) = self.out.front() {
            panic!(
                "expected: nothing\n  actual: {}    {}\n{}",
                show(&sent.header, sent.payload.len(), self.outbound()),
                cause_name(sent.cause),
                self.story()
            );
        }
    }

    /// Whatever went out so far is of no interest.
    pub(crate) fn forget(&mut self) -> Vec<Sent> {
        self.out.drain(..).collect()
    }

    /// Nothing goes out for so long, and then this does, at that very millisecond.
    pub(crate) fn expect_in(&mut self, millis: u64, line: &str) -> Sent {
        self.expect_nothing();
        let due = self.now + Duration::from_millis(millis);
        self.run_until(due - Duration::from_nanos(1));
        if let Some(sent) = self.out.front() {
            let early = due.since(sent.at);
            panic!(
                "{early} too early for `{line}`: {}\n{}",
                show(&sent.header, sent.payload.len(), self.outbound()),
                self.story()
            );
        }
        self.run_until(due);
        let sent = self.expect(line);
        assert_eq!(sent.at, due, "{line}\n{}", self.story());
        sent
    }

    /// Time passes; what goes out waits for `expect`.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.run_until(self.now + Duration::from_millis(millis));
    }

    /// Time passes and nothing goes out.
    pub(crate) fn quiet(&mut self, millis: u64) {
        self.expect_nothing();
        self.wait(millis);
        self.expect_nothing();
    }

    /// The subject's next timer runs, however far away it is; false if there is none.
    pub(crate) fn next_timer(&mut self) -> bool {
        let Some(at) = self.subject.next_timeout() else { return false };
        self.run_until(at);
        true
    }

    fn run_until(&mut self, end: Instant) {
        let mut rounds = 0;
        while let Some(at) = self.subject.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.subject.on_timeout(self.now);
            self.drain();
            rounds += 1;
            assert!(rounds < 100_000, "timers without end\n{}", self.story());
        }
        self.now = end;
    }

    // ---- the application ----

    /// SEND so many bytes of our stream; all of them must fit.
    pub(crate) fn write(&mut self, len: usize) {
        let taken = self.write_some(len);
        assert_eq!(taken, Ok(len), "the send buffer has room\n{}", self.story());
    }

    pub(crate) fn write_some(&mut self, len: usize) -> Result<usize, SocketError> {
        let data = our_bytes(self.written as i64 + 1, len);
        let taken = self.subject.write(&data, self.now);
        self.log.push(format!("{}   write({len}) = {taken:?}", self.clock()));
        self.written += taken.unwrap_or(0) as u64;
        self.drain();
        taken
    }

    pub(crate) fn write_urgent(&mut self, len: usize) {
        let taken = self.write_urgent_some(len);
        assert_eq!(taken, Ok(len), "the send buffer has room\n{}", self.story());
    }

    pub(crate) fn write_urgent_some(&mut self, len: usize) -> Result<usize, SocketError> {
        let data = our_bytes(self.written as i64 + 1, len);
        let taken = self.subject.write_urgent(&data, self.now);
        self.log.push(format!("{}   write_urgent({len}) = {taken:?}", self.clock()));
        self.written += taken.unwrap_or(0) as u64;
        self.drain();
        taken
    }

    /// RECEIVE exactly so many bytes in one call, the right ones.
    pub(crate) fn read(&mut self, len: usize) {
        let mut data = vec![0; len];
        let found = self.subject.read(&mut data, self.now);
        self.log.push(format!("{}   read({len}) = {found:?}", self.clock()));
        assert_eq!(found, Ok(Read::Data(len)), "{}", self.story());
        assert!(data == peer_bytes(self.read as i64 + 1, len), "the peer's bytes\n{}", self.story());
        self.read += len as u64;
        self.drain();
    }

    /// RECEIVE with a byte of room.
    pub(crate) fn try_read(&mut self) -> Result<Read, SocketError> {
        let found = self.subject.read(&mut [0], self.now);
        self.log.push(format!("{}   read(1) = {found:?}", self.clock()));
        self.drain();
        found
    }

    /// RECEIVE finds nothing yet.
    pub(crate) fn read_nothing(&mut self) {
        assert_eq!(self.try_read(), Ok(Read::Pending), "{}", self.story());
    }

    /// RECEIVE finds the end of the stream.
    pub(crate) fn read_end(&mut self) {
        assert_eq!(self.try_read(), Ok(Read::Eof), "{}", self.story());
    }

    pub(crate) fn close(&mut self) {
        self.log.push(format!("{}   close", self.clock()));
        self.subject.close(self.now);
        self.drain();
    }

    pub(crate) fn release(&mut self) {
        self.log.push(format!("{}   release", self.clock()));
        self.subject.release(self.now);
        self.drain();
    }

    pub(crate) fn abort(&mut self) {
        self.log.push(format!("{}   abort", self.clock()));
        self.subject.abort(self.now);
        self.drain();
    }

    /// Changes settings while the connection lives.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        self.log.push(format!("{}   configure", self.clock()));
        self.subject.configure(change, self.now);
        self.drain();
    }

    pub(crate) fn state(&self) -> State {
        self.subject.state()
    }

    pub(crate) fn info(&self) -> TcpInfo {
        self.subject.info(self.now).unwrap_or_else(|| panic!("STATUS of a connection\n{}", self.story()))
    }

    /// The state has this name.
    pub(crate) fn is(&self, state: State) {
        assert_eq!(self.state(), state, "{}", self.story());
    }

    /// There is no connection (any more).
    pub(crate) fn is_over(&self) {
        let listens = self.subject.is_listening();
        self.is(if listens { State::Listen } else { State::Closed });
    }

    /// The connection is over, and this is why.
    pub(crate) fn is_closed(&mut self, reason: CloseReason) {
        self.is_over();
        let told = self.take_events();
        assert!(
            told.contains(&Event::Closed(reason)),
            "told {told:?}, not that it ended: {reason:?}\n{}",
            self.story()
        );
        let refusal = self.subject.refusal(self.now);
        assert_eq!(refusal, Some(ConnError::Closed(reason)), "{}", self.story());
        self.drain();
        self.expect_nothing();
    }

    /// Nothing is left, and nobody is there to be told.
    pub(crate) fn is_gone(&mut self) {
        self.is_over();
        self.quiet(300_000);
    }

    /// What the application was told since it last asked.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    // ---- the rest ----

    /// Takes everything that wants to go out, and checks what every segment must meet.
    pub(crate) fn drain(&mut self) {
        for sent in self.subject.drain(self.now) {
            self.note_ours(&sent);
            self.out.push_back(sent);
        }
        for event in self.subject.events() {
            self.log.push(format!("{}   event {event:?}", self.clock()));
            self.events.push_back(event);
        }
        let next = self.subject.next_timeout();
        assert!(next.is_none_or(|at| at > self.now), "a timer that is due stays due\n{}", self.story());
        if let Some(info) = self.subject.info(self.now)
            && info.snd_nxt > info.snd_una
            && info.state != State::Closed
        {
            assert!(next.is_some(), "something is outstanding, and no timer runs (I-17)\n{}", self.story());
        }
    }

    /// Where an injected segment's numbers start.
    fn inbound(&self) -> Origin {
        Origin {
            seq: self.irs,
            ack: self.iss.unwrap_or_default(),
            ts_val: self.ts_base,
            ts_ecr: self.seen.first_ts.unwrap_or_default(),
        }
    }

    fn outbound(&self) -> Origin {
        let inbound = self.inbound();
        Origin { seq: inbound.ack, ack: inbound.seq, ts_val: inbound.ts_ecr, ts_ecr: inbound.ts_val }
    }

    /// Both SYNs offered timestamps.
    pub(crate) fn timestamps_agreed(&self) -> bool {
        let offered = |syn: &Option<Header>| syn.as_ref().is_some_and(|syn| syn.options.timestamps.is_some());
        offered(&self.seen.theirs) && offered(&self.seen.ours)
    }

    /// The peer's TSval now: milliseconds.
    pub(crate) fn peer_clock(&self) -> u32 {
        self.ts_base.wrapping_add(self.now.since(self.started).as_millis() as u32)
    }

    fn note_peer(&mut self, header: &Header, first: i64, payload: usize) {
        let end = first + payload as i64;
        let end = end + i64::from(header.flags.has(Flags::SYN)) + i64::from(header.flags.has(Flags::FIN));
        if first < end {
            self.seen.sent_by_peer.insert(first..end);
        }
        if header.flags.has(Flags::SYN) {
            self.seen.syns.push(first);
        }
        if header.flags.has(Flags::SYN) && self.seen.theirs.is_none() {
            self.seen.theirs = Some(header.clone());
        }
    }

    /// Everything that was seen belongs to a former connection of the same two sockets.
    pub(crate) fn restart(&mut self) {
        self.seen = Seen::default();
        self.iss = None;
        self.written = 0;
        self.read = 0;
    }

    /// What the passive side knew before the connection was made.
    pub(crate) fn note_handshake(&mut self, theirs: Header, ours: Header) {
        self.seen.first_ts = ours.options.timestamps.map(|ts| ts.val);
        self.seen.last_ts = self.seen.first_ts;
        self.seen.syns.push(0);
        self.seen.sent_by_peer.insert(0..1);
        self.seen.theirs = Some(theirs);
        self.seen.ours = Some(ours);
    }

    /// What must hold for every segment that is sent, whatever the test.
    fn note_ours(&mut self, sent: &Sent) {
        let header = &sent.header;
        let has = |flag| header.flags.has(flag);
        if has(Flags::SYN) && self.iss.is_none() {
            self.iss = Some(header.seq);
        }
        if has(Flags::SYN) && self.seen.ours.is_none() {
            self.seen.first_ts = header.options.timestamps.map(|ts| ts.val);
        }
        let text = show(header, sent.payload.len(), self.outbound());
        self.log.push(format!("{} > {text}    {}", self.clock(), cause_name(sent.cause)));
        let rule = |holds: bool, rule: &str| assert!(holds, "{rule}: {text}\n{}", self.story());

        let ports = (header.src_port, header.dst_port);
        rule(ports == (self.key.local_port, self.key.remote_port), "the connection's ports");
        rule(!has(Flags::SYN) || !header.flags.any(Flags::FIN | Flags::RST), "SYN goes with neither FIN nor RST");
        rule(has(Flags::ACK) || header.ack == Seq(0), "an unused acknowledgement number is zero");
        rule(has(Flags::URG) || header.urgent == 0, "an unused urgent pointer is zero");
        let options = &header.options;
        //= 9293/MUST-65
        rule(has(Flags::SYN) || options.mss.is_none(), "MSS goes only with SYN");
        rule(has(Flags::SYN) || options.window_scale.is_none(), "window scale goes only with SYN");
        rule(has(Flags::SYN) || !options.sack_permitted, "SACK-permitted goes only with SYN");
        if !has(Flags::SYN) {
            //= 7323#3.2
            let agreed = self.timestamps_agreed();
            rule(has(Flags::RST) || options.timestamps.is_some() == agreed, "timestamps on all segments or on none");
        }
        let offers = |syn: &Option<Header>| syn.as_ref().is_some_and(|syn| syn.options.sack_permitted);
        rule(options.sack.is_empty() || offers(&self.seen.theirs) && offers(&self.seen.ours), "SACK only if agreed");
        rule(options.sack.iter().all(|b| b.end.distance(b.start) > 0), "a SACK block has a length");

        let first = Origin::relative(self.iss.unwrap_or_default(), header.seq);
        let end = first + sent.payload.len() as i64;
        if !sent.payload.is_empty() && !has(Flags::SYN) {
            rule(sent.payload == our_bytes(first, sent.payload.len()), "the application's bytes, each in its place");
            let theirs = self.seen.theirs.as_ref();
            let default = if self.key.local_ip.is_ipv4() { 536 } else { 1220 };
            let mss = theirs.and_then(|syn| syn.options.mss).unwrap_or(default);
            let room = usize::from(mss).saturating_sub(if options.timestamps.is_some() { 12 } else { 0 });
            //= 9293/MUST-16
            rule(sent.payload.len() <= room, "no segment above the peer's MSS, options taken off");
        }
        if !has(Flags::RST) && !has(Flags::SYN) {
            let last = end + i64::from(!sent.payload.is_empty());
            rule(self.seen.fin.is_none_or(|fin| last <= fin), "nothing behind FIN");
        }
        // A SYN opens a window; what was promised before belongs to another connection.
        let mut edge = self.seen.edge.filter(|_| !has(Flags::SYN));
        if has(Flags::ACK) && !has(Flags::RST) {
            let ack = Origin::relative(self.irs, header.ack);
            let sent = &self.seen.sent_by_peer;
            let known = |syn: &i64| sent.get(syn).is_some_and(|range| (range.start..=range.end).contains(&ack));
            rule(self.seen.syns.iter().any(known), "an acknowledgement of what the peer has not sent (I-06)");
            let both = |h: &Option<Header>| h.as_ref().and_then(|syn| syn.options.window_scale);
            let shift = match both(&self.seen.theirs).and(both(&self.seen.ours)) {
                Some(shift) if !has(Flags::SYN) => shift,
                _ => 0,
            };
            let right = ack + (i64::from(header.window) << shift);
            //= 9293/SHLD-14
            //= 7323#2.4
            let unit = 1_i64 << shift;
            rule(edge.is_none_or(|edge| right + unit > edge), "the right edge of the window never moves left (I-09)");
            edge = Some(right.max(edge.unwrap_or(right)));
        }
        self.seen.edge = edge;
        if has(Flags::FIN) {
            self.seen.fin = Some(end + 1);
        }
        if has(Flags::SYN) && self.seen.ours.is_none() {
            self.seen.ours = Some(header.clone());
        }
        if let Some(ts) = header.options.timestamps {
            self.seen.last_ts = Some(ts.val);
        }
    }

    fn clock(&self) -> String {
        let micros = self.now.since(self.started).as_micros();
        format!("{:3}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }

    /// Everything so far, for whoever reads a failure.
    pub(crate) fn story(&self) -> String {
        format!("{:?}, iss {:?}, irs {}; so far:\n{}", self.role, self.iss, self.irs, self.log.join("\n"))
    }
}

/// The bytes that belong at these positions of the peer's stream.
pub(crate) fn peer_bytes(first: i64, len: usize) -> Vec<u8> {
    (first..first + len as i64).map(|pos| (pos.wrapping_mul(31) >> 3 ^ pos) as u8).collect()
}

/// The bytes that belong at these positions of the subject's stream.
pub(crate) fn our_bytes(first: i64, len: usize) -> Vec<u8> {
    (first..first + len as i64).map(|pos| (pos.wrapping_mul(57) >> 4 ^ !pos) as u8).collect()
}
