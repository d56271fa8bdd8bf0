//! F-RTO: was the timeout a loss, or only a delay?
//!
//! Sections: RFC 5682 2.1 (basic), 3.1 (with SACK).
//! In: the acknowledgements that follow a timeout and the retransmission of the first segment.
//! Out: the verdict, and whether new data is to be sent to get it.
//!
//! When the timer runs out for a path that has only become slow, the acknowledgements of the first copies are still on
//! their way. A sender that answers each of them with a retransmission sends a whole window for nothing. So after the
//! first retransmission the next acknowledgements are read first. If one of them covers something that was sent only
//! once, before the timeout, then that was not lost and the timer was too early. To get such an acknowledgement without
//! sending anything again, the first that moves SND.UNA lets two segments of new data out instead of retransmissions; if
//! a duplicate answers, the loss was real.

/// Where the test stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Frto {
    /// No timeout is in question.
    #[default]
    Off,
    /// The first segment was sent again, and nothing was heard since (step 1).
    Asked,
    /// SND.UNA has moved, and new data was let out (step 2.b).
    Probing,
}

/// One acknowledgement after a timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// It covers, by number or by SACK, something that was sent before the timeout and only once.
    pub original: bool,
    /// It moves SND.UNA.
    pub advances: bool,
    /// Everything sent before the timeout is acknowledged.
    pub complete: bool,
    /// It tells that something arrived, but does not move SND.UNA: a duplicate, or a SACK block with news.
    pub duplicate: bool,
    /// There is new data, and the peer's window lets it go.
    pub may_send_new: bool,
}

/// What the test says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opinion {
    /// Nothing against sending again what is held lost.
    Repair,
    /// New data goes out, and nothing again, until the next acknowledgement.
    SendNew,
    /// The timeout was spurious.
    Spurious,
}

impl Frto {
    /// The first segment goes again after a timeout. `applies` if the test makes sense: the first timeout of its data,
    /// outside of a recovery that was under way (RFC 5682 2.1, before step 1).
    pub fn on_timeout(&mut self, applies: bool) {
        *self = if applies { Frto::Asked } else { Frto::Off };
    }

    /// An acknowledgement arrived.
    pub fn on_ack(&mut self, evidence: Evidence) -> Opinion {
        if *self == Frto::Off {
            return Opinion::Repair;
        }
        //= 5682#3.1
        if evidence.original {
            *self = Frto::Off;
            return Opinion::Spurious;
        }
        match self {
            Frto::Asked if evidence.advances && !evidence.complete && evidence.may_send_new => {
                //= 5682#2.1
                *self = Frto::Probing;
                Opinion::SendNew
            }
            Frto::Probing if !evidence.duplicate && !evidence.advances => Opinion::SendNew,
            Frto::Asked if !evidence.advances && !evidence.duplicate => Opinion::Repair,
            _ => {
                *self = Frto::Off;
                Opinion::Repair
            }
        }
    }

    /// While true, nothing that is held lost goes again.
    pub fn is_probing(self) -> bool {
        self == Frto::Probing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence =
        Evidence { original: false, advances: false, complete: false, duplicate: false, may_send_new: true };
    const ADVANCES: Evidence = Evidence { advances: true, ..NOTHING };

    /// What is known, what the acknowledgement says, the opinion, and what is known then.
    //= 5682#2.1
    //= 5682#3.1
    #[test]
    fn every_step_of_the_algorithm() {
        use Frto::{Asked, Off, Probing};
        use Opinion::{Repair, SendNew, Spurious};
        let complete = Evidence { complete: true, ..ADVANCES };
        let duplicate = Evidence { duplicate: true, ..NOTHING };
        let original = Evidence { original: true, ..ADVANCES };
        for (before, evidence, opinion, after) in [
            (Off, original, Repair, Off),
            (Asked, ADVANCES, SendNew, Probing),
            (Asked, Evidence { may_send_new: false, ..ADVANCES }, Repair, Off),
            (Asked, complete, Repair, Off),
            (Asked, duplicate, Repair, Off),
            (Asked, NOTHING, Repair, Asked),
            (Asked, original, Spurious, Off),
            (Probing, original, Spurious, Off),
            (Probing, Evidence { original: true, ..duplicate }, Spurious, Off),
            (Probing, duplicate, Repair, Off),
            (Probing, NOTHING, SendNew, Probing),
            (Probing, complete, Repair, Off),
        ] {
            let mut frto = before;
            assert_eq!((frto.on_ack(evidence), frto), (opinion, after), "{before:?} {evidence:?}");
        }
    }

    #[test]
    fn a_timeout_during_recovery_is_not_in_question() {
        let mut frto = Frto::Probing;
        frto.on_timeout(false);
        assert_eq!(frto, Frto::Off);
        frto.on_timeout(true);
        assert!(!frto.is_probing());
        assert_eq!(frto.on_ack(ADVANCES), Opinion::SendNew);
        assert!(frto.is_probing());
    }
}
