//! The memory that all connections' buffers share, and what happens when it runs short.
//!
//! Sections: Linux `tcp(7)` (`tcp_mem`); attack A-52.
//! In: what each connection's buffers cost, whenever that changes.
//! Out: what all of them cost, and how short of memory the host is.

use crate::tcp::Pressure;

/// The sum over all connections, and the state that follows from it.
///
/// Like Linux: pressure begins above the second step of `tcp_mem` and ends below the first, so that it does not come and
/// go with every segment; above the third nothing is granted beyond what each connection is promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Budget {
    charged: usize,
    /// Above the second step, and not below the first since.
    short: bool,
}

impl Budget {
    /// A connection's buffers cost `after` where they cost `before`. True if this made the memory short.
    pub(super) fn recharge(&mut self, before: usize, after: usize, steps: &MemorySteps) -> bool {
        self.charged = self.charged - before + after;
        let was_short = self.short;
        self.short = self.charged > if was_short { steps.low } else { steps.pressure };
        self.short && !was_short
    }

    /// What all buffers cost, bytes.
    pub(super) const fn charged(&self) -> usize {
        self.charged
    }

    /// How short of memory the host is.
    pub(super) const fn pressure(&self, steps: &MemorySteps) -> Pressure {
        match self {
            Budget { charged, .. } if *charged > steps.high => Pressure::High,
            Budget { short: true, .. } => Pressure::Some,
            Budget { .. } => Pressure::None,
        }
    }
}

/// `tcp_mem`: three amounts of memory in ascending order, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemorySteps {
    /// Below this, buffers grow freely.
    pub low: usize,
    /// Above this, no buffer grows until the sum is below `low` again.
    pub pressure: usize,
    /// Above this, a connection gets only what `tcp_rmem` and `tcp_wmem` promise each one.
    pub high: usize,
}

impl Default for MemorySteps {
    /// What Linux chooses on a machine of 8 GiB.
    fn default() -> Self {
        MemorySteps { low: 98_304 * PAGE, pressure: 131_072 * PAGE, high: 196_608 * PAGE }
    }
}

/// The unit of `tcp_mem`, bytes: a page.
pub(super) const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_begins_late_and_ends_late() {
        let steps = MemorySteps { low: 10, pressure: 20, high: 30 };
        let mut budget = Budget::default();
        let mut before = 0;
        for (charge, newly_short, pressure) in [
            (15, false, Pressure::None),
            (20, false, Pressure::None),
            (21, true, Pressure::Some),
            (31, false, Pressure::High),
            (30, false, Pressure::Some),
            (11, false, Pressure::Some),
            (10, false, Pressure::None),
            (19, false, Pressure::None),
        ] {
            assert_eq!(budget.recharge(before, charge, &steps), newly_short, "{charge}");
            assert_eq!((budget.charged(), budget.pressure(&steps)), (charge, pressure));
            before = charge;
        }
    }
}
