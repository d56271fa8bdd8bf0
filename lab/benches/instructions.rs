//! Instruction counts of the same jobs: the same on a busy machine as on an idle one. What a job returns is dropped
//! outside the count.
//!
//! `cargo bench -p tidegate-lab --bench instructions` (needs valgrind and gungraun-runner)

#![allow(missing_docs, reason = "the macros make public modules")]

mod subjects;

use std::hint::black_box;

use gungraun::{LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use subjects::{BLOCK, Mode, floor::Floor, ours, smol};

/// Round trips of a ping-pong, on a connection that does nothing else.
const ROUNDS: usize = 100;

fn chatty_ours() -> ours::Pair {
    let mut pair = ours::Pair::new(Mode::Checksums, 0);
    (0..ROUNDS).for_each(|_| pair.ping_pong());
    pair
}

fn chatty_smol() -> smol::Pair {
    let mut pair = smol::Pair::new(Mode::Checksums, 0);
    (0..ROUNDS).for_each(|_| pair.ping_pong());
    pair
}

fn warm_ours(mode: Mode, idle: usize) -> ours::Pair {
    let mut pair = ours::Pair::new(mode, idle);
    pair.transfer(2 * BLOCK);
    pair.ping_pong();
    pair.connect_request_close();
    pair.transfer(2 * BLOCK);
    pair
}

fn warm_smol(mode: Mode, idle: usize) -> smol::Pair {
    let mut pair = smol::Pair::new(mode, idle);
    pair.transfer(2 * BLOCK);
    pair.ping_pong();
    pair.connect_request_close();
    pair.transfer(2 * BLOCK);
    pair
}

#[library_benchmark]
#[bench::checksums(warm_ours(Mode::Checksums, 0))]
#[bench::no_checksums(warm_ours(Mode::NoChecksums, 0))]
#[bench::super_segments(warm_ours(Mode::Super, 0))]
fn bulk_tidegate(mut pair: ours::Pair) -> ours::Pair {
    pair.transfer(black_box(BLOCK));
    pair
}

#[library_benchmark]
#[bench::checksums(warm_smol(Mode::Checksums, 0))]
#[bench::no_checksums(warm_smol(Mode::NoChecksums, 0))]
#[bench::super_segments(warm_smol(Mode::Super, 0))]
fn bulk_smoltcp(mut pair: smol::Pair) -> smol::Pair {
    pair.transfer(black_box(BLOCK));
    pair
}

#[library_benchmark]
#[bench::checksums(Floor::new(Mode::Checksums))]
#[bench::no_checksums(Floor::new(Mode::NoChecksums))]
#[bench::super_segments(Floor::new(Mode::Super))]
fn bulk_floor(mut floor: Floor) -> Floor {
    floor.transfer(black_box(BLOCK));
    floor
}

#[library_benchmark]
#[bench::tidegate(chatty_ours())]
fn ping_pong_tidegate(mut pair: ours::Pair) -> ours::Pair {
    (0..ROUNDS).for_each(|_| pair.ping_pong());
    pair
}

#[library_benchmark]
#[bench::smoltcp(chatty_smol())]
fn ping_pong_smoltcp(mut pair: smol::Pair) -> smol::Pair {
    (0..ROUNDS).for_each(|_| pair.ping_pong());
    pair
}

#[library_benchmark]
#[bench::idle_0(warm_ours(Mode::Checksums, 0))]
#[bench::idle_100(warm_ours(Mode::Checksums, 100))]
#[bench::idle_1000(warm_ours(Mode::Checksums, 1000))]
fn connect_tidegate(mut pair: ours::Pair) -> ours::Pair {
    pair.connect_request_close();
    pair
}

#[library_benchmark]
#[bench::idle_0(warm_smol(Mode::Checksums, 0))]
#[bench::idle_100(warm_smol(Mode::Checksums, 100))]
#[bench::idle_1000(warm_smol(Mode::Checksums, 1000))]
fn connect_smoltcp(mut pair: smol::Pair) -> smol::Pair {
    pair.connect_request_close();
    pair
}

library_benchmark_group!(
    name = jobs,
    benchmarks = [
        bulk_tidegate,
        bulk_smoltcp,
        bulk_floor,
        ping_pong_tidegate,
        ping_pong_smoltcp,
        connect_tidegate,
        connect_smoltcp
    ]
);
main!(
    // valgrind counts each step of `rep movsb`; a copy loop of ordinary instructions is what one can compare.
    config = LibraryBenchmarkConfig::default().env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=2000000000"),
    library_benchmark_groups = jobs
);
