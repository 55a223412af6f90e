//! Tells this process from one that forked it, for the price of two loads.
//!
//! A page that the kernel empties in a child (`MADV_WIPEONFORK`, Linux 4.14) holds the number of
//! the process; a child finds 0 there, and takes a new number when it first needs one. Where the
//! kernel has no such pages, a function empties it that the C library calls in the child; a child
//! made by a bare system call is not seen then.
//!
//! A reference to a heap that lives across fork() leads to memory that the child does not have. So
//! that the child maps nothing else there, a list names the places of all heaps, and the C library
//! calls a function in the child that keeps them, without any access ([`Place`]).
use std::ffi::{c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::Once;

extern "C" {
    fn mmap(
        address: *mut c_void,
        len: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn abort() -> !;
}
#[cfg(not(miri))]
extern "C" {
    fn madvise(address: *mut c_void, len: usize, advice: c_int) -> c_int;
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
}
#[cfg(miri)]
use crate::raw::core_for_miri::{madvise, pthread_atfork};

const PROT_NONE: c_int = 0;
const PROT_READ_WRITE: c_int = 3;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x22;
const MAP_FIXED: c_int = 0x10;
const MAP_NORESERVE: c_int = 0x4000;
/// Linux 4.17; an older kernel takes the address as a hint, and keeps to it where nothing else lies
/// there.
const MAP_FIXED_NOREPLACE: c_int = 0x10_0000;
const MADV_DONTFORK: c_int = 10;
const MADV_WIPEONFORK: c_int = 18;
/// No kernel has it. qemu-user accepts any advice, and ignores it.
const NO_ADVICE: c_int = 1 << 30;
/// The most that a page has on machines that this crate is built for.
const PAGE_MAX: usize = 1 << 16;

static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The process that made this value. Differs from that of each of its ancestors and children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    number: u64,
    page: &'static AtomicU64,
}

fn page() -> &'static AtomicU64 {
    let known = PAGE.load(Ordering::Acquire);
    // SAFETY: made below, and never unmapped.
    unsafe { known.as_ref() }.unwrap_or_else(page_made)
}

/// Of threads that come at the same time each makes one, and one page is used.
#[cold]
fn page_made() -> &'static AtomicU64 {
    // SAFETY: (mmap) new memory, at an address of the kernel's choice.
    let made =
        unsafe { mmap(ptr::null_mut(), PAGE_MAX, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) };
    if made as isize == -1 {
        let word: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let word = ptr::from_ref(word).cast_mut();
        let _ = PAGE.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
    } else {
        // SAFETY: (madvise) all of it is ours, and holds nothing yet. Where the kernel refuses, the
        // handler does it.
        unsafe { madvise(made, PAGE_MAX, MADV_WIPEONFORK) };
        let _ = PAGE.compare_exchange(
            ptr::null_mut(),
            made.cast(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
    page()
}

impl Process {
    pub(crate) fn current() -> Self {
        let page = page();
        let fresh = (u64::from(std::process::id()) << 32)
            | u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
        let known = page.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
        Process { number: known.map_or_else(|known| known, |_| fresh), page }
    }

    /// Whether this is the process that made it.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.page.load(Ordering::Relaxed) == self.number
    }
}

/// A place in memory that a child made by fork() shall not use. In a list that only grows: a child
/// may go through it at any moment.
#[derive(Debug)]
pub(crate) struct Place {
    /// 0: free, 1: being filled in.
    start: AtomicUsize,
    len: AtomicUsize,
    /// Whether children have the memory all the same.
    inherited: AtomicBool,
    next: *const Place,
}

// SAFETY: `next` is written before any other thread sees the place, and leads to one that is never
// freed.
unsafe impl Sync for Place {}

static PLACES: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());
static WATCH: Once = Once::new();

/// The places of the list, newest first.
fn places() -> impl Iterator<Item = &'static Place> {
    let mut next: *const Place = PLACES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: all of the list was leaked by `added`.
        let place = unsafe { next.as_ref() }?;
        next = place.next;
        Some(place)
    })
}

/// A new place in the list, being filled in.
fn added() -> &'static Place {
    let new = Box::into_raw(Box::new(Place {
        start: AtomicUsize::new(1),
        len: AtomicUsize::new(0),
        inherited: AtomicBool::new(false),
        next: PLACES.load(Ordering::Acquire),
    }));
    loop {
        // SAFETY: nothing else knows the place yet.
        let next = unsafe { (*new).next }.cast_mut();
        match PLACES.compare_exchange(next, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: leaked, and from here on only shared.
            Ok(_) => return unsafe { &*new },
            // SAFETY: as above: nothing else knows it.
            Err(other) => unsafe { (*new).next = other },
        }
    }
}

impl Place {
    /// Waits for forks: before the C library of shmheap does, which may map memory in the child.
    pub(crate) fn watch() {
        WATCH.call_once(|| {
            // SAFETY: (pthread_atfork) a function that may be called in any child.
            unsafe { pthread_atfork(None, None, Some(keep_places)) };
        });
    }

    /// Has the kernel leave memory out of the children's, and keeps its place there free: what a
    /// child does there ends it, instead of changing what is the parent's, or memory that the child
    /// has mapped since. None: the kernel refuses.
    ///
    /// # Safety
    /// The memory is a mapping of the caller's, which no child that it makes needs, and which stays
    /// until `forget`.
    pub(crate) unsafe fn keep_from_children(start: *mut u8, len: usize) -> Option<&'static Place> {
        Self::watch();
        // SAFETY: (madvise) says the caller; this process's own memory stays as it is.
        let advise = |advice| unsafe { madvise(start.cast(), len, advice) } == 0;
        if !advise(MADV_DONTFORK) {
            return None;
        }
        let inherited = advise(NO_ADVICE);
        let claimed = |place: &&Place| {
            place.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let place = places().find(claimed).unwrap_or_else(added);
        place.len.store(len, Ordering::Relaxed);
        place.inherited.store(inherited, Ordering::Relaxed);
        place.start.store(start as usize, Ordering::Release);
        Some(place)
    }

    /// Nothing of this process leads to the place any more, which is about to be unmapped.
    pub(crate) fn forget(&self) {
        self.start.store(0, Ordering::Release);
    }
}

/// For the C library to call in a child, before anything else can map memory there.
extern "C" fn keep_places() {
    // SAFETY: never unmapped.
    if let Some(page) = unsafe { PAGE.load(Ordering::Acquire).as_ref() } {
        page.store(0, Ordering::Release); // an emulator may take MADV_WIPEONFORK and do nothing
    }
    for place in places() {
        let (start, len) =
            (place.start.swap(0, Ordering::AcqRel), place.len.load(Ordering::Relaxed));
        if start <= 1 {
            continue; // free, or no reference leads there yet
        }
        let inherited = place.inherited.load(Ordering::Relaxed);
        let fixed = if inherited { MAP_FIXED } else { MAP_FIXED_NOREPLACE };
        let flags = MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE | fixed;
        // SAFETY: (mmap) new memory, without access: where nothing is mapped, since the kernel
        // replaces no mapping; or over the heap, which nothing of this child's needs.
        let kept = unsafe { mmap(start as *mut c_void, len, PROT_NONE, flags, -1, 0) };
        if kept as usize != start {
            // Something else lies there already, where a reference of this child's may lead.
            // SAFETY: may be called at any time.
            unsafe { abort() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_in_each_thread() {
        let here = Process::current();
        let there = std::thread::spawn(Process::current).join().unwrap();
        assert!(here.number == there.number && here.is_current());
        assert!(!Process { number: here.number ^ (1 << 32), ..here }.is_current());
    }
}
