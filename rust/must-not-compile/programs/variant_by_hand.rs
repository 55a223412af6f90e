//! What the derive alone calls reads the bytes of a value, which may have padding.
#[derive(shmheap::Shm)]
#[repr(C)]
struct Holes {
    a: u8,
    b: u32,
}

fn main() {
    let _ = <u8 as shmheap::Shm>::SHAPE.variant(&Holes { a: 1, b: 2 }, 1);
}
