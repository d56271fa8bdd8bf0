//! Who waits for which socket.
//!
//! Sections: none; the two kinds of waiting are those of tokio's sockets.
//! In: wakers, each under a key; what happened to a socket.
//! Out: the wakers to call. A waker is called once for each time that it was left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use tidegate_proto::socket::{Fd, Ready};

/// Who waits. A key that waits again takes its own place, so that nobody waits twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// The one task that reads by polling; the last that polled.
    Reader,
    /// The one task that writes by polling; the last that polled.
    Writer,
    /// One of any number of futures; see [`Key::next`].
    Future(u64),
}

impl Key {
    /// A key that nobody has.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Key::Future(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// All who wait, by socket.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Descriptors are small and used again, lowest first.
    of: Vec<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    interest: Ready,
    waker: Waker,
}

impl Waiters {
    pub(super) fn insert(&mut self, fd: Fd, key: Key, interest: Ready, waker: &Waker) {
        let index = fd.0 as usize;
        if self.of.len() <= index {
            self.of.resize_with(index + 1, Vec::new);
        }
        let waiting = &mut self.of[index];
        match waiting.iter_mut().find(|waiting| waiting.key == key) {
            Some(known) => {
                known.interest = interest;
                known.waker.clone_from(waker);
            }
            None => waiting.push(Waiting { key, interest, waker: waker.clone() }),
        }
    }

    pub(super) fn remove(&mut self, fd: Fd, key: Key) {
        if let Some(waiting) = self.of.get_mut(fd.0 as usize) {
            waiting.retain(|waiting| waiting.key != key);
        }
    }

    /// Takes out those who wait for any of `ready`.
    pub(super) fn take(&mut self, fd: Fd, ready: Ready, woken: &mut Vec<Waker>) {
        let Some(waiting) = self.of.get_mut(fd.0 as usize) else { return };
        let called = waiting.extract_if(.., |waiting| !(ready & (waiting.interest | Ready::ALWAYS)).is_empty());
        woken.extend(called.map(|waiting| waiting.waker));
    }

    /// Takes out all who wait for a socket that is closed.
    pub(super) fn take_all(&mut self, fd: Fd, woken: &mut Vec<Waker>) {
        if let Some(waiting) = self.of.get_mut(fd.0 as usize) {
            woken.extend(waiting.drain(..).map(|waiting| waiting.waker));
        }
    }

    /// How many wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.of.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_once_and_is_called_once() {
        let (mut waiters, mut woken) = (Waiters::default(), Vec::new());
        let (a, b) = (Key::next(), Key::next());
        assert_ne!(a, b);
        for _ in 0..100 {
            waiters.insert(Fd(7), a, Ready::IN, Waker::noop());
            waiters.insert(Fd(7), Key::Reader, Ready::IN, Waker::noop());
            waiters.insert(Fd(7), Key::Writer, Ready::OUT, Waker::noop());
        }
        waiters.insert(Fd(2), b, Ready::IN, Waker::noop());
        assert_eq!(waiters.len(), 4);
        waiters.take(Fd(7), Ready::IN, &mut woken);
        assert_eq!((woken.len(), waiters.len()), (2, 2));
        waiters.take(Fd(7), Ready::IN, &mut woken);
        assert_eq!(woken.len(), 2);
        waiters.take(Fd(7), Ready::HUP, &mut woken);
        assert_eq!(woken.len(), 3, "a hang-up concerns everybody");
        waiters.remove(Fd(2), b);
        waiters.take_all(Fd(2), &mut woken);
        assert_eq!((woken.len(), waiters.len()), (3, 0));
    }
}
