//! What was sent is somebody else's.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let number = heap.boxed(1u64).unwrap();
    let _handle = number.send().unwrap();
    println!("{}", *number);
}
