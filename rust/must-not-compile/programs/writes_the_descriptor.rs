//! The descriptor for writing is lent by an unsafe call.
fn main() {
    let heap = shmheap::Heap::options().open("/name").unwrap();
    let _ = heap.writable_fd();
}
