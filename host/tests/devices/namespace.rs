//! A network namespace that a test makes, and that goes when the test ends, however it ends.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A namespace for a test that needs root; `None`, said aloud, if this is not the place for one.
pub fn for_root() -> Option<Namespace> {
    if std::env::var_os("TIDEGATE_REQUIRE_ROOT").is_none_or(|value| value != "1") {
        println!("skipped: needs root and network namespaces; ./check runs it, or TIDEGATE_REQUIRE_ROOT=1");
        return None;
    }
    Some(Namespace::new())
}

pub struct Namespace {
    inside: Inside,
}

/// Where commands run inside a namespace; it must still be there.
#[derive(Clone)]
pub struct Inside(String);

impl Inside {
    /// `ip` inside.
    pub fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.0], args].concat());
    }

    /// A command inside; true if it succeeds.
    pub fn command(&self, args: &[&str]) -> bool {
        Command::new("ip").args(["netns", "exec", &self.0]).args(args).status().expect("ip is installed").success()
    }
}

impl Namespace {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        let namespace = Namespace { inside: Inside(name) };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// For other threads.
    pub fn inside(&self) -> Inside {
        self.inside.clone()
    }

    /// `ip` inside.
    pub fn ip(&self, args: &[&str]) {
        self.inside.ip(args);
    }

    /// Runs `work` inside, on a thread of its own.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let place = File::open(format!("/run/netns/{}", self.inside.0)).expect("the namespace exists");
        std::thread::spawn(move || {
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter");
            work()
        })
    }

    /// Runs `work` inside, and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(work).join().expect("it does not panic")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.inside.0]).status();
    }
}

fn ip(args: &[&str]) {
    let outcome = Command::new("ip").args(args).output().expect("ip is installed");
    assert!(outcome.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&outcome.stderr));
}
