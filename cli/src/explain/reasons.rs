//! The causes and drop reasons of our own stack, in words.
//!
//! Sections: each cause's own, named in `tidegate_proto::tcp`.
//! In: a cause or a drop reason.
//! Out: its sentence; nothing for what every undisturbed connection does.

use tidegate_proto::tcp::{AckCause, Cause, DropReason, ResetCause, RetransmitCause, Verdict};

use super::sentences::{self as say, Lang, Sentence};

/// Why a segment was sent, unless that goes without saying.
pub(super) fn cause(cause: Cause, lang: Lang) -> Option<String> {
    let sentence = match cause {
        Cause::Syn | Cause::SynAck | Cause::Data | Cause::Fin => return None,
        Cause::Ack(AckCause::Challenge(why)) => {
            return Some(say::CAUSE_CHALLENGE.say(lang, &[("why", &drop(why).say(lang, &[]))]));
        }
        Cause::Ack(why) => ack(why)?,
        Cause::Retransmit(why) => retransmit(why),
        Cause::TailLossProbe => &say::CAUSE_TAIL_PROBE,
        Cause::WindowProbe(_) => &say::CAUSE_PROBE,
        Cause::PathProbe => &say::CAUSE_PATH_PROBE,
        Cause::KeepAlive(_) => &say::CAUSE_KEEP_ALIVE,
        Cause::Reset(why) => reset(why),
    };
    Some(sentence.say(lang, &[("n", &cause.count().unwrap_or(0))]))
}

fn ack(why: AckCause) -> Option<&'static Sentence> {
    Some(match why {
        AckCause::Handshake | AckCause::EverySecond | AckCause::Quick | AckCause::Fin | AckCause::Challenge(_) => {
            return None;
        }
        AckCause::Delayed => &say::CAUSE_DELAYED,
        AckCause::OutOfOrder => &say::CAUSE_OUT_OF_ORDER,
        AckCause::GapFilled => &say::CAUSE_GAP_FILLED,
        AckCause::WindowUpdate => &say::CAUSE_WINDOW,
        AckCause::Duplicate => &say::CAUSE_DUPLICATE,
        AckCause::ProbeAnswer => &say::CAUSE_PROBE_ANSWER,
        AckCause::TimeWait => &say::CAUSE_TIME_WAIT,
        AckCause::NoMemory => &say::CAUSE_NO_MEMORY,
    })
}

fn retransmit(why: RetransmitCause) -> &'static Sentence {
    match why {
        RetransmitCause::Syn(_) => &say::CAUSE_SYN_TIMEOUT,
        RetransmitCause::SynAck(0) => &say::CAUSE_SYN_ACK_ASKED,
        RetransmitCause::SynAck(_) => &say::CAUSE_SYN_ACK_TIMEOUT,
        RetransmitCause::Timeout(_) => &say::CAUSE_TIMEOUT,
        RetransmitCause::AfterTimeout => &say::CAUSE_AFTER_TIMEOUT,
        RetransmitCause::Fast => &say::CAUSE_FAST,
        RetransmitCause::PartialAck => &say::CAUSE_PARTIAL,
        RetransmitCause::PathMtu => &say::CAUSE_PATH_MTU,
        RetransmitCause::Rack => &say::CAUSE_RACK,
        RetransmitCause::ReorderingTimer => &say::CAUSE_REORDERING_TIMER,
        RetransmitCause::TailLossProbe => &say::CAUSE_TAIL_AGAIN,
    }
}

fn reset(why: ResetCause) -> &'static Sentence {
    match why {
        ResetCause::NoConnection => &say::CAUSE_NO_CONNECTION,
        ResetCause::Abort => &say::CAUSE_ABORT,
        ResetCause::UnreadData => &say::CAUSE_UNREAD,
        ResetCause::DataAfterClose => &say::CAUSE_AFTER_CLOSE,
        ResetCause::UnacceptableAck => &say::CAUSE_BAD_ACK,
        ResetCause::TimedOut => &say::CAUSE_TIMED_OUT,
    }
}

/// The reason in a verdict that is not an acceptance.
pub(super) fn refusal(verdict: Option<Verdict>) -> Option<DropReason> {
    match verdict? {
        Verdict::Accepted => None,
        Verdict::Answered(why) | Verdict::Dropped(why) => Some(why),
    }
}

/// Why a segment was not taken.
pub(crate) fn drop(why: DropReason) -> &'static Sentence {
    match why {
        DropReason::Malformed => &say::DROP_MALFORMED,
        DropReason::BadChecksum => &say::DROP_CHECKSUM,
        DropReason::BadOptions => &say::DROP_OPTIONS,
        DropReason::NotForUs => &say::DROP_ADDRESS,
        DropReason::MartianSource => &say::DROP_MARTIAN,
        DropReason::Multicast => &say::DROP_MULTICAST,
        DropReason::UnknownProtocol => &say::DROP_PROTOCOL,
        DropReason::Fragment => &say::DROP_FRAGMENT,
        DropReason::Redirect => &say::DROP_REDIRECT,
        DropReason::Implausible => &say::DROP_IMPLAUSIBLE,
        DropReason::NoConnection => &say::DROP_NO_CONNECTION,
        DropReason::IgnoredReset => &say::DROP_RESET,
        DropReason::ListenOverflow => &say::DROP_OVERFLOW,
        DropReason::OutsideWindow => &say::DROP_WINDOW,
        DropReason::Duplicate => &say::DROP_DUPLICATE,
        DropReason::Paws => &say::DROP_PAWS,
        DropReason::ResetNotExact => &say::DROP_RESET_INEXACT,
        DropReason::SynInWindow => &say::DROP_SYN,
        DropReason::NoAck => &say::DROP_NO_ACK,
        DropReason::AckTooNew => &say::DROP_ACK_NEW,
        DropReason::AckTooOld => &say::DROP_ACK_OLD,
        DropReason::BadFlags => &say::DROP_FLAGS,
        DropReason::NoMemory => &say::DROP_MEMORY,
        DropReason::DataAfterClose => &say::DROP_CLOSED,
        DropReason::TimeWaitAssassination => &say::DROP_ASSASSINATION,
        DropReason::NoRoute => &say::DROP_NO_ROUTE,
        DropReason::RateLimited => &say::DROP_RATE,
    }
}
