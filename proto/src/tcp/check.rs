//! The checks of SEGMENT ARRIVES that every record with sequence numbers shares.
//!
//! Sections: RFC 9293 3.4, 3.10.7.4 steps 1, 2 and 5; RFC 5961 3, 5; draft-ietf-tcpm-tcp-ghost-acks.
//! In: the few variables that the checks read, and a segment's numbers as positions.
//! Out: acceptable or not, and which crime it was.

use super::DropReason;
use crate::wire::{Flags, Pos};

/// What a connection, a half-open or a TIME-WAIT record has to know to judge an arriving segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct View {
    /// RCV.NXT.
    pub(crate) rcv_nxt: Pos,
    /// RCV.WND: what is left of the window that we advertised.
    pub(crate) rcv_wnd: u32,
    /// SND.UNA.
    pub(crate) snd_una: Pos,
    /// SND.NXT.
    pub(crate) snd_nxt: Pos,
    /// MAX.SND.WND: the largest window that the peer ever offered.
    pub(crate) max_snd_wnd: u32,
}

/// What an acceptable acknowledgement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AckKind {
    /// It acknowledges nothing that was not acknowledged before.
    Duplicate,
    /// It moves SND.UNA.
    Advances,
}

/// Where a RST inside the window stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResetKind {
    /// At RCV.NXT: it is the peer's.
    Exact,
    /// Elsewhere in the window: perhaps a guess.
    InWindow,
}

/// No rule allows these combinations in any state; they only probe stacks.
pub(crate) fn check_flags(flags: Flags) -> Result<(), DropReason> {
    let several = flags.has(Flags::SYN) && flags.any(Flags::FIN | Flags::RST);
    let none = !flags.any(Flags::SYN | Flags::FIN | Flags::RST | Flags::ACK);
    if several || none { Err(DropReason::BadFlags) } else { Ok(()) }
}

impl View {
    /// The right edge of the receive window.
    fn edge(&self) -> Pos {
        self.rcv_nxt + u64::from(self.rcv_wnd)
    }

    /// First, check the sequence number: the four cases of RFC 9293 3.4, for a segment of SEG.LEN `len` at `seq`.
    pub(crate) fn check_sequence(&self, seq: Pos, len: u64) -> Result<(), DropReason> {
        let inside = |pos: Pos| self.rcv_nxt <= pos && pos < self.edge();
        let acceptable = match (len, self.rcv_wnd) {
            (0, 0) => seq == self.rcv_nxt,
            // DEVIATES: 9293#3.4: the right edge itself is acceptable. A peer that has filled the window acknowledges
            // with SEG.SEQ at the edge; while an earlier segment of its is missing, refusing that would make both deaf.
            (0, _) => inside(seq) || seq == self.edge(),
            (_, 0) => false,
            (_, _) => inside(seq) || inside(seq + (len - 1)),
        };
        match acceptable {
            true => Ok(()),
            false if len > 0 && seq + len <= self.rcv_nxt => Err(DropReason::Duplicate),
            false => Err(DropReason::OutsideWindow),
        }
    }

    /// Second, check the RST bit: RFC 5961 3.2. A RST may carry data (SHLD-2), which counts for nothing here.
    pub(crate) fn check_reset(&self, seq: Pos) -> Result<ResetKind, DropReason> {
        //= 9293/SHLD-2
        //= 9293/MUST-66
        //= 5961#3.2
        match self.check_sequence(seq, 0) {
            Ok(()) if seq == self.rcv_nxt => Ok(ResetKind::Exact),
            Ok(()) => Ok(ResetKind::InWindow),
            Err(_) => Err(DropReason::OutsideWindow),
        }
    }

    /// Fifth, check the ACK field, in synchronized states: RFC 5961 5.2.
    pub(crate) fn check_ack(&self, ack: Pos) -> Result<AckKind, DropReason> {
        //= 5961#5.2
        // The peer cannot still be sending acknowledgements from before anything was acknowledged (ghost ACKs).
        let acknowledged = self.snd_una.since(Pos::FIRST);
        let oldest = self.snd_una - u64::from(self.max_snd_wnd).min(acknowledged);
        if ack > self.snd_nxt {
            Err(DropReason::AckTooNew)
        } else if ack < oldest {
            Err(DropReason::AckTooOld)
        } else if ack > self.snd_una {
            Ok(AckKind::Advances)
        } else {
            Ok(AckKind::Duplicate)
        }
    }

    /// The acknowledgement that SYN-SENT and SYN-RECEIVED need: SND.UNA < SEG.ACK =< SND.NXT.
    pub(crate) fn is_ack_of_syn(&self, ack: Pos) -> bool {
        self.snd_una < ack && ack <= self.snd_nxt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View =
        View { rcv_nxt: Pos(1000), rcv_wnd: 100, snd_una: Pos(500), snd_nxt: Pos(600), max_snd_wnd: 200 };

    #[test]
    fn the_four_cases_of_3_4_and_their_edges() {
        use DropReason::{Duplicate, OutsideWindow};
        let closed = View { rcv_wnd: 0, ..VIEW };
        for (view, seq, len, expected) in [
            (closed, 1000, 0, Ok(())),
            (closed, 999, 0, Err(OutsideWindow)),
            (closed, 1001, 0, Err(OutsideWindow)),
            (closed, 1000, 1, Err(OutsideWindow)),
            (closed, 999, 1, Err(Duplicate)),
            (VIEW, 999, 0, Err(OutsideWindow)),
            (VIEW, 1000, 0, Ok(())),
            (VIEW, 1099, 0, Ok(())),
            (VIEW, 1100, 0, Ok(())),
            (VIEW, 1101, 0, Err(OutsideWindow)),
            (VIEW, 990, 10, Err(Duplicate)),
            (VIEW, 990, 11, Ok(())),
            (VIEW, 1000, 100, Ok(())),
            (VIEW, 1099, 500, Ok(())),
            (VIEW, 1100, 1, Err(OutsideWindow)),
            (VIEW, 1000 + (1 << 31), 1, Err(OutsideWindow)),
        ] {
            assert_eq!(view.check_sequence(Pos(seq), len), expected, "seq {seq} len {len} wnd {}", view.rcv_wnd);
        }
    }

    //= 5961#3.2
    //= 9293/MUST-66
    #[test]
    fn exactly_one_number_resets() {
        for seq in 0..3000 {
            let expected = match seq {
                1000 => Ok(ResetKind::Exact),
                1001..=1100 => Ok(ResetKind::InWindow),
                _ => Err(DropReason::OutsideWindow),
            };
            assert_eq!(VIEW.check_reset(Pos(seq)), expected, "{seq}");
            let closed = View { rcv_wnd: 0, ..VIEW }.check_reset(Pos(seq));
            assert_eq!(closed == Ok(ResetKind::Exact), seq == 1000, "a closed window still takes the exact RST");
        }
    }

    //= 5961#5.2
    #[test]
    fn an_acknowledgement_may_be_old_but_not_older_than_the_window_nor_than_the_stream() {
        for (una, ack, expected) in [
            (500, 601, Err(DropReason::AckTooNew)),
            (500, 600, Ok(AckKind::Advances)),
            (500, 501, Ok(AckKind::Advances)),
            (500, 500, Ok(AckKind::Duplicate)),
            (500, 300, Ok(AckKind::Duplicate)),
            (500, 299, Err(DropReason::AckTooOld)),
            (4, 1, Ok(AckKind::Duplicate)),
            (4, 0, Err(DropReason::AckTooOld)),
            (1, 0, Err(DropReason::AckTooOld)),
        ] {
            let view = View { snd_una: Pos(una), ..VIEW };
            assert_eq!(view.check_ack(Pos(ack)), expected, "una {una} ack {ack}");
        }
    }

    #[test]
    fn combinations_without_meaning_are_dropped() {
        let f = |bits: &[Flags]| bits.iter().fold(Flags::NONE, |all, bit| all | *bit);
        for bad in [f(&[]), f(&[Flags::PSH, Flags::URG]), f(&[Flags::SYN, Flags::FIN]), f(&[Flags::SYN, Flags::RST])] {
            assert_eq!(check_flags(bad), Err(DropReason::BadFlags), "{bad}");
        }
        for good in
            [f(&[Flags::ACK]), f(&[Flags::SYN]), f(&[Flags::RST]), f(&[Flags::FIN]), f(&[Flags::FIN, Flags::ACK])]
        {
            assert_eq!(check_flags(good), Ok(()), "{good}");
        }
    }
}
