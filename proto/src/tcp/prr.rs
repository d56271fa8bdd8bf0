//! Proportional rate reduction: how much may be sent while a loss is repaired.
//!
//! Sections: RFC 9937 6 (algorithm), 7 (SafeACK).
//! In: the window that is to be reached, what each acknowledgement delivered, and what is sent.
//! Out: the congestion window until recovery ends.
//!
//! Congestion control says where the window shall be when the loss is repaired: ssthresh. To fall there at once would
//! stop all sending until half a window was acknowledged, and then send the rest in a burst; to keep sending one for one
//! would never get there. So what is sent is held in proportion to what is delivered, ssthresh to RecoverFS: with half
//! the window to reach, one segment goes out for every two that arrive, and after one round trip the pipe holds
//! ssthresh.
//!
//! When so much was lost that the pipe is already below ssthresh, it is filled again: by as much as is delivered, and by
//! one segment more per acknowledgement as long as those say that repair goes well (SafeACK): SND.UNA advances, and
//! nothing further is found lost. Whatever happens, no more is sent than was delivered, but for that one.

/// One recovery.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Prr {
    /// Segments delivered during recovery.
    prr_delivered: u32,
    /// Segments sent during recovery.
    prr_out: u32,
    /// Segments in flight when it began, those left out that the peer was known to hold before.
    recover_fs: u32,
    /// Segments that may be in the network, from the last acknowledgement on.
    cwnd: u32,
}

/// One acknowledgement during recovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Segments that it delivered.
    pub delivered: u32,
    /// Segments in the network after it.
    pub pipe: u32,
    /// Where the window shall be in the end.
    pub ssthresh: u32,
    /// It moved SND.UNA, and nothing further was found lost.
    pub safe: bool,
}

impl Prr {
    /// Recovery begins. `in_flight` segments are between SND.UNA and SND.NXT, the peer holds `held` of them, and it has
    /// said so of `delivered` only now.
    pub fn new(in_flight: u32, held: u32, delivered: u32) -> Self {
        //= 9937#6
        let recover_fs = in_flight.saturating_sub(held).saturating_add(delivered).max(1);
        Prr { recover_fs, ..Prr::default() }
    }

    /// An acknowledgement arrived.
    pub fn on_ack(&mut self, ack: Progress) {
        let Progress { delivered, pipe, ssthresh, safe } = ack;
        //= 9937#6
        self.prr_delivered = self.prr_delivered.saturating_add(delivered);
        let sndcnt = if pipe > ssthresh {
            let (delivered, ssthresh) = (u64::from(self.prr_delivered), u64::from(ssthresh));
            let proportional = (delivered * ssthresh).div_ceil(u64::from(self.recover_fs.max(1)));
            u32::try_from(proportional).unwrap_or(u32::MAX).saturating_sub(self.prr_out)
        } else {
            //= 9937#7
            let conservative = self.prr_delivered.saturating_sub(self.prr_out).max(delivered);
            (conservative.saturating_add(u32::from(safe))).min(ssthresh - pipe)
        };
        // The first acknowledgement lets the first retransmission out, whatever the sum says.
        let sndcnt = if self.prr_out == 0 { sndcnt.max(1) } else { sndcnt };
        self.cwnd = pipe.saturating_add(sndcnt);
    }

    /// `segments` go out, new or again.
    pub fn on_sent(&mut self, segments: u32) {
        self.prr_out = self.prr_out.saturating_add(segments);
    }

    /// The congestion window, segments.
    pub const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// Segments sent and delivered since recovery began.
    pub const fn balance(&self) -> (u32, u32) {
        (self.prr_out, self.prr_delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// How many go out for each of the acknowledgements, `delivered` segments each, and what is in the pipe at the end.
    fn recover(prr: &mut Prr, pipe: &mut u32, ssthresh: u32, acks: impl IntoIterator<Item = (u32, bool)>) -> Vec<u32> {
        let mut sent = Vec::new();
        for (delivered, safe) in acks {
            *pipe = pipe.saturating_sub(delivered);
            prr.on_ack(Progress { delivered, pipe: *pipe, ssthresh, safe });
            let now = prr.cwnd().saturating_sub(*pipe);
            prr.on_sent(now);
            *pipe += now;
            sent.push(now);
        }
        sent
    }

    //= 9937#6
    #[test]
    fn with_half_the_window_to_reach_every_second_delivery_lets_one_out() {
        // Twenty in flight, the first lost, and the third acknowledgement of what follows found it out.
        let mut prr = Prr::new(20, 3, 1);
        let mut pipe = 20 - 2 - 1;
        let sent = recover(&mut prr, &mut pipe, 10, core::iter::repeat_n((1, false), 17));
        assert_eq!(sent[..7], [1, 1, 0, 1, 0, 1, 0]);
        assert_eq!(pipe, 10, "the pipe is where it shall be");
        assert!(sent.iter().all(|n| *n <= 1));
    }

    //= 9937#7
    #[test]
    fn a_pipe_that_lost_most_is_filled_again_and_faster_while_all_goes_well() {
        for (safe, expected) in [(false, [1, 1, 1, 1]), (true, [2, 2, 2, 2])] {
            let mut prr = Prr::new(20, 3, 1);
            // Sixteen of the twenty were lost.
            let mut pipe = 2;
            assert_eq!(recover(&mut prr, &mut pipe, 10, core::iter::repeat_n((1, safe), 4)), expected);
        }
        let mut prr = Prr::new(20, 3, 1);
        let mut pipe = 5;
        recover(&mut prr, &mut pipe, 6, core::iter::repeat_n((1, true), 9));
        assert_eq!(pipe, 6, "and no further than it shall be");
    }

    //= 9937#6
    #[test]
    fn the_first_retransmission_goes_out_at_once() {
        let mut prr = Prr::new(20, 3, 1);
        prr.on_ack(Progress { delivered: 0, pipe: 17, ssthresh: 1, safe: false });
        assert_eq!(prr.cwnd(), 18);
        prr.on_sent(1);
        prr.on_ack(Progress { delivered: 1, pipe: 17, ssthresh: 1, safe: false });
        assert_eq!(prr.cwnd(), 17);
    }

    proptest! {
        /// I-24: whatever arrives, and whatever else leaves the pipe, no more is sent than was delivered, but for one
        /// segment per acknowledgement that is safe, and for the first; and above ssthresh never more than in proportion.
        #[test]
        fn no_more_is_sent_than_was_delivered(flight in 1..200_u32, ssthresh in 1..100_u32, acks in proptest::collection::vec((0..5_u32, 0..5_u32, any::<bool>()), 1..100)) {
            let mut prr = Prr::new(flight, 0, 0);
            let mut pipe = flight;
            let mut extra = 1;
            for (delivered, lost, safe) in acks {
                pipe = pipe.saturating_sub(delivered + lost);
                let above = pipe > ssthresh;
                prr.on_ack(Progress { delivered, pipe, ssthresh, safe });
                let room = prr.cwnd() - pipe;
                extra += u32::from(safe);
                let (out, total) = prr.balance();
                prop_assert!(out + room <= total + extra + delivered, "{} and {} of {} and {}", out, room, total, extra);
                if above && out > 0 {
                    prop_assert!(room == 0 || u64::from(out + room) <= (u64::from(total) * u64::from(ssthresh)).div_ceil(u64::from(flight)));
                }
                prr.on_sent(room);
                pipe += room;
            }
        }
    }
}
