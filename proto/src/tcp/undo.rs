//! Taking back a reduction that was made for a loss that was none.
//!
//! Sections: RFC 3522 (Eifel detection, by timestamps), RFC 3708 and RFC 2883 5 (by D-SACK), RFC 4015 (the response).
//! In: when recovery begins, what is sent again, what the peer echoes and reports.
//! Out: whether everything that was sent again was sent again for nothing.
//!
//! Reordering and sudden delay look like loss for a while. The window was cut and segments were sent again, and then
//! the first copies arrive. Two witnesses can tell. With timestamps the first acknowledgement that moves SND.UNA is
//! enough: if it echoes a time before the first retransmission, the original has arrived. Without, or when the clock is
//! too coarse, every copy that was not needed comes back as a D-SACK: once there are as many reports as there were
//! retransmissions, none was needed. Then cwnd and ssthresh become what they were, and the timer forgets its back-off.
//!
//! The D-SACKs come a round trip after the retransmissions, often after recovery has ended. So the account stays open
//! until the next recovery opens its own.

use crate::wire::Pos;

/// The account of one recovery.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Undo {
    open: Option<Account>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Account {
    /// SND.UNA when recovery began: older duplicates are another matter's.
    from: Pos,
    /// Segments sent again and not reported as duplicates.
    unexplained: u32,
    /// Something was sent again at all.
    resent: bool,
    /// TSval of the first segment that was sent again.
    first: Option<u32>,
}

impl Undo {
    /// Recovery begins: the window is cut.
    pub fn begin(&mut self, una: Pos) {
        self.open = Some(Account { from: una, unexplained: 0, resent: false, first: None });
    }

    /// `segments` go out again at the time `tsval` of our timestamp clock, if timestamps are in use.
    pub fn on_retransmit(&mut self, segments: u32, tsval: Option<u32>) {
        if let Some(account) = &mut self.open {
            account.unexplained = account.unexplained.saturating_add(segments);
            account.first = if account.resent { account.first } else { tsval };
            account.resent = true;
        }
    }

    /// The peer reports `segments` that end at `end` as duplicates.
    pub fn on_duplicate(&mut self, end: Pos, segments: u32) {
        //= 3708#3
        if let Some(account) = self.open.as_mut().filter(|account| end > account.from) {
            account.unexplained = account.unexplained.saturating_sub(segments);
        }
    }

    /// True if every retransmission was reported as a duplicate.
    pub fn is_disproved_by_duplicates(&self) -> bool {
        //= 3708#3
        self.open.is_some_and(|account| account.resent && account.unexplained == 0)
    }

    /// True if an acknowledgement that moves SND.UNA and echoes `ecr` is for a segment sent before the first
    /// retransmission.
    pub fn is_disproved_by_echo(&self, ecr: Option<u32>) -> bool {
        //= 3522#3.2
        let first = self.open.and_then(|account| account.first);
        first.zip(ecr).is_some_and(|(first, ecr)| ecr.wrapping_sub(first).cast_signed() < 0)
    }

    /// Either of the two.
    pub fn is_disproved(&self, ecr: Option<u32>) -> bool {
        self.is_disproved_by_duplicates() || self.is_disproved_by_echo(ecr)
    }

    /// The reduction was taken back, or stands.
    pub fn close(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= 3522#3.2
    #[test]
    fn an_echo_from_before_the_first_retransmission_is_the_originals() {
        let mut undo = Undo::default();
        assert!(!undo.is_disproved(Some(5)), "nothing to undo");
        undo.begin(Pos(1));
        assert!(!undo.is_disproved(Some(5)), "nothing was sent again");
        undo.on_retransmit(1, Some(u32::MAX));
        undo.on_retransmit(1, Some(20));
        for (ecr, disproved) in [(u32::MAX - 1, true), (u32::MAX, false), (0, false), (19, false)] {
            assert_eq!(undo.is_disproved_by_echo(Some(ecr)), disproved, "{ecr}");
        }
        assert!(!undo.is_disproved(None), "no timestamps");
        undo.close();
        assert!(!undo.is_disproved(Some(u32::MAX - 1)));
    }

    //= 3708#3
    #[test]
    fn as_many_duplicates_as_retransmissions_leave_nothing_to_repair() {
        let mut undo = Undo::default();
        undo.begin(Pos(100));
        undo.on_retransmit(2, None);
        undo.on_retransmit(1, None);
        undo.on_duplicate(Pos(100), 3);
        assert!(!undo.is_disproved_by_duplicates(), "older than this recovery");
        undo.on_duplicate(Pos(101), 2);
        assert!(!undo.is_disproved_by_duplicates());
        undo.on_duplicate(Pos(102), 1);
        assert!(undo.is_disproved_by_duplicates());
        undo.begin(Pos(200));
        assert!(!undo.is_disproved_by_duplicates(), "another recovery");
    }
}
