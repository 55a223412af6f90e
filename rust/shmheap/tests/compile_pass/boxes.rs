//! What may lie in the heap. Also makes trybuild build, not only check: the refusal of destructors comes that late.
use shmheap::{FromBytes, Handle, Heap, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "shmheap::zerocopy")]
#[repr(C)]
struct Node {
    next: Handle<Node>,
    value: [f32; 4],
}

fn main() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let node = heap.boxed(Node { next: Handle::NULL, value: [1.0; 4] }).unwrap();
    assert!(node.next.is_null() && node.value[3] == 1.0);
}
