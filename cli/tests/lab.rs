//! `tidegate lab` as its user sees it.

use std::path::Path;

use assert_cmd::Command;

fn tidegate(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("tidegate").expect("the binary is built");
    command.args(args);
    command
}

/// What the command prints when it succeeds.
fn printed(args: &[&str]) -> String {
    let output = tidegate(args).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The exit status and the sentence of a command that does not succeed.
fn refused(args: &[&str]) -> (i32, String) {
    let output = tidegate(args).output().expect("it runs");
    let sentence = String::from_utf8(output.stderr).expect("text");
    assert_eq!(sentence.lines().count(), 1, "{args:?}: {sentence}");
    (output.status.code().expect("it was not killed"), sentence)
}

/// The lines of a capture in tcpdump's format.
fn capture(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains(" IP ") && line.contains(": Flags [")).collect()
}

#[test]
fn the_default_scene() {
    insta::assert_snapshot!(printed(&["lab"]));
}

#[test]
fn the_default_scene_in_chinese() {
    let text = printed(&["lab", "--lang", "zh", "--downloads", "1"]);
    for word in ["连接建立", "数据传送", "连接释放", "三次握手", "第一步", "2MSL"] {
        assert!(text.contains(word), "{word}");
    }
    assert_eq!(capture(&text), capture(&printed(&["lab", "--downloads", "1"])));
}

/// u = 152, w = 65801, and why three segments suffice; with a server that thinks, four.
#[test]
fn the_release_takes_three_segments_or_four() {
    let three = printed(&["lab", "--downloads", "1"]);
    for word in ["seq = u = 152", "seq = w = 65801", "ack = w+1 = 65802", "3. Release: three segments"] {
        assert!(three.contains(word), "{word}");
    }
    let four = printed(&["lab", "--downloads", "1", "--think", "100ms"]);
    for word in ["seq = u = 152", "seq = w = 65801", "ack = w+1 = 65802", "3. Release: four segments"] {
        assert!(four.contains(word), "{word}");
    }
}

#[test]
fn every_scene_plays_and_says_what_to_look_at() {
    let list = printed(&["lab", "--list"]);
    let names: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.len(), 16);
    for name in names {
        let text = printed(&["lab", name]);
        assert!(text.starts_with(name), "{name}");
        assert!(!capture(&text).is_empty(), "{name}");
        printed(&["lab", name, "--lang", "zh", "--ipv6"]);
    }
}

/// I-41: the same bytes again, wherever and whenever.
#[test]
fn the_same_seed_prints_the_same_bytes() {
    let args = ["lab", "--loss", "5%", "--jitter", "100us", "--reorder", "2%", "--duplicate", "1%", "--corrupt", "1%"];
    let here = printed(&args);
    let elsewhere = tidegate(&args).env("TZ", "Asia/Shanghai").env("LANG", "zh_CN.UTF-8").output().expect("it runs");
    assert_eq!(elsewhere.stdout, here.as_bytes());
    assert_ne!(printed(&["lab", "--seed", "2"]), printed(&["lab"]));
}

#[test]
fn the_file_has_what_was_printed_and_explains_itself() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lab.pcapng");
    let file = path.to_str().expect("a path of plain characters");
    let lab = printed(&["lab", "--all", "--pcap", file]);
    let dump = tidegate(&["dump", "-r", file]).env("TZ", "UTC").output().expect("it runs");
    let dump = String::from_utf8(dump.stdout).expect("text");
    let shown: Vec<&str> = lab.lines().filter(|line| line.starts_with("10:09:11.")).collect();
    assert_eq!(dump.lines().collect::<Vec<_>>(), shown);
    assert!(shown[0].contains("ARP, Request who-has 192.168.131.138 tell 192.168.131.132"), "{}", shown[0]);

    let ladder = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("|--") || line.contains("|<-")).map(str::to_owned).collect()
    };
    let told = printed(&["explain", file]);
    assert!(!ladder(&told).is_empty());
    assert_eq!(ladder(&told).len(), ladder(&lab).len());
}

#[test]
fn a_capture_at_both_ends_has_two_interfaces() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let size = |at: &str| {
        let path = directory.path().join(at);
        let file = path.to_str().expect("a path of plain characters");
        let quiet =
            printed(&["lab", "--downloads", "1", "--quiet", "--reasons", "none", "--pcap-at", at, "--pcap", file]);
        assert_eq!(quiet, "");
        std::fs::metadata(Path::new(file)).expect("the file was written").len()
    };
    let (a, b, both) = (size("a"), size("b"), size("both"));
    assert!(both > a && both > b && both < a + b, "{a} {b} {both}");
}

#[test]
fn comments_are_written_as_asked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let comments = |which: &str| {
        let path = directory.path().join(which);
        let file = path.to_str().expect("a path of plain characters");
        printed(&["lab", "lost-syn", "--quiet", "--reasons", which, "--pcap", file]);
        let bytes = std::fs::read(path).expect("the file was written");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (text.contains("retransmit-syn (1st)"), text.contains("ack-handshake"), text.contains("on the link: lost"))
    };
    assert_eq!(comments("all"), (true, true, true));
    assert_eq!(comments("unusual"), (true, false, true));
    assert_eq!(comments("none"), (false, false, false));
}

/// Nothing has to be guessed about our own stack, and nobody is counted in the wrong number.
#[test]
fn what_our_own_stack_knows_is_told_exactly() {
    for scene in tidegate_lab::scenario::ALL {
        for more in [&[][..], &["--no-merge"]] {
            let text = printed(&[&["lab", scene.name], more].concat());
            for wrong in
                ["inferred from outside", " 1 segments", " 1 bytes", " 0ns.", "in 0ns", "1 times", " 0 more from"]
            {
                assert!(!text.contains(wrong), "{} {more:?}: {wrong}", scene.name);
            }
        }
    }
}

#[test]
fn json_is_one_versioned_object_a_line() {
    let text = printed(&["lab", "--json", "--downloads", "1"]);
    let mut kinds = Vec::new();
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("every line is an object");
        assert_eq!(object["v"], 1, "{line}");
        kinds.push(object["kind"].as_str().expect("a kind").to_owned());
    }
    assert_eq!(kinds.first().map(String::as_str), Some("scene"));
    assert_eq!(kinds.last().map(String::as_str), Some("end"));
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((count("connection"), count("state")), (1, 10));
    assert!(count("frame") > 50);
}

#[test]
fn wire_segments_are_shown_without_merging() {
    let text = printed(&["lab", "--downloads", "1", "--no-merge"]);
    assert!(!text.contains("length 7240"));
    assert_eq!(capture(&text).iter().filter(|line| line.contains("length 1448")).count(), 45);
}

#[test]
fn what_cannot_be_done_is_refused_in_one_sentence() {
    for (args, sentence) in [
        (&["lab", "--loss", "2"][..], "write 2% or 0.02"),
        (&["lab", "--mtu", "20"], "an MTU of 20 is impossible"),
        (&["lab", "--mtu", "1000", "--ipv6"], "IPv6 (RFC 8200) needs links of at least 1280"),
        (&["lab", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["lab", "nowhere"], "there is no scene \"nowhere\""),
        (&["lab", "--downloads", "0"], "0 is not in"),
        (&["lab", "--delay", "70"], "expected a time with its unit"),
        (&["lab", "--cc", "none"], "tcp_congestion_control cannot be \"none\""),
        (&["lab", "--sysctl", "tcp_sack"], "write NAME=VALUE"),
        (&["lab", "--sysctl", "tcp_sakc=1"], "did you mean tcp_sack?"),
        (&["lab", "--pcap", "/nonexistent/file"], "cannot write /nonexistent/file"),
    ] {
        let (status, text) = refused(args);
        assert_eq!(status, 2, "{args:?}");
        assert!(text.contains(sentence), "{args:?}: {text}");
    }
}

#[test]
fn a_transfer_that_fails_says_why() {
    let (status, sentence) = refused(&["lab", "--quiet", "--loss", "100%"]);
    assert_eq!(status, 1);
    assert!(sentence.contains("2 of 2 downloads failed"), "{sentence}");
}

#[test]
fn small_mtus_and_settings_reach_the_hosts() {
    let small = printed(&["lab", "--downloads", "1", "--size", "2000", "--mtu", "68", "--no-merge"]);
    assert!(small.contains("mss 28"));
    let bare = printed(&["lab", "--downloads", "1", "--sysctl", "net.ipv4.tcp_timestamps=0", "--sysctl", "tcp_sack=0"]);
    assert!(!bare.contains("TS val") && !bare.contains("sackOK"));
}

/// `lab` itself has no --conn; its capture file does.
#[test]
fn many_downloads_are_told_one_line_each() {
    let text = printed(&["lab", "--downloads", "4"]);
    assert!(text.contains("With --pcap FILE, tidegate explain FILE --conn N"), "{text}");
    assert_eq!(text.lines().filter(|line| line.ends_with("both ends closed and both were confirmed")).count(), 4);
}
