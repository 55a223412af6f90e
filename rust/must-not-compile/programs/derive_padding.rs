//! Padding would show what lay there before.
#[derive(shmheap::Shm)]
#[repr(C)]
struct Holes {
    a: u8,
    b: u32,
}

fn main() {
    const _: shmheap::Shape = <Holes as shmheap::Shm>::SHAPE;
}
