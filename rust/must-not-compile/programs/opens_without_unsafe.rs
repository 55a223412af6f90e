//! A promise about the other processes is made in the open.
fn main() {
    let heap = shmheap::Heap::open("/name").unwrap();
    let _ = heap.boxed(1u64);
}
