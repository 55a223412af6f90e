//! Several processes would change it at once.
use std::cell::UnsafeCell;

fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.arc(UnsafeCell::new(1u64));
}
