//! A message of some bytes made by one, and read by another: through the heap, through ipc-channel,
//! and through a segment of shared_memory under a lock, which is what a Rust program would take
//! otherwise.
//!
//! Both ends are in one thread: the cost of the way, without the cost of waking a thread.
use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use ipc_channel::ipc::{self, IpcSharedMemory};
use raw_sync::locks::{LockInit, Mutex};
use shared_memory::ShmemConf;
use shmheap::{AtomicHandle, Handle, ShmBox};
use shmheap_bench::heap;
use std::sync::atomic::Ordering::AcqRel;

fn through_the_heap(c: &mut Criterion, len: usize) {
    let mut group = c.benchmark_group("message");
    group.throughput(Throughput::Bytes(len as u64));
    let message = vec![7u8; len];
    for cached in [false, true] {
        let heap = heap(cached);
        let place = heap.arc(AtomicHandle::<[u8]>::NULL).unwrap();
        let name = if cached { "shmheap, cached" } else { "shmheap" };
        group.bench_function(BenchmarkId::new(name, len), |b| {
            b.iter(|| {
                place.swap(ShmBox::copied_in(&message, &heap).unwrap().send().unwrap(), AcqRel);
                let received = ShmBox::receive_in(place.swap(Handle::NULL, AcqRel), &heap).unwrap();
                black_box(received.iter().map(|&byte| u64::from(byte)).sum::<u64>())
            })
        });
    }
    group.finish();
}

fn through_ipc_channel(c: &mut Criterion, len: usize) {
    let mut group = c.benchmark_group("message");
    let message = vec![7u8; len];
    let (sender, receiver) = ipc::bytes_channel().unwrap();
    if len <= 1 << 16 {
        // More than the socket takes at once would block, with both ends in one thread.
        group.bench_function(BenchmarkId::new("ipc-channel, bytes", len), |b| {
            b.iter(|| {
                sender.send(&message).unwrap();
                black_box(receiver.recv().unwrap().iter().map(|&byte| u64::from(byte)).sum::<u64>())
            })
        });
    }
    let (sender, receiver) = ipc::channel::<IpcSharedMemory>().unwrap();
    group.bench_function(BenchmarkId::new("ipc-channel, shared memory", len), |b| {
        b.iter(|| {
            sender.send(IpcSharedMemory::from_bytes(&message)).unwrap();
            black_box(receiver.recv().unwrap().iter().map(|&byte| u64::from(byte)).sum::<u64>())
        })
    });
    group.finish();
}

fn through_a_locked_segment(c: &mut Criterion, len: usize) {
    let mut group = c.benchmark_group("message");
    let message = vec![7u8; len];
    let segment = ShmemConf::new().size(len + 4096).create().unwrap();
    let base = segment.as_ptr();
    // SAFETY: the segment has room for the lock and, 4096 bytes on, for len bytes.
    let (lock, _) = unsafe { Mutex::new(base, base.add(4096)).unwrap() };
    group.bench_function(BenchmarkId::new("shared_memory and a lock", len), |b| {
        b.iter(|| {
            {
                let place = lock.lock().unwrap();
                // SAFETY: len bytes from there are under the lock.
                unsafe { std::slice::from_raw_parts_mut(*place, len) }.copy_from_slice(&message);
            }
            let place = lock.lock().unwrap();
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(*place, len) };
            black_box(bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>())
        })
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    for len in [64, 4096, 65536, 1 << 20] {
        through_the_heap(c, len);
        through_ipc_channel(c, len);
        through_a_locked_segment(c, len);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
