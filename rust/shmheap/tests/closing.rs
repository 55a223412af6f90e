//! A connection closes when the last `Heap` value and the last object have gone, and not earlier:
//! as another connection to the heap sees it.
mod support;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

use shmheap::{Heap, ShmBox};
use support::{again, role, seed, shared, Peer, Random};

mod system {
    pub const SIGALRM: i32 = 14;
    pub const PR_SET_SECCOMP: i32 = 22;
    pub const PR_SET_NO_NEW_PRIVS: i32 = 38;
    pub const SECCOMP_MODE_FILTER: usize = 2;
    #[cfg(target_arch = "x86_64")]
    pub const MEMBARRIER: u32 = 324;
    #[cfg(target_arch = "x86")]
    pub const MEMBARRIER: u32 = 375;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
    pub const MEMBARRIER: u32 = 283;

    /// An instruction of a filter: code, jumps, operand.
    #[repr(C)]
    pub struct Step(pub u16, pub u8, pub u8, pub u32);

    #[repr(C)]
    pub struct Filter {
        pub len: u16,
        pub steps: *const Step,
    }

    extern "C" {
        pub fn fork() -> i32;
        pub fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        pub fn _exit(code: i32) -> !;
        pub fn alarm(seconds: u32) -> u32;
        pub fn prctl(option: i32, ...) -> i32;
    }
}

fn connections(observer: &Heap) -> u32 {
    observer.stats().unwrap().processes
}

#[test]
fn the_last_of_all_closes_it() {
    let heap = shared(1 << 16);
    let observer = again(&heap);
    let (one, arc) = (heap.boxed(1u8).unwrap(), heap.arc(AtomicU64::new(2)).unwrap());
    let root = heap.root::<AtomicU64>("root").unwrap();
    let slice = heap.boxed_slice(&[1u8, 2]).unwrap();
    drop(heap);
    drop((slice, root));
    assert_eq!(connections(&observer), 2);
    let clone = one.heap().clone();
    drop(one);
    assert_eq!((arc.load(SeqCst), connections(&observer)), (2, 2));
    drop(clone);
    assert_eq!((arc.shares(), connections(&observer)), (1, 2));
    drop(arc);
    assert_eq!(connections(&observer), 1);
    assert_eq!(observer.stats().unwrap().used_blocks, 0);
}

/// Threads make boxes, pass them on and drop them, while their `Heap` values go at random moments.
fn pass_on(random: &mut Random) {
    const THREADS: usize = 4;
    let heap = Heap::options().size(1 << 20).cached().anonymous_shared().unwrap();
    let heap = support::Trusted::trusted(heap);
    let observer = again(&heap);
    let last = heap.boxed(5u64).unwrap();
    let (starts, ends): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<ShmBox<u64>>()).unzip();
    let threads: Vec<_> = ends
        .into_iter()
        .map(|end| {
            let (starts, mut random) = (starts.clone(), Random(random.draw()));
            let (mut heap, goes) = (Some(heap.clone()), random.below(300));
            thread::spawn(move || {
                let mut kept = heap.as_ref().unwrap().boxed(0u64).unwrap();
                for i in 0..300 {
                    if i == goes {
                        heap = None;
                    }
                    let new = heap.as_ref().unwrap_or_else(|| kept.heap()).boxed(i).unwrap();
                    match random.below(4) {
                        0 => drop(new),
                        1 => kept = new,
                        _ => drop(starts[random.below(THREADS as u64) as usize].send(new)),
                    }
                    if random.below(3) == 0 {
                        drop(kept.heap().clone());
                    }
                    for theirs in end.try_iter().take(2) {
                        assert!(*theirs < 300);
                    }
                }
            })
        })
        .collect();
    drop((heap, starts));
    for thread in threads {
        assert_eq!(connections(&observer), 2);
        thread.join().unwrap();
    }
    assert_eq!((*last, connections(&observer)), (5, 2));
    drop(last);
    assert_eq!((connections(&observer), observer.stats().unwrap().used_blocks), (1, 0));
}

#[test]
fn threads_that_pass_boxes_on() {
    let mut random = Random(seed());
    for _ in 0..30 {
        pass_on(&mut random);
    }
}

/// The thread that closes is none of those that counted; those have ended, or sleep.
#[test]
fn threads_that_end_and_threads_that_sleep() {
    for ends in [true, false] {
        let heap = shared(1 << 16);
        let observer = again(&heap);
        let (give, given) = channel();
        let (wake, sleeps) = channel::<()>();
        let maker = heap.clone();
        let thread = thread::spawn(move || {
            give.send((0..9).map(|i| maker.boxed(i).unwrap()).collect::<Vec<_>>()).unwrap();
            drop((maker, give));
            if !ends {
                sleeps.recv().unwrap_err();
            }
        });
        let boxes = given.recv().unwrap();
        given.recv().unwrap_err();
        let thread = if ends {
            thread.join().unwrap();
            None
        } else {
            Some(thread)
        };
        thread::spawn(move || drop(heap)).join().unwrap();
        assert_eq!(
            (boxes.iter().map(|boxed| **boxed).sum::<i32>(), connections(&observer)),
            (36, 2)
        );
        thread::spawn(move || drop(boxes)).join().unwrap();
        assert_eq!(connections(&observer), 1);
        drop(wake);
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
    }
}

thread_local! {
    static EARLY: RefCell<Option<ShmBox<u8>>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<ShmBox<u8>>> = const { RefCell::new(None) };
}

#[test]
fn a_box_of_a_thread_local() {
    let heap = shared(1 << 16);
    let observer = again(&heap);
    let run = move || {
        EARLY.with(|_| ());
        EARLY.set(Some(heap.boxed(1u8).unwrap()));
        LATE.set(Some(heap.boxed(2u8).unwrap()));
    };
    thread::spawn(run).join().unwrap();
    assert_eq!((connections(&observer), observer.stats().unwrap().used_blocks), (1, 0));
}

/// Children made while other threads count, one of which may have the lock: a child drops all that
/// it inherited, waits for nothing, and closes nothing.
#[test]
fn children_wait_for_nothing() {
    let observer = shared(1 << 20);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let heap = again(&observer);
                    let boxed = heap.boxed(1u8).unwrap();
                    drop(heap);
                    drop(boxed);
                }
            });
        }
        for _ in 0..50 {
            let heap = again(&observer);
            let (one, two) = (heap.boxed(1u8).unwrap(), heap.boxed(2u8).unwrap());
            // SAFETY: (fork) the child drops values, and ends.
            let pid = unsafe { system::fork() };
            if pid == 0 {
                // SAFETY: (alarm) a child that waits is ended by SIGALRM.
                unsafe { system::alarm(60) };
                drop((heap, one, two));
                // SAFETY: ends the child.
                unsafe { system::_exit(0) }
            }
            let mut status = 0;
            // SAFETY: (waitpid) status may be written.
            assert_eq!(unsafe { system::waitpid(pid, &mut status, 0) }, pid);
            assert_ne!(status & 0x7f, system::SIGALRM, "the child waited");
            assert_eq!(status, 0);
            drop(heap);
            assert_eq!((*one, *two), (1, 2));
        }
        stop.store(true, SeqCst);
    });
    assert_eq!((connections(&observer), observer.stats().unwrap().used_blocks), (1, 0));
}

/// Has the kernel refuse membarrier to this thread and to those that it makes.
fn refuse() {
    const LOAD: u16 = 0x20;
    const IS_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    use system::{Filter, Step};
    let steps = [
        Step(LOAD, 0, 0, 0),
        Step(IS_EQUAL, 0, 1, system::MEMBARRIER),
        Step(RETURN, 0, 0, EPERM),
        Step(RETURN, 0, 0, ALLOW),
    ];
    let filter = Filter { len: 4, steps: steps.as_ptr() };
    // SAFETY: (prctl) the filter is valid during the call.
    let done = unsafe {
        system::prctl(system::PR_SET_NO_NEW_PRIVS, 1usize, 0usize, 0usize, 0usize);
        system::prctl(system::PR_SET_SECCOMP, system::SECCOMP_MODE_FILTER, &filter)
    };
    if done != 0 {
        println!("skipped: no filters of system calls");
    }
}

#[test]
fn without_membarrier() {
    Peer::start("refused_from_the_start", &["go"]).join();
    Peer::start("refused_later", &["go"]).join();
}

#[test]
fn refused_from_the_start() {
    let Some(_) = role() else { return };
    refuse();
    the_last_of_all_closes_it();
    threads_that_end_and_threads_that_sleep();
    a_box_of_a_thread_local();
    threads_that_pass_boxes_on();
}

/// Refused after the heap was opened: what counted in threads closes by their ends.
#[test]
fn refused_later() {
    let Some(_) = role() else { return };
    let heap = shared(1 << 16);
    let observer = again(&heap);
    let (wake, sleeps) = channel::<()>();
    let (give, given) = channel();
    let theirs = heap.clone();
    let thread = thread::spawn(move || {
        give.send(theirs.boxed(1u8).unwrap()).unwrap();
        drop((theirs, give));
        sleeps.recv().unwrap_err();
    });
    let boxed = given.recv().unwrap();
    given.recv().unwrap_err();
    refuse();
    drop(heap);
    assert_eq!((*boxed, connections(&observer)), (1, 2));
    drop(boxed);
    drop(wake);
    thread.join().unwrap();
    assert_eq!(connections(&observer), 1);
    for _ in 0..10 {
        pass_on(&mut Random(seed()));
    }
}
