//! Another device behind a bad network: what a kernel without netem lacks, for any device and in both directions.
//!
//! Sections: none; the knobs are those of `lab::link`, and so of Linux's netem.
//! In: a device, and the vices of each direction.
//! Out: the same device, its frames late, lost, doubled, out of order or damaged.

use std::collections::VecDeque;
use std::io;

use arrayvec::ArrayVec;
use bytes::Bytes;
use tidegate_lab::link::{Link as Lane, LinkConfig, LinkStats, Origin, Parcel};
use tidegate_lab::rng::Rng;
use tidegate_proto::net::{Cause, ChecksumState, Frame, IfaceId, TxFrame, offload};
use tidegate_proto::time::Instant;
use tidegate_proto::wire::checksum::portable;

use super::{Capabilities, Device, Room, Wait};
use crate::clock;

/// A device with an impaired link in front of it. What it does is a matter of wire segments: bursts are cut before
/// they enter the link.
#[derive(Debug)]
pub struct Impair<D> {
    device: D,
    outbound: Lane,
    inbound: Lane,
    /// Through the link, and waiting for room in the device.
    through: VecDeque<TxFrame>,
    room: Room,
    arrived: Vec<Frame>,
    /// The device has ended; what is on its way comes first.
    failure: Option<io::Error>,
}

impl<D: Device> Impair<D> {
    /// Impairs `device`: what is sent by `outbound`, what is received by `inbound`; `seed` decides every chance.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the device passes bursts whole: those are no frames of a link, and cannot be lost one by one.
    pub fn new(device: D, outbound: LinkConfig, inbound: LinkConfig, seed: u64) -> io::Result<Self> {
        let capabilities = device.capabilities();
        if capabilities.checksum_offload {
            let why = "an impaired link carries single segments: open the device without offload";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let lane = |config, name| Lane::framed(capabilities.link, config, Rng::new(seed, name));
        Ok(Impair {
            outbound: lane(outbound, "outbound"),
            inbound: lane(inbound, "inbound"),
            device,
            through: VecDeque::new(),
            room: Room::Free,
            arrived: Vec::new(),
            failure: None,
        })
    }

    /// What became of the frames sent, and of those received.
    pub fn stats(&self) -> (LinkStats, LinkStats) {
        (self.outbound.stats(), self.inbound.stats())
    }

    fn receive_at(&mut self, frames: &mut Vec<Frame>, limit: usize, now: Instant) -> io::Result<usize> {
        let mut arrived = 0;
        if self.failure.is_none() {
            match self.device.receive(&mut self.arrived, limit) {
                Ok(n) => arrived = n,
                Err(error) => self.failure = Some(error),
            }
        }
        for frame in self.arrived.drain(..) {
            self.inbound
                .send(Parcel { bytes: frame.bytes, origin: Origin { number: 0, cause: None, note: None } }, now);
        }
        // Nobody can wait for a device that has ended: what is on its way arrives now.
        let until = if self.failure.is_some() { Instant::from_nanos(u64::MAX) } else { now };
        let mut delivered = 0;
        while delivered < limit
            && let Some(parcel) = self.inbound.poll_arrival(until)
        {
            frames.push(Frame { bytes: parcel.bytes, checksum: ChecksumState::Unknown, segments: 1 });
            delivered += 1;
        }
        match self.failure.take_if(|_| delivered < limit) {
            Some(error) => Err(error),
            None => Ok(arrived.max(delivered)),
        }
    }

    fn send_at(&mut self, frames: &mut VecDeque<TxFrame>, now: Instant) -> io::Result<Room> {
        let link = self.device.capabilities().link;
        for frame in frames.drain(..) {
            let origin = Origin { number: 0, cause: Some(frame.cause), note: frame.note };
            for bytes in offload::split(&frame, link, portable) {
                self.outbound.send(Parcel { bytes, origin }, now);
            }
        }
        self.through.extend(std::iter::from_fn(|| self.outbound.poll_arrival(now)).map(finished));
        // A device that was full may itself hold what it could not send.
        if !self.through.is_empty() || self.room == Room::Full {
            self.room = self.device.send(&mut self.through)?;
        }
        Ok(self.room)
    }
}

impl<D: Device> Device for Impair<D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        self.receive_at(frames, limit, clock::now())
    }

    /// Takes everything: what may wait in front of the link is the link's business.
    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        self.send_at(frames, clock::now())
    }

    fn wait(&self) -> Wait<'_> {
        self.device.wait()
    }

    fn next_timeout(&self) -> Option<Instant> {
        // Without room in the device nothing can leave the link; the owner waits for that.
        let outbound = self.outbound.next_arrival().filter(|_| self.room == Room::Free);
        [outbound, self.inbound.next_arrival(), self.device.next_timeout()].into_iter().flatten().min()
    }
}

/// A frame that is whole, and needs nothing done any more.
fn finished(parcel: Parcel) -> TxFrame {
    let Parcel { bytes, origin } = parcel;
    TxFrame {
        iface: IfaceId(0),
        header: ArrayVec::new(),
        payload: Bytes::into(bytes),
        gso_size: 0,
        checksum: tidegate_proto::net::TxChecksum::Full,
        socket: None,
        cause: origin.cause.unwrap_or(Cause::Icmp),
        note: origin.note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{ChannelEnd, channel};
    use tidegate_lab::rng::Ppm;
    use tidegate_proto::net::TxChecksum;
    use tidegate_proto::time::Duration;
    use tidegate_proto::wire::frame::Link;

    fn ideal() -> LinkConfig {
        LinkConfig { delay: Duration::ZERO, rate: None, ..LinkConfig::default() }
    }

    fn slow(millis: u64) -> LinkConfig {
        LinkConfig { delay: Duration::from_millis(millis), ..ideal() }
    }

    fn impaired(outbound: LinkConfig, inbound: LinkConfig, capacity: usize) -> (Impair<ChannelEnd>, ChannelEnd) {
        let (near, far) = channel(Link::Ip, 1500, capacity);
        (Impair::new(near, outbound, inbound, 1).expect("a channel carries segments"), far)
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn frames(numbers: std::ops::Range<u8>) -> VecDeque<TxFrame> {
        numbers.map(|n| finished(parcel(n))).collect()
    }

    fn parcel(n: u8) -> Parcel {
        Parcel { bytes: Bytes::from(vec![n; 40]), origin: Origin { number: 0, cause: None, note: None } }
    }

    fn numbers(received: &[Frame]) -> Vec<u8> {
        received.iter().map(|frame| frame.bytes[0]).collect()
    }

    /// What has come out at the far end.
    fn heard(far: &ChannelEnd) -> Vec<u8> {
        std::iter::from_fn(|| far.try_recv_packet().expect("alive")).map(|bytes| bytes[0]).collect()
    }

    #[test]
    fn each_direction_has_its_own_delay_and_tells_its_deadline() {
        let (mut near, far) = impaired(slow(20), slow(5), 10);
        assert_eq!(near.next_timeout(), None);
        assert_eq!(near.send_at(&mut frames(1..3), at(0)).expect("alive"), Room::Free);
        assert_eq!((heard(&far), near.next_timeout()), (vec![], Some(at(20))));
        far.try_send_packet(&parcel(9).bytes).expect("room");
        let mut received = Vec::new();
        assert_eq!(near.receive_at(&mut received, 10, at(10)).expect("alive"), 1);
        assert_eq!((numbers(&received), near.next_timeout()), (vec![], Some(at(15))));
        assert_eq!(near.receive_at(&mut received, 10, at(15)).expect("alive"), 1);
        assert_eq!((numbers(&received), near.next_timeout()), (vec![9], Some(at(20))));
        near.send_at(&mut VecDeque::new(), at(20)).expect("alive");
        assert_eq!((heard(&far), near.next_timeout()), (vec![1, 2], None));
    }

    #[test]
    fn what_finds_no_room_in_the_device_waits_and_no_deadline_spins() {
        let (mut near, far) = impaired(slow(1), ideal(), 1);
        near.send_at(&mut frames(1..4), at(0)).expect("alive");
        assert_eq!(near.send_at(&mut VecDeque::new(), at(1)).expect("alive"), Room::Full);
        near.send_at(&mut frames(4..5), at(2)).expect("alive");
        assert_eq!(near.next_timeout(), None, "only room can help");
        let mut all = heard(&far);
        while all.len() < 4 {
            near.send_at(&mut VecDeque::new(), at(5)).expect("alive");
            all.extend(heard(&far));
        }
        assert_eq!(all, [1, 2, 3, 4]);
        assert_eq!(near.send_at(&mut VecDeque::new(), at(5)).expect("alive"), Room::Free);
    }

    #[test]
    fn a_limit_leaves_the_rest_and_says_so() {
        let (mut near, far) = impaired(ideal(), slow(1), 10);
        (0..5).for_each(|n| assert_eq!(far.try_send_packet(&parcel(n).bytes).expect("alive"), Room::Free));
        let mut received = Vec::new();
        assert!(near.receive_at(&mut received, 10, at(0)).expect("alive") < 10);
        assert_eq!(near.receive_at(&mut received, 2, at(1)).expect("alive"), 2);
        assert_eq!(near.receive_at(&mut received, 10, at(1)).expect("alive"), 3);
        assert_eq!(numbers(&received), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_end_of_the_device_comes_after_what_was_on_its_way() {
        let (mut near, far) = impaired(ideal(), slow(1000), 10);
        (0..3).for_each(|n| assert_eq!(far.try_send_packet(&parcel(n).bytes).expect("alive"), Room::Free));
        let mut received = Vec::new();
        near.receive_at(&mut received, 10, at(0)).expect("alive");
        drop(far);
        assert_eq!(near.receive_at(&mut received, 2, at(1)).expect("there is more"), 2);
        let error = near.receive_at(&mut received, 2, at(1)).expect_err("the other end is gone");
        assert_eq!((numbers(&received), error.kind()), (vec![0, 1, 2], io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn vices_strike_both_directions_and_are_counted() {
        let bad = LinkConfig { loss: Ppm::percent(50), duplicate: Ppm::percent(10), ..ideal() };
        let (mut near, far) = impaired(bad.clone(), bad, 1000);
        near.send_at(&mut (0..4).flat_map(|_| frames(0..200)).collect(), at(0)).expect("alive");
        let arrived = heard(&far).len();
        (0..200).for_each(|n| assert_eq!(far.try_send_packet(&parcel(n).bytes).expect("alive"), Room::Free));
        let mut received = Vec::new();
        near.receive_at(&mut received, 1000, at(0)).expect("alive");
        let (out, into) = near.stats();
        assert_eq!((out.frames, into.frames), (800, 200));
        assert_eq!(arrived as u64, 800 - out.lost + out.duplicated);
        assert_eq!(received.len() as u64, 200 - into.lost + into.duplicated);
        assert!((300..500).contains(&out.lost) && (60..140).contains(&into.lost), "{out:?} {into:?}");
    }

    /// A device that takes bursts.
    struct Offloading;

    impl Device for Offloading {
        fn capabilities(&self) -> Capabilities {
            Capabilities { link: Link::Ip, mtu: 1500, max_burst: 65_000, checksum_offload: true }
        }

        fn receive(&mut self, _: &mut Vec<Frame>, _: usize) -> io::Result<usize> {
            Ok(0)
        }

        fn send(&mut self, _: &mut VecDeque<TxFrame>) -> io::Result<Room> {
            Ok(Room::Free)
        }

        fn wait(&self) -> Wait<'_> {
            unreachable!("nobody waits for it")
        }
    }

    #[test]
    fn bursts_are_no_frames_of_a_link() {
        let refused = Impair::new(Offloading, ideal(), ideal(), 1);
        assert!(refused.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
        let (mut near, far) = impaired(ideal(), ideal(), 10);
        let ip = tidegate_proto::wire::ip::Header::V4(tidegate_proto::wire::ipv4::Header {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
            protocol: 6,
            ttl: 64,
            dscp: 0,
            ecn: tidegate_proto::wire::Ecn::NotEct,
            id: 1,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        });
        let tcp = tidegate_proto::wire::Header {
            src_port: 1,
            dst_port: 2,
            seq: tidegate_proto::wire::Seq(1),
            ack: tidegate_proto::wire::Seq(1),
            flags: tidegate_proto::wire::Flags::ACK,
            window: 1,
            urgent: 0,
            options: tidegate_proto::wire::Options::default(),
        };
        let payload = Bytes::from(vec![7; 2500]);
        let header = tidegate_proto::wire::frame::emit_tcp(None, &ip, &tcp, std::slice::from_ref(&payload), portable);
        let burst = TxFrame {
            header,
            payload: payload.into(),
            gso_size: 1000,
            checksum: TxChecksum::Partial { start: 20, offset: 16 },
            ..finished(parcel(0))
        };
        near.send_at(&mut VecDeque::from([burst]), at(0)).expect("alive");
        let lens: Vec<usize> =
            std::iter::from_fn(|| far.try_recv_packet().expect("alive")).map(|bytes| bytes.len()).collect();
        assert_eq!(lens, [1040, 1040, 540]);
    }
}
