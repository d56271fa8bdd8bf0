//! What routers have said of the paths to other hosts.
//!
//! Sections: RFC 1191 4, 6.3, 7.1 (plateaus); RFC 8201 4, 5.2; RFC 5927 7; attack A-12.
//! In: claims that a connection has found credible.
//! Out: how large packets to a destination may be, for a while.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::time::Instant;

/// Path MTUs by destination. Bounded: what expires first gives way.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathCache {
    paths: BTreeMap<IpAddr, PathEntry>,
    /// How often anything was learnt.
    version: u32,
}

/// What is known of one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PathEntry {
    pub(crate) mtu: u16,
    pub(crate) until: Instant,
    /// The path is narrower than packets are made: routers may cut them.
    pub(crate) may_fragment: bool,
}

impl PathCache {
    /// Changes whenever something is learnt, so that a connection need not look each time.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// What is known of the path to `dst`.
    pub(crate) fn find(&self, dst: IpAddr, now: Instant) -> Option<PathEntry> {
        self.paths.get(&dst).copied().filter(|path| now < path.until)
    }

    /// Packets to `dst` may be no larger than that.
    pub(crate) fn learn(&mut self, dst: IpAddr, path: PathEntry) {
        if self.paths.len() >= MAX_PATHS && !self.paths.contains_key(&dst) {
            let first = self.paths.iter().min_by_key(|(_, path)| path.until).map(|(&dst, _)| dst);
            first.map(|dst| self.paths.remove(&dst));
        }
        self.paths.insert(dst, path);
        self.version = self.version.wrapping_add(1);
    }
}

/// What a router that names no size may carry, having refused a packet of `len` bytes.
//= 1191#7.1
pub(crate) fn plateau_below(len: u16) -> u16 {
    PLATEAUS.into_iter().find(|&mtu| mtu < len).unwrap_or(0)
}

/// RFC 1191 7.1: the sizes that links have.
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];
/// Destinations in all: a connection's peer each, so that nobody fills it without connections.
const MAX_PATHS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn paths_are_forgotten_when_their_time_is_over_or_when_there_are_too_many() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let dst = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut cache = PathCache::default();
        for n in 0..2000 {
            cache.learn(dst(n), PathEntry { mtu: 1400, until: at(u64::from(n) + 1), may_fragment: false });
        }
        assert_eq!((cache.paths.len(), cache.version()), (MAX_PATHS, 2000));
        assert_eq!(cache.find(dst(100), at(0)), None, "the oldest gave way");
        assert_eq!(cache.find(dst(1999), at(1999)).map(|path| path.mtu), Some(1400));
        assert_eq!(cache.find(dst(1999), at(2000)), None);
    }

    #[test]
    fn a_router_that_names_no_size() {
        for (len, mtu) in [(1500, 1492), (1492, 1006), (65_535, 32_000), (600, 508), (68, 0)] {
            assert_eq!(plateau_below(len), mtu);
        }
    }
}
