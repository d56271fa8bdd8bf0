//! The examples say what their readers are told that they say.
#![cfg(target_os = "linux")]

use std::process::Command;

/// What an example prints.
fn run(name: &str) -> String {
    // Cargo builds tests in `deps`, and the examples beside it whenever it runs all tests of the crate.
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are two levels down");
    let example = target.join("examples").join(name);
    assert!(example.exists(), "`cargo build -p tidegate --examples` makes {}", example.display());
    let output = Command::new(example).output().expect("it can be started");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{out}{err}", output.status);
    out.into_owned()
}

#[test]
fn axum_serves_over_our_listener() {
    let out = run("axum");
    let bodies: Vec<&str> = out.lines().filter(|line| ["Hello, 10.9.0.1!", "again"].contains(line)).collect();
    assert_eq!(bodies, ["Hello, 10.9.0.1!", "again"], "{out}");
    assert_eq!(out.matches("HTTP/1.1 200 OK").count(), 2, "{out}");
    assert!(out.ends_with("2 connections served, 0 of them aborted\n"), "{out}");
}

#[test]
fn hyper_talks_over_our_streams() {
    let told = "GET /1: 200 OK, 1 bytes\nGET /1000: 200 OK, 1000 bytes\nGET /1000000: 200 OK, 1000000 bytes\n";
    assert_eq!(run("hyper_client"), format!("{told}1 connection opened\n"));
}

#[test]
fn a_tunnel_carries_a_connection() {
    let out = run("tunnel");
    assert!(out.ends_with("B has heard: Hello from the other end of a tunnel.\n"), "{out}");
    assert_eq!(out.matches("Flags [S").count(), 2, "{out}");
}
