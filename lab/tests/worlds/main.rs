//! Thousands of random worlds, each from a seed, each checked after every event.
//!
//! Sections: all that two endpoints have in common; the rules are those of `tidegate_lab::invariants`.
//! In: seeds. `TIDEGATE_WORLDS=20000` plays more of them, `TIDEGATE_SEED=7` one of them alone (the test `replay`).
//! Out: nothing, or the seeds of the worlds in which a rule was broken, and a capture of each.
#![allow(missing_docs)]

mod laws;
mod plan;

use std::fmt::Write as _;
use std::path::PathBuf;

use plan::Plan;
use tidegate_lab::capture::{Capture, Reasons};
use tidegate_lab::invariants::Watcher;
use tidegate_lab::world::{Moment, Observer, World};
use tidegate_proto::time::{Duration, Instant};

/// Watches, hashes the trace, and perhaps takes a capture.
#[derive(Clone)]
struct Observers {
    watcher: Watcher,
    trace: u64,
    capture: Option<Capture>,
}

impl Observer for Observers {
    fn on_moment(&mut self, moment: &Moment) {
        if let Moment::Frame(sighting) = moment {
            self.mix(sighting.at.as_nanos() ^ (sighting.port.host.0 as u64) << 60);
            sighting.bytes.chunks(8).for_each(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                self.mix(u64::from_le_bytes(word));
            });
        }
        if let Some(capture) = &mut self.capture {
            capture.on_moment(moment);
        }
        self.watcher.on_moment(moment);
    }

    fn after_event(&mut self, world: &World) {
        self.watcher.after_event(world);
    }
}

impl Observers {
    fn mix(&mut self, word: u64) {
        self.trace = (self.trace ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// What came of a world.
struct Outcome {
    observers: Observers,
    events: u64,
    virtual_time: Instant,
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.observers.watcher.violations().is_empty()
    }
}

/// Plays a world to its end, or to its first violation.
fn play(plan: &Plan, with_capture: bool) -> Outcome {
    let (mut world, ports) = plan.build();
    let capture =
        with_capture.then(|| Capture::framed(plan.framing, &[(ports[0], "A"), (ports[1], "B")], Reasons::All, EPOCH));
    let mut observers = Observers { watcher: plan.watcher(ports), trace: 0, capture };
    let result = loop {
        match world.step(&mut observers) {
            Ok(true) if observers.watcher.violations().is_empty() => {}
            Ok(true) => break Ok(()),
            // Whether the programs may still wait is judged by I-36.
            Ok(false) => break Ok(()),
            Err(stuck) => break Err(stuck),
        }
    };
    if observers.watcher.violations().is_empty() {
        observers.watcher.on_end(&world, &result);
    }
    Outcome { observers, events: world.events(), virtual_time: world.now() }
}

/// Plays a world again and tells what was broken, and how to see it.
fn report(seed: u64) -> String {
    let plan = Plan::new(seed);
    let mut outcome = play(&plan, true);
    let mut text = String::new();
    for violation in outcome.observers.watcher.violations().iter().take(2) {
        writeln!(text, "{violation}").expect("a string");
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{seed}.pcapng"));
    let bytes = outcome.observers.capture.as_mut().map(Capture::take_bytes).unwrap_or_default();
    match std::fs::write(&file, bytes) {
        Ok(()) => writeln!(text, "  capture: tidegate explain {}", file.display()),
        Err(error) => writeln!(text, "  no capture: {error}"),
    }
    .expect("a string");
    writeln!(text, "  replay:  TIDEGATE_SEED={seed} cargo test -p tidegate-lab --test worlds replay")
        .expect("a string");
    text
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// One of several shares of all worlds, so that every core has something to do.
fn share(which: u64) {
    let worlds = number_from_environment("TIDEGATE_WORLDS").unwrap_or(WORLDS);
    let (mut played, mut events, mut failed) = (0, 0, Vec::new());
    for seed in (0..worlds).filter(|seed| seed % SHARES == which) {
        let outcome = play(&Plan::new(seed), false);
        played += 1;
        events += outcome.events;
        if !outcome.is_good() {
            failed.push(seed);
        }
    }
    println!("{played} worlds, {events} events");
    let reports: Vec<String> = failed.iter().take(MOST_REPORTS).map(|seed| report(*seed)).collect();
    assert!(failed.is_empty(), "{} of {played} worlds: seeds {failed:?}\n{}", failed.len(), reports.join("\n"));
}

#[test]
fn worlds_first_share() {
    share(0);
}

#[test]
fn worlds_second_share() {
    share(1);
}

#[test]
fn worlds_third_share() {
    share(2);
}

#[test]
fn worlds_last_share() {
    share(3);
}

/// Plays the world of `TIDEGATE_SEED` (else one that has a bit of everything) twice: every invariant holds, and the
/// same seed gives the same trace.
//= I-41
#[test]
fn replay() {
    let seed = number_from_environment("TIDEGATE_SEED").unwrap_or(1);
    let plan = Plan::new(seed);
    println!("{plan:#?}");
    let (once, twice) = (play(&plan, false), play(&plan, false));
    println!("{} events, {:?} of virtual time", once.events, once.virtual_time);
    assert!(once.is_good(), "{}", report(seed));
    assert_eq!(once.observers.trace, twice.observers.trace, "the same seed gives the same trace");
}

/// In `cargo test`.
const WORLDS: u64 = 4_000;
const SHARES: u64 = 4;
/// Of each share.
const MOST_REPORTS: usize = 3;
/// 2026-01-01 00:00 UTC.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
