//! `tidegate serve` and `tidegate get`: two processes over a UNIX socket, without privileges; as root, against the
//! kernel's TCP over TAP and TUN.
#![cfg(target_os = "linux")]

#[path = "../../host/tests/devices/namespace.rs"]
#[expect(unreachable_pub, reason = "it is a room of another test program, too")]
mod namespace;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A folder with files, and `serve` in a process of its own.
struct Server {
    folder: TempDir,
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Over a UNIX socket.
    fn start(options: &[&str]) -> Self {
        let folder = folder();
        let dev = format!("unix:{}", folder.path().join("link").display());
        let options = [&["--dev", &dev, "--addr", "10.9.0.2/24", "--addr", "fd09::2/64"], options].concat();
        let command = tidegate("serve", &options);
        Server::spawn(folder, command)
    }

    /// Returns once it serves. `command` serves the folder `www`.
    fn spawn(folder: TempDir, mut command: Command) -> Self {
        command.arg(folder.path().join("www")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        log.read_line(&mut line).expect("text");
        assert!(line.starts_with("serving ") && line.ends_with("; Ctrl-C ends\n"), "{line}");
        Server { folder, child, log }
    }

    /// A file to serve, of pseudo-random content.
    fn file(&self, name: &str, len: usize) -> Vec<u8> {
        let content = content(len);
        let path = self.folder.path().join("www").join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(path, &content).expect("a file");
        content
    }

    /// `get` over the same link, into the folder `got`.
    fn get(&self, options: &[&str]) -> Command {
        let dev = format!("unix:{}", self.folder.path().join("link").display());
        let common = ["--dev", &dev, "--addr", "10.9.0.1/24", "--addr", "fd09::1/64"];
        let mut command = tidegate("get", &[&common, options].concat());
        command.current_dir(self.folder.path().join("got"));
        command
    }

    fn got(&self, name: &str) -> Vec<u8> {
        fs::read(self.got_path(name)).expect("it was fetched")
    }

    fn got_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("got").join(name)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The end of a server that was told to end: how, its log of requests, and what else it said.
    fn end(mut self) -> (ExitStatus, String, String) {
        let status = ended(&mut self.child);
        let (mut requests, mut rest) = (String::new(), String::new());
        self.child.stdout.take().expect("a pipe").read_to_string(&mut requests).expect("text");
        self.log.read_to_string(&mut rest).expect("text");
        (status, requests, rest)
    }

    /// Ctrl-C, and an end without complaints. Returns the log of requests.
    fn stop(self) -> String {
        interrupt(self.pid());
        let (status, requests, rest) = self.end();
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
        requests
    }
}

/// A test that fails leaves no process behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with an empty `www` and an empty `got`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["www", "got"] {
        fs::create_dir(folder.path().join(name)).expect("a new folder");
    }
    folder
}

fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(len).collect()
}

fn tidegate(subcommand: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg(subcommand).args(options).env("TZ", "UTC");
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the program runs")
}

#[track_caller]
fn succeeds(command: Command) -> Output {
    let output = output(command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn interrupt(pid: Pid) {
    kill_process(pid, Signal::INT).expect("it runs");
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until(|| {
        status = child.try_wait().expect("a child");
        status.is_some()
    });
    status.expect("until says so")
}

#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if done() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    panic!("this should not take so long");
}

fn len(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[test]
fn both_versions_of_ip_again_and_again() {
    let server = Server::start(&[]);
    let sent = server.file("file_64KB", 65_536);
    for round in 0..4 {
        for (n, host) in ["10.9.0.2", "[fd09::2]"].into_iter().enumerate() {
            let name = format!("{round}.{n}");
            let url = format!("http://{host}/file_64KB");
            succeeds(server.get(&["-O", &name, &url]));
            assert!(server.got(&name) == sent, "{url}");
        }
    }
    let requests = server.stop();
    assert_eq!(requests.matches("\"GET /file_64KB HTTP/1.1\" 200 65536\n").count(), 8, "{requests}");
    assert!(requests.starts_with("10.9.0.1 - - ["), "an IPv4 peer is shown as one: {requests}");
}

#[test]
fn a_bad_link_delays_and_damages_nothing() {
    let link = ["--loss", "1%", "--delay", "5ms", "--seed", "7"];
    let server = Server::start(&link);
    let sent = server.file("file_3MB", 3_000_000);
    let output = succeeds(server.get(&["--json", "http://10.9.0.2/file_3MB"]));
    assert!(server.got("file_3MB") == sent);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&report["status"], &report["bytes"], &report["tries"]), (&200.into(), &3_000_000.into(), &1.into()));
    assert!(report["seconds"].as_f64() > Some(0.02), "two round trips at least: {report}");
    server.stop();
}

#[test]
fn what_is_there_in_part_is_gone_on_with() {
    let server = Server::start(&[]);
    let sent = server.file("file_64KB", 65_536);
    fs::write(server.got_path("file_64KB"), &sent[..40_000]).expect("a file");
    let url = "http://10.9.0.2/file_64KB";
    succeeds(server.get(&["-c", url]));
    assert!(server.got("file_64KB") == sent);
    // Nothing is missing any more.
    succeeds(server.get(&["-c", url]));
    assert!(server.got("file_64KB") == sent);
    // Without -c the file stays as it is.
    succeeds(server.get(&[url]));
    assert!(server.got("file_64KB.1") == sent);
    let requests = server.stop();
    let statuses: Vec<_> = requests.lines().map(|line| line.split("\" ").nth(1).expect("a status")).collect();
    assert_eq!((statuses[0], &statuses[1][..3], statuses[2]), ("206 25536", "416", "200 65536"));
}

#[test]
fn exit_statuses_are_wgets() {
    let server = Server::start(&[]);
    let sent = server.file("folder/index.html", 3_000);
    let missing = output(server.get(&["http://10.9.0.2/missing"]));
    assert_eq!((missing.status.code(), server.got_path("missing").exists()), (Some(8), false));
    let why = "tidegate: http://10.9.0.2/missing: the server says 404 Not Found\n";
    assert!(text(&missing.stderr).ends_with(why), "{}", text(&missing.stderr));

    // A folder without its slash.
    let moved = succeeds(server.get(&["-O", "moved", "http://10.9.0.2/folder"]));
    assert!(text(&moved.stderr).contains("redirected to http://10.9.0.2/folder/\n"), "{}", text(&moved.stderr));
    assert!(server.got("moved") == sent);
    let still = output(server.get(&["--max-redirect", "0", "-O", "still", "http://10.9.0.2/folder"]));
    assert_eq!(still.status.code(), Some(8));

    let refused = output(server.get(&["--tries", "1", "http://10.9.0.2:81/"]));
    assert_eq!(refused.status.code(), Some(4));
    let why = "http://10.9.0.2:81/: 10.9.0.2:81: Connection refused\n";
    assert!(text(&refused.stderr).ends_with(why), "{}", text(&refused.stderr));
    let nobody = output(server.get(&["http://nobody.example/"]));
    assert_eq!(nobody.status.code(), Some(4));
    let file = output(server.get(&["-O", "missing/folder", "http://10.9.0.2/folder/"]));
    assert_eq!(file.status.code(), Some(3));
    let usage = output(server.get(&["https://10.9.0.2/"]));
    assert_eq!(usage.status.code(), Some(2));
    server.stop();
}

#[test]
fn several_urls_share_a_connection() {
    let server = Server::start(&[]);
    let (one, two) = (server.file("one", 10_000), server.file("two", 20_000));
    let urls = ["http://10.9.0.2/one", "http://10.9.0.2/missing", "http://10.9.0.2/two"];
    let each = output(server.get(&urls));
    // The others are fetched all the same.
    assert_eq!(each.status.code(), Some(8));
    assert!((server.got("one"), server.got("two")) == (one.clone(), two.clone()));
    assert_eq!(text(&each.stderr).matches("connecting to").count(), 2, "{}", text(&each.stderr));
    let both = succeeds(server.get(&["--quiet", "-O", "-", urls[0], urls[2]]));
    assert!(both.stdout == [one, two].concat() && both.stderr.is_empty());
    server.stop();
}

#[test]
fn captures_of_both_ends_tell_the_story() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let (server_file, client_file) = (path("server.pcapng"), path("client.pcapng"));
    let server = Server::start(&["--pcap", &server_file]);
    server.file("file_64KB", 65_536);
    succeeds(server.get(&["--pcap", &client_file, "http://10.9.0.2/file_64KB"]));
    server.stop();
    for file in [&server_file, &client_file] {
        let story = succeeds(tidegate("explain", &["--json", file]));
        let connections = text(&story.stdout).lines().map(|line| serde_json::from_str(line).expect("an object"));
        let connections: Vec<serde_json::Value> =
            connections.filter(|one: &serde_json::Value| one["kind"] == "connection").collect();
        assert_eq!(connections.len(), 1, "{}", text(&story.stdout));
        assert_eq!(connections[0]["outcome"], "closed", "{}", text(&story.stdout));
        // What each end sent tells why.
        let lines = succeeds(tidegate("dump", &["-r", file]));
        assert!(text(&lines.stdout).contains("GET /file_64KB HTTP/1.1"), "{}", text(&lines.stdout));
    }
}

#[test]
fn interrupted_get_says_130_and_goes_on_later() {
    let server = Server::start(&["--rate", "4mbit"]);
    let sent = server.file("file_1MB", 1_000_000);
    let url = "http://10.9.0.2/file_1MB";
    let mut get = server.get(&[url]).stderr(Stdio::piped()).spawn().expect("the program runs");
    until(|| len(&server.got_path("file_1MB")) > 100_000);
    interrupt(Pid::from_child(&get));
    assert_eq!(ended(&mut get).code(), Some(130));
    let part = len(&server.got_path("file_1MB"));
    assert!(part < 1_000_000, "it was interrupted");
    succeeds(server.get(&["-c", url]));
    assert!(server.got("file_1MB") == sent);
    let requests = server.stop();
    assert!(requests.ends_with(&format!("206 {}\n", 1_000_000 - part)), "{requests}");
}

#[test]
fn the_first_interrupt_lets_transfers_finish() {
    let server = Server::start(&["--rate", "8mbit"]);
    let sent = server.file("file_1MB", 1_000_000);
    let mut get = server
        .get(&["--tries", "1", "--timeout", "30", "http://10.9.0.2/file_1MB"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    until(|| len(&server.got_path("file_1MB")) > 100_000);
    interrupt(server.pid());
    assert_eq!(ended(&mut get).code(), Some(0));
    assert!(server.got("file_1MB") == sent);
    let (status, _, rest) = server.end();
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
}

#[test]
fn the_second_interrupt_resets() {
    let server = Server::start(&["--delay", "100ms"]);
    server.file("file_60MB", 60_000_000);
    let mut get = server
        .get(&["--tries", "1", "--timeout", "30", "http://10.9.0.2/file_60MB"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    until(|| len(&server.got_path("file_60MB")) > 50_000);
    interrupt(server.pid());
    // The first signal must have been seen before the second is sent.
    std::thread::sleep(Duration::from_millis(200));
    interrupt(server.pid());
    let (status, _, _) = server.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(ended(&mut get).code(), Some(4));
}

#[test]
fn what_cannot_be_done_is_refused_in_one_sentence() {
    let folder = folder();
    let www = folder.path().join("www").to_str().expect("a plain path").to_owned();
    let dev = format!("unix:{}", folder.path().join("link").display());
    let good = [&*www, "--dev", &dev, "--addr", "10.9.0.2/24"];
    for (options, sentence) in [
        (&["--sysctl", "tcp_no=1"][..], "tcp_no"),
        (&["--sysctl", "tcp_sack"], "--sysctl tcp_sack: write NAME=VALUE"),
        (&["--gateway", "10.8.0.1"], "--gateway 10.8.0.1: "),
        (&["--pcap", "/nowhere/x.pcapng"], "cannot write /nowhere/x.pcapng: No such file or directory"),
        (&["--addr", "10.9.0.2/33"], "expected an address and the length of its network's prefix"),
        (&["--user", "no such user"], "there is no user \"no such user\" in /etc/passwd"),
    ] {
        let output = output(tidegate("serve", &[&good, options].concat()));
        let said = text(&output.stderr);
        assert!(said.starts_with("tidegate: ") && said.contains(sentence) && said.lines().count() == 1, "{said}");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
    }
    let output = output(tidegate("serve", &["/nowhere", "--dev", &dev, "--addr", "10.9.0.2/24"]));
    assert_eq!(text(&output.stderr), "tidegate: cannot serve /nowhere: No such file or directory\n");
}

/// Fields of /proc/PID/status.
fn status_of(pid: Pid, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect(field);
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_kernels_clients_fetch_from_a_server_without_rights() {
    let Some(namespace) = namespace::for_root() else { return };
    for (mode, user, uid) in [("tap", None, "0 0 0 0"), ("tun", Some("nobody"), "65534 65534 65534 65534")] {
        let folder = folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        namespace.ip(&["tuntap", "add", "dev", "tide0", "mode", mode]);
        for addr in ["10.9.0.1/24", "fd09::1/64"] {
            let family = if addr.contains(':') { &["nodad"][..] } else { &[] };
            namespace.ip(&[&["addr", "add", addr, "dev", "tide0"], family].concat());
        }
        namespace.ip(&["link", "set", "tide0", "up"]);
        let dev = format!("{mode}:tide0");
        let options = ["--dev", &dev, "--addr", "10.9.0.2/24", "--addr", "fd09::2/64"];
        let user = user.map_or(vec![], |user| vec!["--user", user]);
        let command = tidegate("serve", &[&options[..], &user].concat());
        let server = namespace.run(move || Server::spawn(folder, command));

        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status_of(server.pid(), set), "0000000000000000", "{set}");
        }
        assert_eq!(
            (status_of(server.pid(), "NoNewPrivs").as_str(), status_of(server.pid(), "Uid").as_str()),
            ("1", uid)
        );

        let sent = server.file("file_64KB", 65_536);
        let large = server.file("file_20MB", 20_000_000);
        let got = server.got_path("file").to_str().expect("a plain path").to_owned();
        for host in ["10.9.0.2", "[fd09::2]"] {
            let url = format!("http://{host}/file_64KB");
            for _ in 0..10 {
                assert!(namespace.inside().command(&["wget", "-q", "-O", &got, &url]), "{dev} {url}");
                assert!(server.got("file") == sent, "{dev} {url}");
            }
            let url = format!("http://{host}/file_20MB");
            assert!(namespace.inside().command(&["wget", "-q", "-O", &got, &url]), "{dev} {url}");
            assert!(server.got("file") == large, "{dev} {url}");
            // Twice over one connection, and a range.
            let curl = ["curl", "-sSf", "-o", &got, "-o", "/dev/null", "-r", "1000-1999", &url, &url];
            assert!(namespace.inside().command(&curl), "{dev} {url}");
            assert!(server.got("file") == large[1000..2000], "{dev} {url}");
        }
        let requests = server.stop();
        assert_eq!(requests.matches(" 200 65536\n").count(), 20, "{requests}");
        assert_eq!(requests.matches(" 206 1000\n").count(), 4, "{requests}");
        namespace.ip(&["tuntap", "del", "dev", "tide0", "mode", mode]);
    }
}

#[test]
fn without_rights_the_command_that_grants_them_is_told() {
    let Some(namespace) = namespace::for_root() else { return };
    // Where anybody may run it.
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let program = folder.path().join("tidegate");
    fs::copy(env!("CARGO_BIN_EXE_tidegate"), &program).expect("room for a copy");
    let mut command = Command::new(&program);
    command.args(["get", "http://10.9.0.1/", "--dev", "tun:tide1", "--addr", "10.9.0.2/24"]);
    command.current_dir(folder.path()).uid(65_534).gid(65_534);
    let output = namespace.run(move || output(command));
    let said = text(&output.stderr);
    let advice = "tidegate: cannot open tun:tide1 without privileges: run as root, or have root run once: \
         ip tuntap add dev tide1 mode tun user 65534 && ip link set tide1 up && ip addr add 10.9.0.1/24 dev tide1";
    assert!(said.starts_with(advice) && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(2));
    // Root does so, and it works: the name is there, though nobody answers.
    let commands = said.split_once("run once: ").expect("the advice").1.trim().to_owned();
    let commands = commands.replace(" && chmod 666 /dev/net/tun", "");
    assert!(namespace.inside().command(&["sh", "-c", &commands]), "{commands}");
    namespace.ip(&["addr", "show", "dev", "tide1", "to", "10.9.0.1"]);
}

/// A minute of looks: more than anything here takes on a busy machine.
const PATIENCE: u32 = 12_000;
const LOOK: Duration = Duration::from_millis(5);
