//! A link in memory. One end is the device of a stack; at the other is any source of packets: a tunnel's library, a
//! VPN framework, a test, or a second stack.
//!
//! Sections: none.
//! In: frames at one end.
//! Out: the same frames at the other end, in order, none lost.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::wire::frame::Link;

use super::unsent::Unsent;
use super::{Capabilities, Device, MAX_BURST, Room, Wait, WakerSlot};

/// Both ends of a link that carries packets of up to `mtu` bytes, and holds `capacity` frames in each direction.
///
/// Either end is a [`Device`]. What crosses are whole frames as they would be on a wire, their checksums complete.
pub fn channel(link: Link, mtu: u16, capacity: usize) -> (ChannelEnd, ChannelEnd) {
    let capacity = capacity.max(1);
    let lanes = [(); 2].map(|()| {
        Arc::new(Lane { state: Mutex::default(), readable: WakerSlot::default(), writable: WakerSlot::default() })
    });
    let [there, back] = lanes;
    let end = |inbound: &Arc<Lane>, outbound: &Arc<Lane>| ChannelEnd {
        link,
        mtu,
        capacity,
        inbound: Arc::clone(inbound),
        outbound: Arc::clone(outbound),
        unsent: Unsent::default(),
    };
    (end(&back, &there), end(&there, &back))
}

/// One end of a [`channel`]. Dropping it ends the link: the other end still receives what is on its way, and then
/// learns of it.
#[derive(Debug)]
pub struct ChannelEnd {
    link: Link,
    mtu: u16,
    capacity: usize,
    inbound: Arc<Lane>,
    outbound: Arc<Lane>,
    unsent: Unsent,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    state: Mutex<LaneState>,
    /// Who waits for frames.
    readable: WakerSlot,
    /// Who waits for room.
    writable: WakerSlot,
}

#[derive(Debug, Default)]
struct LaneState {
    frames: VecDeque<Bytes>,
    is_closed: bool,
}

impl ChannelEnd {
    /// The next frame, if one is there. An error (`UnexpectedEof`) when the other end is gone and everything it sent
    /// has been received.
    pub fn try_recv_packet(&self) -> io::Result<Option<Bytes>> {
        let mut lane = self.inbound.lock();
        let was_full = lane.frames.len() >= self.capacity;
        let frame = lane.frames.pop_front();
        let is_over = frame.is_none() && lane.is_closed;
        drop(lane);
        if was_full {
            self.inbound.writable.wake();
        }
        if is_over { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
    }

    /// Sends a frame if there is room. An error (`BrokenPipe`) when the other end is gone.
    pub fn try_send_packet(&self, frame: &Bytes) -> io::Result<Room> {
        let mut lane = self.outbound.lock();
        if lane.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if lane.frames.len() >= self.capacity {
            return Ok(Room::Full);
        }
        lane.frames.push_back(frame.clone());
        // Who slept did so after it had found the lane empty.
        let was_empty = lane.frames.len() == 1;
        drop(lane);
        if was_empty {
            self.outbound.readable.wake();
        }
        Ok(Room::Free)
    }

    /// As [`try_recv_packet`](Self::try_recv_packet), for tasks. The last task that polled is the one that is woken.
    pub fn poll_recv_packet(&self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.inbound.readable.register(cx.waker());
        match self.try_recv_packet() {
            Ok(Some(frame)) => Poll::Ready(Ok(frame)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// As [`try_send_packet`](Self::try_send_packet), for tasks. The last task that polled is the one that is woken.
    pub fn poll_send_packet(&self, frame: &Bytes, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.writable.register(cx.waker());
        match self.try_send_packet(frame) {
            Ok(Room::Free) => Poll::Ready(Ok(())),
            Ok(Room::Full) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The next frame. One task at a time.
    ///
    /// Cancel safe: a frame is taken only by the poll that returns it.
    pub async fn recv_packet(&self) -> io::Result<Bytes> {
        poll_fn(|cx| self.poll_recv_packet(cx)).await
    }

    /// Sends a frame once there is room. One task at a time.
    ///
    /// Cancel safe: the frame has gone if and only if the future has completed.
    pub async fn send_packet(&self, frame: &Bytes) -> io::Result<()> {
        poll_fn(|cx| self.poll_send_packet(frame, cx)).await
    }
}

impl Device for ChannelEnd {
    fn capabilities(&self) -> Capabilities {
        Capabilities { link: self.link, mtu: self.mtu, max_burst: MAX_BURST, checksum_offload: false }
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        for received in 0..limit {
            let Some(bytes) = self.try_recv_packet()? else { return Ok(received) };
            frames.push(Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 });
        }
        Ok(limit)
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        let mut unsent = std::mem::take(&mut self.unsent);
        let outcome = unsent.send(frames, self.link, |frame| self.try_send_packet(frame));
        self.unsent = unsent;
        outcome
    }

    fn wait(&self) -> Wait<'_> {
        Wait::Waker { readable: &self.inbound.readable, writable: &self.outbound.writable }
    }
}

impl Drop for ChannelEnd {
    fn drop(&mut self) {
        for lane in [&self.inbound, &self.outbound] {
            lane.lock().is_closed = true;
            lane.readable.wake();
            lane.writable.wake();
        }
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn frames_cross_in_order_and_a_full_lane_holds_the_sender_off() {
        let (a, b) = channel(Link::Ip, 1500, 2);
        let frames = [&b"one"[..], b"two", b"three"].map(Bytes::from_static);
        assert_eq!(a.try_send_packet(&frames[0]).unwrap(), Room::Free);
        assert_eq!(a.try_send_packet(&frames[1]).unwrap(), Room::Free);
        assert_eq!(a.try_send_packet(&frames[2]).unwrap(), Room::Full);
        assert_eq!(b.try_recv_packet().unwrap().unwrap(), "one");
        assert_eq!(a.try_send_packet(&frames[2]).unwrap(), Room::Free);
        assert_eq!(b.try_recv_packet().unwrap().unwrap(), "two");
        assert_eq!(b.try_recv_packet().unwrap().unwrap(), "three");
        assert_eq!(b.try_recv_packet().unwrap(), None);
        assert_eq!(a.try_recv_packet().unwrap(), None, "the other direction is another lane");
    }

    #[test]
    fn who_waits_is_woken_by_a_frame_by_room_and_by_the_end() {
        let (a, b) = channel(Link::Ip, 1500, 1);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let woken = || count.0.swap(0, Ordering::Relaxed);
        let frame = Bytes::from_static(b"frame");

        assert!(b.poll_recv_packet(&mut cx).is_pending());
        assert!(a.poll_send_packet(&frame, &mut cx).is_ready());
        assert_eq!(woken(), 1);
        assert!(a.poll_send_packet(&frame, &mut cx).is_pending());
        assert!(b.poll_recv_packet(&mut cx).is_ready());
        assert_eq!(woken(), 1);
        assert!(b.poll_recv_packet(&mut cx).is_pending());
        drop(a);
        assert!(woken() >= 1);
        let Poll::Ready(Err(error)) = b.poll_recv_packet(&mut cx) else { panic!("the end is told") };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(b.try_send_packet(&frame).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_was_sent_before_the_end_is_still_received() {
        let (a, b) = channel(Link::Ip, 1500, 2);
        a.try_send_packet(&Bytes::from_static(b"last words")).unwrap();
        drop(a);
        assert_eq!(b.try_recv_packet().unwrap().unwrap(), "last words");
        assert!(b.try_recv_packet().is_err());
    }
}
