//! Tells this process from one that forked it, for the price of two loads.
//!
//! A page that the kernel empties in a child (`MADV_WIPEONFORK`, Linux 4.14) holds the number of the process; a child finds 0
//! there, and takes a new number when it first needs one. Where the kernel has no such pages, the C library calls a function in the child
//! that empties it; a child made by a bare system call is not seen then.
use std::ffi::{c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

extern "C" {
    fn mmap(
        address: *mut c_void,
        len: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn madvise(address: *mut c_void, len: usize, advice: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
}

const PROT_READ_WRITE: c_int = 3;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x22;
const MADV_DONTFORK: c_int = 10;
const MADV_WIPEONFORK: c_int = 18;
const F_ADD_SEALS: c_int = 1033;
const F_SEAL_FUTURE_WRITE: c_int = 16;
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

/// For the C library to call in a child.
extern "C" fn forget() {
    page().store(0, Ordering::Release);
}

/// Of threads that come at the same time each makes one, and one page is used.
#[cold]
fn page_made() -> &'static AtomicU64 {
    // SAFETY: (mmap) new memory, at an address of the kernel's choice.
    let made = unsafe { mmap(ptr::null_mut(), PAGE_MAX, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) };
    let wiped = if made as isize == -1 {
        let word: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let word = ptr::from_ref(word).cast_mut();
        let _ = PAGE.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
        false
    } else {
        // SAFETY: (madvise) all of it is ours, and holds nothing yet.
        let wiped = unsafe { madvise(made, PAGE_MAX, MADV_WIPEONFORK) } == 0;
        let _ = PAGE.compare_exchange(ptr::null_mut(), made.cast(), Ordering::AcqRel, Ordering::Acquire);
        wiped
    };
    if !wiped {
        // SAFETY: (pthread_atfork) a function that may be called in any child.
        unsafe { pthread_atfork(None, None, Some(forget)) };
    }
    page()
}

impl Process {
    pub(crate) fn current() -> Self {
        let page = page();
        let fresh = (u64::from(std::process::id()) << 32) | u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
        let known = page.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
        Process { number: known.map_or_else(|known| known, |_| fresh), page }
    }

    /// Whether this is the process that made it.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.page.load(Ordering::Relaxed) == self.number
    }
}

/// Has the kernel leave memory out of the children's: what a child does there ends it, instead of changing what is the parent's.
///
/// # Safety
/// The memory is a mapping of the caller's, which no child that it makes needs.
pub(crate) unsafe fn keep_from_children(start: *mut u8, len: usize) -> bool {
    // SAFETY: (madvise) says the caller; this process's own memory stays as it is.
    unsafe { madvise(start.cast(), len, MADV_DONTFORK) == 0 }
}

/// Has the kernel refuse every later write to a memfd, and every later mapping to write it. Mappings that are there stay.
pub(crate) fn seal_against_writers(fd: c_int) -> bool {
    // SAFETY: (fcntl) takes an int with this command; a descriptor that cannot be sealed is refused.
    unsafe { fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore)] // madvise
    fn it_is_the_same_in_each_thread() {
        let here = Process::current();
        let there = std::thread::spawn(Process::current).join().unwrap();
        assert!(here.number == there.number && here.is_current());
        assert!(!Process { number: here.number ^ 1 << 32, ..here }.is_current());
    }
}
