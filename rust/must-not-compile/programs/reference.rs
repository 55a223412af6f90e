//! A reference means nothing in another process.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed("text");
}
