//! Padding would show other processes what lay on the stack.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed((1u8, 2u32));
}
