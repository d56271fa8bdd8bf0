//! Our own scripts, and that a run is strict: what a script does not expect makes it fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tidegate_lab::script::{
    Action, Direction, Expr, Flags, Options, Script, Settings, TcpOption, Transport, Verdict, When, parse, run,
};
use tidegate_proto::time::Duration;

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let folders = fs::read_dir(root).expect("the scripts").map(|entry| entry.expect("a folder").path());
    let mut files: Vec<_> = folders
        .flat_map(|folder| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()))
        .collect();
    files.sort();
    files
}

fn verdict(text: &str) -> Verdict {
    run(&parse(text, &[]).unwrap_or_else(|e| panic!("{e}\n{text}")), &Settings::default())
}

#[test]
fn every_script_passes_over_both_versions_of_ip() {
    let mut counts = BTreeMap::<String, u32>::new();
    let mut failed = Vec::new();
    for file in scripts() {
        let text = fs::read_to_string(&file).expect("a script");
        let folder = file.parent().and_then(Path::file_name).expect("its RFC").to_string_lossy().into_owned();
        *counts.entry(folder).or_default() += 1;
        let script = parse(&text, &[]).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let says_version = script.options.iter().any(|option| option.name == "ip_version");
        for ipv6 in [false, true] {
            if says_version && ipv6 {
                continue;
            }
            match run(&script, &Settings { ipv6, ..Settings::default() }) {
                Verdict::Pass => {}
                Verdict::Fail(place, why) | Verdict::NotApplicable(place, why) => {
                    let version = if ipv6 { "IPv6" } else { "IPv4" };
                    failed.push(format!("{}:{}: over {version}: {why}", file.display(), place.line));
                }
            }
        }
    }
    for (rfc, count) in counts {
        println!("| {rfc}: {count} scripts");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn whatever_is_expected_otherwise_fails() {
    let (mut caught, mut missed) = (0, Vec::new());
    for file in scripts() {
        let text = fs::read_to_string(&file).expect("a script");
        let script = parse(&text, &[]).expect("it passes, so it parses");
        for (what, broken) in perturbations(&script) {
            match run(&broken, &Settings::default()) {
                Verdict::Fail(..) => caught += 1,
                other => missed.push(format!("{}: {what}: {other:?}", file.display())),
            }
        }
    }
    println!("| {caught} of {} perturbed expectations caught", caught + missed.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(caught > 100, "{caught} perturbations are too few to mean something");
}

/// Every way in which one expectation of the script can be a little different.
fn perturbations(script: &Script) -> Vec<(String, Script)> {
    let mut all = Vec::new();
    for (index, event) in script.events.iter().enumerate() {
        let mut push = |what: &str, change: &dyn Fn(&mut Script)| {
            let mut broken = script.clone();
            change(&mut broken);
            all.push((format!("line {}: {what}", event.place.line), broken));
        };
        match &event.action {
            Action::Packet(packet) if packet.direction == Direction::Out => {
                let Transport::Tcp(tcp) = &packet.transport else { continue };
                push("not expected at all", &|script| remove(script, index));
                push("expected twice", &|script| script.events.insert(index, script.events[index].clone()));
                for bit in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x100] {
                    push("a flag", &|script| tcp_of(script, index).flags = Flags(tcp.flags.0 ^ bit));
                }
                push("the sequence number", &|script| tcp_of(script, index).range.start += 1);
                push("the payload", &|script| tcp_of(script, index).range.len += 1);
                push("the acknowledgment", &|script| {
                    tcp_of(script, index).ack = Some(tcp.ack.map_or(1, |ack| ack + 1))
                });
                if let Some(win) = tcp.win {
                    push("the window", &|script| tcp_of(script, index).win = Some(win + 1));
                }
                push("an urgent pointer", &|script| tcp_of(script, index).urg = Some(7));
                if let Options::These(options) = &tcp.options {
                    push("an option more", &|script| {
                        let more = options.iter().cloned().chain([TcpOption::Nop]).collect();
                        tcp_of(script, index).options = Options::These(more);
                    });
                    for (at, option) in options.iter().enumerate() {
                        push("an option less", &|script| {
                            let mut fewer = options.clone();
                            fewer.remove(at);
                            tcp_of(script, index).options = Options::These(fewer);
                        });
                        let Some(other) = otherwise(option) else { continue };
                        push("another option", &|script| {
                            let mut options = options.clone();
                            options[at] = other.clone();
                            tcp_of(script, index).options = Options::These(options);
                        });
                    }
                }
                if let When::After(time) = event.when {
                    push("later", &|script| script.events[index].when = When::After(time + Duration::from_millis(5)));
                    if time > Duration::from_millis(5) {
                        push("earlier", &|script| {
                            script.events[index].when = When::After(time - Duration::from_millis(5))
                        });
                    }
                }
            }
            Action::Call(call) => {
                let Expr::Int(result) = call.result else { continue };
                // Another number for a new descriptor is a difference only if the script uses it: the calls below do.
                if !matches!(call.name.as_str(), "socket" | "accept") {
                    push("another result", &|script| {
                        if let Action::Call(call) = &mut script.events[index].action {
                            call.result = Expr::Int(result + 1);
                        }
                    });
                }
                if call.errno.is_some() {
                    push("another error", &|script| {
                        if let Action::Call(call) = &mut script.events[index].action {
                            call.errno = Some("EPERM".into());
                        }
                    });
                }
            }
            _ => {}
        }
    }
    all
}

/// Without this event; those behind it stay at their times.
fn remove(script: &mut Script, index: usize) {
    let removed = script.events.remove(index);
    if let (When::After(gap), Some(next)) = (removed.when, script.events.get_mut(index))
        && let When::After(time) = next.when
    {
        next.when = When::After(gap + time);
    }
}

fn tcp_of(script: &mut Script, index: usize) -> &mut tidegate_lab::script::Tcp {
    match &mut script.events[index].action {
        Action::Packet(packet) => match &mut packet.transport {
            Transport::Tcp(tcp) => tcp,
            _ => panic!("a segment"),
        },
        _ => panic!("a packet"),
    }
}

/// The same option with another number. The first timestamp of a connection is whatever the stack chose.
fn otherwise(option: &TcpOption) -> Option<TcpOption> {
    match option {
        TcpOption::Mss(mss) => Some(TcpOption::Mss(mss + 1)),
        TcpOption::WindowScale(shift) => Some(TcpOption::WindowScale(shift + 1)),
        TcpOption::Timestamps { val, ecr } => Some(TcpOption::Timestamps { val: *val, ecr: ecr + 1 }),
        _ => None,
    }
}

/// A script of ours with one number changed: the line, both packets, and why ours was sent.
#[test]
fn a_broken_copy_fails_with_a_difference_that_can_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let text = fs::read_to_string(root.join("rfc9293/text-half-old.pkt")).expect("a script");
    assert_eq!(verdict(&text), Verdict::Pass);
    let broken = text.replace("> . 1:1(0) ack 151", "> . 1:1(0) ack 201");
    let Verdict::Fail(place, why) = verdict(&broken) else { panic!("half of the segment was old") };
    assert_eq!(broken.lines().nth(place.line as usize - 1), Some("+0 > . 1:1(0) ack 201"));
    let lines: Vec<&str> = why.lines().map(str::trim).collect();
    assert_eq!(lines[0], "the acknowledgment number differs");
    assert!(lines[1].starts_with("expected IP") && lines[1].contains("ack 201"), "{why}");
    assert!(lines[2].starts_with("actual   IP") && lines[2].contains("ack 151"), "{why}");
    assert_eq!(lines[3], "at 0.100000, because: ack-duplicate");
}

#[test]
fn the_first_difference_is_told_as_packets_and_a_cause() {
    let text = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
                +0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 2 <mss 1460>";
    let Verdict::Fail(place, why) = verdict(text) else { panic!("ack 1 is what comes") };
    assert_eq!(place.line, 5);
    let expected = "the acknowledgment number differs\n  \
        expected IP 192.168.0.1.8080 > 192.0.2.1.8080: Flags [S.], seq 0, ack 2, win 64240, options [mss 1460], length 0\n  \
        actual   IP 192.168.0.1.8080 > 192.0.2.1.8080: Flags [S.], seq 0, ack 1, win 64240, options [mss 1460], length 0\n  \
        at 0.000000, because: syn-ack";
    assert_eq!(why, expected);
}

#[test]
fn what_cannot_be_honoured_is_not_applicable() {
    let head = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
    for (text, line, why) in [
        ("--wire_server\n0 close(3) = 0", 1, "the option --wire_server"),
        ("+0 `ip route add 1.2.3.4`", 2, "the command `ip route add 1.2.3.4`"),
        ("+0 < udp (100)", 2, "UDP"),
        ("+0 < icmp packet_too_big [1:1(0)]", 2, "a message that ICMP does not have: icmp packet_too_big [1:1(0)]"),
        ("+0 > ipv4 1.1.1.1 > 2.2.2.2: . 1:1(0)", 2, "encapsulated packets"),
        ("+0 < S 0:0(0) {mut tcp mss}", 2, "damage where the packet has nothing to be damaged"),
        ("+0 setsockopt(3, SOL_TCP, TCP_MD5SIG, [1], 4) = 0", 2, "TCP_MD5SIG that is not here"),
        ("+0 splice(3) = 0", 2, "the system call splice with these arguments"),
    ] {
        let text = if text.starts_with("--") { text.to_owned() } else { format!("{head}{text}") };
        let Verdict::NotApplicable(place, reason) = verdict(&text) else { panic!("{text}: {:?}", verdict(&text)) };
        assert_eq!((place.line, reason.as_str()), (line, why), "{text}");
    }
    let setting = "`sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0`\n0 socket(..., SOCK_STREAM, 0) = 3\n\
                   +0 `/tmp/sysctl_restore_1.sh`\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
                   +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <mss 1460,nop,wscale 7>";
    assert_eq!(verdict(setting), Verdict::Pass);
}

#[test]
fn calls_that_wait_return_at_their_time() {
    let script = |read: &str| {
        format!(
            "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
             +0...0.1 accept(3, ..., ...) = 4\n+0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n\
             +.1 < . 1:1(0) ack 1 win 1000\n{read}\n+.2 < P. 1:11(10) ack 1 win 1000\n+0 > . 1:1(0) ack 11\n"
        )
    };
    assert_eq!(verdict(&script("+0...0.2 read(4, ..., 100) = 10")), Verdict::Pass);
    for (read, why) in [
        ("+0...0.1 read(4, ..., 100) = 10", "read still waits, expected that it has returned"),
        ("+0...0.3 read(4, ..., 100) = 10", "read has returned too early"),
        ("+0 read(4, ..., 100) = 10", "read waits, expected that it returns at once"),
        ("+0...0.2 read(4, ..., 100) = 9", "read gave 10, expected 9"),
    ] {
        let Verdict::Fail(_, reason) = verdict(&script(read)) else { panic!("{read}") };
        assert_eq!(reason, why, "{read}");
    }
}

/// Found by a script: what such a write left the stack to look at kept the run at one moment for ever.
#[test]
fn a_write_that_waits_goes_on_when_a_third_of_the_buffer_is_free() {
    let script = |room: &str, end: &str| {
        format!(
            "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 setsockopt(3, SOL_SOCKET, SO_SNDBUF, [4000], 4) = 0\n\
             +0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n+0 < S 0:0(0) win 65535 <mss 1000>\n\
             +0 > S. 0:0(0) ack 1 <mss 1460>\n+.1 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4\n\
             +0...{end} write(4, ..., 9000) = 9000\n+0 > P. 1:8001(8000) ack 1\n+.1 < . 1:1(0) ack {room} win 65535\n\
             +.05 < . 1:1(0) ack 8001 win 65535\n+0 > P. 8001:9001(1000) ack 1\n"
        )
    };
    // 1000 of 8000 bytes are no reason to wake a writer, the rest is.
    assert_eq!(verdict(&script("1001", "0.15")), Verdict::Pass);
    let Verdict::Fail(place, why) = verdict(&script("1001", "0.1")) else { panic!("it waits longer") };
    assert_eq!((place.line, why.as_str()), (9, "write still waits, expected that it has returned"));
    let Verdict::Fail(place, why) = verdict(&script("4001", "0.15")) else { panic!("it goes on earlier") };
    assert_eq!((place.line, why.as_str()), (9, "write has returned too early"));
}
