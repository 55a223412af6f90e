//! What to use in the place of a type that cannot lie in shared memory is said.
use shmheap::{Handle, Heap};

struct Plain {
    _a: u64,
}

#[derive(shmheap::Shm)]
#[repr(C)]
struct Person {
    name: String,
    age: Option<u64>,
}

fn main() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed(Plain { _a: 1 });
    let _ = heap.boxed_slice(&[Some(1.5f64)]);
    let _ = heap.receive(Handle::<Vec<u8>>::NULL);
    let _ = heap.arc(String::new());
}
