//! A box made and dropped: the safe path beside the C calls, and beside `Box` over mimalloc, which
//! is private memory.
use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use shmheap::ShmBox;
use shmheap_bench::{heap, raw_heap};

#[global_allocator]
static PRIVATE: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn pair<const N: usize>(c: &mut Criterion) {
    let mut group = c.benchmark_group("make and drop");
    for cached in [false, true] {
        let kind = if cached { "cached" } else { "first fit" };
        let (raw, safe) = (raw_heap(cached), heap(cached));
        group.bench_function(BenchmarkId::new(format!("C, {kind}"), N), |b| {
            b.iter(|| {
                // SAFETY: C, shmheap_alloc: N bytes, ours until freed. 8 more, as the crate
                // requests.
                unsafe {
                    let object = shmheap_sys::shmheap_alloc(raw, N + 8).cast::<[u8; N]>();
                    assert!(!object.is_null());
                    object.write(black_box([1; N]));
                    shmheap_sys::shmheap_free(raw, black_box(object).cast());
                }
            })
        });
        group.bench_function(BenchmarkId::new(format!("ShmBox<T, &Heap>, {kind}"), N), |b| {
            b.iter(|| drop(black_box(ShmBox::new_in(black_box([1u8; N]), &safe).unwrap())))
        });
        group.bench_function(BenchmarkId::new(format!("ShmBox<T>, {kind}"), N), |b| {
            b.iter(|| drop(black_box(safe.boxed(black_box([1u8; N])).unwrap())))
        });
    }
    group.bench_function(BenchmarkId::new("Box, mimalloc", N), |b| {
        b.iter(|| drop(black_box(Box::new(black_box([1u8; N])))))
    });
    group.finish();
}

/// Sent and received by the same thread: what the handover itself costs.
fn handover(c: &mut Criterion) {
    let mut group = c.benchmark_group("send and receive");
    let (raw, safe) = (raw_heap(false), heap(false));
    // SAFETY: C: the object is ours, and is sent and received in turn.
    let mut object = unsafe { shmheap_sys::shmheap_alloc(raw, 72) };
    group.bench_function("C", |b| {
        b.iter(|| {
            // SAFETY: as above.
            object = unsafe {
                shmheap_sys::shmheap_receive(raw, shmheap_sys::shmheap_send(raw, object))
            };
            assert!(!object.is_null());
        })
    });
    let mut boxed = Some(ShmBox::new_in([1u8; 64], &safe).unwrap());
    group.bench_function("ShmBox<T, &Heap>", |b| {
        b.iter(|| {
            let handle = boxed.take().unwrap().send().unwrap();
            boxed = Some(ShmBox::receive_in(handle, &safe).unwrap());
        })
    });
    group.finish();
}

criterion_group!(benches, pair::<64>, pair::<1024>, handover);
criterion_main!(benches);
