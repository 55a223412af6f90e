//! A box made and dropped: the safe path beside the C calls, and beside `Box` over mimalloc, which
//! is private memory.
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use shmheap::ShmBox;
use shmheap_bench::{heap, raw_heap};

#[global_allocator]
static PRIVATE: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A C handle that threads share.
struct Raw(shmheap_sys::shmheap_memory_handle);

// SAFETY: C, Threads: "Any thread of any process may make any call at any time".
unsafe impl Sync for Raw {}

impl Raw {
    fn pair(&self) {
        // SAFETY: C, shmheap_alloc: 72 bytes, ours until freed.
        unsafe {
            let object = shmheap_sys::shmheap_alloc(self.0, 72).cast::<[u8; 64]>();
            assert!(!object.is_null());
            object.write(black_box([1; 64]));
            shmheap_sys::shmheap_free(self.0, black_box(object).cast());
        }
    }
}

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

/// Runs it while another thread of the process does the same.
fn beside_a_thread(c: &mut Criterion, name: &str, run: impl Fn() + Sync) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                run();
            }
        });
        c.bench_function(&format!("make and drop beside a thread/{name}"), |b| b.iter(&run));
        stop.store(true, Relaxed);
    });
}

/// What a count costs that threads share: C's calls and `&Heap` have none; without a `Heap` value a
/// box is counted by an atomic.
fn two_threads(c: &mut Criterion) {
    let value = || black_box([1u8; 64]);
    let raw = Raw(raw_heap(true));
    beside_a_thread(c, "C", || raw.pair());
    let safe = heap(true);
    beside_a_thread(c, "ShmBox<T, &Heap>", || {
        drop(black_box(ShmBox::new_in(value(), &safe).unwrap()))
    });
    beside_a_thread(c, "ShmBox<T>", || drop(black_box(safe.boxed(value()).unwrap())));
    let last = safe.boxed(0u8).unwrap();
    drop(safe);
    beside_a_thread(c, "ShmBox<T>, no Heap value", || {
        drop(black_box(last.heap().boxed(value()).unwrap()))
    });
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
    // What the crate calls: the word that says what the object is, behind 64 bytes of value.
    let label = 0x1234_5678_9abc_def0u64;
    group.bench_function("C, with a label", |b| {
        b.iter(|| {
            // SAFETY: as above; the label lies behind the value.
            object = unsafe {
                let handle = shmheap_sys::shmheap_send_labelled(raw, object, &label, 1);
                shmheap_sys::shmheap_receive_labelled(raw, handle, label, 72)
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
    let mut boxed = Some(safe.boxed([1u8; 64]).unwrap());
    group.bench_function("ShmBox<T>", |b| {
        b.iter(|| {
            let handle = boxed.take().unwrap().send().unwrap();
            boxed = Some(safe.receive(handle).unwrap());
        })
    });
    group.finish();
}

criterion_group!(benches, pair::<64>, pair::<1024>, handover, two_threads);
criterion_main!(benches);
