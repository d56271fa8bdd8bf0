//! How large packets to this peer may be.
//!
//! Sections: RFC 1191, RFC 8201 (told by routers); RFC 5927 7 (whom to believe); RFC 4821, RFC 8899 (found by probing).
//! In: claims of routers, the sizes of what was sent, acknowledgements, timeouts.
//! Out: the size of full segments; probes of larger ones; what to do about a path that swallows the large.
//!
//! Two methods share one number. A router that cannot pass a packet on says so and names the size that it can pass.
//! Nobody signs that message, so it is believed only if it quotes a segment in flight, names less than was sent and no
//! less than a floor. And if packets larger than the named size have arrived on this connection, it has to wait: only
//! when the retransmission timer runs out, with nothing acknowledged in between, does it take effect (RFC 5927 7.2).
//! Who forges such messages off the path gains nothing then; a path that has really become narrower costs one timeout.
//! Linux believes at once.
//!
//! Where routers stay silent, large packets vanish and small ones do not: a black hole. After R1 timeouts in a row the
//! segments shrink to a size that passes nearly everywhere, and again to half of that, until something is acknowledged.
//! From there the search goes up: between the size that passes and the size that may not, one segment of the middle
//! size is sent as a probe, with new data in it, behind it smaller segments that tell of its loss. If it is
//! acknowledged, the lower bound rises; if it alone is lost, the upper one falls, and that loss says nothing of
//! congestion. Sizes below are those of whole packets, IP header included.

use super::Config;
use crate::time::Instant;
use crate::wire::Pos;

/// What one connection knows of its path.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct PathMtu {
    /// IP and TCP headers, with the options that every segment carries.
    overhead: u16,
    /// What both ends' links carry, as the handshake has it.
    agreed: u16,
    /// What a router has said, and until when that counts.
    told: Option<(u16, Instant)>,
    /// What a router has said and what the connection has seen contradicts, with the segment that it quoted.
    doubted: Option<Claim>,
    /// Packets of this size have arrived.
    proven: u16,
    /// A larger one was sent up to here: when that is acknowledged, it has arrived.
    watched: Option<(Pos, u16)>,
    /// What was learnt here and nobody outside knows.
    news: Option<u16>,
    search: Option<Search>,
}

/// What a router says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Claim {
    /// Packets may be so large.
    pub(super) mtu: u16,
    /// Until when that counts.
    pub(super) until: Instant,
    /// The segment that was too large.
    pub(super) quoted: Pos,
}

/// What became of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    /// It counts: segments shrink.
    Believed,
    /// It waits for a timeout.
    Doubted,
    /// It tells nothing that would make packets smaller.
    NoNews,
}

/// A search for the largest packet that passes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Search {
    /// Such packets pass.
    low: u16,
    /// Larger ones do not, as far as anyone knows.
    high: u16,
    probe: Option<Probe>,
    /// When it began, or came to its end.
    since: Instant,
}

/// A probe on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Probe {
    start: Pos,
    end: Pos,
    mtu: u16,
}

/// `tcp_mtu_probing`: when a connection searches for the largest packet that passes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MtuProbing {
    /// Never: large packets that vanish stay large.
    #[default]
    Off,
    /// Once a black hole is suspected.
    OnBlackHole,
    /// From the start, with `tcp_base_mss`.
    Always,
}

impl PathMtu {
    /// The handshake is over: full segments have `mss` payload bytes, in packets `overhead` bytes longer.
    pub(super) fn agree(&mut self, cfg: &Config, mss: u16, overhead: u16, now: Instant) {
        self.overhead = overhead;
        self.agreed = mss.saturating_add(overhead);
        if cfg.mtu_probing == MtuProbing::Always {
            self.begin_search(cfg.base_mss, now);
        }
    }

    /// Payload bytes of a full segment.
    pub(super) fn mss(&self) -> u16 {
        self.size().saturating_sub(self.overhead).max(1)
    }

    /// The largest packet that may be sent as a matter of course.
    fn size(&self) -> u16 {
        let told = self.told.map_or(u16::MAX, |(mtu, _)| mtu);
        let found = self.search.map_or(u16::MAX, |search| search.low);
        self.agreed.min(told).min(found)
    }

    /// Somebody else has learnt this of the path, or it is forgotten. True if the size may have changed.
    pub(super) fn on_hint(&mut self, told: Option<(u16, Instant)>) -> bool {
        let changed = self.told != told;
        self.told = told;
        if changed {
            self.watched = None;
        }
        changed
    }

    /// A router says that a packet was too large.
    pub(super) fn on_claim(&mut self, claim: Claim, largest_in_flight: u16) -> Judgement {
        let largest = largest_in_flight.saturating_add(self.overhead).max(self.size());
        if claim.mtu >= largest {
            return Judgement::NoNews;
        }
        //= 5927#7.2
        if claim.mtu < self.proven {
            self.doubted = Some(claim);
            return Judgement::Doubted;
        }
        self.believe(claim);
        Judgement::Believed
    }

    /// The retransmission timer ran out for the `retries`-th time in a row. True if the size has changed.
    pub(super) fn on_timeout(&mut self, cfg: &Config, retries: u8, now: Instant) -> bool {
        let before = self.size();
        //= 5927#7.2
        if let Some(claim) = self.doubted.take() {
            self.proven = 0;
            self.believe(claim);
        }
        if retries >= cfg.retries1 && cfg.mtu_probing != MtuProbing::Off {
            self.on_black_hole(cfg, now);
        }
        self.size() != before
    }

    /// Everything before `una` has arrived. True if the size has changed: a probe came through.
    pub(super) fn on_ack(&mut self, una: Pos) -> bool {
        if self.watched.is_some_and(|(end, _)| end <= una) {
            self.proven = self.proven.max(self.watched.take().map_or(0, |(_, mtu)| mtu));
        }
        // There is progress after all: what was claimed is not so.
        self.doubted = self.doubted.filter(|claim| una <= claim.quoted);
        let Some(search) = &mut self.search else { return false };
        let Some(probe) = search.probe.filter(|probe| probe.end <= una) else { return false };
        //= 8899#5.3
        search.probe = None;
        search.low = search.low.max(probe.mtu);
        true
    }

    /// A segment of `len` payload bytes was sent up to `end`.
    pub(super) fn on_sent(&mut self, end: Pos, len: u16) {
        let mtu = len.saturating_add(self.overhead);
        if mtu > self.proven && self.watched.is_none() {
            self.watched = Some((end, mtu));
        }
    }

    /// What a router has said counts for a time only. True if the size has changed.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let is_over = self.told.is_some_and(|(_, until)| until <= now);
        if is_over {
            self.told = None;
        }
        is_over
    }

    /// The payload of a probe, if it is time for one.
    pub(super) fn next_probe(&mut self, cfg: &Config, now: Instant) -> Option<u16> {
        let (agreed, told) = (self.agreed, self.told.map_or(u16::MAX, |(mtu, _)| mtu));
        let search = self.search.as_mut()?;
        if search.probe.is_some() {
            return None;
        }
        let high = search.high.min(agreed).min(told);
        let mtu = search.low.midpoint(high);
        if high < search.low.saturating_add(cfg.probe_threshold.max(1)) || mtu <= search.low {
            //= 8899#5.3.3
            // Like Linux: after a while the path may carry more.
            if now.since(search.since) >= cfg.probe_interval && search.high < agreed {
                (search.high, search.since) = (agreed, now);
            }
            return None;
        }
        Some(mtu.saturating_sub(self.overhead))
    }

    /// A probe goes out.
    pub(super) fn on_probe_sent(&mut self, start: Pos, end: Pos, len: u16, now: Instant) {
        let mtu = len.saturating_add(self.overhead);
        if let Some(search) = &mut self.search {
            search.probe = Some(Probe { start, end, mtu });
            search.since = now;
        }
    }

    /// What starts at `start` is held lost, first of all. True if that is the probe, which was too large then.
    pub(super) fn on_loss(&mut self, start: Pos) -> bool {
        let Some(search) = &mut self.search else { return false };
        let Some(probe) = search.probe.filter(|probe| probe.start == start) else { return false };
        search.probe = None;
        search.high = search.low.max(probe.mtu - 1);
        true
    }

    /// Something went again: whatever becomes of the probe tells nothing.
    pub(super) fn forget_probe(&mut self) {
        if let Some(search) = &mut self.search {
            search.probe = None;
        }
    }

    /// What this connection has learnt from a router, once.
    pub(super) fn take_news(&mut self) -> Option<u16> {
        self.news.take()
    }

    fn believe(&mut self, claim: Claim) {
        self.told = Some((claim.mtu, claim.until));
        self.news = Some(claim.mtu);
        self.watched = None;
        if let Some(search) = &mut self.search {
            search.probe = None;
        }
    }

    /// Nothing comes through, and that may be for its size.
    fn on_black_hole(&mut self, cfg: &Config, now: Instant) {
        let Some(search) = &mut self.search else { return self.begin_search(cfg.base_mss, now) };
        // Like Linux: half of what did not pass, no more than the base, no less than the floor.
        let payload = (search.low.saturating_sub(self.overhead) / 2).min(cfg.base_mss).max(cfg.mtu_probe_floor);
        search.low = search.low.min(payload.saturating_add(self.overhead));
        search.probe = None;
        search.since = now;
        self.watched = None;
    }

    fn begin_search(&mut self, base_mss: u16, now: Instant) {
        let low = base_mss.saturating_add(self.overhead).min(self.agreed);
        self.search = Some(Search { low, high: self.agreed, probe: None, since: now });
    }
}
