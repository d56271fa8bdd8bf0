//! `tidegate drill`: verdicts, their exit statuses, and what a failure shows.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/tests/scripts");

fn drill(command: &str, arguments: &[&str]) -> (i32, String, String) {
    let output =
        Command::cargo_bin("tidegate").expect("the command").arg(command).args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit status"), text(output.stdout), text(output.stderr))
}

/// Runs one script that is written for the occasion.
fn script(text: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.pkt");
    fs::write(&file, text).expect("written");
    let (status, out, err) = drill("drill", &[arguments, &[file.to_str().expect("a name")]].concat());
    (status, out.replace(file.to_str().expect("a name"), "a.pkt"), err)
}

#[test]
fn our_own_scripts_pass_under_either_name() {
    for command in ["drill", "packetdrill"] {
        let (status, out, err) = drill(command, &[OURS]);
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        assert!(out.ends_with(" passed, 0 failed, 0 not applicable\n"), "{out}");
    }
}

#[test]
fn a_broken_copy_fails_and_shows_the_difference() {
    let file = Path::new(OURS).join("rfc6298/backoff.pkt");
    let broken = fs::read_to_string(file).expect("a script").replace("+.6 >", "+.7 >");
    let (status, out, err) = script(&broken, &[]);
    assert_eq!(status, 1);
    assert!(out.contains("failed: came at 1.000000, expected at 1.100000"), "{out}");
    assert!(out.contains("script   +.7 > P. 1:1001(1000) ack 1"), "{out}");
    assert!(out.contains("because: "), "{out}");
    assert_eq!(err, "tidegate: 1 of 1 scripts failed\n");
    assert_eq!(script(&broken, &["--tolerance", "200ms"]).0, 0, "a wide tolerance forgives it");
}

#[test]
fn what_does_not_parse_or_apply_is_told_apart() {
    let (status, out, err) = script("0 socket(..., SOCK_STREAM) 3", &[]);
    assert_eq!((status, err.as_str()), (2, "tidegate: 1 of 1 scripts do not parse\n"));
    assert!(out.starts_with("a.pkt:1:28: expected `=`, found `3`\n"), "{out}");
    let (status, out, _) = script("0 socket(..., SOCK_STREAM, 0) = 3\n+0 `ip link`", &[]);
    assert_eq!(
        (status, out.as_str()),
        (0, "a.pkt:2: not applicable: the command `ip link`\n0 passed, 0 failed, 1 not applicable\n")
    );
    assert_eq!(drill("drill", &["/nowhere.pkt"]).0, 2);
}

#[test]
fn settings_definitions_and_versions_reach_the_script() {
    let open = "0 socket(..., KIND, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
                +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)\n";
    let define = ["-D", "KIND=SOCK_STREAM", "--sysctl", "tcp_timestamps=0"];
    let (status, out, _) = script(&format!("{open}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 7>"), &define);
    assert_eq!(status, 0, "{out}");
    let v6 = [&define[..], &["--ipv6"]].concat();
    let (status, out, _) = script(&format!("{open}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 7>"), &v6);
    assert_eq!(status, 0, "{out}");
    assert_eq!(script(open, &["--sysctl", "tcp_nonsense=1"]).0, 2);
}
