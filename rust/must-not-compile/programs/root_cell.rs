//! What changes inside a root is atomic.
use std::cell::Cell;

fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.root::<Cell<u64>>("a");
}
