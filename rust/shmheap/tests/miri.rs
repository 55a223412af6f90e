//! What Miri looks at, by `cargo +nightly miri test -p shmheap --test miri --lib`: that references,
//! copies and hand-overs are sound in Rust's own terms. There C is replaced by functions over an
//! array (`raw/core_for_miri`); the same runs on the real heap elsewhere.
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmheap::{AtomicHandle, Error, Handle, Heap, ShmBox};

fn heap() -> Heap {
    Heap::anonymous(1 << 16).unwrap()
}

#[test]
fn boxes() {
    let heap = heap();
    let mut boxed = heap.boxed([1u32; 5]).unwrap();
    boxed[2] = 7;
    let copy = boxed.snapshot().unwrap();
    let moved = boxed;
    assert_eq!((*moved, copy[2]), (copy, 7));
    let mut slice = ShmBox::from_fn_in(9, |i| i as u16, &heap).unwrap();
    slice.reverse();
    let (left, right) = slice.split_at_mut(4);
    std::mem::swap(&mut left[0], &mut right[0]);
    assert_eq!(slice.snapshot().unwrap(), [4, 7, 6, 5, 8, 3, 2, 1, 0]);
    let text = heap.boxed_str("ünïcödé").unwrap();
    assert_eq!(text.snapshot().unwrap(), "ünïcödé");
    drop((moved, slice, text, heap.boxed_zeroed::<u128>(3).unwrap(), heap.boxed(()).unwrap()));
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn sent_and_received() {
    let heap = heap();
    let handle = heap.boxed_slice(&[1u8, 2, 3]).unwrap().send().unwrap();
    assert!(matches!(heap.receive(handle.cast::<u64>()), Err(Error::WrongType { .. })));
    let mut slice = heap.receive(handle).unwrap();
    slice[0] = 9;
    assert_eq!(heap.take(slice.send().unwrap()).unwrap(), [9, 2, 3]);
    assert!(matches!(heap.receive(handle), Err(Error::Stale)));
    let text = heap.boxed_str("abc").unwrap().send().unwrap();
    assert!(heap.receive_bytes(text.cast()).unwrap().starts_with(b"abc"));
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn shared_by_threads() {
    let heap = heap();
    let arc = heap.arc(AtomicU64::new(0)).unwrap();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (heap, share) = (heap.clone(), arc.share().unwrap());
            std::thread::spawn(move || {
                let arc = heap.receive_arc(share).unwrap();
                let clone = arc.clone();
                drop(arc);
                clone.fetch_add(1, SeqCst);
                drop(heap.receive_arc(clone.share().unwrap()).unwrap());
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((arc.load(SeqCst), arc.shares()), (3, 1));
    drop(arc);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn handed_from_thread_to_thread() {
    let heap = heap();
    let place = heap.arc(AtomicHandle::<[u64]>::NULL).unwrap();
    let (there, theirs) = (heap.clone(), place.clone());
    let thread = std::thread::spawn(move || {
        for round in 0..10u64 {
            let boxed = there.boxed_slice(&[round; 3]).unwrap().send().unwrap();
            while theirs.compare_exchange(Handle::NULL, boxed, SeqCst, SeqCst).is_err() {
                std::thread::yield_now();
            }
        }
    });
    for round in 0..10 {
        let handle = loop {
            let handle = place.swap(Handle::NULL, SeqCst);
            if !handle.is_null() {
                break handle;
            }
            std::thread::yield_now();
        };
        let mut boxed = heap.receive(handle).unwrap();
        boxed[1] += 1;
        assert_eq!(*boxed, [round, round + 1, round]);
    }
    thread.join().unwrap();
    drop(place);
    assert_eq!(heap.stats().unwrap().used_blocks, 0);
}

#[test]
fn roots() {
    let heap = heap();
    let first = heap.root::<AtomicU64>("a").unwrap();
    let threads: Vec<_> = (0..3u64)
        .map(|number| {
            let heap = heap.clone();
            std::thread::spawn(move || {
                let made = heap.root_with("b", || [number; 5]).unwrap();
                assert!(made.iter().all(|&word| word == made[0]));
                heap.find_root::<AtomicU64>("a").unwrap().fetch_add(1, SeqCst);
                (made[0], made)
            })
        })
        .collect();
    let made: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(made.iter().all(|(word, _)| *word == made[0].0));
    assert_eq!(first.clone().load(SeqCst), 3);
    assert!(matches!(heap.root::<[u8; 8]>("a"), Err(Error::OtherRoot { .. })));
    drop((first, made));
    assert!(heap.names().unwrap().is_empty());
    heap.check().unwrap();
}
