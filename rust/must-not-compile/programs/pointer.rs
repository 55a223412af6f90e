//! Nor does a pointer.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let here = 5u64;
    let _ = heap.boxed(std::ptr::from_ref(&here));
}
