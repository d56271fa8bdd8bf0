//! Stories of captures that were written by hand: one behaviour each, and the seed capture whole.

use super::render::Style;
use super::*;
use tidegate_proto::tcp::State;
use tidegate_proto::trace::flow::{Again, End, Kind, Known, LimitedBy, Outcome, Phase, Row, Segments, Start, Step};
use tidegate_proto::wire::{Pos, Seq};

const CAPTURE: &str = include_str!("../../tests/fixtures/seed-capture.txt");
const ARTICLE: &str = include_str!("../../tests/fixtures/seed-article.zh.txt");

fn story(text: &str) -> Story {
    let mut explainer = Explainer::new(Detail::First(FEW));
    for record in Text::new(text.as_bytes()) {
        explainer.push(&record.expect("text in memory"));
    }
    explainer.finish()
}

/// The one conversation in lines like `0.5 A [S.] seq 7, ack 1, win 100, length 0`: seconds, who, what.
fn one(lines: &str) -> FlowReport {
    let mut reports = story(&capture(lines)).reports;
    assert_eq!(reports.len(), 1, "one conversation");
    reports.remove(0)
}

fn capture(lines: &str) -> String {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (time, end, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let seconds: f64 = time.parse().unwrap();
        let (src, dst) = match end {
            "A" => ("10.0.0.1.5000", "10.0.0.2.80"),
            _ => ("10.0.0.2.80", "10.0.0.1.5000"),
        };
        text += &format!("{seconds:.6} IP {src} > {dst}: Flags {rest}\n");
    }
    text
}

const OPEN: &str = "
    0.000 A [S], seq 1000, win 64000, options [mss 1460], length 0
    0.010 B [S.], seq 5000, ack 1001, win 64000, options [mss 1460], length 0
    0.011 A [.], ack 1, win 64000, length 0";

fn after_opening(lines: &str) -> FlowReport {
    one(&format!("{OPEN}\n{lines}"))
}

fn steps(report: &FlowReport) -> Vec<Step> {
    let ladder = report.ladder.as_ref().expect("rows were kept");
    let phases = [Phase::Establishment, Phase::Transfer, Phase::Release];
    let rows = phases.into_iter().flat_map(|phase| ladder.rows(phase));
    rows.filter_map(|row| if let Row::Step(step) = row { Some(step) } else { None }).collect()
}

fn kinds(report: &FlowReport) -> Vec<Kind> {
    steps(report).iter().map(|step| step.kind).collect()
}

/// `3 B ESTABLISHED` for what is proven, with a star for what is inferred.
fn states(report: &FlowReport) -> Vec<String> {
    let star = |known| if known == Known::Proven { "" } else { "*" };
    let change =
        |c: &tidegate_proto::trace::flow::Change| format!("{} {:?} {}{}", c.number, c.end, c.state, star(c.known));
    report.changes.iter().map(change).collect()
}

/// The whole story with its line breaks undone.
fn english(report: &FlowReport) -> String {
    render::flow(report, Style::default()).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_seed_holds_two_complete_connections() {
    for text in [CAPTURE, ARTICLE] {
        let story = story(text);
        let [first, second] = &story.reports[..] else { panic!("two connections") };
        for (report, port, x, y, segments) in
            [(first, 37584, 3_124_300_130, 2_508_684_482, 26), (second, 37586, 2_780_780_137, 825_503_549, 20)]
        {
            assert_eq!(report.sockets.a, SocketAddr::from(([192, 168, 131, 132], port)));
            assert_eq!(report.sockets.b, SocketAddr::from(([192, 168, 131, 138], 80)));
            assert_eq!((report.sent.a.isn, report.sent.b.isn), (Some(Seq(x)), Some(Seq(y))));
            assert_eq!(report.records, segments);
            assert_eq!((report.sent.a.stream, report.sent.b.stream), (151, 65_800));
            assert_eq!(report.http.request.as_deref(), Some("GET /file_64KB HTTP/1.1"));
            assert_eq!((report.sent.a.fin, report.sent.b.fin), (Some(Pos(152)), Some(Pos(65_801))));
            assert_eq!(report.release.first, Some(End::A));
            assert_eq!(report.release_segments(), Some(Segments::Three));
            assert_eq!(report.outcome, Outcome::Closed);
            assert_eq!(report.again(), 0);
            let [.., fin, fin_ack, last] = &steps(report)[..] else { panic!("a release") };
            assert_eq!((fin.pos, fin_ack.ack), (Pos(152), Some(Pos(153))));
            assert_eq!((last.pos, last.ack), (Pos(153), Some(Pos(65_802))));
        }
        let told = english(first);
        for number in ["2508684482 + 1 = 2508684483", "u = 152", "w = 65801", "65802", "229 x 128 = 29,312"] {
            assert!(told.contains(number), "{number}");
        }
        assert!(told.contains("5 x 1,448") && told.contains("three segments suffice"));
    }
}

#[test]
fn the_seed_in_english() {
    insta::assert_snapshot!(story(CAPTURE).tell(Style::default()));
}

#[test]
fn the_article_in_chinese() {
    insta::assert_snapshot!(story(ARTICLE).tell(Style { lang: Lang::Zh, ..Style::default() }));
}

#[test]
fn the_seed_in_json() {
    let story = story(CAPTURE);
    let lines: Vec<serde_json::Value> = story
        .reports
        .iter()
        .map(|report| serde_json::from_str(&json::line(report).expect("plain data")).expect("an object"))
        .collect();
    assert_eq!(lines[0]["v"], 1);
    assert_eq!(lines[0]["x"], 3_124_300_130_u32);
    assert_eq!((&lines[1]["u"], &lines[1]["w"]), (&152.into(), &65_801.into()));
    assert_eq!(lines[0]["sent_by_b"]["stream_bytes"], 65_800);
    assert_eq!(lines[0]["states"].as_array().map(Vec::len), Some(9));
    assert_eq!(lines[0]["rows"].as_array().map(Vec::len), Some(26));
}

#[test]
fn the_states_of_the_seed_follow_figure_5() {
    let expected = [
        "1 A SYN-SENT",
        "1 B SYN-RECEIVED",
        "2 A ESTABLISHED",
        "3 B ESTABLISHED",
        "24 A FIN-WAIT-1",
        "24 B CLOSE-WAIT",
        "25 B LAST-ACK",
        "25 A TIME-WAIT",
        "26 B CLOSED*",
    ];
    assert_eq!(states(&story(CAPTURE).reports[0]), expected);
}

#[test]
fn a_late_close_takes_four_segments() {
    let report = after_opening(
        "0.100 A [F.], seq 1, ack 1, win 64000, length 0
         0.140 B [.], ack 2, win 64000, length 0
         0.300 B [P.], seq 1:11, ack 2, win 64000, length 10
         0.301 A [.], ack 11, win 64000, length 0
         0.400 B [F.], seq 11, ack 2, win 64000, length 0
         0.401 A [.], ack 12, win 64000, length 0",
    );
    assert_eq!(report.release_segments(), Some(Segments::Four));
    assert_eq!(report.release.separate_ack, Some(Pos(1)));
    assert_eq!(report.release.half_closed_bytes, 10);
    assert_eq!(
        states(&report)[4..],
        ["4 A FIN-WAIT-1", "4 B CLOSE-WAIT", "5 A FIN-WAIT-2", "8 B LAST-ACK", "8 A TIME-WAIT", "9 B CLOSED*"]
    );
    let told = english(&report);
    assert!(told.contains("seq = v = 1") && told.contains("B still had 10 bytes to send"), "{told}");
}

#[test]
fn both_may_close_at_once() {
    let report = after_opening(
        "0.100 A [F.], seq 1, ack 1, win 64000, length 0
         0.105 B [F.], seq 1, ack 1, win 64000, length 0
         0.106 A [.], ack 2, win 64000, length 0
         0.115 B [.], ack 2, win 64000, length 0",
    );
    assert_eq!(report.release_segments(), Some(Segments::Crossed));
    assert_eq!(report.outcome, Outcome::Closed);
    let states = states(&report);
    for state in ["A CLOSING", "A TIME-WAIT", "B FIN-WAIT-1", "B TIME-WAIT"] {
        assert!(states.iter().any(|s| s.contains(state)), "{state} in {states:?}");
    }
    assert!(!states.iter().any(|s| s.contains("CLOSE-WAIT")), "{states:?}");
}

#[test]
fn both_may_open_at_once() {
    let report = one("0.000 A [S], seq 1000, win 64000, length 0
         0.001 B [S], seq 5000, win 64000, length 0
         0.002 A [S.], seq 1000, ack 5001, win 64000, length 0
         0.003 B [S.], seq 5000, ack 1001, win 64000, length 0
         0.004 A [.], ack 1, win 64000, length 0");
    assert!(report.simultaneous_open && report.established);
    let states = states(&report);
    for state in ["A SYN-SENT", "B SYN-SENT", "A SYN-RECEIVED", "B SYN-RECEIVED", "A ESTABLISHED", "B ESTABLISHED"] {
        assert!(states.iter().any(|s| s.contains(state)), "{state} in {states:?}");
    }
    assert!(english(&report).contains("one connection, not two"));
}

#[test]
fn a_lost_syn_is_sent_again() {
    let report = one("0 A [S], seq 1000, win 64000, length 0
         1 A [S], seq 1000, win 64000, length 0
         1.010 B [S.], seq 5000, ack 1001, win 64000, length 0
         1.011 A [.], ack 1, win 64000, length 0");
    assert_eq!(kinds(&report)[1], Kind::Again(Again::Syn));
    assert_eq!(report.handshake.map(|(far, _)| far.as_millis()), Some(10));
    assert_eq!(states(&report)[1], "2 B SYN-RECEIVED", "the first one did nothing that can be seen");
}

#[test]
fn a_lost_third_segment_brings_the_syn_ack_again() {
    let report = one(&format!(
        "{OPEN}
         1.010 B [S.], seq 5000, ack 1001, win 64000, length 0
         1.011 A [.], ack 1, win 64000, length 0
         1.012 A [P.], seq 1:11, ack 1, win 64000, length 10
         1.022 B [.], ack 11, win 64000, length 0"
    ));
    assert_eq!(kinds(&report)[3], Kind::Again(Again::SynAck));
    assert_eq!(states(&report).last().map(String::as_str), Some("5 B ESTABLISHED"));
}

#[test]
fn a_lost_last_acknowledgement_brings_the_fin_again() {
    let report = after_opening(
        "0.100 A [F.], seq 1, ack 1, win 64000, length 0
         0.110 B [F.], seq 1, ack 2, win 64000, length 0
         0.111 A [.], ack 2, win 64000, length 0
         0.400 B [F.], seq 1, ack 2, win 64000, length 0
         0.401 A [.], ack 2, win 64000, length 0",
    );
    assert_eq!(report.release.resent, 1);
    assert_eq!(states(&report).last().map(String::as_str), Some("8 B CLOSED*"));
    assert!(english(&report).contains("restarts the 2 x MSL timer"));
}

#[test]
fn nobody_listens() {
    let report = one("0 A [S], seq 1000, win 64000, length 0
         0.010 B [R.], seq 0, ack 1001, win 0, length 0");
    assert_eq!(report.outcome, Outcome::Refused);
    assert_eq!(states(&report), ["1 A SYN-SENT", "2 B CLOSED", "2 A CLOSED*"]);
    assert!(english(&report).contains("nobody listens on port 80"));
}

#[test]
fn nobody_answers() {
    let report = one("0 A [S], seq 1000, win 64000, length 0
         1 A [S], seq 1000, win 64000, length 0
         3 A [S], seq 1000, win 64000, length 0");
    assert_eq!(report.outcome, Outcome::Unanswered);
    assert!(english(&report).contains("sent its SYN 3 times in 3s"));
}

/// The article's first question: A did not ask for this, and says so.
#[test]
fn an_answer_to_an_old_syn_is_reset() {
    let report = one("0 B [S.], seq 5000, ack 1001, win 64000, length 0
         0.001 A [R], seq 1001, win 0, length 0");
    assert_eq!((report.start, report.outcome), (Start::SynAck, Outcome::Disowned));
    assert!(english(&report).contains("really it sends RST"));
}

#[test]
fn a_reset_ends_a_transfer() {
    let report = after_opening(
        "0.100 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.110 B [R.], seq 1, ack 11, win 64000, length 0",
    );
    assert_eq!(report.outcome, Outcome::Reset(End::B));
    assert_eq!((report.state.a, report.state.b), (State::Closed, State::Closed));
}

#[test]
fn repetitions_have_their_inferred_causes() {
    let fast = after_opening(
        "0.100 A [.], seq 1:1461, ack 1, win 64000, length 1460
         0.1001 A [.], seq 1461:2921, ack 1, win 64000, length 1460
         0.1002 A [.], seq 2921:4381, ack 1, win 64000, length 1460
         0.1003 A [.], seq 4381:5841, ack 1, win 64000, length 1460
         0.110 B [.], ack 1, win 64000, length 0
         0.1101 B [.], ack 1, win 64000, length 0
         0.1102 B [.], ack 1, win 64000, length 0
         0.1103 A [.], seq 1:1461, ack 1, win 64000, length 1460
         0.120 B [.], ack 5841, win 64000, length 0",
    );
    assert_eq!(
        kinds(&fast)[7..11],
        [1, 2, 3].map(Kind::DuplicateAck).into_iter().chain([Kind::Again(Again::Fast)]).collect::<Vec<_>>()
    );
    assert_eq!((fast.sent.a.again_fast, fast.sent.b.duplicate_acks), (1, 3));

    let timeout = after_opening(
        "0.100 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.400 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.410 B [.], ack 11, win 64000, length 0
         0.411 A [P.], seq 1:11, ack 1, win 64000, length 10",
    );
    assert_eq!(kinds(&timeout)[4], Kind::Again(Again::Timeout));
    assert_eq!(kinds(&timeout)[6], Kind::Again(Again::Needless));
    assert_eq!((timeout.sent.a.stream, timeout.sent.a.again_bytes), (10, 20));
    assert_eq!(timeout.sent.a.rtt.samples, 1, "Karn: the repeated segment measures nothing, the SYN does");
}

#[test]
fn a_young_gap_is_reordering_and_an_old_one_is_loss() {
    let gap = |late: &str| {
        after_opening(&format!(
            "0.100 B [.], seq 1:1461, ack 1, win 64000, length 1460
             0.1001 B [.], seq 2921:4381, ack 1, win 64000, length 1460
             0.1002 A [.], ack 1461, win 64000, length 0
             {late} B [.], seq 1461:2921, ack 1, win 64000, length 1460"
        ))
    };
    assert_eq!(kinds(&gap("0.1003"))[4], Kind::BeyondGap);
    assert_eq!(kinds(&gap("0.1003"))[6], Kind::OutOfOrder);
    assert_eq!(kinds(&gap("0.400"))[6], Kind::Again(Again::Timeout));
    assert_eq!(gap("0.400").sent.b.stream, 4380);
}

#[test]
fn a_closed_window_is_probed_and_opens() {
    let report = after_opening(
        "0.100 B [.], seq 1:101, ack 1, win 64000, length 100
         0.101 A [.], ack 101, win 0, length 0
         0.401 B [.], seq 101:102, ack 1, win 64000, length 1
         0.402 A [.], ack 101, win 0, length 0
         0.800 A [.], ack 101, win 64000, length 0
         0.810 B [P.], seq 101:201, ack 1, win 64000, length 100",
    );
    assert_eq!(
        kinds(&report)[4..],
        [Kind::ZeroWindow, Kind::WindowProbe, Kind::ProbeAnswer, Kind::WindowUpdate, Kind::Data]
    );
    assert_eq!((report.sent.a.zero_windows, report.sent.b.window_probes, report.sent.b.again), (1, 1, 0));
}

#[test]
fn a_keep_alive_is_answered() {
    let report = after_opening(
        "0.100 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.110 B [.], ack 11, win 64000, length 0
         7200 A [.], seq 10:11, ack 1, win 64000, length 1
         7200.010 B [.], ack 11, win 64000, length 0",
    );
    assert_eq!(kinds(&report)[5..], [Kind::KeepAlive, Kind::KeepAliveAnswer]);
    assert_eq!(report.outcome, Outcome::Open);
}

#[test]
fn a_capture_may_begin_in_the_middle() {
    let report = one("1 A [P.], seq 100000:100010, ack 200000, win 501, length 10
         1.010 B [.], ack 10, win 501, length 0
         1.020 B [P.], seq 1:21, ack 10, win 501, length 20
         1.021 A [.], ack 21, win 501, length 0");
    assert_eq!(report.start, Start::Middle);
    assert_eq!((report.sent.a.stream, report.sent.b.stream), (10, 20));
    assert_eq!(report.sent.a.origin, Some(Seq(100_000)));
    let told = english(&report);
    assert!(told.contains("begins in the middle") && told.contains("Neither end closed"), "{told}");
}

#[test]
fn the_same_ports_may_be_used_again() {
    let text = capture(&format!(
        "{OPEN}
         0.100 A [F.], seq 1, ack 1, win 64000, length 0
         0.110 B [F.], seq 1, ack 2, win 64000, length 0
         0.111 A [.], ack 2, win 64000, length 0
         90 A [S], seq 9000, win 64000, length 0
         90.010 B [S.], seq 7000, ack 9001, win 64000, length 0
         90.011 A [.], ack 1, win 64000, length 0"
    ));
    let story = story(&text);
    assert_eq!(story.reports.iter().map(|r| r.outcome).collect::<Vec<_>>(), [Outcome::Closed, Outcome::Open]);
    assert_eq!(story.reports[1].sent.a.isn, Some(Seq(9000)));
}

#[test]
fn an_old_segment_is_a_stray() {
    let report = after_opening(
        "0.100 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.110 B [.], ack 11, win 64000, length 0
         0.120 A [P.], seq 2000000000:2000000010, ack 1, win 64000, length 10",
    );
    assert_eq!((report.sent.a.strays, report.sent.a.stream), (1, 10));
}

#[test]
fn many_connections_stand_one_a_line_the_worst_first() {
    let mut text = String::new();
    for port in 5000..5005 {
        let capture = capture(OPEN).replace("5000", &port.to_string());
        text += &if port == 5003 {
            capture + &format!("1.000000 IP 10.0.0.2.80 > 10.0.0.1.{port}: Flags [R], seq 5004, win 0, length 0\n")
        } else {
            capture
        };
    }
    let told = story(&text).tell(Style::default());
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("5 connections, 16 segments"), "{told}");
    assert!(lines[2].starts_with('4') && lines[2].contains("reset by B"), "{told}");
    assert_eq!(lines.len(), 7);
}

/// One conversation of a million segments keeps as few rows as one of a hundred.
#[test]
fn memory_is_bounded_per_conversation() {
    let mut records: Vec<Record> = Text::new(CAPTURE.as_bytes()).take(7).map(|r| r.expect("text in memory")).collect();
    let (mut data, mut ack) = (records.remove(5), records.remove(5));
    let mut explainer = Explainer::new(Detail::First(FEW));
    records.iter().for_each(|record| explainer.push(record));
    for n in 0..500_000_u64 {
        (data.number, ack.number) = (6 + 2 * n, 7 + 2 * n);
        explainer.push(&data);
        explainer.push(&ack);
        data.header.seq = data.header.seq + data.payload_len;
        ack.header.ack = ack.header.ack + data.payload_len;
    }
    let story = explainer.finish();
    let report = &story.reports[0];
    assert_eq!(report.records, 1_000_005);
    assert_eq!(report.sent.b.stream, 7240 * 500_000, "beyond 2^31 numbers are still counted");
    assert!(report.ladder.as_ref().expect("kept").rows(Phase::Transfer).len() < 64);
}

/// A hundred thousand conversations: only so many are followed, only so many reports kept, and the worst among them.
#[test]
fn memory_is_bounded_in_conversations() {
    let syn = Text::new(CAPTURE.as_bytes()).next().expect("a record").expect("text in memory");
    let reset =
        Text::new(capture("0 A [S], seq 1, win 1, length 0\n0 B [R.], seq 0, ack 2, win 0, length 0").as_bytes())
            .nth(1)
            .expect("a record")
            .expect("text in memory");
    let mut flows = Flows::new(Options { detail: Detail::First(0), max_live: 1000, max_reports: 100, seed: [7; 16] });
    for n in 0..100_000_u32 {
        let mut record = syn.clone();
        record.src = SocketAddr::from((n.to_be_bytes(), 5000));
        flows.push(&record);
        assert!(flows.live() <= 1000);
        if n % 1000 == 0 {
            let (src, dst) = (record.dst, record.src);
            flows.push(&Record { src, dst, ..reset.clone() });
        }
    }
    let (reports, left_out) = flows.finish();
    assert_eq!((reports.len(), left_out), (100, 99_900));
    let unanswered = reports.iter().filter(|r| r.outcome == Outcome::Unanswered).count();
    assert_eq!(unanswered, 100, "an unanswered SYN is worse than a refused one");
}

#[test]
fn limits_told_by_the_stack_go_before_what_the_capture_suggests() {
    let mut explainer = Explainer::new(Detail::First(FEW));
    for record in Text::new(CAPTURE.as_bytes()).take(26) {
        explainer.push(&record.expect("text in memory"));
    }
    let millis = |n| tidegate_proto::time::Duration::from_millis(n);
    let limits = Limits {
        sender: End::B,
        exact: true,
        application: millis(1),
        cwnd: millis(1),
        peer_window: millis(1),
        send_buffer: millis(0),
    };
    let (a, b) = (SocketAddr::from(([192, 168, 131, 132], 37584)), SocketAddr::from(([192, 168, 131, 138], 80)));
    explainer.flows.set_limits(b, a, limits);
    let report = &explainer.finish().reports[0];
    let percent = report.limits.expect("it was told").percent();
    assert_eq!(percent.iter().sum::<u64>(), 100);
    assert_eq!(percent.len(), LimitedBy::ALL.len());
    assert!(!english(report).contains("inferred from outside"));
}

#[test]
fn a_silent_peer_leaves_bytes_unacknowledged() {
    let report = after_opening(
        "0.100 A [P.], seq 1:11, ack 1, win 64000, length 10
         0.400 A [P.], seq 1:11, ack 1, win 64000, length 10
         1.000 A [P.], seq 1:11, ack 1, win 64000, length 10",
    );
    assert_eq!((report.sent.a.unacknowledged, report.outcome), (10, Outcome::Open));
    assert!(english(&report).contains("10 bytes of A were never acknowledged"));
}

/// The rows of a transfer of `n` segments from B.
fn rows_of_a_transfer(n: u32) -> Vec<Row> {
    let line = |i: u32| format!("0.{:03} B [.], seq {}:{}, ack 1, win 9, length 10\n", 20 + i, 1 + 10 * i, 11 + 10 * i);
    let report = after_opening(&(0..n).map(line).collect::<String>());
    report.ladder.as_ref().expect("rows were kept").rows(Phase::Transfer)
}

#[test]
fn a_gap_stands_for_four_rows_or_more() {
    let gaps = |n: u32| {
        let rows = rows_of_a_transfer(n);
        let gaps = rows.iter().filter_map(|row| if let Row::Gap(gap) = row { Some(gap.segments.b) } else { None });
        (rows.len(), gaps.collect::<Vec<_>>())
    };
    assert_eq!(gaps(32), (32, vec![]));
    assert_eq!(gaps(35), (35, vec![]));
    assert_eq!(gaps(36), (33, vec![4]));
    assert_eq!(gaps(300), (33, vec![268]));
}

#[test]
fn a_gap_counts_only_who_sent() {
    let mut lines = String::new();
    for i in 0..50 {
        lines += &format!("0.{:03} B [.], seq {}:{}, ack 1, win 9, length 1\n", 20 + i, 1 + i, 2 + i);
    }
    assert!(english(&after_opening(&lines)).contains("... and 18 more from B (18 bytes) ..."));
}

#[test]
fn what_was_under_way_when_a_fin_came_says_nothing_against_it() {
    let report = after_opening(
        "0.100 A [F.], seq 1, ack 1, win 9, length 0
         0.101 B [.], seq 1:11, ack 1, win 9, length 10
         0.110 B [.], ack 2, win 9, length 0
         0.120 B [F.], seq 11, ack 2, win 9, length 0
         0.121 A [.], ack 12, win 9, length 0",
    );
    assert_eq!(states(&report)[5], "4 B CLOSE-WAIT");
    // What B sent before it knew is not what it sent over a half-closed connection.
    assert_eq!((report.release.half_closed_bytes, report.release_segments()), (0, Some(Segments::Four)));
}

#[test]
fn what_was_under_way_when_a_reset_came_says_nothing_against_it() {
    let report = after_opening(
        "0.100 A [R.], seq 1, ack 1, win 9, length 0
         0.101 B [.], seq 1:11, ack 1, win 9, length 10
         0.102 A [R], seq 1, win 0, length 0",
    );
    assert_eq!(states(&report)[4..], ["4 A CLOSED", "4 B CLOSED*"]);
    assert!(!english(&report).contains("No sign of loss"));
}

#[test]
fn a_half_open_passive_end_goes_back_to_listen() {
    let report = one("0.000 A [S], seq 1000, win 64000, length 0
         0.010 B [S.], seq 5000, ack 1001, win 64000, length 0
         0.011 A [R], seq 1001, win 0, length 0");
    assert_eq!((report.outcome, report.state.b), (Outcome::Disowned, State::Listen));
    assert_eq!(states(&report)[3..], ["3 A CLOSED", "3 B LISTEN*"]);
}

#[test]
fn a_repeated_syn_asks_for_its_answer_again() {
    let report = one("0.000 A [S], seq 1000, win 64000, options [mss 1460,wscale 7], length 0
         0.010 B [S.], seq 5000, ack 1001, win 64000, options [mss 1460,wscale 7], length 0
         1.000 A [S], seq 1000, win 64000, options [mss 1460,wscale 7], length 0
         1.010 B [S.], seq 5000, ack 1001, win 64000, options [mss 1460,wscale 7], length 0
         1.011 A [.], ack 1, win 500, length 0");
    assert_eq!(kinds(&report)[2..4], [Kind::Again(Again::Syn), Kind::Again(Again::Asked)]);
    assert_eq!(report.handshake, None, "which SYN-ACK was answered is unclear");
    let told = english(&report);
    assert!(told.contains("B sent 1 segment again because A's SYN came once more"), "{told}");
    assert!(!told.contains("64000 x 128"), "the window of a SYN is never scaled");
}

#[test]
fn nobody_answers_for_a_group() {
    let report = one_of("1.000000 IP 10.0.0.1.5000 > 224.0.0.1.80: Flags [S], seq 7, win 9, length 0\n");
    assert_eq!((report.outcome, states(&report)), (Outcome::Unanswered, vec!["1 A SYN-SENT".to_owned()]));
    let told = english(&report);
    assert!(told.contains("Nobody answered A's SYN. - 224.0.0.1 is not the address of one host"), "{told}");
    assert!(!told.contains("0ns"), "{told}");
}

fn one_of(text: &str) -> FlowReport {
    story(text).reports.remove(0)
}

/// What our own stack says of its segments, beside what their numbers say.
mod told {
    use super::*;
    use tidegate_proto::net::Note;
    use tidegate_proto::tcp::{Cause, DropReason, Verdict};
    use tidegate_proto::time::Duration;

    fn with(lines: &str, say: impl Fn(&mut Record)) -> FlowReport {
        let mut explainer = Explainer::new(Detail::First(FEW));
        for record in Text::new(capture(lines).as_bytes()) {
            let mut record = record.expect("text in memory");
            say(&mut record);
            explainer.push(&record);
        }
        explainer.finish().reports.remove(0)
    }

    #[test]
    fn a_copy_that_its_sender_does_not_know_was_made_by_the_network() {
        let lines = format!(
            "{OPEN}
            0.100 B [P.], seq 1:11, ack 1, win 9, length 10
            0.101 B [P.], seq 1:11, ack 1, win 9, length 10"
        );
        // A copy is the same record later, but the text's reader takes equal stamps for one.
        let report = with(&lines, |record| record.cause = (record.payload_len > 0).then_some(Cause::Data));
        assert_eq!(kinds(&report)[4], Kind::Doubled);
        assert_eq!((report.again(), report.sent.b.doubled), (0, 1));
        assert!(english(&report).contains("1 segment of B arrived twice: the network doubled it."));
    }

    #[test]
    fn a_dropped_segment_moves_nobody() {
        let lines = "0.000 A [S], seq 1000, win 64000, length 0";
        let report = with(lines, |record| record.verdict = Some(Verdict::Dropped(DropReason::ListenOverflow)));
        assert_eq!(states(&report), ["1 A SYN-SENT"]);
        let lines = format!("{OPEN}\n0.100 A [F.], seq 1, ack 1, win 9, length 0");
        let report = with(&lines, |record| {
            record.verdict = (record.number == 4).then_some(Verdict::Dropped(DropReason::OutsideWindow));
        });
        assert_eq!((report.state.a, report.state.b), (State::FinWait1, State::Established));
    }

    #[test]
    fn the_round_trip_that_an_end_measured_itself_goes_before_what_the_capture_shows() {
        let note = Note {
            state: State::Established,
            cwnd: 10,
            ssthresh: 10,
            in_flight: 0,
            rto: Duration::from_millis(200),
            srtt: Some(Duration::from_micros(140)),
        };
        let lines = format!("{OPEN}\n0.100 A [P.], seq 1:11, ack 1, win 9, length 10");
        let report = with(&lines, |record| record.note = (record.payload_len > 0).then_some(note));
        assert_eq!(report.sent.a.srtt, Some(Duration::from_micros(140)));
        assert!(english(&report).contains("as A measured it itself, waiting for answers included: 140us."));
    }
}

#[test]
fn a_capture_that_begins_in_the_middle_assumes_an_open_connection() {
    let report = one("1.0 A [.], seq 1:11, ack 1, win 9, length 10
        1.1 B [R], seq 1, win 0, length 0");
    let told = render::flow(&report, Style::default());
    assert!(told.contains("ESTABLISHED *  |                       "), "{told}");
    assert!(!told.contains("\n\n\n"), "{told}");
}
