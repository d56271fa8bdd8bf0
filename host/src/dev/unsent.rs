//! Bursts on their way to a device that carries one segment at a time.
//!
//! Sections: RFC 9293 3.7 (segmentation), as `proto`'s `offload` does it.
//! In: bursts, and a way to put one frame on the wire.
//! Out: frames, each cut, finished, and put once; those that found no room wait.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use tidegate_proto::net::{TxFrame, offload};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::frame::Link;

use super::Room;

/// Frames that were cut and have not gone yet: never more than one burst's.
#[derive(Debug, Default)]
pub(super) struct Unsent(VecDeque<Bytes>);

impl Unsent {
    /// Puts everything, in order, until `put` says that there is no room.
    pub(super) fn send(
        &mut self,
        frames: &mut VecDeque<TxFrame>,
        link: Link,
        mut put: impl FnMut(&Bytes) -> io::Result<Room>,
    ) -> io::Result<Room> {
        loop {
            while let Some(piece) = self.0.front() {
                if put(piece)? == Room::Full {
                    return Ok(Room::Full);
                }
                self.0.pop_front();
            }
            let Some(frame) = frames.pop_front() else { return Ok(Room::Free) };
            self.0.extend(offload::split(&frame, link, portable));
        }
    }
}
