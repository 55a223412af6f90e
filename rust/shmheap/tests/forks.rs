//! Children made by fork(): what they inherited does nothing there.
mod support;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmheap::{Error, Handle, Heap, Root, ShmArc, ShmBox};
use support::{open, Name};

mod system {
    pub const SIGSEGV: i32 = 11;

    extern "C" {
        pub fn fork() -> i32;
        pub fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        pub fn _exit(code: i32) -> !;
        pub fn prctl(option: i32, ...) -> i32;
    }
}

/// Runs this in a child made by fork(), which shares the parent's memory as it is: what the child
/// ended with. It must not allocate where other threads may hold the allocator's lock, so tests
/// that fork make their strings before.
fn in_a_child(run: impl FnOnce() -> bool) -> Result<bool, i32> {
    // SAFETY: (fork) the child runs this closure and ends without unwinding; glibc makes its
    // allocator usable in the child.
    let pid = unsafe { system::fork() };
    if pid == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(false);
        // SAFETY: ends the child.
        unsafe { system::_exit(i32::from(!good)) }
    }
    ended(pid)
}

/// What a child ended with.
fn ended(pid: i32) -> Result<bool, i32> {
    let mut status = 0;
    // SAFETY: (waitpid) status may be written.
    assert_eq!(unsafe { system::waitpid(pid, &mut status, 0) }, pid);
    match status & 0x7f {
        0 => Ok(status == 0),
        signal => Err(signal),
    }
}

/// Forks, and returns in both: in the parent, what the child ended with.
fn in_a_child_that_goes_on() -> Result<bool, i32> {
    // SAFETY: (fork) as above; the child that goes on ends at its next step.
    match unsafe { system::fork() } {
        0 => Ok(true),
        pid => ended(pid),
    }
}

fn panics<R>(run: impl FnOnce() -> R) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}

struct Everything {
    heap: Heap,
    number: ShmBox<u64>,
    text: ShmBox<str>,
    arc: ShmArc<AtomicU64>,
    root: Root<AtomicU64>,
}

fn everything() -> Everything {
    let heap = Heap::options().size(1 << 16).anonymous().unwrap();
    let (number, text) = (heap.boxed(1u64).unwrap(), heap.boxed_str("ours").unwrap());
    let (arc, root) = (heap.arc(AtomicU64::new(2)).unwrap(), heap.root("root").unwrap());
    Everything { heap, number, text, arc, root }
}

fn is_untouched(all: &Everything, used: u64) -> bool {
    let lives =
        (*all.number, &*all.text, all.arc.load(SeqCst), all.arc.shares(), all.root.load(SeqCst))
            == (1, "ours", 2, 1, 0);
    lives && all.heap.stats().unwrap().used_blocks == used && all.heap.check().is_ok()
}

#[test]
fn a_child_drops_what_it_inherited_and_nothing_happens() {
    let all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    let copy = std::mem::ManuallyDrop::new(all);
    assert_eq!(
        in_a_child(|| {
            // SAFETY: the child's copy, which it drops once, as a child does that returns from
            // main.
            drop(unsafe { std::ptr::read(&*copy) });
            true
        }),
        Ok(true)
    );
    let all = std::mem::ManuallyDrop::into_inner(copy);
    assert!(is_untouched(&all, used));
    assert_eq!(all.heap.reap().unwrap().boxes, 0);
}

/// As a child does that returns from main: what the C library calls at an exit finds a connection
/// that is not the child's.
#[test]
fn a_child_exits_and_nothing_happens() {
    let all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    assert_eq!(in_a_child(|| std::process::exit(0)), Ok(true));
    assert!(is_untouched(&all, used));
    assert_eq!((all.heap.reap().unwrap().boxes, all.heap.stats().unwrap().processes), (0, 1));
}

#[test]
fn a_child_uses_what_it_inherited_and_is_refused() {
    let mut all = everything();
    let used = all.heap.stats().unwrap().used_blocks;
    let refused = in_a_child(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let other = |result: Result<(), Error>| matches!(result, Err(Error::OtherProcess));
        let handle = Handle::<u64>::from_bits((1 << 51) | (1 << 36));
        panics(|| *all.number += 1)
            && panics(|| all.text.len())
            && panics(|| all.arc.fetch_add(1, SeqCst))
            && panics(|| all.root.fetch_add(1, SeqCst))
            && other(all.arc.share().map(|_| ()))
            && other(all.heap.boxed(3u8).map(|_| ()))
            && other(all.heap.receive(handle).map(|_| ()))
            && other(all.heap.root::<u64>("other").map(|_| ()))
            && other(all.heap.stats().map(|_| ()))
            && other(all.heap.reap().map(|_| ()))
            && other(all.number.snapshot().map(|_| ()))
            && other(all.heap.keep_root("root"))
            && other(all.heap.remove_root("root").map(|_| ()))
            && other(all.heap.find_root::<u64>("root").map(|_| ()))
            && other(all.heap.names().map(|_| ()))
            && other(all.heap.in_transit().map(|_| ()))
            && other(all.heap.check())
            && other(all.heap.discard(handle.cast()))
            && other(all.heap.receive_bytes(handle.cast()).map(|_| ()))
    });
    assert_eq!(refused, Ok(true));
    assert!(is_untouched(&all, used));
}

/// A reference lives on in the child; what it leads to does not.
#[test]
fn a_reference_that_a_child_inherited_leads_nowhere() {
    let mut all = everything();
    let number: &mut u64 = &mut all.number;
    assert_eq!(in_a_child(|| std::mem::replace(number, 7) == 1), Err(system::SIGSEGV));
    let text: &str = &all.text;
    assert_eq!(in_a_child(|| text == "ours"), Err(system::SIGSEGV));
    assert_eq!((*all.number, &*all.text), (1, "ours"));
}

/// What a child maps never comes to lie where a reference that it inherited leads.
#[test]
fn a_child_maps_nothing_where_an_inherited_reference_leads() {
    let heap = Heap::anonymous(4 << 20).unwrap();
    let boxed = heap.boxed_slice(&[1u8; 2 << 20]).unwrap();
    let (first, last) = (boxed.as_ptr() as usize, &raw const boxed[boxed.len() - 1] as usize);
    let mapped = in_a_child(|| {
        // From where the C library maps memory of its own, to sizes that fill the holes between
        // mappings.
        let taken: Vec<Vec<u8>> = (0..400).map(|i| vec![2u8; (1 << 20) >> (i / 100)]).collect();
        taken.iter().all(|bytes| {
            let there = bytes.as_ptr() as usize..bytes.as_ptr() as usize + bytes.len();
            !there.contains(&first) && !there.contains(&last)
        })
    });
    assert_eq!(mapped, Ok(true), "its own memory lies where the reference leads");
    let reference: &u8 = &boxed[0];
    let grandchild =
        in_a_child(|| in_a_child(|| *std::hint::black_box(reference) == 1) == Err(system::SIGSEGV));
    assert_eq!((grandchild, boxed[0]), (Ok(true), 1));
}

/// As qemu-user, which accepts each advice about memory and follows none.
#[cfg(target_arch = "x86_64")]
fn ignore_advice() {
    #[repr(C)]
    struct Filter(u16, u8, u8, u32);
    #[repr(C)]
    struct Program(u16, *const Filter);
    // If the number of the call is that of madvise, do as if it succeeded, else let it through.
    let filters = [
        Filter(0x20, 0, 0, 0),
        Filter(0x15, 0, 1, 28),
        Filter(6, 0, 0, 0x5_0000),
        Filter(6, 0, 0, 0x7fff_0000),
    ];
    let program = Program(4, filters.as_ptr());
    // SAFETY: (prctl) no new rights; then a filter of four instructions, for this thread.
    unsafe {
        assert_eq!(system::prctl(38, 1usize, 0usize, 0usize, 0usize), 0);
        assert_eq!(system::prctl(22, 2usize, &raw const program as usize), 0);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn no_reference_leads_anywhere_where_the_kernel_ignores_advice() {
    let nowhere = in_a_child(|| {
        ignore_advice();
        let heap = Heap::anonymous(1 << 16).unwrap();
        let boxed = heap.boxed(5u64).unwrap();
        let number: &u64 = &boxed;
        let nothing = in_a_child(|| true) == Ok(true);
        nothing
            && in_a_child(|| *std::hint::black_box(number) == 5) == Err(system::SIGSEGV)
            && *boxed == 5
    });
    assert_eq!(nowhere, Ok(true));
}

/// Code of the user's that a call runs may fork: the call goes on in the child as well, with what
/// is the parent's.
#[test]
fn a_child_goes_on_amid_a_call() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let parent = std::process::id();
    let mut status = Ok(true);
    let made = ShmBox::from_fn_in(
        2,
        |i| {
            if i == 1 {
                status = in_a_child_that_goes_on();
            }
            std::process::id()
        },
        &heap,
    );
    assert_eq!(*made.unwrap(), [parent; 2]);
    assert_eq!(status, Err(system::SIGSEGV));
}

/// A child that opens the heap itself is a process as any other.
#[test]
fn a_child_opens_the_heap_itself() {
    let name = Name::new();
    let heap = support::create(&name.0, 1 << 16).unwrap();
    let boxed = heap.boxed(5u64).unwrap();
    let letter = heap.boxed(6u64).unwrap().send().unwrap();
    let good = in_a_child(|| {
        let here = open(&name.0).unwrap();
        let received = here.receive(letter).unwrap();
        let fresh = here.boxed([7u64; 3]).unwrap();
        *received == 6
            && *fresh == [7; 3]
            && heap.stats().is_err()
            && here.stats().unwrap().processes == 2
    });
    assert_eq!((good, *boxed), (Ok(true), 5));
    assert_eq!(heap.stats().unwrap().used_blocks, 1);
}
