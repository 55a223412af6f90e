//! A box that borrows its heap does not outlive it.
fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let number = shmheap::ShmBox::new_in(1u64, &heap).unwrap();
    drop(heap);
    println!("{}", *number);
}
