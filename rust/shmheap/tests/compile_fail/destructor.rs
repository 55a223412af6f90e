//! Nobody would run it when the process dies.
use shmheap::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Guard(u64);

impl Drop for Guard {
    fn drop(&mut self) {}
}

fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed(Guard(1));
}
