//! As opening.
fn main() {
    let heap = shmheap::Heap::options().open("/name").unwrap();
    let _ = heap.trust();
}
