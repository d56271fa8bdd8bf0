//! The tail loss probe: a segment that asks after the last ones before the retransmission timer has to.
//!
//! Sections: RFC 8985 7 (7.1 state, 7.2 and 7.3 scheduling and sending, 7.4 telling loss from delay).
//! In: what is in flight when nothing comes back, and the acknowledgements that follow the probe.
//! Out: when to probe, and whether the probe repaired a loss that congestion control has not heard of.
//!
//! Loss is found by what arrives later; behind the last segments of a flight nothing is sent that could arrive. Without
//! more, only the retransmission timer remains, which is slow and takes the whole window away. So after two round trips
//! of silence one segment goes out: a new one if there is one, else the last again. Its acknowledgement shows by SACK
//! what is missing before it, and recovery begins as if the loss had been in the middle.
//!
//! When the probe was the last segment sent again, and it was that very segment that had been lost, the acknowledgement
//! shows nothing: the probe has repaired the loss and hidden it. It is told from a mere delay by counting: if both copies
//! arrived, the peer acknowledges twice, by D-SACK or by a second acknowledgement of the same number. If the number moves
//! beyond the probe and that has not happened, one copy was lost, and congestion control is told.

use crate::time::Duration;
use crate::wire::Pos;

/// The probe that is out, if any.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TailLossProbe {
    out: Option<Probe>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Probe {
    /// TLP.end_seq: SND.NXT when it was sent.
    end: Pos,
    /// It was the last segment again, not a new one.
    retransmission: bool,
}

/// An acknowledgement, as the probe sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// SEG.ACK.
    pub ack: Pos,
    /// A D-SACK reports the probe as a duplicate.
    pub duplicate: bool,
    /// Nothing but the same number again: no data, no SACK block, no new window.
    pub repeated: bool,
}

impl TailLossProbe {
    /// PTO: how long after the last segment sent or acknowledged the probe goes out, before it is held against the
    /// retransmission timer. `lone` if one segment is in flight: its acknowledgement may wait for company at the peer,
    /// `max_ack_delay` at the most.
    pub fn timeout(srtt: Option<Duration>, lone: bool, max_ack_delay: Duration) -> Duration {
        //= 8985#7.2
        match srtt {
            Some(srtt) if lone => srtt * 2 + max_ack_delay,
            Some(srtt) => srtt * 2,
            None => UNMEASURED,
        }
    }

    /// True while a probe is out: a second one would say nothing more.
    pub const fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// The probe goes out. `end` is SND.NXT after it; `retransmission` if it was the last segment again.
    pub fn on_probe(&mut self, end: Pos, retransmission: bool) {
        //= 8985#7.3
        self.out = Some(Probe { end, retransmission });
    }

    /// Whether a duplicate that ends at `end` is the probe.
    pub fn is_end(&self, end: Pos) -> bool {
        self.out.is_some_and(|probe| probe.retransmission && probe.end == end)
    }

    /// An acknowledgement arrived. True if the probe has repaired a loss.
    pub fn on_ack(&mut self, answer: Answer) -> bool {
        let Some(probe) = self.out.filter(|probe| answer.ack >= probe.end) else { return false };
        //= 8985#7.4.2
        if !probe.retransmission || answer.duplicate {
            self.out = None;
        } else if answer.ack > probe.end {
            self.out = None;
            return true;
        } else if answer.repeated {
            self.out = None;
        }
        false
    }

    /// Recovery has begun by other means, or the connection starts anew: nobody waits for the probe's answer.
    pub fn forget(&mut self) {
        self.out = None;
    }
}

/// RFC 8985 7.2: before the first measurement.
const UNMEASURED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const NEWS: Answer = Answer { ack: Pos(501), duplicate: false, repeated: false };

    //= 8985#7.2
    #[test]
    fn two_round_trips_of_silence_and_the_peers_patience_for_a_lone_segment() {
        let (srtt, delay) = (Duration::from_micros(100), Duration::from_millis(200));
        assert_eq!(TailLossProbe::timeout(Some(srtt), false, delay), Duration::from_micros(200));
        assert_eq!(TailLossProbe::timeout(Some(srtt), true, delay), Duration::from_micros(200_200));
        assert_eq!(TailLossProbe::timeout(None, true, delay), Duration::from_secs(1));
    }

    /// Whether the last segment went again, what came back, whether a loss was repaired, and whether the probe is still
    /// waited for.
    //= 8985#7.4.2
    #[test]
    fn two_copies_sent_and_one_acknowledged_is_a_loss() {
        let beyond = Answer { ack: Pos(601), ..NEWS };
        for (retransmission, answer, repaired, waiting) in [
            (false, NEWS, false, false),
            (false, beyond, false, false),
            (true, Answer { ack: Pos(401), ..NEWS }, false, true),
            (true, NEWS, false, true),
            (true, Answer { duplicate: true, ..NEWS }, false, false),
            (true, Answer { repeated: true, ..NEWS }, false, false),
            (true, beyond, true, false),
            (true, Answer { duplicate: true, ..beyond }, false, false),
        ] {
            let mut tlp = TailLossProbe::default();
            assert!(!tlp.on_ack(NEWS));
            tlp.on_probe(Pos(501), retransmission);
            assert_eq!((tlp.on_ack(answer), tlp.is_out()), (repaired, waiting), "{retransmission} {answer:?}");
        }
    }

    #[test]
    fn a_probe_that_nobody_waits_for_tells_nothing() {
        let mut tlp = TailLossProbe::default();
        tlp.on_probe(Pos(501), true);
        tlp.forget();
        assert!(!tlp.on_ack(Answer { ack: Pos(601), ..NEWS }));
    }
}
