//! `tidegate dump` against the real tcpdump: the same bytes for thousands of generated packets.
//!
//! Skipped where tcpdump is not installed; `TIDEGATE_REQUIRE_TCPDUMP=1` makes that a failure. A difference names its
//! seed; `TIDEGATE_SEED=n` replays that one alone.

mod generate;

use std::process::Command;

use generate::{Format, Random};

/// Every option by itself, and some together.
const OPTIONS: [&[&str]; 10] = [
    &[],
    &["-v"],
    &["-e"],
    &["-S"],
    &["-tttt"],
    &["-#"],
    &["-ttt", "-v", "-e"],
    &["-tt", "-S", "-v"],
    &["-ttttt", "-#", "-e"],
    &["-t", "-c", "17"],
];
const SEEDS: u64 = 48;
const FRAMES: usize = 300;

#[test]
fn dump_prints_what_tcpdump_prints() {
    let Some(()) = tcpdump_is_here() else { return };
    let seeds = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).expect("TIDEGATE_SEED is a number"),
        Err(_) => 0..SEEDS,
    };
    println!("seeds {seeds:?}, {FRAMES} packets each");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for seed in seeds {
        let mut random = Random::new(seed);
        let ethernet = seed % 3 != 0;
        let link_type = if ethernet { 1 } else { random.pick(&[101, 101, 12]) };
        let format = random.pick(&[Format::Micro, Format::Nano, Format::Ng]);
        let frames = generate::frames(&mut random, FRAMES, ethernet);
        let path = directory.path().join(format!("{seed}.pcap"));
        let bytes = generate::write(format, random.chance(50), link_type, &frames);
        std::fs::write(&path, bytes).expect("a file in the temporary directory");
        let path = path.to_str().expect("a plain path");
        for options in OPTIONS {
            compare(seed, path, options);
        }
    }
}

/// Runs both programs and stops at the first line that differs.
fn compare(seed: u64, path: &str, options: &[&str]) {
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).args(options).args(["-r", path]).env("TZ", "America/New_York");
        let output = command.output().expect("the program runs");
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (ours, our_errors) = run(env!("CARGO_BIN_EXE_tidegate"), &["dump"]);
    let (theirs, their_errors) = run("tcpdump", &["-n"]);
    if ours != theirs {
        let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
        let at = ours.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
        let around = |lines: &[&str]| lines[at.saturating_sub(2)..lines.len().min(at + 2)].join("\n");
        panic!(
            "seed {seed}, options {options:?}, line {at}:\ntidegate:\n{}\ntcpdump:\n{}",
            around(&ours),
            around(&theirs)
        );
    }
    assert_eq!(our_errors, their_errors, "seed {seed}, options {options:?}");
}

/// Nothing, and the reason on standard output, if tcpdump is not installed.
fn tcpdump_is_here() -> Option<()> {
    let version = Command::new("tcpdump").arg("--version").output();
    if let Ok(output) = &version
        && String::from_utf8_lossy(&output.stdout).starts_with("tcpdump version 4.99.3")
    {
        return Some(());
    }
    let why = match version {
        Ok(output) => format!("another version is: {}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("TIDEGATE_REQUIRE_TCPDUMP").is_none(), "tcpdump 4.99.3 is not installed: {why}");
    println!("skipped: tcpdump 4.99.3 is not installed: {why}");
    None
}
