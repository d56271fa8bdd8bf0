//! Packets that arrive in pieces: the pieces wait here until they are a whole, or until their time is over.
//!
//! Sections: RFC 791 3.2; RFC 1122 3.3.2; RFC 8200 4.5; RFC 5722 (overlaps); RFC 7112 (the first piece); RFC 3168 5.3
//! (ECN); attack A-20.
//! In: fragments of either version of IP, their own headers read; time.
//! Out: whole packets, their headers written anew; what a sender is to be told; what became of the rest.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::TimerKey;
use super::slab::Slab;
use super::wheel::{TimerId, Wheel};
use crate::tcp::DropReason;
use crate::time::{Duration, Instant};
use crate::wire::{Ecn, ip, ipv4, ipv6};

/// The packets of which only pieces have arrived.
///
/// Memory is bounded in all and per source. Whoever comes last finds room, at the cost of what has waited longest:
/// what is incomplete after a while is seldom completed, and an attacker must not keep others out by being first.
#[derive(Clone, Debug)]
pub(crate) struct Reassembly {
    packets: Slab<Partial>,
    by_name: BTreeMap<Name, u32>,
    /// Every packet by the order in which its first piece arrived.
    by_age: BTreeMap<u64, u32>,
    /// The same, source by source.
    by_source: BTreeMap<(IpAddr, u64), u32>,
    /// Bytes held for each source.
    held_for: BTreeMap<IpAddr, usize>,
    /// Bytes held in all.
    held: usize,
    /// How many packets have begun.
    begun: u64,
}

/// What pieces of one packet have in common. For IPv4 the protocol belongs to it, for IPv6 it does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

/// A packet of which some pieces have arrived.
#[derive(Clone, Debug)]
struct Partial {
    name: Name,
    age: u64,
    /// The pieces by where they lie. None overlaps another.
    pieces: BTreeMap<u16, Bytes>,
    /// The sum of their lengths.
    have: usize,
    /// The header of the piece that lies first, and all that stood before that piece.
    first: Option<(ip::Header, Bytes)>,
    /// Where the payload ends, once the last piece has told.
    end: Option<usize>,
    /// The ECN fields of the pieces, a bit for each kind that was seen.
    ecn_seen: u8,
    /// Pieces overlapped: whatever else comes of this packet is dropped.
    condemned: bool,
    /// Bytes held for it.
    held: usize,
    timer: Option<TimerId>,
}

/// One piece, as it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) header: &'a ip::Header,
    /// The whole packet that carried it, its padding taken off.
    pub(crate) packet: &'a [u8],
    /// Where the piece starts in it.
    pub(crate) start: usize,
}

/// How much may be held, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `ipfrag_high_thresh`: bytes in all.
    pub(crate) memory: usize,
    /// `ipfrag_time`, for IPv4.
    pub(crate) time: Duration,
}

/// What became of a piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// It waits for the others.
    Held,
    /// It was the one that was missing: the whole packet, header first.
    Whole(Bytes),
    /// It was there already.
    Again,
    /// It is lost, and the packet with it if it was one that pieces contradict.
    Dropped(DropReason),
    /// It is lost, and its sender is to be told why (ICMPv6 parameter problem).
    Refused {
        /// The code of the parameter problem.
        code: u8,
        /// Which byte of the piece's packet is at fault.
        pointer: u32,
    },
    /// It overlaps another: it is lost, and the packet with it.
    Overlap,
}

/// A packet that was not completed in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Overdue {
    /// The header of its first piece, and that piece's packet, if it has arrived.
    pub(crate) first: Option<(ip::Header, Bytes)>,
}

impl Reassembly {
    pub(crate) const fn new() -> Self {
        Reassembly {
            packets: Slab::new(),
            by_name: BTreeMap::new(),
            by_age: BTreeMap::new(),
            by_source: BTreeMap::new(),
            held_for: BTreeMap::new(),
            held: 0,
            begun: 0,
        }
    }

    /// Bytes held, bookkeeping included.
    pub(crate) fn memory(&self) -> usize {
        self.held
    }

    /// A piece has arrived. Gives what became of it, and how many packets had to give way.
    pub(crate) fn on_piece(
        &mut self,
        piece: &Piece<'_>,
        limits: Limits,
        now: Instant,
        wheel: &mut Wheel<TimerKey>,
    ) -> (Arrival, u64) {
        let Some(place) = Place::of(piece.header) else { return (Arrival::Dropped(DropReason::Malformed), 0) };
        if let Err(refusal) = place.check(piece) {
            return (refusal, 0);
        }
        let src = piece.header.src();
        let need = piece.packet.len() + PIECE_OVERHEAD + PACKET_OVERHEAD;
        let of_source = limits.memory / SOURCES;
        if need > of_source {
            return (Arrival::Dropped(DropReason::NoMemory), 0);
        }
        let evicted = self.make_room(src, need, of_source, limits.memory, wheel);
        let index = self.entry(place.name, || now + place.patience(limits), wheel);
        let Some(partial) = self.packets.get_mut(index) else { return (Arrival::Held, evicted) };
        let before = partial.held;
        let arrival = partial.take(&place, piece);
        let after = partial.held;
        self.held = self.held - before + after;
        *self.held_for.entry(src).or_default() += after;
        self.settle_source(src, before);
        // RFC 5722 3: the pieces of such a packet that are still to come are dropped too, so its name is remembered.
        // IPv4 reuses names within seconds, and would lose the next packet of that name to the memory of this one.
        //= 5722#3
        if matches!(arrival, Arrival::Whole(_)) || (arrival != Arrival::Held && src.is_ipv4() && self.is_spoilt(index))
        {
            self.remove(index, wheel);
        }
        (arrival, evicted)
    }

    /// The time of a packet is over.
    pub(crate) fn on_timeout(&mut self, index: u32, wheel: &mut Wheel<TimerKey>) -> Option<Overdue> {
        self.packets.get_mut(index)?.timer = None;
        let mut partial = self.remove(index, wheel)?;
        let first = partial.first.take().filter(|_| !partial.condemned).map(|(header, head)| {
            let piece = partial.pieces.get(&0).map_or(&[][..], |piece| piece);
            (header, [&head, piece].concat().into())
        });
        Some(Overdue { first })
    }

    fn is_spoilt(&self, index: u32) -> bool {
        self.packets.get(index).is_some_and(|partial| partial.condemned)
    }

    /// Forgets the oldest packets until there is room for `need` bytes more of this source's.
    fn make_room(
        &mut self,
        src: IpAddr,
        need: usize,
        of_source: usize,
        of_all: usize,
        wheel: &mut Wheel<TimerKey>,
    ) -> u64 {
        let mut evicted = 0;
        loop {
            let held_for = self.held_for.get(&src).copied().unwrap_or(0);
            let oldest = if held_for + need > of_source {
                self.by_source.range((src, 0)..=(src, u64::MAX)).next().map(|(_, &index)| index)
            } else if self.held + need > of_all {
                self.by_age.first_key_value().map(|(_, &index)| index)
            } else {
                None
            };
            let Some(oldest) = oldest else { return evicted };
            self.remove(oldest, wheel);
            evicted += 1;
        }
    }

    /// The packet that has this name, or a new one.
    fn entry(&mut self, name: Name, deadline: impl FnOnce() -> Instant, wheel: &mut Wheel<TimerKey>) -> u32 {
        if let Some(&index) = self.by_name.get(&name) {
            return index;
        }
        let age = self.begun;
        self.begun += 1;
        let index = self.packets.insert(Partial::new(name, age));
        // RFC 8200 4.5 counts from the piece that arrived first; nothing that comes later prolongs it.
        if let Some(partial) = self.packets.get_mut(index) {
            wheel.arm(&mut partial.timer, TimerKey::Reassembly(index), deadline());
        }
        self.by_name.insert(name, index);
        self.by_age.insert(age, index);
        self.by_source.insert((name.src, age), index);
        self.held += PACKET_OVERHEAD;
        *self.held_for.entry(name.src).or_default() += PACKET_OVERHEAD;
        index
    }

    fn remove(&mut self, index: u32, wheel: &mut Wheel<TimerKey>) -> Option<Partial> {
        let mut partial = self.packets.remove(index)?;
        wheel.cancel(&mut partial.timer);
        self.by_name.remove(&partial.name);
        self.by_age.remove(&partial.age);
        self.by_source.remove(&(partial.name.src, partial.age));
        self.held -= partial.held;
        self.settle_source(partial.name.src, partial.held);
        Some(partial)
    }

    /// `less` bytes of a source's are free again.
    fn settle_source(&mut self, src: IpAddr, less: usize) {
        if let Some(held) = self.held_for.get_mut(&src) {
            *held -= less;
            if *held == 0 {
                self.held_for.remove(&src);
            }
        }
    }
}

/// Where a piece belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: Name,
    offset: u16,
    more: bool,
}

impl Place {
    /// `None` for a packet that is whole.
    fn of(header: &ip::Header) -> Option<Place> {
        let (src, dst) = (header.src(), header.dst());
        match header {
            ip::Header::V4(header) => header.is_fragment().then(|| Place {
                name: Name { src, dst, id: u32::from(header.id), protocol: Some(header.protocol) },
                offset: header.fragment_offset,
                more: header.more_fragments,
            }),
            ip::Header::V6(header) => header.fragment.map(|fragment| Place {
                name: Name { src, dst, id: fragment.id, protocol: None },
                offset: fragment.offset,
                more: fragment.more,
            }),
        }
    }

    /// What can be said of a piece without knowing the others.
    fn check(&self, piece: &Piece<'_>) -> Result<(), Arrival> {
        let data = piece.packet.get(piece.start..).unwrap_or_default();
        let end = usize::from(self.offset) + data.len();
        let fragment_at = u32::try_from(piece.start.saturating_sub(ipv6::FRAGMENT_LEN)).unwrap_or(0);
        match piece.header {
            ip::Header::V4(_) if (self.more && data.len() % 8 != 0) || piece.start + end > MAX_PACKET => {
                Err(Arrival::Dropped(DropReason::Malformed))
            }
            //= 8200#4.5
            ip::Header::V6(_) if self.more && data.len() % 8 != 0 => {
                Err(Arrival::Refused { code: 0, pointer: PAYLOAD_LENGTH_AT })
            }
            ip::Header::V6(_) if end > MAX_PACKET => {
                Err(Arrival::Refused { code: 0, pointer: fragment_at + FRAGMENT_OFFSET_AT })
            }
            //= 7112#5
            ip::Header::V6(header) if self.offset == 0 && !ipv6::has_whole_chain(header.protocol, data) => {
                Err(Arrival::Refused { code: INCOMPLETE_CHAIN, pointer: 0 })
            }
            _ if data.is_empty() => Err(Arrival::Dropped(DropReason::Malformed)),
            _ => Ok(()),
        }
    }

    /// How long the other pieces are waited for.
    fn patience(&self, limits: Limits) -> Duration {
        if self.name.src.is_ipv4() { limits.time } else { TIME_V6 }
    }
}

impl Partial {
    fn new(name: Name, age: u64) -> Self {
        Partial {
            name,
            age,
            pieces: BTreeMap::new(),
            have: 0,
            first: None,
            end: None,
            ecn_seen: 0,
            condemned: false,
            held: PACKET_OVERHEAD,
            timer: None,
        }
    }

    /// A piece of this packet, checked as far as it can be alone.
    fn take(&mut self, place: &Place, piece: &Piece<'_>) -> Arrival {
        if self.condemned {
            return Arrival::Dropped(DropReason::Fragment);
        }
        let data = piece.packet.get(piece.start..).unwrap_or_default();
        let start = usize::from(place.offset);
        let end = start + data.len();
        // RFC 8200 4.5 allows to tell a duplicate from an overlap; the network makes duplicates.
        if self.pieces.get(&place.offset).is_some_and(|held| held == data) {
            return Arrival::Again;
        }
        let before = self.pieces.range(..=place.offset).next_back();
        let behind = self.pieces.range(place.offset..).next();
        let overlaps = before.is_some_and(|(&at, held)| usize::from(at) + held.len() > start)
            || behind.is_some_and(|(&at, _)| usize::from(at) < end);
        // DEVIATES: 791 3.2: there the piece that arrives last wins. Whoever can make two readings of one packet can
        // show one to a filter and another to us, so there is no reading. Like Linux.
        //= 5722#3
        if overlaps {
            self.condemn();
            return Arrival::Overlap;
        }
        // Two ends, or something behind the end.
        let last = self.pieces.last_key_value().map_or(0, |(&at, held)| usize::from(at) + held.len());
        let contradicts = match self.end {
            Some(known) => end > known || (!place.more && end != known),
            None => !place.more && end < last,
        };
        self.ecn_seen |= 1 << piece.header.ecn().bits();
        // RFC 3168 5.3: one piece of a packet that may be marked and one of a packet that may not.
        //= 3168#5.3
        let mixed = self.ecn_seen & 1 != 0 && self.ecn_seen != 1;
        if contradicts || mixed {
            self.condemn();
            return Arrival::Dropped(DropReason::Fragment);
        }

        self.have += data.len();
        self.held += data.len() + PIECE_OVERHEAD;
        self.pieces.insert(place.offset, Bytes::copy_from_slice(data));
        if !place.more {
            self.end = Some(end);
        }
        if place.offset == 0 {
            let head = Bytes::copy_from_slice(piece.packet.get(..piece.start).unwrap_or_default());
            self.held += head.len();
            self.first = Some((*piece.header, head));
        }
        self.assemble().map_or(Arrival::Held, Arrival::Whole)
    }

    /// The whole packet, if nothing is missing: without overlaps, that is when the lengths add up.
    fn assemble(&self) -> Option<Bytes> {
        let len = self.end.filter(|&end| end == self.have)?;
        let (header, _) = self.first.as_ref()?;
        let mut packet = BytesMut::with_capacity(ipv6::HEADER_LEN + len);
        match *header {
            ip::Header::V4(first) => {
                let whole = ipv4::Header { more_fragments: false, ecn: self.ecn(first.ecn), ..first };
                packet.put_slice(&whole.to_bytes(len));
            }
            // What stood before the fragment header has done its work.
            ip::Header::V6(first) => {
                let whole = ipv6::Header { fragment: None, ecn: self.ecn(first.ecn), ..first };
                packet.put_slice(&whole.to_bytes(len));
            }
        }
        self.pieces.values().for_each(|piece| packet.put_slice(piece));
        Some(packet.freeze())
    }

    /// Congestion met by one piece was met by the packet.
    //= 3168#5.3
    fn ecn(&self, first: Ecn) -> Ecn {
        if self.ecn_seen & (1 << Ecn::Ce.bits()) == 0 { first } else { Ecn::Ce }
    }

    /// Nothing will come of this packet: only its name stays.
    fn condemn(&mut self) {
        *self = Partial { timer: self.timer, condemned: true, ..Partial::new(self.name, self.age) };
    }
}

/// RFC 8200 4.5: 60 seconds.
const TIME_V6: Duration = Duration::from_secs(60);
/// The largest IPv4 packet, and the largest payload of an IPv6 packet.
const MAX_PACKET: usize = 65_535;
/// What a packet costs beside its pieces: its record, its places in four tables, its timer.
const PACKET_OVERHEAD: usize = 512;
/// What a piece costs beside its bytes: its place in a table, its reference count, the allocator's share.
const PIECE_OVERHEAD: usize = 128;
/// One source may fill this part of the memory.
const SOURCES: usize = 4;
/// Where the payload's length stands in an IPv6 header.
const PAYLOAD_LENGTH_AT: u32 = 4;
/// Where the offset stands in a fragment header.
const FRAGMENT_OFFSET_AT: u32 = 2;
/// RFC 7112 5: the code of "first fragment has incomplete IPv6 header chain".
const INCOMPLETE_CHAIN: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ip::protocol;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { memory: 1 << 20, time: Duration::from_secs(30) };

    /// A piece of packet `id` of source 10.0.0.`src` or fd00::`src`.
    fn packet(v6: bool, src: u8, id: u16, offset: u16, more: bool, ecn: Ecn, data: &[u8]) -> Vec<u8> {
        if v6 {
            let (src, dst) = ([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, src].into(), "fd00::99".parse());
            let header = ipv6::Header {
                src,
                dst: dst.expect("an address"),
                protocol: protocol::FRAGMENT,
                hop_limit: 64,
                dscp: 0,
                ecn,
                flow_label: 0,
                fragment: None,
            };
            let [a, b] = (offset | u16::from(more)).to_be_bytes();
            let [c, d] = id.to_be_bytes();
            [&header.to_bytes(8 + data.len())[..], &[NEXT, 0, a, b, 0, 0, c, d], data].concat()
        } else {
            let header = ipv4::Header {
                dont_fragment: false,
                more_fragments: more,
                fragment_offset: offset,
                id,
                ecn,
                ..ipv4::Header::atomic([10, 0, 0, src].into(), [10, 0, 0, 99].into(), NEXT)
            };
            [&header.to_bytes(data.len())[..], data].concat()
        }
    }

    /// A protocol without a header of its own.
    const NEXT: u8 = 253;

    struct Bench {
        table: Reassembly,
        wheel: Wheel<TimerKey>,
        now: Instant,
        limits: Limits,
        evicted: u64,
    }

    impl Bench {
        fn new(limits: Limits) -> Self {
            let table = Reassembly::new();
            Bench { table, wheel: Wheel::new(Instant::ZERO), now: Instant::ZERO, limits, evicted: 0 }
        }

        fn feed(&mut self, packet: &[u8]) -> Arrival {
            let (header, payload) = ip::Header::parse(packet).expect("a good packet");
            let piece = Piece { header: &header, packet, start: payload.start };
            let (arrival, evicted) = self.table.on_piece(&piece, self.limits, self.now, &mut self.wheel);
            self.evicted += evicted;
            self.check();
            arrival
        }

        /// The books are right, and the bounds hold.
        fn check(&self) {
            let table = &self.table;
            let held: usize = table.packets.iter().map(|(_, partial)| partial.held).sum();
            assert_eq!(table.held, held);
            assert_eq!(table.held_for.values().sum::<usize>(), held);
            assert!(held <= self.limits.memory);
            assert!(table.held_for.values().all(|&held| 0 < held && held <= self.limits.memory / SOURCES));
            let packets = table.packets.len();
            assert_eq!((table.by_name.len(), table.by_age.len(), table.by_source.len()), (packets, packets, packets));
            assert_eq!(self.wheel.len(), packets, "every packet has its time");
        }

        fn pass(&mut self, span: Duration) -> Vec<Overdue> {
            self.now += span;
            let mut overdue = Vec::new();
            while let Some(TimerKey::Reassembly(index)) = self.wheel.expire(self.now) {
                overdue.extend(self.table.on_timeout(index, &mut self.wheel));
            }
            self.check();
            overdue
        }
    }

    /// What a whole packet is expected to hold: the plainest way to say it.
    #[derive(Clone, Default)]
    struct Model {
        pieces: Vec<(usize, Vec<u8>)>,
        end: Option<usize>,
        kinds: Vec<u8>,
        dead: bool,
    }

    impl Model {
        fn take(&mut self, offset: usize, more: bool, ecn: Ecn, data: &[u8]) -> Arrival {
            if self.dead {
                return Arrival::Dropped(DropReason::Fragment);
            }
            if self.pieces.iter().any(|(at, held)| (*at, &held[..]) == (offset, data)) {
                return Arrival::Again;
            }
            let end = offset + data.len();
            if self.pieces.iter().any(|(at, held)| *at < end && offset < at + held.len()) {
                *self = Model { dead: true, ..Model::default() };
                return Arrival::Overlap;
            }
            let last = self.pieces.iter().map(|(at, held)| at + held.len()).max().unwrap_or(0);
            self.kinds.push(ecn.bits());
            let two_ends = self.end.is_some_and(|known| end > known || (!more && known != end));
            if two_ends || (!more && end < last) || (self.kinds.contains(&0) && self.kinds.iter().any(|&kind| kind > 0))
            {
                *self = Model { dead: true, ..Model::default() };
                return Arrival::Dropped(DropReason::Fragment);
            }
            self.pieces.push((offset, data.to_vec()));
            self.end = if more { self.end } else { Some(end) };
            let Some(len) = self.end else { return Arrival::Held };
            let mut whole = alloc::vec![None; len];
            for (at, piece) in &self.pieces {
                whole[*at..at + piece.len()].iter_mut().zip(piece).for_each(|(to, from)| *to = Some(*from));
            }
            whole.into_iter().collect::<Option<Vec<u8>>>().map_or(Arrival::Held, |bytes| Arrival::Whole(bytes.into()))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// Pieces in any order, missing, doubled, overlapping, contradicting each other, of several packets at once:
        /// whatever comes out is what the model says, byte by byte.
        #[test]
        fn any_pieces_against_a_model(
            v6: bool,
            steps in prop::collection::vec((0_u8..3, 0_u16..2, 0_u16..6, 1_usize..4, 0_usize..8, 0_u8..40, prop::bool::weighted(0.1)), 1..60),
        ) {
            let mut bench = Bench::new(LIMITS);
            let mut models: BTreeMap<(u8, u16), Model> = BTreeMap::new();
            for (src, id, at, units, odd, mark, other) in steps {
                let more = odd != 0 || at < 3;
                let (offset, len) = (at * 8, units * 8 - if more { 0 } else { odd.min(7) });
                let data: Vec<u8> = (0..len).map(|n| n as u8 ^ at as u8 ^ if other { 0x80 } else { 0 }).collect();
                let ecn = match mark { 0 => Ecn::Ce, 1 => Ecn::NotEct, 2 => Ecn::Ect1, _ => Ecn::Ect0 };
                let arrival = bench.feed(&packet(v6, src, id, offset, more, ecn, &data));
                let model = models.entry((src, id)).or_default();
                let expected = model.take(usize::from(offset), more, ecn, &data);
                match (&arrival, &expected) {
                    (Arrival::Whole(packet), Arrival::Whole(bytes)) => {
                        let (header, payload) = ip::Header::parse(packet).expect("a good header");
                        prop_assert_eq!(&packet[payload], &bytes[..]);
                        prop_assert!(!header.is_fragment() && header.protocol() == NEXT);
                        let marked = model.kinds.contains(&Ecn::Ce.bits());
                        prop_assert_eq!(header.ecn() == Ecn::Ce, marked);
                    }
                    _ => prop_assert_eq!(&arrival, &expected),
                }
                let is_over = matches!(arrival, Arrival::Whole(_)) || (model.dead && !v6);
                if is_over {
                    models.remove(&(src, id));
                }
            }
            bench.pass(Duration::from_secs(60));
            prop_assert_eq!((bench.table.memory(), bench.wheel.len()), (0, 0));
        }

        /// an attacker who never completes anything, from as many sources as he likes, cannot make us hold more,
        /// and an honest packet among it all is completed.
        #[test]
        fn memory_is_bounded_whatever_comes(
            v6: bool,
            flood in prop::collection::vec((any::<u8>(), any::<u16>(), 0_u16..8000, 1_usize..180), 500),
        ) {
            let mut bench = Bench::new(Limits { memory: 64 * 1024, ..LIMITS });
            let mut honest = None;
            for (n, (src, id, at, units)) in flood.into_iter().enumerate() {
                bench.feed(&packet(v6, src, id, at * 8, true, Ecn::NotEct, &alloc::vec![1; units * 8]));
                if n == 300 {
                    let first = bench.feed(&packet(v6, 77, 7, 0, true, Ecn::NotEct, &[1; 1400]));
                    let second = bench.feed(&packet(v6, 77, 7, 1400, false, Ecn::NotEct, &[2; 99]));
                    honest = Some((first, second));
                }
            }
            let (first, second) = honest.expect("it was fed");
            prop_assert!(first == Arrival::Held && matches!(second, Arrival::Whole(_)), "{first:?} {second:?}");
        }
    }

    /// One source fills its share and no more: the others' packets stay.
    #[test]
    fn a_source_evicts_only_its_own() {
        let mut bench = Bench::new(Limits { memory: 64 * 1024, ..LIMITS });
        bench.feed(&packet(false, 1, 1, 0, true, Ecn::NotEct, &[1; 800]));
        for id in 0..1000 {
            bench.feed(&packet(false, 2, id, 0, true, Ecn::NotEct, &[1; 800]));
        }
        assert!(bench.evicted > 900);
        assert!(matches!(bench.feed(&packet(false, 1, 1, 800, false, Ecn::NotEct, &[1; 8])), Arrival::Whole(_)));
    }

    //= 5722#3
    #[test]
    fn after_an_overlap_the_rest_is_dropped_too() {
        for v6 in [false, true] {
            let mut bench = Bench::new(LIMITS);
            let piece = |offset, more, byte| packet(v6, 1, 1, offset, more, Ecn::NotEct, &[byte; 16]);
            assert_eq!(bench.feed(&piece(16, false, 1)), Arrival::Held);
            assert_eq!(bench.feed(&piece(16, false, 1)), Arrival::Again);
            assert_eq!(bench.feed(&piece(8, true, 1)), Arrival::Overlap);
            let behind = bench.feed(&piece(0, true, 1));
            // An IPv4 name may be the next packet's already.
            assert_eq!(behind, if v6 { Arrival::Dropped(DropReason::Fragment) } else { Arrival::Held });
            let overdue = bench.pass(Duration::from_secs(61));
            assert_eq!(overdue.iter().filter(|overdue| overdue.first.is_some()).count(), usize::from(!v6));
            assert_eq!(bench.feed(&piece(0, true, 1)), Arrival::Held, "the name is free again");
        }
    }

    //= 8200#4.5
    #[test]
    fn time_counts_from_the_piece_that_came_first() {
        for (v6, seconds) in [(false, 30), (true, 60)] {
            let mut bench = Bench::new(LIMITS);
            let first = packet(v6, 1, 1, 0, true, Ecn::Ect0, &[5; 24]);
            assert_eq!(bench.feed(&packet(v6, 1, 1, 48, true, Ecn::Ect0, &[7; 8])), Arrival::Held);
            assert!(bench.pass(Duration::from_secs(seconds - 1)).is_empty());
            assert_eq!(bench.feed(&first), Arrival::Held);
            let overdue = bench.pass(Duration::from_secs(1));
            let [Overdue { first: Some((_, told)) }] = &overdue[..] else { panic!("{overdue:?}") };
            assert_eq!(told[..], first[..], "the sender is told which packet it was");
        }
    }

    //= 8200#4.5
    //= 7112#5
    #[test]
    fn what_no_piece_may_be() {
        let mut bench = Bench::new(LIMITS);
        let dropped = Arrival::Dropped(DropReason::Malformed);
        for (v6, offset, more, len, expected) in [
            (false, 8, true, 12, dropped.clone()),
            (true, 8, true, 12, Arrival::Refused { code: 0, pointer: 4 }),
            (false, 65_512, false, 4, dropped.clone()),
            (false, 65_504, false, 8, Arrival::Held),
            (true, 65_528, false, 8, Arrival::Refused { code: 0, pointer: 42 }),
            (true, 65_528, false, 7, Arrival::Held),
            (false, 8, false, 0, dropped.clone()),
            (true, 8, false, 0, dropped.clone()),
        ] {
            let data = alloc::vec![0; len];
            assert_eq!(bench.feed(&packet(v6, 1, len as u16, offset, more, Ecn::NotEct, &data)), expected, "{offset}");
        }
        // The first piece of a TCP segment holds its whole header.
        let mut tcp = [0; 24];
        tcp[12] = 0x60;
        for (len, whole) in [(24, true), (16, false), (8, false)] {
            let mut bytes = packet(true, 9, len, 0, true, Ecn::NotEct, &tcp[..usize::from(len)]);
            bytes[40] = protocol::TCP;
            let refused = Arrival::Refused { code: 3, pointer: 0 };
            assert_eq!(bench.feed(&bytes), if whole { Arrival::Held } else { refused });
        }
    }
}
