//! The counts of threads, with each answer of the kernel.

use super::*;
use crate::heap::Heap;
use crate::raw::{Opening, ANONYMOUS, CREATE};
use crate::ShmBox;
use std::cell::RefCell;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Refuses,
    RefusesLater,
    Orders,
}

const KERNELS: [Kernel; 3] = [Kernel::Refuses, Kernel::RefusesLater, Kernel::Orders];

/// A heap, and a use of its memory that tells when it has closed. None: not with this kernel.
fn heap(kernel: Kernel) -> Option<(Heap, Arc<Open>)> {
    let opening = Opening { len: 1 << 16, flags: CREATE | ANONYMOUS, ..Opening::default() };
    let connection = Connection::open(None, &opening).unwrap();
    let orders = barrier::register();
    let opened = match kernel {
        Kernel::Refuses => OpenRef::made(connection, false, || false),
        Kernel::RefusesLater => OpenRef::made(connection, true, || false),
        Kernel::Orders if orders => OpenRef::made(connection, true, barrier::all_threads),
        Kernel::Orders => {
            println!("skipped: no membarrier");
            return None;
        }
    };
    let open = opened.at.shared();
    Some((Heap::of_open(opened), open))
}

fn has_closed(open: &Open) -> bool {
    open.total.load(Ordering::Acquire) == 0
}

#[test]
fn the_last_of_all_closes_it() {
    for kernel in KERNELS {
        let Some((heap, open)) = heap(kernel) else { continue };
        let (one, two) = (heap.boxed(1u8).unwrap(), heap.boxed(2u8).unwrap());
        drop((heap.clone(), two));
        drop(heap);
        let again = one.heap().clone();
        drop(one.heap().clone());
        let three = one.heap().boxed(3u8).unwrap();
        drop((one, again));
        assert!(*three == 3 && !has_closed(&open), "{kernel:?}");
        drop(three);
        assert!(has_closed(&open) && Arc::strong_count(&open) == 1, "{kernel:?}");
    }
}

/// Makes and drops, passes some on, and lets its heap go early.
fn work(heap: Heap, seed: usize, next: Sender<ShmBox<usize>>, got: Receiver<ShmBox<usize>>) {
    let rounds = if cfg!(miri) { 12 } else { 400 };
    let (mut mine, mut heap) = (heap.boxed(seed).unwrap(), Some(heap));
    for i in 0..rounds {
        if i == seed * 5 % rounds {
            heap = None;
        }
        let from = heap.as_ref().unwrap_or_else(|| mine.heap());
        let new = from.boxed(seed + i).unwrap();
        assert_eq!(*new, seed + i);
        match i % 3 {
            0 => drop(new),
            1 => mine = new,
            _ => drop(next.send(new)),
        }
        if i % 2 == 0 {
            let _ = got.try_recv().map(|theirs| assert!(*theirs < rounds * 100));
        }
    }
    drop(heap);
    drop((next, mine, got)); // the boxes in the channel go with its receiver
}

#[test]
fn threads_that_pass_boxes_on() {
    for kernel in KERNELS {
        for round in 0..if cfg!(miri) { 2 } else { 20 } {
            let Some((heap, open)) = heap(kernel) else { continue };
            let last = heap.boxed(7u64).unwrap();
            let (mut ends, mut starts) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                let (start, end) = channel();
                starts.push(start);
                ends.push(end);
            }
            starts.rotate_left(1);
            let pairs = starts.into_iter().zip(ends);
            let threads: Vec<_> = pairs
                .enumerate()
                .map(|(i, (start, end))| {
                    let heap = heap.clone();
                    thread::spawn(move || work(heap, round + 7 * i, start, end))
                })
                .collect();
            drop(heap);
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(*last == 7 && !has_closed(&open), "{kernel:?}");
            drop(last);
            assert!(has_closed(&open), "{kernel:?}");
        }
    }
}

/// A thread that has counted, and then does nothing until the heap is to close.
#[test]
fn a_thread_that_does_nothing() {
    for kernel in KERNELS {
        let Some((heap, open)) = heap(kernel) else { continue };
        let (wake, sleeps) = channel::<()>();
        let (give, given) = channel();
        let theirs = heap.clone();
        let thread = thread::spawn(move || {
            give.send((0..5).map(|i| theirs.boxed(i).unwrap()).collect::<Vec<_>>()).unwrap();
            drop((theirs, give));
            sleeps.recv().unwrap_err();
        });
        let boxes = given.recv().unwrap();
        given.recv().unwrap_err();
        drop(heap);
        assert!(!has_closed(&open));
        drop(boxes);
        // Where nothing orders its stores, its end does.
        assert_eq!(has_closed(&open), kernel != Kernel::RefusesLater, "{kernel:?}");
        drop(wake);
        thread.join().unwrap();
        assert!(has_closed(&open), "{kernel:?}");
    }
}

/// Both threads go on at once.
fn meet(here: &AtomicI64) {
    here.fetch_add(1, Ordering::AcqRel);
    for turn in 0.. {
        match here.load(Ordering::Acquire) {
            2 => break,
            _ if turn > 1000 || cfg!(miri) => thread::yield_now(),
            _ => std::hint::spin_loop(),
        }
    }
}

/// The last box and the last `Heap` value go at once, and their threads count nothing after.
#[test]
fn a_drop_that_meets_the_closing() {
    let (give, given) = channel::<(ShmBox<u8>, Arc<AtomicI64>)>();
    let (tell, told) = channel();
    let thread = thread::spawn(move || {
        for (boxed, here) in given {
            drop(boxed.heap().boxed(2u8)); // from here on the thread has a tally
            meet(&here);
            drop(boxed);
            tell.send(()).unwrap();
        }
    });
    for kernel in [Kernel::Refuses, Kernel::Orders] {
        for _ in 0..if cfg!(miri) { 5 } else { 300 } {
            let Some((heap, open)) = heap(kernel) else { continue };
            let here = Arc::new(AtomicI64::new(0));
            give.send((heap.boxed(1u8).unwrap(), Arc::clone(&here))).unwrap();
            meet(&here);
            drop(heap);
            told.recv().unwrap();
            assert!(has_closed(&open), "{kernel:?}");
        }
    }
    drop(give);
    thread.join().unwrap();
}

/// A thread that uses heaps in turn, and heaps that closed: their memory goes.
#[test]
fn many_heaps() {
    for kernel in KERNELS {
        let Some(first) = heap(kernel) else { continue };
        let mut heaps = vec![first];
        heaps.extend((0..8).filter_map(|_| heap(kernel)));
        let boxes: Vec<_> =
            (0..3).flat_map(|i| heaps.iter().map(move |(heap, _)| heap.boxed(i))).collect();
        let (values, opens): (Vec<_>, Vec<_>) = heaps.into_iter().unzip();
        drop(values);
        assert!(opens.iter().all(|open| !has_closed(open)));
        thread::spawn(move || drop(boxes)).join().unwrap();
        assert!(opens.iter().all(|open| has_closed(open)), "{kernel:?}");
        let Some((heap, _)) = heap(kernel) else { continue };
        drop(heap.boxed(1u8).unwrap()); // this thread looks at its list
        assert!(opens.iter().all(|open| Arc::strong_count(open) == 1), "{kernel:?}");
    }
}

struct Late(RefCell<Vec<ShmBox<u8>>>);

thread_local! {
    static BEFORE: Late = const { Late(RefCell::new(Vec::new())) };
    static AFTER: Late = const { Late(RefCell::new(Vec::new())) };
}

impl Drop for Late {
    fn drop(&mut self) {
        let boxes = self.0.take();
        drop(boxes[0].heap().boxed(3u8));
        assert_eq!(boxes.iter().map(|boxed| **boxed).sum::<u8>(), 3);
    }
}

/// Boxes of thread-locals whose destructors run before and after that of REGISTER.
#[test]
fn boxes_of_thread_locals() {
    for kernel in KERNELS {
        let Some((heap, open)) = heap(kernel) else { continue };
        let run = move || {
            BEFORE.with(|_| ());
            let boxes = || vec![heap.boxed(1u8).unwrap(), heap.boxed(2u8).unwrap()];
            BEFORE.with(|late| *late.0.borrow_mut() = boxes());
            AFTER.with(|late| *late.0.borrow_mut() = boxes());
        };
        thread::spawn(run).join().unwrap();
        assert!(has_closed(&open), "{kernel:?}");
        assert_eq!(Arc::strong_count(&open), 1, "{kernel:?}");
    }
}
