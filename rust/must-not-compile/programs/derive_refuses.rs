//! What the derive says of types that cannot lie in shared memory.
use shmheap::Shm;

#[derive(Shm)]
struct NoRepr(u64);

#[derive(Shm)]
enum NoInteger {
    One,
}

#[derive(Shm)]
#[repr(C, packed)]
struct Packed(u8, u64);

#[derive(Shm)]
#[repr(C)]
union Either {
    a: u32,
    b: f32,
}

#[derive(Shm)]
#[repr(u8)]
enum WithFields {
    A(u8),
}

#[derive(Shm)]
#[repr(u8)]
enum Never {}

#[derive(Shm)]
#[repr(C)]
struct Borrows<'a>(&'a u64);

#[derive(Shm)]
#[shm(nmae = "a")]
#[repr(C)]
struct Misspelt(u64);

#[derive(Shm)]
#[repr(C)]
struct OnAField {
    #[shm(version = 1)]
    a: u64,
}

fn main() {}
