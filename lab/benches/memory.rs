//! Memory: bytes that one host holds per idle established connection, per half-open and per TIME-WAIT record.
//!
//! `cargo bench -p tidegate-lab --bench memory`. Counts what the allocator handed out and did not get back, tables and
//! their slack included, divided by the number of records.

mod subjects;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use subjects::ours::Crowd;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RECORDS: usize = 10_000;

fn main() {
    println!("bytes per record, {RECORDS} records, one host's share");
    row("idle established connection (client)", Crowd::established, |crowd| crowd.a = None);
    row("idle established connection (server)", Crowd::established, |crowd| crowd.b = None);
    row("half-open record (server)", Crowd::half_open, |crowd| crowd.b = None);
    row("TIME-WAIT record (client)", Crowd::time_wait, |crowd| crowd.a = None);
}

/// What the allocator gets back when one host of a crowd is dropped, an empty host's share taken off.
fn row(name: &str, make: fn(usize) -> Crowd, drop_one: fn(&mut Crowd)) {
    let freed = |records| {
        let mut crowd = make(records);
        let region = Region::new(ALLOCATOR);
        drop_one(&mut crowd);
        let change = region.change();
        change.bytes_deallocated - change.bytes_allocated
    };
    println!("{name:40} {:6}", (freed(RECORDS) - freed(0)) / RECORDS);
}
