//! SEGMENT ARRIVES, up to the connection: who has the four-tuple, and what if nobody does.
//!
//! Sections: RFC 9293 3.10.7.1 (CLOSED), 3.10.7.2 (LISTEN), 3.5.2 (reset generation), 3.6.1; RFC 4987; RFC 6191.
//! In: a segment with a good checksum, from an address that a peer may have.
//! Out: a verdict; connections, half-open and TIME-WAIT records made, changed, and ended; answers on their way.

use super::demux::Slot;
use super::endpoint::{Endpoint, Owner};
use super::timewait::{self, Rules};
use super::{Event, InitialSequence, Socket, Stack, TimerKey};
use crate::listen::{self, HalfOpen, HalfOpenArrival};
use crate::tcp::open::ts_clock;
use crate::tcp::{
    AckCause, Cause, Config, Connection, DropReason, Pressure, ResetCause, RetransmitCause, Segment, State, TimeWait,
    Verdict,
};
use crate::time::Instant;
use crate::wire::{Flags, FourTuple, Header, Seq};

impl Stack {
    /// A segment for one of our addresses; `key` is its four-tuple as we see it.
    pub(super) fn segment_arrives(&mut self, key: &FourTuple, segment: Segment, now: Instant) -> Verdict {
        self.counters.in_segs += u64::from(segment.segments.max(1));
        let pressure = self.pressure();
        match self.find(key) {
            Some(Slot::Connection(index)) => match self.endpoint_mut(index) {
                Some(endpoint) => {
                    endpoint.connection.set_pressure(pressure);
                    let verdict = endpoint.connection.on_segment(segment, now);
                    self.touch(index);
                    verdict
                }
                None => Verdict::Dropped(DropReason::NoConnection),
            },
            Some(Slot::HalfOpen(index)) => self.arrives_half_open(index, segment, now),
            Some(Slot::TimeWait(index)) => self.arrives_in_time_wait(index, &segment, now),
            None => self.arrives_unclaimed(key, &segment, None, now),
        }
    }

    /// Whatever has this four-tuple.
    pub(super) fn find(&self, key: &FourTuple) -> Option<Slot> {
        self.demux.find(key, |slot| match slot {
            Slot::Connection(index) => self.endpoint(index).is_some_and(|endpoint| endpoint.connection.key() == *key),
            Slot::HalfOpen(index) => self.half_open.get(index).is_some_and(|record| record.key == *key),
            Slot::TimeWait(index) => self.time_wait.get(index).is_some_and(|record| record.key() == *key),
        })
    }

    /// The name of the state that this four-tuple is in.
    pub(super) fn state_of_key(&self, key: &FourTuple) -> State {
        match self.find(key) {
            Some(Slot::Connection(index)) => {
                self.endpoint(index).map_or(State::Closed, |endpoint| endpoint.connection.state())
            }
            Some(Slot::HalfOpen(_)) => State::SynReceived,
            Some(Slot::TimeWait(_)) => State::TimeWait,
            None if self.listeners.find(key.local()).is_some() => State::Listen,
            None => State::Closed,
        }
    }

    /// No record has the four-tuple: LISTEN or CLOSED. `above` is a sequence number that the new connection has to
    /// start beyond.
    fn arrives_unclaimed(&mut self, key: &FourTuple, segment: &Segment, above: Option<Seq>, now: Instant) -> Verdict {
        let Some(listener) = self.listeners.find(key.local()) else {
            return self.arrives_in_closed(key, segment, now);
        };
        match listen::judge(&segment.header) {
            listen::Arrival::Open => self.open_half(key, listener, &segment.header, above, now),
            listen::Arrival::Reset(why) => {
                self.reset(key, segment, ResetCause::UnacceptableAck, now);
                Verdict::Answered(why)
            }
            listen::Arrival::Drop(why) => Verdict::Dropped(why),
        }
    }

    /// SEGMENT ARRIVES in CLOSED: RFC 9293 3.10.7.1.
    fn arrives_in_closed(&mut self, key: &FourTuple, segment: &Segment, now: Instant) -> Verdict {
        if segment.header.flags.has(Flags::RST) {
            return Verdict::Dropped(DropReason::IgnoredReset);
        }
        self.reset(key, segment, ResetCause::NoConnection, now);
        Verdict::Answered(DropReason::NoConnection)
    }

    /// Answers `segment` with a reset that its sender will believe: RFC 9293 3.10.7.1.
    fn reset(&mut self, key: &FourTuple, segment: &Segment, cause: ResetCause, now: Instant) {
        let header = &segment.header;
        let (seq, ack, flags) = if header.flags.has(Flags::ACK) {
            (header.ack, Seq(0), Flags::RST)
        } else {
            (Seq(0), header.seq + segment.len(), Flags::RST | Flags::ACK)
        };
        let (src_port, dst_port) = (key.local_port, key.remote_port);
        let reset = Header { src_port, dst_port, seq, ack, flags, ..Header::default() };
        self.reply(key, reset, Cause::Reset(cause), now);
    }

    /// A SYN for a listener: a half-open record, and a SYN-ACK.
    fn open_half(&mut self, key: &FourTuple, listener: u32, syn: &Header, above: Option<Seq>, now: Instant) -> Verdict {
        let Some(config) = self.config_of(listener, key) else { return Verdict::Dropped(DropReason::NoRoute) };
        let (max_syn_backlog, pressure) = (self.config.host.max_syn_backlog, self.pressure());
        let Some(Socket::Listener(listening)) = self.sockets.get_mut(listener) else {
            return Verdict::Dropped(DropReason::NoConnection);
        };
        // Like Linux: who cannot be accepted is not invited.
        if listening.is_full() {
            self.counters.listen_overflows += 1;
            self.counters.listen_drops += 1;
            return Verdict::Dropped(DropReason::ListenOverflow);
        }
        // with no memory left there is none for a new connection either.
        if pressure == Pressure::High {
            self.counters.listen_drops += 1;
            return Verdict::Dropped(DropReason::NoMemory);
        }
        if listening.half_open >= max_syn_backlog {
            self.counters.req_q_full_drop += 1;
            self.counters.listen_drops += 1;
            return Verdict::Dropped(DropReason::ListenOverflow);
        }
        listening.half_open += 1;
        let iss = self.initial_sequence(key, above, now);
        let ts_offset = self.isn.timestamp_offset(key.local_ip, key.remote_ip);
        let mut record = HalfOpen::new(*key, listener, &config, syn, iss, ts_offset, now);
        let syn_ack = record.syn_ack(&config, now);
        let deadline = record.deadline(&config);
        let index = self.half_open.insert(record);
        if let Some(record) = self.half_open.get_mut(index) {
            self.wheel.arm(&mut record.timer, TimerKey::HalfOpen(index), deadline);
        }
        self.demux.insert(key, Slot::HalfOpen(index));
        self.reply_as(&config, key, syn_ack, Cause::SynAck, now);
        Verdict::Accepted
    }

    /// SEGMENT ARRIVES in SYN-RECEIVED after a passive open.
    fn arrives_half_open(&mut self, index: u32, segment: Segment, now: Instant) -> Verdict {
        let Some(record) = self.half_open.get(index) else { return Verdict::Dropped(DropReason::NoConnection) };
        let (key, listener) = (record.key, record.listener);
        let Some(config) = self.config_of(listener, &key) else { return Verdict::Dropped(DropReason::NoRoute) };
        let Some(record) = self.half_open.get_mut(index) else { return Verdict::Dropped(DropReason::NoConnection) };
        match record.on_segment(&segment, config.challenge_ack_interval, now) {
            HalfOpenArrival::Complete => self.complete(index, &config, segment, now),
            HalfOpenArrival::SynAckAgain => {
                let syn_ack = record.syn_ack(&config, now);
                self.reply_as(&config, &key, syn_ack, Cause::Retransmit(RetransmitCause::SynAck(0)), now);
                Verdict::Answered(DropReason::Duplicate)
            }
            HalfOpenArrival::Challenge(why) => {
                let ack = record.acknowledgement(&config, now);
                self.counters.challenge_acks += 1;
                self.reply_as(&config, &key, ack, Cause::Ack(AckCause::Challenge(why)), now);
                Verdict::Answered(why)
            }
            HalfOpenArrival::Reset(why) => {
                self.reset(&key, &segment, ResetCause::UnacceptableAck, now);
                Verdict::Answered(why)
            }
            HalfOpenArrival::BackToListen => {
                self.remove_half_open(index);
                self.counters.attempt_fails += 1;
                Verdict::Accepted
            }
            HalfOpenArrival::Drop(why) => Verdict::Dropped(why),
        }
    }

    /// The handshake is complete: the record becomes a connection that waits to be accepted.
    fn complete(&mut self, index: u32, config: &Config, segment: Segment, now: Instant) -> Verdict {
        let Some(record) = self.half_open.get(index) else { return Verdict::Dropped(DropReason::NoConnection) };
        let (key, listener, accepted) = (record.key, record.listener, record.accepted());
        let Some(path) = self.path(&key, config) else { return Verdict::Dropped(DropReason::NoRoute) };
        if self.listener_mut(listener).is_none_or(|listener| listener.is_full()) {
            self.counters.listen_overflows += 1;
            self.counters.listen_drops += 1;
            if self.config.host.abort_on_overflow {
                self.remove_half_open(index);
                self.reset(&key, &segment, ResetCause::NoConnection, now);
                return Verdict::Answered(DropReason::ListenOverflow);
            }
            // The record stays: the SYN-ACK, sent again, asks the peer for this segment once more.
            return Verdict::Dropped(DropReason::ListenOverflow);
        }
        self.remove_half_open(index);
        let connection = Connection::accept(config, &accepted, now);
        let index = self.adopt(Endpoint::new(connection, path, Owner::Listener(listener)));
        self.counters.passive_opens += 1;
        let verdict = match self.endpoint_mut(index) {
            Some(endpoint) => endpoint.connection.on_segment(segment, now),
            None => Verdict::Dropped(DropReason::NoConnection),
        };
        self.touch(index);
        if let Some(listener) = self.listener_mut(listener) {
            listener.push(index);
        }
        self.announced.push_back((self.socket_id(listener), Event::Acceptable));
        verdict
    }

    /// Forgets a half-open record.
    pub(super) fn remove_half_open(&mut self, index: u32) {
        let Some(mut record) = self.half_open.remove(index) else { return };
        self.wheel.cancel(&mut record.timer);
        self.demux.remove(&record.key, Slot::HalfOpen(index));
        if let Some(listener) = self.listener_mut(record.listener) {
            listener.half_open = listener.half_open.saturating_sub(1);
        }
    }

    /// The SYN-ACK was not answered in time: it goes out again, or the record is given up.
    pub(super) fn on_half_open_timeout(&mut self, index: u32, now: Instant) {
        let Some(record) = self.half_open.get_mut(index) else { return };
        record.timer = None;
        let (key, listener) = (record.key, record.listener);
        let Some(config) = self.config_of(listener, &key) else { return self.remove_half_open(index) };
        let Some(record) = self.half_open.get_mut(index) else { return };
        if record.timeouts >= config.synack_retries {
            self.counters.attempt_fails += 1;
            return self.remove_half_open(index);
        }
        record.timeouts += 1;
        let cause = Cause::Retransmit(RetransmitCause::SynAck(record.timeouts));
        let syn_ack = record.syn_ack(&config, now);
        let deadline = record.deadline(&config);
        self.wheel.arm(&mut record.timer, TimerKey::HalfOpen(index), deadline);
        self.reply_as(&config, &key, syn_ack, cause, now);
    }

    /// SEGMENT ARRIVES in TIME-WAIT.
    fn arrives_in_time_wait(&mut self, index: u32, segment: &Segment, now: Instant) -> Verdict {
        let rules = Rules {
            rfc1337: self.config.host.rfc1337,
            answer_interval: self.config.tcp.challenge_ack_interval,
            may_reopen: self.time_wait.get(index).is_some_and(|record| self.has_room(&record.key())),
        };
        let arrival = self.time_wait.on_segment(index, segment, &rules, now, &mut self.wheel);
        let Some(record) = self.time_wait.get(index) else { return Verdict::Dropped(DropReason::NoConnection) };
        let (key, snd_nxt) = (record.key(), record.snd_nxt());
        let acknowledgement = record.acknowledgement(ts_clock(now, 0));
        match arrival {
            timewait::Arrival::Acknowledge(cause, why) => {
                self.reply(&key, acknowledgement, Cause::Ack(cause), now);
                Verdict::Answered(why)
            }
            timewait::Arrival::Restart => {
                self.reply(&key, acknowledgement, Cause::Ack(AckCause::TimeWait), now);
                Verdict::Answered(DropReason::Duplicate)
            }
            timewait::Arrival::Drop(why) => Verdict::Dropped(why),
            timewait::Arrival::Delete => {
                self.remove_time_wait(index);
                self.counters.time_wait_killed += 1;
                Verdict::Accepted
            }
            timewait::Arrival::Reopen => {
                self.remove_time_wait(index);
                self.arrives_unclaimed(&key, segment, Some(snd_nxt), now)
            }
        }
    }

    /// A connection hands its four-tuple over to a TIME-WAIT record.
    pub(super) fn enter_time_wait(&mut self, connection: u32, record: &TimeWait, now: Instant) {
        let most = usize::try_from(self.config.host.max_tw_buckets).unwrap_or(usize::MAX);
        while self.time_wait.len() >= most.max(1)
            && let Some(oldest) = self.time_wait.oldest()
        {
            self.remove_time_wait(oldest);
            self.counters.time_wait_overflow += 1;
        }
        if most == 0 {
            self.demux.remove(&record.key, Slot::Connection(connection));
            self.counters.time_wait_overflow += 1;
            return;
        }
        let index = self.time_wait.insert(record, now, &mut self.wheel);
        self.demux.replace(&record.key, Slot::Connection(connection), Slot::TimeWait(index));
    }

    /// Forgets a TIME-WAIT record.
    pub(super) fn remove_time_wait(&mut self, index: u32) {
        if let Some(key) = self.time_wait.remove(index, &mut self.wheel) {
            self.demux.remove(&key, Slot::TimeWait(index));
        }
    }

    /// Where a new connection's numbers start: beyond `above`, the end of its predecessor, if there was one.
    pub(super) fn initial_sequence(&self, key: &FourTuple, above: Option<Seq>, now: Instant) -> Seq {
        let iss = match self.config.host.initial_sequence {
            InitialSequence::Keyed => self.isn.iss(key, now),
            InitialSequence::Fixed(iss) => iss,
        };
        // Like Linux: far enough beyond that no window of the old connection reaches it unscaled.
        match above {
            Some(end) if iss.distance(end) <= 0 => end + 65_537,
            _ => iss,
        }
    }

    /// True if somebody listens who could take a new connection.
    fn has_room(&self, key: &FourTuple) -> bool {
        let listener = self.listeners.find(key.local()).and_then(|index| self.sockets.get(index));
        matches!(listener, Some(Socket::Listener(listener))
            if !listener.is_full() && listener.half_open < self.config.host.max_syn_backlog)
    }

    /// What a connection of this listener towards this peer starts from.
    fn config_of(&self, listener: u32, key: &FourTuple) -> Option<Config> {
        let Some(Socket::Listener(listener)) = self.sockets.get(listener) else { return None };
        Some(Config { mtu: self.path(key, &listener.config)?.mtu, ..listener.config.clone() })
    }
}
