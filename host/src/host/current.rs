//! Which host the tokio-named calls mean: the one entered last on this thread, or the process's default.
//!
//! Sections: none; the precedent is tokio's `Handle::enter`.
//! In: hosts that are entered and left.
//! Out: the current one, or an error that names the fix.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};
use std::task::{Context, Poll};

use super::Host;

impl Host {
    /// Makes this the current host of the thread until the guard is dropped, or another host is entered.
    ///
    /// A task may go to another thread whenever it waits: there use [`within`](Self::within), or
    /// [`make_default`](Self::make_default).
    pub fn enter(&self) -> Entered<'_> {
        ENTERED.with_borrow_mut(|entered| entered.push(self.clone()));
        let depth = ENTERED.with_borrow(Vec::len);
        Entered { depth, host: PhantomData }
    }

    /// Makes this the current host of everything that `future` does, on whatever thread. Tasks that it spawns are not
    /// part of it.
    pub fn within<F: Future>(&self, future: F) -> Within<F> {
        Within { host: self.clone(), future: Box::pin(future) }
    }

    /// Makes this the current host of every thread that has entered no other. The last call counts. A default host
    /// lives as long as the process, or until [`forget_default`](Self::forget_default).
    pub fn make_default(&self) {
        *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = Some(self.clone());
    }

    /// The process has no default host any more.
    pub fn forget_default() {
        // Dropped after the lock: a host's end waits for its thread.
        let last = DEFAULT.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(last);
    }

    /// The current host: the last that this thread entered, or the process's default.
    ///
    /// # Errors
    ///
    /// `NotConnected`, if there is neither; its text names the fix.
    pub fn current() -> io::Result<Host> {
        let entered = ENTERED.with_borrow(|entered| entered.last().cloned());
        let current = entered.or_else(|| DEFAULT.read().unwrap_or_else(PoisonError::into_inner).clone());
        current.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, NO_HOST))
    }
}

/// A thread's current host, until this is dropped.
#[derive(Debug)]
#[must_use = "the host is left when this is dropped"]
pub struct Entered<'a> {
    depth: usize,
    /// It belongs to its thread.
    host: PhantomData<(&'a Host, *const ())>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // Guards that are dropped out of order leave with the one they are above.
        let left = ENTERED.try_with(|entered| match entered.try_borrow_mut() {
            Ok(mut entered) if entered.len() >= self.depth => entered.split_off(self.depth - 1),
            _ => Vec::new(),
        });
        drop(left);
    }
}

/// A future with a host of its own; see [`Host::within`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Within<F> {
    host: Host,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _entered = this.host.enter();
        this.future.as_mut().poll(cx)
    }
}

thread_local! {
    static ENTERED: RefCell<Vec<Host>> = const { RefCell::new(Vec::new()) };
}

static DEFAULT: RwLock<Option<Host>> = RwLock::new(None);

const NO_HOST: &str = "there is no current Tidegate host: call Host::make_default() once at the start, or make the call \
     inside Host::enter() or Host::within(), or use host.connect() and host.bind()";
