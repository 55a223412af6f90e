//! A peer may write bytes that are no bool.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed(true);
}
