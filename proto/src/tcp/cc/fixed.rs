//! A window that never changes: loss detection and repair without congestion control, for simulations.
//!
//! Sections: none; [`CcKind::Fixed`](super::CcKind::Fixed) says how it is reached.
//! In: nothing.
//! Out: cwnd, in segments.

/// A constant window.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fixed {
    pub(super) cwnd: u32,
}

impl Fixed {
    pub(super) fn new(cwnd: u32) -> Self {
        Fixed { cwnd: cwnd.max(1) }
    }
}
