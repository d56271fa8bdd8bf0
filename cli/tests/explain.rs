//! `tidegate explain` from outside: its inputs, its exit statuses, its sentences on standard error.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

const CAPTURE: &str = "tests/fixtures/seed-capture.txt";
const ARTICLE: &str = "tests/fixtures/seed-article.zh.txt";

/// Runs `tidegate` in the package's folder and gives exit status, standard output and standard error.
fn tidegate(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("tidegate").expect("the binary is built before its tests");
    let output = command.args(args).env("TZ", "UTC").write_stdin(input).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

fn lab(dir: &TempDir, args: &[&str]) -> String {
    let path = dir.path().join("capture.pcapng").display().to_string();
    let (status, _, error) = tidegate(&[&["lab", "--quiet", "--pcap", &path], args].concat(), b"");
    assert_eq!((status, error.as_str()), (0, ""));
    path
}

#[test]
fn a_file_and_standard_input_are_the_same() {
    let (status, from_file, _) = tidegate(&["explain", ARTICLE], b"");
    let (_, from_pipe, _) = tidegate(&["explain", "-"], &fs::read(ARTICLE).expect("the fixture"));
    assert_eq!(status, 0);
    assert_eq!(from_file, from_pipe);
    assert!(from_file.contains("2508684482 + 1 = 2508684483"));
}

#[test]
fn one_connection_can_be_chosen() {
    let (status, told, _) = tidegate(&["explain", CAPTURE, "--conn", "2", "--lang", "zh"], b"");
    assert_eq!(status, 0);
    assert!(told.starts_with("连接2") && told.contains("2780780137") && !told.contains("3124300130"));
    let (status, told, error) = tidegate(&["explain", CAPTURE, "--conn", "3"], b"");
    assert_eq!((status, told.as_str()), (2, ""));
    assert_eq!(error, "tidegate: there is no connection 3: the capture holds 2\n");
}

/// tcpdump without -n.
const NAMES: &str = "10:09:11.163215 IP a.example.5000 > b.example.http: Flags [S], seq 7, win 9, length 0\n";
/// tcpdump with -ttt.
const DIFFERENCES: &str = "
 00:00:00.000000 IP 1.0.0.1.5000 > 1.0.0.2.80: Flags [S], seq 1, win 9, length 0
 00:00:00.000140 IP 1.0.0.2.80 > 1.0.0.1.5000: Flags [S.], seq 1, ack 2, win 9, length 0
 00:00:00.000035 IP 1.0.0.1.5000 > 1.0.0.2.80: Flags [.], ack 1, win 9, length 0
";

#[test]
fn json_is_one_object_a_line() {
    let (status, told, _) = tidegate(&["explain", CAPTURE, "--json"], b"");
    let lines: Vec<&str> = told.lines().collect();
    let [first, second, overview] = lines[..] else { panic!("two connections and an overview: {told}") };
    assert_eq!(status, 0);
    assert!([first, second].iter().all(|line| line.starts_with("{\"v\":1,\"kind\":\"connection\"")));
    assert_eq!(overview, "{\"v\":1,\"kind\":\"overview\",\"connections\":2,\"segments\":46,\"left_out\":0}");
}

#[test]
fn what_cannot_be_explained_is_said_in_one_sentence() {
    for (args, input, status, sentence) in [
        (vec!["explain", "/no/such/file"], "", 2, "cannot open /no/such/file"),
        (vec!["explain", "-"], "nothing that TCP would say\n", 1, "standard input holds no TCP segment"),
        (vec!["explain", "-"], NAMES, 1, "1 segment left out for want of addresses: print it with tcpdump -n"),
        (vec!["explain", "-"], DIFFERENCES, 1, "print it without -ttt"),
        (vec!["explain", CAPTURE, "--conn", "0"], "", 2, "invalid value '0'"),
        (vec!["explain", CAPTURE, "--lang", "fr"], "", 2, "invalid value 'fr'"),
    ] {
        let (code, told, error) = tidegate(&args, input.as_bytes());
        assert_eq!((code, told.as_str()), (status, ""), "{args:?}: {error}");
        assert!(error.contains(sentence), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Whatever stands before the damage is told, and the damage is reported after it.
#[test]
fn a_damaged_capture_is_told_up_to_the_damage() {
    let dir = TempDir::new().expect("a temporary folder");
    let path = lab(&dir, &["--downloads", "1"]);
    let whole = fs::read(&path).expect("just written");
    fs::write(&path, &whole[..whole.len() - 30]).expect("it can be written again");
    let (status, told, error) = tidegate(&["explain", &path], b"");
    assert_eq!(status, 1);
    assert!(told.contains("three segments") && error.contains("damaged at offset"), "{error}");
}

/// The same capture as packets and as tcpdump prints it is the same story: relative numbers are undone, and nothing
/// is lost between the printer and the reader.
#[test]
fn packets_and_their_printed_lines_tell_the_same() {
    for scene in [
        &["article", "--loss", "3%", "--seed", "5", "--ipv6"][..],
        &["article", "--downloads", "2"],
        &["half-close"],
        &["simultaneous-open"],
        &["lost-last-ack"],
        &["reset-in-transfer"],
    ] {
        let dir = TempDir::new().expect("a temporary folder");
        let path = lab(&dir, &[scene, &["--reasons", "none"]].concat());
        let (_, from_packets, _) = tidegate(&["explain", "--json", &path], b"");
        let (status, printed, _) = tidegate(&["dump", "-r", &path], b"");
        assert_eq!(status, 0);
        let (_, from_lines, _) = tidegate(&["explain", "--json", "-"], printed.as_bytes());
        assert!(from_packets.contains("\"connection\":1"));
        for (packets, lines) in from_packets.lines().zip(from_lines.lines()) {
            assert_eq!(comparable(packets), comparable(lines), "{scene:?}");
        }
        assert_eq!(from_packets.lines().count(), from_lines.lines().count(), "{scene:?}");
    }
}

/// A story without what a printed line cannot say: nanoseconds, the numbers of packets that are no TCP, whole heads.
fn comparable(line: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| {
                    !name.ends_with("_ns") && !["segment", "limited", "head_bytes"].contains(&name.as_str())
                });
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(line).expect("an object");
    strip(&mut value);
    value
}

/// With the causes in the file, every repetition says why.
#[test]
fn reasons_in_a_capture_are_told() {
    let dir = TempDir::new().expect("a temporary folder");
    let path = lab(&dir, &["lost-syn"]);
    assert!(Path::new(&path).exists());
    let (_, told, _) = tidegate(&["explain", &path], b"");
    assert!(told.contains("sent again: timeout 1 of the SYN"), "{told}");
    let (_, told, _) = tidegate(&["explain", &path, "--lang", "zh"], b"");
    assert!(told.contains("重传：SYN第1次超时"), "{told}");
}
