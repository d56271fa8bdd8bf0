//! The lab's output for programs: one JSON object a line, each with the version of its format.
//!
//! Sections: none.
//! In: the scene and the moments of its world; the connections' own lines are `explain`'s.
//! Out: lines of JSON. `v` grows when a field changes its meaning or goes away.

use serde::Serialize;
use tidegate_lab::capture::reason_of;
use tidegate_lab::glimpse::Glimpse;
use tidegate_lab::link::Fate;
use tidegate_lab::scenario::{Scenario, Settings, Stage};
use tidegate_lab::world::{Change, HostId, Sighting, Way};
use tidegate_proto::net::Note;
use tidegate_proto::tcp::Verdict;
use tidegate_proto::trace::comment::Reason;

use super::play::since_1970;

/// Writes the lines.
pub(super) struct Json {
    a: HostId,
}

#[derive(Serialize)]
struct Line<T> {
    v: u32,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum What<'a> {
    Scene {
        scene: &'a str,
        seed: u64,
        downloads: u64,
        size: u64,
        mtu: u16,
        delay_ns: u64,
        rate_bps: Option<u64>,
        loss_ppm: u32,
    },
    Frame {
        time_ns: u64,
        host: &'a str,
        way: &'a str,
        length: usize,
        segments: u16,
        /// The emission that the frame comes from: the same number where it leaves and where it arrives.
        emission: u64,
        tcp: Option<Tcp>,
        reason: Option<String>,
        verdict: Option<&'a str>,
        drop: Option<&'a str>,
        note: Option<Variables>,
        lost: usize,
    },
    State {
        time_ns: u64,
        host: &'a str,
        local: String,
        remote: String,
        from: &'a str,
        to: &'a str,
    },
    End {
        time_ns: u64,
        ok: bool,
        why: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Tcp {
    from: String,
    to: String,
    flags: String,
    seq: u32,
    ack: u32,
    window: u16,
    payload: usize,
}

#[derive(Serialize)]
struct Variables {
    state: &'static str,
    cwnd: u32,
    ssthresh: Option<u32>,
    in_flight: u64,
    rto_ns: u64,
    srtt_ns: Option<u64>,
}

impl Json {
    pub(super) fn new(stage: &Stage) -> Self {
        Json { a: stage.a.host }
    }

    pub(super) fn scene(&self, scenario: &Scenario, settings: &Settings) -> String {
        line(What::Scene {
            scene: scenario.name,
            seed: settings.seed,
            downloads: settings.downloads,
            size: settings.size,
            mtu: settings.mtu,
            delay_ns: settings.link.delay.as_nanos(),
            rate_bps: settings.link.rate,
            loss_ppm: settings.link.loss.0,
        })
    }

    pub(super) fn frame(&self, sighting: &Sighting) -> String {
        let (verdict, drop) = match sighting.way {
            Way::Out(_) => (None, None),
            Way::In(Verdict::Accepted) => (Some("accepted"), None),
            Way::In(Verdict::Answered(why)) => (Some("answered"), Some(why.name())),
            Way::In(Verdict::Dropped(why)) => (Some("dropped"), Some(why.name())),
        };
        let lost = match &sighting.way {
            Way::Out(passages) => passages.iter().filter(|p| matches!(p.fate, Fate::Lost(_))).count(),
            Way::In(_) => 0,
        };
        let reason = reason_of(sighting).filter(|r| matches!(r, Reason::Sent { .. })).map(|r| r.to_string());
        line(What::Frame {
            time_ns: since_1970(sighting.at).as_nanos(),
            host: self.name(sighting.port.host),
            way: if sighting.is_out() { "out" } else { "in" },
            length: sighting.bytes.len(),
            segments: sighting.segments,
            emission: sighting.origin.number,
            tcp: Glimpse::of(&sighting.bytes).tcp.map(|t| Tcp {
                from: t.from.to_string(),
                to: t.to.to_string(),
                flags: t.header.flags.to_string(),
                seq: t.header.seq.0,
                ack: t.header.ack.0,
                window: t.header.window,
                payload: t.payload,
            }),
            reason,
            verdict,
            drop,
            note: sighting.origin.note.filter(|_| sighting.is_out()).map(variables),
            lost,
        })
    }

    pub(super) fn state(&self, change: &Change) -> String {
        line(What::State {
            time_ns: since_1970(change.at).as_nanos(),
            host: self.name(change.host),
            local: change.key.local().to_string(),
            remote: change.key.remote().to_string(),
            from: change.from.name(),
            to: change.to.name(),
        })
    }

    pub(super) fn end(&self, stage: &Stage, why: Option<&str>) -> String {
        line(What::End { time_ns: since_1970(stage.world.now()).as_nanos(), ok: why.is_none(), why })
    }

    fn name(&self, host: HostId) -> &'static str {
        if host == self.a { "A" } else { "B" }
    }
}

fn line(what: What<'_>) -> String {
    serde_json::to_string(&Line { v: VERSION, what }).expect("plain data")
}

fn variables(note: Note) -> Variables {
    Variables {
        state: note.state.name(),
        cwnd: note.cwnd,
        ssthresh: (note.ssthresh != u32::MAX).then_some(note.ssthresh),
        in_flight: note.in_flight,
        rto_ns: note.rto.as_nanos(),
        srtt_ns: note.srtt.map(|t| t.as_nanos()),
    }
}

/// The version of the format.
const VERSION: u32 = 1;
