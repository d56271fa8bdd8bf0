//! Time: bulk, ping-pong and connection set-up, our stack beside smoltcp and a bare copy loop.
//!
//! `cargo bench -p tidegate-lab --bench throughput`

#![allow(missing_docs, reason = "the macros make public functions")]

mod subjects;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use subjects::{BLOCK, Mode, floor::Floor, ours, smol};

fn bulk(c: &mut Criterion) {
    for (name, mode) in
        [("bulk/checksums", Mode::Checksums), ("bulk/no-checksums", Mode::NoChecksums), ("bulk/super", Mode::Super)]
    {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(BLOCK as u64));
        let mut pair = ours::Pair::new(mode, 0);
        group.bench_function("tidegate", |b| b.iter(|| pair.transfer(BLOCK)));
        let mut pair = smol::Pair::new(mode, 0);
        group.bench_function("smoltcp", |b| b.iter(|| pair.transfer(BLOCK)));
        let mut floor = Floor::new(mode);
        group.bench_function("copy loop", |b| b.iter(|| floor.transfer(BLOCK)));
        group.finish();
    }
}

fn ping_pong(c: &mut Criterion) {
    let mut group = c.benchmark_group("ping-pong of 1 byte");
    let mut pair = ours::Pair::new(Mode::Checksums, 0);
    group.bench_function("tidegate", |b| b.iter(|| pair.ping_pong()));
    let mut pair = smol::Pair::new(Mode::Checksums, 0);
    group.bench_function("smoltcp", |b| b.iter(|| pair.ping_pong()));
    group.finish();
}

fn connections(c: &mut Criterion) {
    for idle in [0, 100, 1000] {
        let mut group = c.benchmark_group(format!("connect, request, response, close beside {idle} idle"));
        let mut pair = ours::Pair::new(Mode::Checksums, idle);
        group.bench_function("tidegate", |b| b.iter(|| pair.connect_request_close()));
        let mut pair = smol::Pair::new(Mode::Checksums, idle);
        group.bench_function("smoltcp", |b| b.iter(|| pair.connect_request_close()));
        group.finish();
    }
}

criterion_group!(benches, bulk, ping_pong, connections);
criterion_main!(benches);
