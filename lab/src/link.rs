//! A one-way link with every vice that a network has, each by its own dice or by a script.
//!
//! Sections: none of an RFC; the knobs are those of Linux netem.
//! In: frames of at most one MTU, and the time; a [`LinkConfig`]; scripted [`Rule`]s.
//! Out: the same frames, later, twice, damaged or not at all, in order of arrival; and the [`Passage`] of each.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use tidegate_proto::net::{Cause, Note};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::frame::Link as Framing;

use crate::glimpse::Glimpse;
use crate::rng::{Ppm, Rng};

/// The properties of a link.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LinkConfig {
    /// From the first bit's departure to the last one's arrival, on an idle link; a frame whose transmission alone
    /// takes longer arrives when it is through.
    pub delay: Duration,
    /// Up to so much more for each frame, at random; frames keep their order.
    pub jitter: Duration,
    /// How many frames vanish.
    pub loss: Ppm,
    /// How many frames arrive twice.
    pub duplicate: Ppm,
    /// How many frames are overtaken by later ones.
    pub reorder: Ppm,
    /// How many frames arrive with one bit flipped, behind the Ethernet header if there is one.
    pub corrupt: Ppm,
    /// Bits per second; `None` for a link without limit.
    pub rate: Option<u64>,
    /// How much may wait for transmission before frames are dropped.
    pub queue: Queue,
    /// The largest frame the link takes, bytes with the Ethernet header.
    pub max_frame: usize,
}

/// What may wait in front of a link: tail drop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Queue {
    /// As much as comes.
    Unlimited,
    /// So many bytes.
    Bytes(usize),
    /// So many frames.
    Frames(usize),
}

impl Default for LinkConfig {
    /// The article's link: 1 Gbit/s Ethernet, 70 us.
    fn default() -> Self {
        LinkConfig {
            delay: Duration::from_micros(70),
            jitter: Duration::ZERO,
            loss: Ppm::NEVER,
            duplicate: Ppm::NEVER,
            reorder: Ppm::NEVER,
            corrupt: Ppm::NEVER,
            rate: Some(1_000_000_000),
            queue: Queue::Unlimited,
            max_frame: 65_535 + ETHERNET_HEADER,
        }
    }
}

/// A frame on its way, with what only its sender knew.
#[derive(Clone, PartialEq, Debug)]
pub struct Parcel {
    /// Its bytes, Ethernet header first.
    pub bytes: Bytes,
    /// The emission it comes from.
    pub origin: Origin,
}

/// Where a frame comes from: travels with it, invisible to the receiver's stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// The number of the emission in its world, from 1.
    pub number: u64,
    /// Why its sender sent it; `None` for a frame that the scenario made up.
    pub cause: Option<Cause>,
    /// What the sender knew at that moment.
    pub note: Option<Note>,
}

/// What the link did with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Passage {
    /// Whether it arrives.
    pub fate: Fate,
    /// A second copy arrives then.
    pub copy: Option<Instant>,
    /// A bit of it was flipped.
    pub corrupted: bool,
    /// It was held back, so that later ones may overtake it.
    pub held: bool,
}

/// Whether a frame arrives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fate {
    /// Yes, then.
    Arrives(Instant),
    /// No.
    Lost(Loss),
}

/// Why a frame does not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Loss {
    /// The link's dice.
    Dice,
    /// The queue in front of the link was full.
    QueueFull,
    /// A rule of the scenario.
    Script,
    /// It is larger than the link takes.
    TooLarge,
    /// Its receiver has vanished.
    NobodyThere,
}

/// A scripted decision about frames that fit a pattern.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Which frames it is about.
    pub what: fn(&Glimpse) -> bool,
    /// So many of them pass first.
    pub skip: u32,
    /// So many are treated.
    pub times: u32,
    /// How.
    pub act: Act,
}

/// What a [`Rule`] does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// The frame vanishes.
    Drop,
    /// The frame takes so much longer, and later ones overtake it.
    Hold(Duration),
    /// A second copy arrives so much later.
    Copy(Duration),
}

impl Passage {
    /// The frame does not arrive.
    pub const fn lost(why: Loss) -> Self {
        Passage { fate: Fate::Lost(why), copy: None, corrupted: false, held: false }
    }
}

impl Loss {
    /// In words.
    pub const fn phrase(self) -> &'static str {
        match self {
            Loss::Dice => "by chance",
            Loss::QueueFull => "the queue was full",
            Loss::Script => "as the scenario wants it",
            Loss::TooLarge => "too large for the link",
            Loss::NobodyThere => "nobody is there to receive it",
        }
    }
}

impl Rule {
    /// Treats the first frame that fits.
    pub const fn first(what: fn(&Glimpse) -> bool, act: Act) -> Self {
        Rule { what, skip: 0, times: 1, act }
    }
}

/// How often what happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LinkStats {
    /// Frames put in.
    pub frames: u64,
    /// Bytes put in.
    pub bytes: u64,
    /// Frames lost, for whatever reason.
    pub lost: u64,
    /// Of these, because the queue was full.
    pub overflows: u64,
    /// Frames doubled.
    pub duplicated: u64,
    /// Frames damaged.
    pub corrupted: u64,
    /// Frames held back.
    pub held: u64,
}

/// A one-way link.
#[derive(Clone, Debug)]
pub struct Link {
    /// What its frames start with.
    framing: Framing,
    config: LinkConfig,
    rules: Vec<Rule>,
    rng: Rng,
    /// The transmitter is busy until then.
    free_at: Instant,
    /// Frames whose transmission has not ended: when it ends, and their length.
    waiting: VecDeque<(Instant, usize)>,
    waiting_bytes: usize,
    /// The latest arrival among the frames that keep their order.
    last_arrival: Instant,
    /// By arrival, then by order of sending.
    on_the_way: BTreeMap<(Instant, u64), Parcel>,
    sent: u64,
    stats: LinkStats,
}

impl Link {
    /// An idle Ethernet link; `rng` is its own dice.
    pub fn new(config: LinkConfig, rng: Rng) -> Self {
        Self::framed(Framing::Ethernet, config, rng)
    }

    /// An idle link of that kind.
    pub fn framed(framing: Framing, config: LinkConfig, rng: Rng) -> Self {
        Link {
            framing,
            config,
            rules: Vec::new(),
            rng,
            free_at: Instant::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: Instant::ZERO,
            on_the_way: BTreeMap::new(),
            sent: 0,
            stats: LinkStats::default(),
        }
    }

    /// Adds a scripted decision. The first rule that fits a frame and has not run out decides.
    pub fn add_rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Changes the link's properties for frames sent from now on.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// The link's properties.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// How often what happened so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// How many frames are on their way.
    pub fn in_flight(&self) -> usize {
        self.on_the_way.len()
    }

    /// Puts a frame in.
    pub fn send(&mut self, parcel: Parcel, now: Instant) -> Passage {
        self.stats.frames += 1;
        self.stats.bytes += u64::try_from(parcel.bytes.len()).unwrap_or(u64::MAX);
        let passage = self.carry(parcel, now);
        self.stats.lost += u64::from(matches!(passage.fate, Fate::Lost(_)));
        self.stats.overflows += u64::from(passage.fate == Fate::Lost(Loss::QueueFull));
        self.stats.duplicated += u64::from(passage.copy.is_some());
        self.stats.corrupted += u64::from(passage.corrupted);
        self.stats.held += u64::from(passage.held);
        passage
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.on_the_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next frame that has arrived by `now`.
    pub fn poll_arrival(&mut self, now: Instant) -> Option<Parcel> {
        let entry = self.on_the_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    fn carry(&mut self, parcel: Parcel, now: Instant) -> Passage {
        let length = parcel.bytes.len();
        if length > self.config.max_frame {
            return Passage::lost(Loss::TooLarge);
        }
        let scripted = self.scripted(&parcel.bytes);
        if scripted == Some(Act::Drop) {
            return Passage::lost(Loss::Script);
        }
        if !self.admits(length, now) {
            return Passage::lost(Loss::QueueFull);
        }
        let (start, end) = self.transmit(length, now);
        // Dice roll after the queue: what is lost on the way has used its share of the link.
        if self.rng.chance(self.config.loss) {
            return Passage::lost(Loss::Dice);
        }
        let jitter = Duration::from_nanos(self.rng.between(0, self.config.jitter.as_nanos()));
        let in_order = (start + self.config.delay + jitter).max(end).max(self.last_arrival);
        let hold = match scripted {
            Some(Act::Hold(extra)) => Some(extra),
            _ if self.rng.chance(self.config.reorder) => Some(self.overtaking_time(end.since(start))),
            _ => None,
        };
        let arrival = in_order + hold.unwrap_or(Duration::ZERO);
        if hold.is_none() {
            self.last_arrival = in_order;
        }
        let copy = match scripted {
            Some(Act::Copy(later)) => Some(arrival + later),
            _ if self.rng.chance(self.config.duplicate) => Some(arrival + end.since(start)),
            _ => None,
        };
        let (parcel, corrupted) = match self.rng.chance(self.config.corrupt) {
            true => self.flip_a_bit(parcel),
            false => (parcel, false),
        };
        if let Some(at) = copy {
            self.depart(parcel.clone(), at);
        }
        self.depart(parcel, arrival);
        Passage { fate: Fate::Arrives(arrival), copy, corrupted, held: hold.is_some() }
    }

    /// The decision of the first rule that fits and has not run out.
    fn scripted(&mut self, bytes: &[u8]) -> Option<Act> {
        if self.rules.is_empty() {
            return None;
        }
        let glimpse = Glimpse::on(self.framing, bytes);
        for rule in &mut self.rules {
            if rule.times == 0 || !(rule.what)(&glimpse) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            return Some(rule.act);
        }
        None
    }

    /// Tail drop: is there room in front of the transmitter?
    fn admits(&mut self, length: usize, now: Instant) -> bool {
        while let Some(&(end, gone)) = self.waiting.front()
            && end <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= gone;
        }
        match self.config.queue {
            Queue::Unlimited => true,
            Queue::Bytes(limit) => self.waiting_bytes + length <= limit,
            Queue::Frames(limit) => self.waiting.len() < limit,
        }
    }

    /// Occupies the transmitter: from when to when.
    fn transmit(&mut self, length: usize, now: Instant) -> (Instant, Instant) {
        let start = self.free_at.max(now);
        let end = start + self.time_on_wire(length);
        self.free_at = end;
        if end > now {
            self.waiting.push_back((end, length));
            self.waiting_bytes += length;
        }
        (start, end)
    }

    fn time_on_wire(&self, length: usize) -> Duration {
        let Some(rate) = self.config.rate else { return Duration::ZERO };
        let bits = 8 * u64::try_from(length.max(ETHERNET_MINIMUM) + ETHERNET_OVERHEAD).unwrap_or(u64::MAX >> 3);
        let nanos = u128::from(bits) * 1_000_000_000 / u128::from(rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Long enough for a few neighbours to pass, whichever is longer: their transmission or the link's delay.
    fn overtaking_time(&mut self, frame: Duration) -> Duration {
        let longest = self.config.delay.max(frame * 4).max(Duration::from_micros(1));
        Duration::from_nanos(self.rng.between(longest.as_nanos() / 8, longest.as_nanos()))
    }

    /// One flipped bit is what a 16-bit checksum always finds. The Ethernet header stays whole: the adapter's own
    /// frame check would have caught that; so does everything without a checksum, which is ARP.
    fn flip_a_bit(&mut self, parcel: Parcel) -> (Parcel, bool) {
        let header = header_len(self.framing);
        let spare = parcel.bytes.len().saturating_sub(header);
        if spare == 0 || !Glimpse::on(self.framing, &parcel.bytes).is_ip() {
            return (parcel, false);
        }
        let bit = self.rng.below(8 * u64::try_from(spare).unwrap_or(0));
        let mut bytes = Vec::from(&*parcel.bytes);
        if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(header + at)) {
            *byte ^= 1 << (bit % 8);
        }
        (Parcel { bytes: Bytes::from(bytes), ..parcel }, true)
    }

    fn depart(&mut self, parcel: Parcel, arrival: Instant) {
        self.sent += 1;
        self.on_the_way.insert((arrival, self.sent), parcel);
    }
}

/// How long the header before the IP packet is.
const fn header_len(framing: Framing) -> usize {
    match framing {
        Framing::Ethernet => ETHERNET_HEADER,
        Framing::Ip => 0,
    }
}

/// Destination, source, EtherType.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// IEEE 802.3: the shortest frame, without its check.
const ETHERNET_MINIMUM: usize = 60;
/// IEEE 802.3: preamble and start 8, frame check 4, gap 12.
const ETHERNET_OVERHEAD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: u64, length: usize) -> Parcel {
        let mut bytes = alloc::vec![0; length];
        bytes[12] = 0x08;
        Parcel { bytes: Bytes::from(bytes), origin: Origin { number, cause: None, note: None } }
    }

    fn link(config: LinkConfig) -> Link {
        Link::new(config, Rng::new(1, "link"))
    }

    fn drain(link: &mut Link) -> Vec<(Instant, u64)> {
        let mut out = Vec::new();
        while let Some(at) = link.next_arrival() {
            let parcel = link.poll_arrival(at).expect("it has arrived");
            out.push((at, parcel.origin.number));
        }
        out
    }

    fn micros(n: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(n)
    }

    #[test]
    fn a_lone_frame_takes_the_delay_and_neighbours_follow_at_the_line_rate() {
        let mut link = link(LinkConfig::default());
        for n in 1..=3 {
            link.send(parcel(n, 1514), Instant::ZERO);
        }
        // 1,538 bytes at 1 Gbit/s: 12.304 us.
        let at = |nanos: u64| Instant::from_nanos(70_000 + nanos);
        assert_eq!(drain(&mut link), [(at(0), 1), (at(12_304), 2), (at(24_608), 3)]);
    }

    #[test]
    fn on_a_slow_link_the_transmission_itself_decides() {
        let mut link = link(LinkConfig { rate: Some(64_000), ..LinkConfig::default() });
        link.send(parcel(1, 1514), Instant::ZERO);
        assert_eq!(link.next_arrival(), Some(Instant::from_nanos(1_538 * 8 * 1_000_000_000 / 64_000)));
    }

    #[test]
    fn a_full_queue_drops_the_tail_and_drains_with_time() {
        let config = LinkConfig { rate: Some(8_000_000), queue: Queue::Bytes(3_000), ..LinkConfig::default() };
        let mut link = link(config);
        let fates: Vec<bool> =
            (1..=4).map(|n| matches!(link.send(parcel(n, 1_000), Instant::ZERO).fate, Fate::Arrives(_))).collect();
        assert_eq!(fates, [true, true, true, false]);
        assert_eq!(link.stats().overflows, 1);
        // One byte a microsecond: the first frame has left after 1,024 us.
        assert!(matches!(link.send(parcel(5, 1_000), micros(1_024)).fate, Fate::Arrives(_)));
        assert_eq!(link.send(parcel(6, 1_000), micros(1_024)).fate, Fate::Lost(Loss::QueueFull));
    }

    #[test]
    fn a_queue_counted_in_frames() {
        let config = LinkConfig { rate: Some(8_000_000), queue: Queue::Frames(2), ..LinkConfig::default() };
        let mut link = link(config);
        let lost = (1..=5).filter(|&n| matches!(link.send(parcel(n, 100), micros(0)).fate, Fate::Lost(_))).count();
        assert_eq!(lost, 3);
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_breaks_it() {
        let order = |config: LinkConfig| {
            let mut link = link(config);
            for n in 0..200 {
                link.send(parcel(n, 1_000), micros(n * 10));
            }
            drain(&mut link).into_iter().map(|(_, n)| n).collect::<Vec<_>>()
        };
        let jittery = order(LinkConfig { jitter: Duration::from_millis(1), ..LinkConfig::default() });
        assert!(jittery.is_sorted());
        let reordered = order(LinkConfig { reorder: Ppm::percent(10), ..LinkConfig::default() });
        assert!(!reordered.is_sorted());
        assert_eq!(reordered.len(), 200);
    }

    #[test]
    fn the_dice_fall_as_often_as_asked() {
        let config = LinkConfig {
            loss: Ppm::percent(10),
            duplicate: Ppm::percent(5),
            corrupt: Ppm::percent(2),
            reorder: Ppm::percent(1),
            ..LinkConfig::default()
        };
        let mut link = link(config);
        for n in 0..100_000 {
            link.send(parcel(n, 100), micros(n));
        }
        let stats = link.stats();
        assert!((9_700..10_300).contains(&stats.lost), "{stats:?}");
        assert!((4_300..4_700).contains(&stats.duplicated), "{stats:?}");
        assert!((1_700..1_900).contains(&stats.corrupted), "{stats:?}");
        assert!((800..1_000).contains(&stats.held), "{stats:?}");
        let arrived = drain(&mut link).len();
        assert_eq!(u64::try_from(arrived).expect("few"), 100_000 - stats.lost + stats.duplicated);
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        let config = LinkConfig { loss: Ppm::percent(30), jitter: Duration::from_millis(2), ..LinkConfig::default() };
        let run = |seed| {
            let mut link = Link::new(config.clone(), Rng::new(seed, "link"));
            (0..100).map(|n| link.send(parcel(n, 100), micros(n)).fate).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn corruption_flips_one_bit_behind_the_ethernet_header() {
        let mut link = link(LinkConfig { corrupt: Ppm::ALWAYS, ..LinkConfig::default() });
        let sent = parcel(1, 60);
        assert!(link.send(sent.clone(), Instant::ZERO).corrupted);
        let got = link.poll_arrival(micros(70)).expect("it has arrived");
        let flipped: u32 = sent.bytes.iter().zip(&got.bytes).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(flipped, 1);
        assert_eq!(sent.bytes[..14], got.bytes[..14]);
    }

    #[test]
    fn what_has_no_checksum_is_not_corrupted() {
        let mut link = link(LinkConfig { corrupt: Ppm::ALWAYS, ..LinkConfig::default() });
        let mut arp = Vec::from(&*parcel(1, 60).bytes);
        arp[13] = 0x06;
        let sent = Parcel { bytes: Bytes::from(arp), ..parcel(1, 60) };
        assert!(!link.send(sent, Instant::ZERO).corrupted);
    }

    #[test]
    fn rules_count_what_fits_them() {
        let mut link = link(LinkConfig::default());
        link.add_rule(Rule { what: |_| true, skip: 1, times: 2, act: Act::Drop });
        link.add_rule(Rule::first(|_| true, Act::Hold(Duration::from_secs(1))));
        let fates: Vec<_> = (1..=5).map(|n| link.send(parcel(n, 100), Instant::ZERO)).collect();
        // The first one only uses up the drop rule's skip, and is then held by the second rule.
        assert!(fates[0].held);
        assert_eq!(fates[1].fate, Fate::Lost(Loss::Script));
        assert_eq!(fates[2].fate, Fate::Lost(Loss::Script));
        assert_eq!(drain(&mut link).into_iter().map(|(_, n)| n).collect::<Vec<_>>(), [4, 5, 1]);
    }

    #[test]
    fn frames_beyond_the_maximum_do_not_pass() {
        let mut link = link(LinkConfig { max_frame: 1514, ..LinkConfig::default() });
        assert_eq!(link.send(parcel(1, 1515), Instant::ZERO).fate, Fate::Lost(Loss::TooLarge));
        assert!(matches!(link.send(parcel(1, 1514), Instant::ZERO).fate, Fate::Arrives(_)));
    }
}
