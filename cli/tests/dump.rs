//! How `tidegate dump` behaves as a command: exit status, sentences, pipes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use tempfile::NamedTempFile;

/// SYN, SYN-ACK and ACK over raw IP, one second apart from 2026-11-23 10:09:11 UTC on.
fn handshake() -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    let segments = [
        (1, [10, 0, 0, 1], 40_000u16, [10, 0, 0, 2], 80u16, 1_000u32, 0u32, 0x02u8),
        (2, [10, 0, 0, 2], 80, [10, 0, 0, 1], 40_000, 5_000, 1_001, 0x12),
        (3, [10, 0, 0, 1], 40_000, [10, 0, 0, 2], 80, 1_001, 5_001, 0x10),
    ];
    for (number, source, source_port, destination, port, seq, ack, flags) in segments {
        for word in [1_795_428_550u32 + number, 250, 40, 40] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        file.extend(source);
        file.extend(destination);
        file.extend(source_port.to_be_bytes());
        file.extend(port.to_be_bytes());
        file.extend(seq.to_be_bytes());
        file.extend(ack.to_be_bytes());
        file.extend([0x50, flags, 0x72, 0x10, 0, 0, 0, 0]);
    }
    file
}

const LINES: [&str; 3] = [
    "10:09:11.000250 IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1000, win 29200, length 0\n",
    "10:09:12.000250 IP 10.0.0.2.80 > 10.0.0.1.40000: Flags [S.], seq 5000, ack 1001, win 29200, length 0\n",
    "10:09:13.000250 IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [.], ack 1, win 29200, length 0\n",
];

fn dump(arguments: &[&str], zone: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("dump").args(arguments).env("TZ", zone).output().expect("the program runs")
}

fn saved(bytes: &[u8]) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a file that can be written");
    let path = file.path().to_str().expect("a plain path").to_owned();
    (file, path)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn a_capture_is_printed_in_local_time() {
    let (_file, path) = saved(&handshake());
    let output = dump(&["-r", &path], "UTC");
    assert_eq!(text(&output.stdout), LINES.concat());
    let banner = format!("reading from file {path}, link-type RAW (Raw IP), snapshot length 65535\n");
    assert_eq!(text(&output.stderr), banner);
    assert_eq!(output.status.code(), Some(0));

    let output = dump(&["-r", &path, "-tttt", "-c", "1"], "Asia/Shanghai");
    assert_eq!(text(&output.stdout), format!("2026-11-23 {}", LINES[0].replacen("10:", "18:", 1)));
}

#[test]
fn standard_input_is_read() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["dump", "-r", "-"]).env("TZ", "UTC").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("the program runs");
    // Byte by byte, as a slow pipe delivers it.
    let mut input = child.stdin.take().expect("a pipe");
    for byte in handshake() {
        input.write_all(&[byte]).expect("a reader");
    }
    drop(input);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(text(&output.stdout), LINES.concat());
}

#[test]
fn a_damaged_capture_gives_everything_up_to_the_damage() {
    let mut file = handshake();
    file.truncate(file.len() - 3);
    let (_file, path) = saved(&file);
    let output = dump(&["-r", &path], "UTC");
    assert_eq!(text(&output.stdout), LINES[..2].concat());
    let sentence = format!("tidegate: {path} is damaged at offset 136: the file ends 37 bytes into a record of 40\n");
    assert!(text(&output.stderr).ends_with(&sentence), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_done_is_refused_in_one_sentence() {
    let (_text, text_path) = saved(b"10:09:11.000250 IP 10.0.0.1.40000");
    let (_empty, empty_path) = saved(b"");
    let (_capture, path) = saved(&handshake());
    for (arguments, sentence) in [
        (&["-r", "/nowhere/x.pcap"][..], "cannot open /nowhere/x.pcap: No such file or directory".to_owned()),
        (&["-r", &text_path], format!("{text_path} is neither a pcap nor a pcapng")),
        (&["-r", &empty_path], format!("{empty_path} is empty")),
        (&["-r", &path, "-tttttt"], "-t may be given at most five times".to_owned()),
        (
            &["-r", &path, "-c", "0"],
            "invalid value '0' for '-c <COUNT>': 0 is not in 1..18446744073709551615".to_owned(),
        ),
        (&["-r", &path, "--what"], "unexpected argument '--what' found".to_owned()),
        (&[], "the following required arguments were not provided: -r <FILE>".to_owned()),
    ] {
        let output = dump(arguments, "UTC");
        assert_eq!(text(&output.stderr), format!("tidegate: {sentence}\n"));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut file = handshake();
    let record = file[24..].to_vec();
    for _ in 0..2_000 {
        file.extend(&record);
    }
    let (_file, path) = saved(&file);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let mut child = command
        .args(["dump", "-r", &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).starts_with("reading from file") && text(&output.stderr).lines().count() == 1);
}
