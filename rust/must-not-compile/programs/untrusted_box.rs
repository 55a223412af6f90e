//! A heap whose writers are not trusted gives no references.
fn main() {
    let heap = shmheap::Heap::options().open("/name").unwrap();
    let _ = heap.boxed(1u64);
}
