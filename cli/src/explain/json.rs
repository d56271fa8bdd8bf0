//! Conversations for programs: one JSON object a line.
//!
//! Sections: none.
//! In: a [`FlowReport`].
//! Out: an object whose `v` changes when a field changes its meaning or goes; new fields may come at any time.

use serde::Serialize;
use tidegate_proto::time::Duration;
use tidegate_proto::trace::flow::{
    Again, End, FlowReport, Kind, Known, LimitedBy, Outcome, Phase, Row, Segments, Sent, Start, Step,
};

use super::reasons;

/// The version of the format.
const VERSION: u32 = 1;

/// One conversation as one line, without its end of line.
pub(crate) fn line(report: &FlowReport) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Conversation::from(report))
}

/// What there was in all, as one line, without its end of line. Of very many conversations, the best have no line of
/// their own: `left_out` counts these.
pub(super) fn overview(connections: u64, segments: u64, left_out: u64) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Overview { v: VERSION, kind: "overview", connections, segments, left_out })
}

#[derive(Serialize)]
struct Overview {
    v: u32,
    kind: &'static str,
    connections: u64,
    segments: u64,
    left_out: u64,
}

#[derive(Serialize)]
struct Conversation {
    v: u32,
    kind: &'static str,
    connection: u64,
    a: String,
    b: String,
    begin: &'static str,
    first_ns: u64,
    duration_ns: u64,
    segments: u64,
    established: bool,
    simultaneous_open: bool,
    outcome: &'static str,
    reset_by: Option<&'static str>,
    closed_first: Option<&'static str>,
    release_segments: Option<&'static str>,
    x: Option<u32>,
    y: Option<u32>,
    u: Option<i64>,
    v_ack: Option<i64>,
    w: Option<i64>,
    handshake_ns: Option<[u64; 2]>,
    limited: Option<Limited>,
    http: Option<Http>,
    sent_by_a: Side,
    sent_by_b: Side,
    states: Vec<StateChange>,
    rows: Vec<JsonRow>,
}

#[derive(Serialize)]
struct Side {
    segments: u64,
    wire_segments: u64,
    data_segments: u64,
    bare_acks: u64,
    payload_bytes: u64,
    stream_bytes: u64,
    header_bytes: u64,
    merged: u64,
    segment_size: Option<u32>,
    window_scale: Option<u8>,
    first_window: Option<u16>,
    min_window: u16,
    max_window: u16,
    retransmissions: u64,
    retransmitted_bytes: u64,
    retransmitted_timeout: u64,
    retransmitted_fast: u64,
    retransmitted_repair: u64,
    retransmitted_needless: u64,
    retransmitted_asked: u64,
    out_of_order: u64,
    doubled: u64,
    duplicate_acks: u64,
    zero_windows: u64,
    window_probes: u64,
    keep_alives: u64,
    resets: u64,
    strays: u64,
    refused: u64,
    unseen_bytes: u64,
    unacknowledged_bytes: u64,
    rtt_samples: u64,
    rtt_min_ns: Option<u64>,
    rtt_mean_ns: Option<u64>,
    rtt_max_ns: Option<u64>,
    srtt_ns: Option<u64>,
}

#[derive(Serialize)]
struct Limited {
    sender: &'static str,
    exact: bool,
    application_ns: u64,
    cwnd_ns: u64,
    peer_window_ns: u64,
    send_buffer_ns: u64,
    percent: [u64; 4],
}

#[derive(Serialize)]
struct Http {
    request: Option<String>,
    status: Option<String>,
    head_bytes: Option<u32>,
    requests: u64,
    responses: u64,
}

#[derive(Serialize)]
struct StateChange {
    segment: u64,
    end: &'static str,
    state: &'static str,
    inferred: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum JsonRow {
    Segment {
        segment: u64,
        phase: &'static str,
        at_ns: u64,
        from: &'static str,
        flags: String,
        seq: i64,
        ack: Option<i64>,
        window: u16,
        length: u32,
        kind: &'static str,
        cause: Option<&'static str>,
        refused: Option<&'static str>,
    },
    Gap {
        phase: &'static str,
        left_out: [u64; 2],
        bytes: [u64; 2],
    },
}

impl From<&FlowReport> for Conversation {
    fn from(report: &FlowReport) -> Self {
        let release = &report.release;
        let fin = |end: Option<End>| end.and_then(|end| report.sent[end].fin).map(|pos| pos.0);
        let http = &report.http;
        Conversation {
            v: VERSION,
            kind: "connection",
            connection: report.index,
            a: report.sockets.a.to_string(),
            b: report.sockets.b.to_string(),
            begin: match report.start {
                Start::Syn => "syn",
                Start::SynAck => "syn-ack",
                Start::Middle => "middle",
            },
            first_ns: report.first.as_nanos(),
            duration_ns: report.duration.as_nanos(),
            segments: report.records,
            established: report.established,
            simultaneous_open: report.simultaneous_open,
            outcome: outcome(report.outcome),
            reset_by: match report.outcome {
                Outcome::Reset(by) => Some(name(by)),
                _ => None,
            },
            closed_first: release.first.map(name),
            release_segments: report.release_segments().map(|segments| match segments {
                Segments::Three => "three",
                Segments::Four => "four",
                Segments::Crossed => "crossed",
            }),
            x: report.sent.a.isn.map(|seq| seq.0),
            y: report.sent.b.isn.map(|seq| seq.0),
            u: fin(release.first),
            v_ack: release.separate_ack.map(|pos| pos.0),
            w: fin(release.first.map(End::peer)),
            handshake_ns: report.handshake.map(|(far, near)| [far, near].map(Duration::as_nanos)),
            limited: report.limits.map(|limits| {
                let [application_ns, cwnd_ns, peer_window_ns, send_buffer_ns] =
                    LimitedBy::ALL.map(|what| limits.time(what).as_nanos());
                Limited {
                    sender: name(limits.sender),
                    exact: limits.exact,
                    application_ns,
                    cwnd_ns,
                    peer_window_ns,
                    send_buffer_ns,
                    percent: limits.percent(),
                }
            }),
            http: (http.requests + http.responses > 0).then(|| Http {
                request: http.request.clone(),
                status: http.status.clone(),
                head_bytes: http.head_len,
                requests: http.requests,
                responses: http.responses,
            }),
            sent_by_a: side(&report.sent.a, report.segment_size.a),
            sent_by_b: side(&report.sent.b, report.segment_size.b),
            states: report
                .changes
                .iter()
                .map(|change| StateChange {
                    segment: change.number,
                    end: name(change.end),
                    state: change.state.name(),
                    inferred: change.known != Known::Proven,
                })
                .collect(),
            rows: rows(report),
        }
    }
}

fn rows(report: &FlowReport) -> Vec<JsonRow> {
    let Some(ladder) = &report.ladder else { return Vec::new() };
    let phases = [(Phase::Establishment, "establishment"), (Phase::Transfer, "transfer"), (Phase::Release, "release")];
    let row = |phase: &'static str, row: &Row| match row {
        Row::Step(step) => segment(phase, step),
        Row::Gap(gap) => {
            JsonRow::Gap { phase, left_out: [gap.segments.a, gap.segments.b], bytes: [gap.bytes.a, gap.bytes.b] }
        }
    };
    let mut rows = Vec::new();
    for (phase, name) in phases {
        rows.extend(ladder.rows(phase).iter().map(|r| row(name, r)));
    }
    rows
}

fn segment(phase: &'static str, step: &Step) -> JsonRow {
    JsonRow::Segment {
        segment: step.number,
        phase,
        at_ns: step.at.as_nanos(),
        from: name(step.from),
        flags: step.flags.to_string(),
        seq: step.pos.0,
        ack: step.ack.map(|pos| pos.0),
        window: step.window,
        length: step.len,
        kind: kind(step.kind),
        cause: step.cause.map(|cause| cause.name()),
        refused: reasons::refusal(step.verdict).map(|why| why.name()),
    }
}

fn side(sent: &Sent, segment_size: Option<u32>) -> Side {
    let rtt = &sent.rtt;
    let measured = |value: Duration| (rtt.samples > 0).then(|| value.as_nanos());
    Side {
        segments: sent.segments,
        wire_segments: sent.wire_segments,
        data_segments: sent.data_segments,
        bare_acks: sent.bare_acks,
        payload_bytes: sent.payload,
        stream_bytes: sent.stream,
        header_bytes: sent.headers,
        merged: sent.merged,
        segment_size,
        window_scale: sent.scale,
        first_window: sent.first_window,
        min_window: sent.min_window,
        max_window: sent.max_window,
        retransmissions: sent.again,
        retransmitted_bytes: sent.again_bytes,
        retransmitted_timeout: sent.again_timeout,
        retransmitted_fast: sent.again_fast,
        retransmitted_repair: sent.again_repair,
        retransmitted_needless: sent.again_needless,
        retransmitted_asked: sent.again_asked,
        out_of_order: sent.out_of_order,
        doubled: sent.doubled,
        duplicate_acks: sent.duplicate_acks,
        zero_windows: sent.zero_windows,
        window_probes: sent.window_probes,
        keep_alives: sent.keep_alives,
        resets: sent.resets,
        strays: sent.strays,
        refused: sent.refused,
        unseen_bytes: sent.unseen,
        unacknowledged_bytes: sent.unacknowledged,
        rtt_samples: rtt.samples,
        rtt_min_ns: measured(rtt.min),
        rtt_mean_ns: rtt.mean().map(Duration::as_nanos),
        rtt_max_ns: measured(rtt.max),
        srtt_ns: sent.srtt.map(Duration::as_nanos),
    }
}

fn name(end: End) -> &'static str {
    match end {
        End::A => "A",
        End::B => "B",
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Closed => "closed",
        Outcome::Closing => "closing",
        Outcome::HalfClosed => "half-closed",
        Outcome::Open => "open",
        Outcome::Reset(_) => "reset",
        Outcome::Refused => "refused",
        Outcome::Disowned => "disowned",
        Outcome::Unanswered => "unanswered",
        Outcome::HalfOpen => "half-open",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Syn => "syn",
        Kind::SynAck => "syn-ack",
        Kind::Third => "third",
        Kind::Data => "data",
        Kind::BeyondGap => "beyond-gap",
        Kind::Fin => "fin",
        Kind::Ack => "ack",
        Kind::DuplicateAck(_) => "duplicate-ack",
        Kind::WindowUpdate => "window-update",
        Kind::ZeroWindow => "zero-window",
        Kind::Again(Again::Syn) => "retransmission-syn",
        Kind::Again(Again::SynAck) => "retransmission-syn-ack",
        Kind::Again(Again::Asked) => "retransmission-asked",
        Kind::Again(Again::Timeout) => "retransmission-timeout",
        Kind::Again(Again::Fast) => "retransmission-fast",
        Kind::Again(Again::Repair) => "retransmission-repair",
        Kind::Again(Again::Needless) => "retransmission-needless",
        Kind::Again(Again::Unclear) => "retransmission",
        Kind::OutOfOrder => "out-of-order",
        Kind::Doubled => "doubled",
        Kind::WindowProbe => "window-probe",
        Kind::ProbeAnswer => "probe-answer",
        Kind::KeepAlive => "keep-alive",
        Kind::KeepAliveAnswer => "keep-alive-answer",
        Kind::Reset => "reset",
        Kind::Stray => "stray",
        Kind::Refused(_) => "refused",
    }
}
