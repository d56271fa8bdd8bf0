//! Receive buffers, used again as soon as nobody reads in them any more: the last one first, since it is in the cache.
//!
//! Sections: none.
//! In: a way to read one frame.
//! Out: frames as slices of the buffers, without copying; small ones are copied out, so that they pin no buffer.

use std::io;

use bytes::{Bytes, BytesMut};

/// Buffers of one device.
#[derive(Debug)]
pub(super) struct Pool {
    /// The one used last is at the end.
    buffers: Vec<BytesMut>,
    /// Small frames, one behind the other.
    small: BytesMut,
    /// The largest frame.
    frame_len: usize,
}

impl Pool {
    /// Buffers for frames of up to `frame_len` bytes.
    pub(super) fn new(frame_len: usize) -> Self {
        Pool { buffers: Vec::new(), small: BytesMut::with_capacity(SMALL_BUFFER), frame_len }
    }

    /// One frame, as `read` puts it into an empty buffer. `None` if there was none.
    pub(super) fn read(&mut self, read: impl FnOnce(&mut BytesMut) -> io::Result<bool>) -> io::Result<Option<Bytes>> {
        let frame_len = self.frame_len;
        // Reclaiming takes a buffer back to its start if no slice of it is left.
        let free = self.buffers.iter_mut().rposition(|buffer| buffer.try_reclaim(frame_len));
        let mut buffer = match free {
            Some(at) => self.buffers.remove(at),
            None => BytesMut::with_capacity(frame_len),
        };
        let outcome = read(&mut buffer);
        let frame = match outcome {
            Ok(true) if buffer.len() <= SMALL => {
                self.small.extend_from_slice(&buffer);
                buffer.clear();
                Some(self.small.split().freeze())
            }
            Ok(true) => Some(buffer.split().freeze()),
            Ok(false) | Err(_) => None,
        };
        // A buffer that is not kept lives as long as its slices do.
        if self.buffers.len() == MAX_BUFFERS {
            self.buffers.remove(0);
        }
        self.buffers.push(buffer);
        outcome.map(|_| frame)
    }
}

/// Frames up to this size are copied out: acknowledgements, and what interactive programs send.
const SMALL: usize = 512;
/// Small frames that share one buffer, bytes of them.
const SMALL_BUFFER: usize = 32 * 1024;
/// Buffers that are kept: 4 MiB of them.
const MAX_BUFFERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(len: usize) -> impl FnOnce(&mut BytesMut) -> io::Result<bool> {
        move |buffer| {
            assert!(buffer.is_empty() && buffer.capacity() >= 65_553);
            buffer.resize(len, 7);
            Ok(true)
        }
    }

    fn read(pool: &mut Pool, len: usize) -> Bytes {
        let frame = pool.read(fill(len)).expect("reading works").expect("a frame");
        assert_eq!(frame, vec![7; len]);
        frame
    }

    #[test]
    fn the_same_buffer_serves_as_long_as_nobody_keeps_a_slice() {
        let mut pool = Pool::new(65_553);
        let first = read(&mut pool, 65_000).as_ptr();
        for len in [65_553, 600, 1514, 64_000] {
            assert_eq!(read(&mut pool, len).as_ptr(), first);
        }
        assert_eq!(pool.buffers.len(), 1);
    }

    #[test]
    fn a_slice_that_is_kept_keeps_its_buffer_and_the_last_to_come_free_is_used_next() {
        let mut pool = Pool::new(65_553);
        let kept: Vec<Bytes> = (0..3).map(|_| read(&mut pool, 60_000).slice(50_000..50_010)).collect();
        let places: Vec<*const u8> = kept.iter().map(|slice| slice.as_ptr().wrapping_sub(50_000)).collect();
        assert!(places[0] != places[1] && places[1] != places[2]);
        assert!(kept.iter().all(|slice| *slice == [7; 10][..]));
        drop(kept);
        assert_eq!(read(&mut pool, 60_000).as_ptr(), places[2]);
    }

    #[test]
    fn small_frames_pin_no_buffer() {
        let mut pool = Pool::new(65_553);
        let kept: Vec<Bytes> = (0..1000).map(|_| read(&mut pool, 60)).collect();
        assert_eq!(pool.buffers.len(), 1);
        assert!(kept.iter().all(|frame| *frame == [7; 60][..]));
    }

    #[test]
    fn buffers_that_are_kept_are_bounded() {
        let mut pool = Pool::new(65_553);
        let kept: Vec<Bytes> = (0..3 * MAX_BUFFERS).map(|_| read(&mut pool, 2000)).collect();
        assert_eq!(pool.buffers.len(), MAX_BUFFERS);
        assert!(kept.iter().all(|frame| *frame == [7; 2000][..]));
    }

    #[test]
    fn nothing_read_is_no_frame_and_an_error_is_told() {
        let mut pool = Pool::new(65_553);
        assert_eq!(pool.read(|_| Ok(false)).expect("no error"), None);
        assert!(pool.read(|_| Err(io::ErrorKind::BrokenPipe.into())).is_err());
        assert_eq!(pool.buffers.len(), 1);
    }
}
