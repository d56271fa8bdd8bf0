//! Who has which link-layer address: the cache behind ARP and neighbour discovery.
//!
//! Sections: RFC 826; RFC 1122 2.3.2; RFC 4861 5.1, 7.2, 7.3; attack A-13 (learn from nobody unasked).
//! In: packets for a neighbour; what neighbours say of themselves; time.
//! Out: link-layer addresses, questions to ask, packets that waited, neighbours that do not answer.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;

use super::slab::Slab;
use super::wheel::{TimerId, Wheel};
use super::{IfaceId, TimerKey, TxFrame};
use crate::time::{Duration, Instant};
use crate::wire::eth::MacAddr;

/// The neighbours of all interfaces.
#[derive(Clone, Debug)]
pub(crate) struct NeighbourCache {
    neighbours: Slab<Neighbour>,
    index: BTreeMap<(IfaceId, IpAddr), u32>,
    /// How long an address is trusted after it was confirmed.
    lifetime: Duration,
}

#[derive(Clone, Debug)]
struct Neighbour {
    iface: IfaceId,
    addr: IpAddr,
    state: Reachability,
    /// Frames that wait for the address, their Ethernet header still blank; the oldest first.
    waiting: VecDeque<TxFrame>,
    last_used: Instant,
    timer: Option<TimerId>,
}

/// RFC 4861 7.3.2, with DELAY folded into PROBE, for both protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reachability {
    /// Asked so many times, no answer yet.
    Incomplete { asked: u8 },
    /// Known; REACHABLE until then, STALE after.
    Known { mac: MacAddr, until: Instant },
    /// Known, in use, and asked so many times whether that is still right.
    Probe { mac: MacAddr, asked: u8 },
}

/// Where a frame can go.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Resolution {
    /// To this address. With a question, the neighbour is asked to confirm it.
    Send(MacAddr, Option<Question>),
    /// It waits until the neighbour answers.
    Wait(Option<Question>),
}

/// A question to put on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) iface: IfaceId,
    /// Who is asked for.
    pub(crate) addr: IpAddr,
    /// The address to be confirmed; `None` asks everyone.
    pub(crate) mac: Option<MacAddr>,
}

/// What a neighbour's timer brings.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Overdue {
    /// The question is to be asked again.
    Ask(Question),
    /// The neighbour does not answer; these frames will never leave.
    Unreachable(VecDeque<TxFrame>),
}

impl NeighbourCache {
    pub(crate) const fn new(lifetime: Duration) -> Self {
        NeighbourCache { neighbours: Slab::new(), index: BTreeMap::new(), lifetime }
    }

    /// A frame is to go to `addr`. If it has to wait, the cache takes it.
    pub(crate) fn resolve(
        &mut self,
        iface: IfaceId,
        addr: IpAddr,
        frame: &mut Option<TxFrame>,
        now: Instant,
        wheel: &mut Wheel<TimerKey>,
    ) -> Resolution {
        let (index, is_new) = self.entry(iface, addr, now, wheel);
        let Some(neighbour) = self.neighbours.get_mut(index) else { return Resolution::Wait(None) };
        neighbour.last_used = now;
        let question = |mac| Some(Question { iface, addr, mac });
        match neighbour.state {
            Reachability::Known { mac, until } if now < until => Resolution::Send(mac, None),
            Reachability::Known { mac, .. } => {
                neighbour.state = Reachability::Probe { mac, asked: 1 };
                wheel.arm(&mut neighbour.timer, TimerKey::Neighbour(index), now + RETRANS_TIMER);
                Resolution::Send(mac, question(Some(mac)))
            }
            Reachability::Probe { mac, .. } => Resolution::Send(mac, None),
            Reachability::Incomplete { .. } => {
                // RFC 1122 2.3.2.2: at least the latest packet is kept.
                if neighbour.waiting.len() == MAX_WAITING {
                    neighbour.waiting.pop_front();
                }
                neighbour.waiting.extend(frame.take());
                if is_new {
                    wheel.arm(&mut neighbour.timer, TimerKey::Neighbour(index), now + RETRANS_TIMER);
                    Resolution::Wait(question(None))
                } else {
                    Resolution::Wait(None)
                }
            }
        }
    }

    /// `addr` says that it has `mac`. An answer counts only if it was asked for; a question that a neighbour put to
    /// this host (`asked_us`) also tells who it is. Gives the frames that waited.
    pub(crate) fn learn(
        &mut self,
        iface: IfaceId,
        addr: IpAddr,
        mac: MacAddr,
        asked_us: bool,
        now: Instant,
        wheel: &mut Wheel<TimerKey>,
    ) -> VecDeque<TxFrame> {
        if mac.is_multicast() {
            return VecDeque::new();
        }
        let index = match self.index.get(&(iface, addr)) {
            Some(&index) => index,
            None if asked_us => self.entry(iface, addr, now, wheel).0,
            None => return VecDeque::new(),
        };
        let Some(neighbour) = self.neighbours.get_mut(index) else { return VecDeque::new() };
        let confirmed = now + self.lifetime;
        neighbour.state = match neighbour.state {
            Reachability::Incomplete { .. } | Reachability::Probe { .. } => {
                Reachability::Known { mac, until: confirmed }
            }
            // Somebody who talks to us may have moved; nobody else can move them.
            Reachability::Known { mac: old, until } if asked_us => {
                Reachability::Known { mac, until: if mac == old { until } else { confirmed } }
            }
            known @ Reachability::Known { .. } => known,
        };
        wheel.cancel(&mut neighbour.timer);
        core::mem::take(&mut neighbour.waiting)
    }

    /// The timer of a neighbour has run out.
    pub(crate) fn on_timeout(&mut self, index: u32, now: Instant, wheel: &mut Wheel<TimerKey>) -> Option<Overdue> {
        let neighbour = self.neighbours.get_mut(index)?;
        neighbour.timer = None;
        let (iface, addr) = (neighbour.iface, neighbour.addr);
        let (asked, mac) = match &mut neighbour.state {
            Reachability::Incomplete { asked } => (asked, None),
            Reachability::Probe { asked, mac } => (asked, Some(*mac)),
            Reachability::Known { .. } => return None,
        };
        if *asked < MAX_SOLICIT {
            *asked += 1;
            wheel.arm(&mut neighbour.timer, TimerKey::Neighbour(index), now + RETRANS_TIMER);
            return Some(Overdue::Ask(Question { iface, addr, mac }));
        }
        self.remove(index, wheel).map(Overdue::Unreachable)
    }

    /// The neighbour's index, and whether it is new.
    fn entry(&mut self, iface: IfaceId, addr: IpAddr, now: Instant, wheel: &mut Wheel<TimerKey>) -> (u32, bool) {
        if let Some(&index) = self.index.get(&(iface, addr)) {
            return (index, false);
        }
        if self.neighbours.len() >= MAX_NEIGHBOURS {
            let unused = self.neighbours.iter().min_by_key(|(_, neighbour)| neighbour.last_used);
            if let Some((index, _)) = unused {
                self.remove(index, wheel);
            }
        }
        let state = Reachability::Incomplete { asked: 1 };
        let index = self.neighbours.insert(Neighbour {
            iface,
            addr,
            state,
            waiting: VecDeque::new(),
            last_used: now,
            timer: None,
        });
        self.index.insert((iface, addr), index);
        (index, true)
    }

    fn remove(&mut self, index: u32, wheel: &mut Wheel<TimerKey>) -> Option<VecDeque<TxFrame>> {
        let mut neighbour = self.neighbours.remove(index)?;
        wheel.cancel(&mut neighbour.timer);
        self.index.remove(&(neighbour.iface, neighbour.addr));
        Some(neighbour.waiting)
    }
}

/// RFC 4861 10: RETRANS_TIMER, and as much for ARP (RFC 1122 2.3.2.1 wants at most one request a second).
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// RFC 4861 10: MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT.
const MAX_SOLICIT: u8 = 3;
/// Frames that wait for one neighbour. RFC 1122 2.3.2.2 asks for one; a handful carries a burst of small replies.
const MAX_WAITING: usize = 3;
/// Neighbours in all. Like Linux: `gc_thresh3`.
const MAX_NEIGHBOURS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Cause, TxChecksum};
    use crate::tcp::Payload;
    use arrayvec::ArrayVec;

    const IFACE: IfaceId = IfaceId(0);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 66]);
    const LIFETIME: Duration = Duration::from_secs(60);

    fn peer(n: u16) -> IpAddr {
        let [high, low] = n.to_be_bytes();
        [10, 0, high, low].into()
    }

    fn frame(mark: u8) -> Option<TxFrame> {
        Some(TxFrame {
            iface: IFACE,
            header: ArrayVec::from_iter([mark]),
            payload: Payload::NONE,
            gso_size: 0,
            checksum: TxChecksum::Full,
            socket: None,
            cause: Cause::EchoReply,
            note: None,
        })
    }

    fn marks(frames: &VecDeque<TxFrame>) -> alloc::vec::Vec<u8> {
        frames.iter().map(|frame| frame.header[0]).collect()
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    struct Cache {
        cache: NeighbourCache,
        wheel: Wheel<TimerKey>,
    }

    impl Cache {
        fn new() -> Self {
            Cache { cache: NeighbourCache::new(LIFETIME), wheel: Wheel::new(Instant::ZERO) }
        }

        fn resolve(&mut self, n: u16, mark: u8, now: Instant) -> Resolution {
            self.cache.resolve(IFACE, peer(n), &mut frame(mark), now, &mut self.wheel)
        }

        fn learn(&mut self, n: u16, mac: MacAddr, asked_us: bool, now: Instant) -> VecDeque<TxFrame> {
            self.cache.learn(IFACE, peer(n), mac, asked_us, now, &mut self.wheel)
        }

        fn expire(&mut self, now: Instant) -> Option<Overdue> {
            match self.wheel.expire(now)? {
                TimerKey::Neighbour(index) => self.cache.on_timeout(index, now, &mut self.wheel),
                _ => None,
            }
        }
    }

    fn question(n: u16, mac: Option<MacAddr>) -> Question {
        Question { iface: IFACE, addr: peer(n), mac }
    }

    #[test]
    fn the_latest_frames_wait_for_the_answer() {
        let mut it = Cache::new();
        assert_eq!(it.resolve(1, 1, at(0)), Resolution::Wait(Some(question(1, None))));
        for mark in 2..=5 {
            assert_eq!(it.resolve(1, mark, at(1)), Resolution::Wait(None));
        }
        assert_eq!(marks(&it.learn(1, MAC, false, at(2))), [3, 4, 5]);
        assert_eq!(it.resolve(1, 6, at(3)), Resolution::Send(MAC, None));
        assert_eq!(it.wheel.len(), 0);
    }

    #[test]
    fn three_questions_a_second_apart_then_failure() {
        let mut it = Cache::new();
        it.resolve(1, 1, at(0));
        assert_eq!(it.expire(at(999)), None);
        assert_eq!(it.expire(at(1000)), Some(Overdue::Ask(question(1, None))));
        assert_eq!(it.expire(at(2000)), Some(Overdue::Ask(question(1, None))));
        let Some(Overdue::Unreachable(lost)) = it.expire(at(3000)) else { panic!("still asking") };
        assert_eq!(marks(&lost), [1]);
        assert_eq!(it.wheel.len(), 0);
        assert_eq!(it.resolve(1, 2, at(4000)), Resolution::Wait(Some(question(1, None))));
    }

    #[test]
    fn a_stale_neighbour_is_used_and_asked_to_confirm() {
        let mut it = Cache::new();
        it.resolve(1, 1, at(0));
        it.learn(1, MAC, false, at(0));
        assert_eq!(it.resolve(1, 2, at(59_999)), Resolution::Send(MAC, None));
        assert_eq!(it.resolve(1, 3, at(60_000)), Resolution::Send(MAC, Some(question(1, Some(MAC)))));
        assert_eq!(it.resolve(1, 4, at(60_001)), Resolution::Send(MAC, None));
        it.learn(1, OTHER, false, at(60_002));
        assert_eq!(it.resolve(1, 5, at(60_003)), Resolution::Send(OTHER, None));
        assert_eq!(it.wheel.len(), 0);
    }

    #[test]
    fn nobody_is_believed_unasked() {
        let mut it = Cache::new();
        assert!(it.learn(1, OTHER, false, at(0)).is_empty());
        assert_eq!(it.resolve(1, 1, at(0)), Resolution::Wait(Some(question(1, None))));
        it.learn(1, MAC, false, at(1));
        it.learn(1, OTHER, false, at(2));
        it.learn(1, MacAddr::BROADCAST, true, at(2));
        assert_eq!(it.resolve(1, 2, at(3)), Resolution::Send(MAC, None));
    }

    #[test]
    fn who_asks_us_is_known() {
        let mut it = Cache::new();
        it.learn(1, MAC, true, at(0));
        assert_eq!(it.resolve(1, 1, at(1)), Resolution::Send(MAC, None));
        it.learn(1, OTHER, true, at(2));
        assert_eq!(it.resolve(1, 1, at(3)), Resolution::Send(OTHER, None));
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_the_longest_unused() {
        let mut it = Cache::new();
        let full = u16::try_from(MAX_NEIGHBOURS).unwrap();
        for n in 0..full {
            it.learn(n, MAC, true, at(u64::from(n)));
        }
        assert_eq!(it.resolve(0, 0, at(5_000)), Resolution::Send(MAC, None));
        it.learn(full, MAC, true, at(5_001));
        assert_eq!(it.cache.neighbours.len(), MAX_NEIGHBOURS);
        assert_eq!(it.resolve(0, 0, at(5_002)), Resolution::Send(MAC, None));
        assert!(matches!(it.resolve(1, 0, at(5_003)), Resolution::Wait(Some(_))));
    }
}
