//! The comments on captured packets: what no observer can know, in words for people that programs can read back.
//!
//! Sections: none of an RFC; the grammar is this file's.
//! In: why a frame was sent and what its sender knew; or what became of a frame that arrived.
//! Out: one line of text for pcapng's opt_comment; and the same facts back from such a line.
//!
//! ```text
//! sent      = name [ " (" detail ")" ] ": " phrase [ "; " note ]
//! received  = ( "accepted" / "answered (" drop ")" / "dropped (" drop ")" ) ": " phrase
//! detail    = ordinal / drop                        2nd, outside-window
//! note      = STATE " cwnd " n " ssthresh " n " in-flight " n " rto " time [ " srtt " time ]
//! ```
//! For example `retransmit-timeout (2nd): the retransmission timer ran out; ESTABLISHED cwnd 1 ssthresh 7 in-flight
//! 14480 rto 408ms srtt 142us`. The names are stable, the phrases are not.

use core::fmt;
use core::str::FromStr;

use crate::net::{self, Note};
use crate::tcp::{AckCause, Cause, DropReason, ResetCause, RetransmitCause, State, Verdict};

/// What there is to say about one frame of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// This host sent it.
    Sent {
        /// Why.
        cause: net::Cause,
        /// What the sender knew at that moment. The text has durations to three decimals.
        note: Option<Note>,
    },
    /// This host received it, and this became of it.
    Received(Verdict),
}

impl Reason {
    /// True for all but plain data, plain acknowledgements and the three segments that open a connection: what a
    /// reader of the capture wants explained.
    pub const fn is_unusual(&self) -> bool {
        match self {
            Reason::Sent { cause: net::Cause::Tcp(cause), .. } => match cause {
                Cause::Syn | Cause::SynAck | Cause::Data | Cause::Fin => false,
                Cause::Ack(AckCause::Handshake | AckCause::EverySecond | AckCause::Quick | AckCause::Fin) => false,
                Cause::Ack(_) => true,
                Cause::Retransmit(_)
                | Cause::PathProbe
                | Cause::TailLossProbe
                | Cause::WindowProbe(_)
                | Cause::KeepAlive(_)
                | Cause::Reset(_) => true,
            },
            Reason::Sent { cause: net::Cause::Icmp, .. } => true,
            Reason::Sent { .. } => false,
            Reason::Received(Verdict::Accepted) => false,
            Reason::Received(_) => true,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cause, note) = match *self {
            Reason::Sent { cause, note } => (cause, note),
            Reason::Received(Verdict::Accepted) => return write!(f, "{ACCEPTED}: it was acceptable"),
            Reason::Received(Verdict::Answered(why)) => {
                return write!(f, "{ANSWERED} ({}): {}", why.name(), drop_phrase(why));
            }
            Reason::Received(Verdict::Dropped(why)) => {
                return write!(f, "{DROPPED} ({}): {}", why.name(), drop_phrase(why));
            }
        };
        f.write_str(cause.name())?;
        if let net::Cause::Tcp(cause) = cause {
            if let Cause::Ack(AckCause::Challenge(why)) = cause {
                write!(f, " ({})", why.name())?;
            }
            if let Some(count) = cause.count() {
                write!(f, " ({count}{})", ordinal_suffix(count))?;
            }
        }
        write!(f, ": {}", phrase(cause))?;
        let Some(note) = note else { return Ok(()) };
        write!(f, "; {} cwnd {} ssthresh ", note.state, note.cwnd)?;
        match note.ssthresh {
            u32::MAX => f.write_str(UNLIMITED)?,
            ssthresh => write!(f, "{ssthresh}")?,
        }
        write!(f, " in-flight {} rto {}", note.in_flight, note.rto)?;
        note.srtt.map_or(Ok(()), |srtt| write!(f, " srtt {srtt}"))
    }
}

impl FromStr for Reason {
    type Err = NotAReason;

    fn from_str(text: &str) -> Result<Self, NotAReason> {
        let (head, tail) = text.split_once(": ").ok_or(NotAReason)?;
        let (name, detail) = match head.split_once(" (") {
            Some((name, detail)) => (name, Some(detail.strip_suffix(')').ok_or(NotAReason)?)),
            None => (head, None),
        };
        let dropped = || detail.and_then(drop_reason).ok_or(NotAReason);
        match name {
            ACCEPTED => return Ok(Reason::Received(Verdict::Accepted)),
            ANSWERED => return Ok(Reason::Received(Verdict::Answered(dropped()?))),
            DROPPED => return Ok(Reason::Received(Verdict::Dropped(dropped()?))),
            _ => {}
        }
        let cause = CAUSES.into_iter().find(|cause| cause.name() == name).ok_or(NotAReason)?;
        let cause = match cause {
            net::Cause::Tcp(Cause::Ack(AckCause::Challenge(_))) => {
                net::Cause::Tcp(Cause::Ack(AckCause::Challenge(dropped()?)))
            }
            net::Cause::Tcp(cause) if cause.count().is_some() => {
                net::Cause::Tcp(with_count(cause, detail.and_then(ordinal).ok_or(NotAReason)?))
            }
            cause => cause,
        };
        let note = tail.split_once("; ").map(|(_, note)| parse_note(note).ok_or(NotAReason)).transpose()?;
        Ok(Reason::Sent { cause, note })
    }
}

/// The text is not one that a [`Reason`] prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAReason;

impl fmt::Display for NotAReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a reason as this program writes it")
    }
}

impl core::error::Error for NotAReason {}

/// Why a frame goes out, in words.
pub const fn phrase(cause: net::Cause) -> &'static str {
    match cause {
        net::Cause::Tcp(cause) => match cause {
            Cause::Syn => "the application connects",
            Cause::SynAck => "a SYN came for a listening port",
            Cause::Data => "the application wrote, and the windows allow it",
            Cause::TailLossProbe => "nothing came back for two round trips: a new segment asks after the last ones",
            Cause::Fin => "the application closed",
            Cause::Ack(why) => match why {
                AckCause::Handshake => "the third segment of the handshake",
                AckCause::EverySecond => "two full-sized segments have arrived since the last acknowledgement",
                AckCause::Quick => "quick-ACK mode: every segment is acknowledged at once",
                AckCause::Delayed => "the delayed-ACK timer ran out",
                AckCause::OutOfOrder => "a segment arrived beyond a gap: a duplicate acknowledgement says so",
                AckCause::GapFilled => "a segment filled a gap, wholly or in part",
                AckCause::Fin => "the peer closed",
                AckCause::WindowUpdate => "the application has read, and the window has opened enough to say so",
                AckCause::Duplicate => "the peer sent what had arrived before",
                AckCause::Challenge(_) => "the peer sent something unacceptable: this is where we stand",
                AckCause::ProbeAnswer => "the peer probed",
                AckCause::TimeWait => "the peer sent its FIN again, so our last acknowledgement was lost",
                AckCause::NoMemory => "this host has no memory left for what arrived: it must come again",
            },
            Cause::Retransmit(why) => match why {
                RetransmitCause::Syn(_) => "the SYN was not answered in time",
                RetransmitCause::SynAck(_) => "the SYN-ACK was not acknowledged in time, or the SYN came again",
                RetransmitCause::Timeout(_) => "the retransmission timer ran out",
                RetransmitCause::AfterTimeout => "it was in flight when the retransmission timer ran out",
                RetransmitCause::Fast => "three duplicate acknowledgements say that it was lost",
                RetransmitCause::PathMtu => "it was larger than the path carries",
                RetransmitCause::PartialAck => "a partial acknowledgement during recovery: this was lost too",
                RetransmitCause::Rack => "what was sent later has arrived: this was lost",
                RetransmitCause::ReorderingTimer => "what was sent later arrived long enough ago: this was lost",
                RetransmitCause::TailLossProbe => "nothing came back for two round trips: the last segment again",
            },
            Cause::PathProbe => "does the path carry larger segments?",
            Cause::WindowProbe(_) => "the peer's window is closed: has it opened?",
            Cause::KeepAlive(_) => "nothing was heard for the keep-alive interval: is the peer still there?",
            Cause::Reset(why) => match why {
                ResetCause::NoConnection => "a segment came for a connection that does not exist",
                ResetCause::Abort => "the application aborted",
                ResetCause::UnreadData => "the application closed and left data unread",
                ResetCause::DataAfterClose => "data came that nobody will read",
                ResetCause::UnacceptableAck => "the peer acknowledged what was never sent on this connection",
                ResetCause::TimedOut => "the peer did not answer for too long: the connection is given up",
            },
        },
        net::Cause::NeighbourRequest => "who on this link has the address?",
        net::Cause::NeighbourReply => "this host has the address",
        net::Cause::EchoReply => "an answer to an echo request",
        net::Cause::Icmp => "a packet could not be delivered here",
    }
}

/// Why a frame that arrived did not do its work, in words.
pub const fn drop_phrase(why: DropReason) -> &'static str {
    match why {
        DropReason::Malformed => "its lengths contradict each other",
        DropReason::BadChecksum => "its checksum is wrong: it was damaged on the way",
        DropReason::BadOptions => "its options have an impossible length",
        DropReason::NotForUs => "it is not addressed to this host",
        DropReason::MartianSource => "its source is an address that no peer can have",
        DropReason::Multicast => "TCP has no multicast",
        DropReason::UnknownProtocol => "nobody here speaks its protocol",
        DropReason::Fragment => "it is a fragment that contradicts others of its packet",
        DropReason::Redirect => "it wishes packets another way, which is not believed",
        DropReason::Implausible => "it tells nothing new, or nothing that can be",
        DropReason::NoConnection => "no connection and no listener has these addresses and ports",
        DropReason::NoRoute => "no way leads back to its sender",
        DropReason::IgnoredReset => "it is a reset for what does not exist, or in a state that ignores it",
        DropReason::ListenOverflow => "the listener's queue is full",
        DropReason::OutsideWindow => "its sequence numbers lie outside the receive window",
        DropReason::Duplicate => "everything in it had arrived before",
        DropReason::Paws => "its timestamp is older than what was seen last",
        DropReason::ResetNotExact => "it is a reset in the window, but not at the next number expected",
        DropReason::SynInWindow => "it is a SYN on a connection that is already synchronized",
        DropReason::NoAck => "it has no ACK flag where one is needed",
        DropReason::AckTooNew => "it acknowledges what was never sent",
        DropReason::AckTooOld => "it acknowledges less than any window of the peer's reaches back to",
        DropReason::BadFlags => "it has a combination of flags that no rule allows",
        DropReason::NoMemory => "the receive buffer has no room",
        DropReason::DataAfterClose => "it brings data that nobody will read",
        DropReason::TimeWaitAssassination => "it is a reset for a connection in TIME-WAIT",
        DropReason::RateLimited => "it deserved an answer, but enough were given in this second",
    }
}

impl net::Cause {
    /// A stable name for programs and captures: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            net::Cause::Tcp(cause) => cause.name(),
            net::Cause::NeighbourRequest => "neighbour-request",
            net::Cause::NeighbourReply => "neighbour-reply",
            net::Cause::EchoReply => "echo-reply",
            net::Cause::Icmp => "icmp",
        }
    }
}

fn with_count(cause: Cause, count: u8) -> Cause {
    match cause {
        Cause::Retransmit(RetransmitCause::Syn(_)) => Cause::Retransmit(RetransmitCause::Syn(count)),
        Cause::Retransmit(RetransmitCause::SynAck(_)) => Cause::Retransmit(RetransmitCause::SynAck(count)),
        Cause::Retransmit(RetransmitCause::Timeout(_)) => Cause::Retransmit(RetransmitCause::Timeout(count)),
        Cause::WindowProbe(_) => Cause::WindowProbe(count),
        Cause::KeepAlive(_) => Cause::KeepAlive(count),
        cause => cause,
    }
}

fn parse_note(text: &str) -> Option<Note> {
    let mut words = text.split(' ');
    let state = words.next()?;
    let state = State::ALL.into_iter().find(|known| known.name() == state)?;
    let mut field = |name| words.next().filter(|word| *word == name).and_then(|_| words.next());
    let cwnd = field("cwnd")?.parse().ok()?;
    let ssthresh = match field("ssthresh")? {
        UNLIMITED => u32::MAX,
        number => number.parse().ok()?,
    };
    let in_flight = field("in-flight")?.parse().ok()?;
    let rto = field("rto")?.parse().ok()?;
    let srtt = field("srtt").map(str::parse).transpose().ok()?;
    Some(Note { state, cwnd, ssthresh, in_flight, rto, srtt })
}

fn drop_reason(name: &str) -> Option<DropReason> {
    DROP_REASONS.into_iter().find(|known| known.name() == name)
}

fn ordinal(text: &str) -> Option<u8> {
    let count = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    text.ends_with(ordinal_suffix(count)).then_some(count)
}

const fn ordinal_suffix(n: u8) -> &'static str {
    match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

const ACCEPTED: &str = "accepted";
const ANSWERED: &str = "answered";
const DROPPED: &str = "dropped";
/// A slow-start threshold that no loss has set yet.
const UNLIMITED: &str = "unlimited";

/// One of each kind, to find them by name. A test holds the list against the names in the sources.
const CAUSES: [net::Cause; 41] = {
    const fn tcp(cause: Cause) -> net::Cause {
        net::Cause::Tcp(cause)
    }
    const fn ack(why: AckCause) -> net::Cause {
        tcp(Cause::Ack(why))
    }
    const fn retransmit(why: RetransmitCause) -> net::Cause {
        tcp(Cause::Retransmit(why))
    }
    const fn reset(why: ResetCause) -> net::Cause {
        tcp(Cause::Reset(why))
    }
    [
        tcp(Cause::Syn),
        tcp(Cause::SynAck),
        tcp(Cause::Data),
        tcp(Cause::Fin),
        ack(AckCause::Handshake),
        ack(AckCause::EverySecond),
        ack(AckCause::Quick),
        ack(AckCause::Delayed),
        ack(AckCause::OutOfOrder),
        ack(AckCause::GapFilled),
        ack(AckCause::Fin),
        ack(AckCause::WindowUpdate),
        ack(AckCause::Duplicate),
        ack(AckCause::Challenge(DropReason::Malformed)),
        ack(AckCause::ProbeAnswer),
        ack(AckCause::TimeWait),
        ack(AckCause::NoMemory),
        retransmit(RetransmitCause::Syn(0)),
        retransmit(RetransmitCause::SynAck(0)),
        retransmit(RetransmitCause::Timeout(0)),
        retransmit(RetransmitCause::AfterTimeout),
        retransmit(RetransmitCause::Fast),
        retransmit(RetransmitCause::PartialAck),
        retransmit(RetransmitCause::PathMtu),
        tcp(Cause::PathProbe),
        retransmit(RetransmitCause::Rack),
        retransmit(RetransmitCause::ReorderingTimer),
        retransmit(RetransmitCause::TailLossProbe),
        tcp(Cause::TailLossProbe),
        tcp(Cause::WindowProbe(0)),
        tcp(Cause::KeepAlive(0)),
        reset(ResetCause::NoConnection),
        reset(ResetCause::Abort),
        reset(ResetCause::UnreadData),
        reset(ResetCause::DataAfterClose),
        reset(ResetCause::UnacceptableAck),
        reset(ResetCause::TimedOut),
        net::Cause::NeighbourRequest,
        net::Cause::NeighbourReply,
        net::Cause::EchoReply,
        net::Cause::Icmp,
    ]
};

/// Every one, to find them by name. A test holds the list against the names in the sources.
const DROP_REASONS: [DropReason; 27] = [
    DropReason::Malformed,
    DropReason::BadChecksum,
    DropReason::BadOptions,
    DropReason::NotForUs,
    DropReason::MartianSource,
    DropReason::Multicast,
    DropReason::UnknownProtocol,
    DropReason::Fragment,
    DropReason::Redirect,
    DropReason::Implausible,
    DropReason::NoConnection,
    DropReason::NoRoute,
    DropReason::IgnoredReset,
    DropReason::ListenOverflow,
    DropReason::OutsideWindow,
    DropReason::Duplicate,
    DropReason::Paws,
    DropReason::ResetNotExact,
    DropReason::SynInWindow,
    DropReason::NoAck,
    DropReason::AckTooNew,
    DropReason::AckTooOld,
    DropReason::BadFlags,
    DropReason::NoMemory,
    DropReason::DataAfterClose,
    DropReason::TimeWaitAssassination,
    DropReason::RateLimited,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        let why = select(&DROP_REASONS[..]);
        prop_oneof![Just(Verdict::Accepted), why.clone().prop_map(Verdict::Answered), why.prop_map(Verdict::Dropped)]
    }

    fn any_cause() -> impl Strategy<Value = net::Cause> {
        (select(&CAUSES[..]), any::<u8>(), select(&DROP_REASONS[..])).prop_map(|(cause, count, why)| match cause {
            net::Cause::Tcp(Cause::Ack(AckCause::Challenge(_))) => {
                net::Cause::Tcp(Cause::Ack(AckCause::Challenge(why)))
            }
            net::Cause::Tcp(cause) => net::Cause::Tcp(with_count(cause, count)),
            cause => cause,
        })
    }

    /// Durations of whole microseconds up to a second, then of whole milliseconds: three decimals say them exactly.
    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0_u64..1_000_000).prop_map(Duration::from_micros),
            any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()))
        ]
    }

    fn any_note() -> impl Strategy<Value = Note> {
        let numbers = (any::<u32>(), prop_oneof![any::<u32>(), Just(u32::MAX)], any::<u64>());
        (select(&State::ALL[..]), numbers, any_duration(), prop::option::of(any_duration())).prop_map(
            |(state, (cwnd, ssthresh, in_flight), rto, srtt)| Note { state, cwnd, ssthresh, in_flight, rto, srtt },
        )
    }

    fn any_reason() -> impl Strategy<Value = Reason> {
        prop_oneof![
            (any_cause(), prop::option::of(any_note())).prop_map(|(cause, note)| Reason::Sent { cause, note }),
            any_verdict().prop_map(Reason::Received),
        ]
    }

    proptest! {
        #[test]
        fn a_reason_survives_the_text(reason in any_reason()) {
            prop_assert_eq!(reason.to_string().parse(), Ok(reason));
        }

        #[test]
        fn any_text_can_be_read(text in "[a-z]{0,12}( \\([0-9a-z-]{0,9}\\)?)?(: .{0,9})?(; .{0,40})?") {
            let _ = text.parse::<Reason>();
        }

        /// A comment that was cut or changed is read as what it says or not at all, never with a panic.
        #[test]
        fn a_damaged_comment_can_be_read(reason in any_reason(), at: prop::sample::Index, with in any::<char>()) {
            let mut text: Vec<char> = reason.to_string().chars().collect();
            let at = at.index(text.len());
            text[at] = with;
            let _ = text.iter().collect::<String>().parse::<Reason>();
            let _ = text[..at].iter().collect::<String>().parse::<Reason>();
        }
    }

    #[test]
    fn what_a_person_reads() {
        let note = Note {
            state: State::Established,
            cwnd: 1,
            ssthresh: 7,
            in_flight: 14_480,
            rto: Duration::from_millis(408),
            srtt: Some(Duration::from_micros(142)),
        };
        let cause = net::Cause::Tcp(Cause::Retransmit(RetransmitCause::Timeout(2)));
        assert_eq!(
            Reason::Sent { cause, note: Some(note) }.to_string(),
            "retransmit-timeout (2nd): the retransmission timer ran out; ESTABLISHED cwnd 1 ssthresh 7 in-flight 14480 rto 408ms srtt 142us"
        );
        let cause = net::Cause::Tcp(Cause::Ack(AckCause::Challenge(DropReason::OutsideWindow)));
        assert_eq!(
            Reason::Sent { cause, note: None }.to_string(),
            "ack-challenge (outside-window): the peer sent something unacceptable: this is where we stand"
        );
        let note = Note { ssthresh: u32::MAX, srtt: None, ..note };
        let cause = net::Cause::Tcp(Cause::Data);
        assert!(
            Reason::Sent { cause, note: Some(note) }
                .to_string()
                .ends_with("ssthresh unlimited in-flight 14480 rto 408ms")
        );
        assert_eq!(
            Reason::Received(Verdict::Dropped(DropReason::Paws)).to_string(),
            "dropped (paws): its timestamp is older than what was seen last"
        );
    }

    #[test]
    fn what_is_no_reason() {
        for text in [
            "",
            "data",
            "hello: world",
            "data: x; ESTABLISHED",
            "retransmit-timeout: x",
            "dropped: x",
            "dropped (2nd): x",
            "retransmit-timeout (2th): x",
        ] {
            assert_eq!(text.parse::<Reason>(), Err(NotAReason), "{text}");
        }
    }

    #[test]
    fn data_and_acknowledgements_are_usual() {
        let usual: Vec<&str> = CAUSES
            .into_iter()
            .filter(|cause| !Reason::Sent { cause: *cause, note: None }.is_unusual())
            .map(net::Cause::name)
            .collect();
        let expected = [
            "syn",
            "syn-ack",
            "data",
            "fin",
            "ack-handshake",
            "ack-every-second",
            "ack-quick",
            "ack-fin",
            "neighbour-request",
            "neighbour-reply",
            "echo-reply",
        ];
        assert_eq!(usual, expected);
        assert!(!Reason::Received(Verdict::Accepted).is_unusual());
        assert!(Reason::Received(Verdict::Dropped(DropReason::BadChecksum)).is_unusual());
    }

    /// The names between `=> "` and `"` in a source.
    fn names(source: &str) -> impl Iterator<Item = &str> {
        source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn the_lists_are_complete() {
        for name in names(include_str!("../tcp/cause.rs")) {
            assert!(CAUSES.iter().any(|cause| cause.name() == name), "{name} cannot be read back");
        }
        for name in names(include_str!("../tcp/segment.rs")) {
            assert!(drop_reason(name).is_some(), "{name} cannot be read back");
        }
    }
}
