//! What the benchmarks share.
use shmheap::Heap;

/// A heap that is large enough for all of them.
pub fn heap(cached: bool) -> Heap {
    let options = Heap::options().size(64 << 20);
    let options = if cached { options.cached() } else { options };
    options.anonymous().expect("64 MiB of shared memory")
}

/// The C handle of a heap of the same kind.
pub fn raw_heap(cached: bool) -> shmheap_sys::shmheap_memory_handle {
    use shmheap_sys::*;
    let flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | if cached { SHMHEAP_CACHED } else { 0 };
    let options = shmheap_options { len: 64 << 20, flags, ..Default::default() };
    let mut heap = shmheap_memory_handle { heap: std::ptr::null_mut() };
    // SAFETY: C, shmheap_open: out and options are valid, an anonymous heap needs no name.
    assert_eq!(unsafe { shmheap_open(&mut heap, std::ptr::null(), &options) }, 0);
    heap
}
