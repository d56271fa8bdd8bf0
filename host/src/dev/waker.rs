//! Where somebody who waits for a device leaves word.
//!
//! Sections: none.
//! In: a waker; later, a reason to call it.
//! Out: one call.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Room for one waker. The last that registers is the one that is called.
#[derive(Debug, Default)]
pub struct WakerSlot(Mutex<Option<Waker>>);

impl WakerSlot {
    /// Leaves word. Whoever registers looks once more afterwards, before it sleeps.
    pub fn register(&self, waker: &Waker) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Some(old) => old.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    /// Calls whoever has left word, once.
    pub fn wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
