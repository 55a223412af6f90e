//! A process that has sent a value no longer owns it.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let number = heap.boxed(1u64).unwrap();
    let _handle = number.send().unwrap();
    println!("{}", *number);
}
