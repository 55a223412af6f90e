//! What `#[shm(crate = ...)]` names is a path, and this crate's trait and shape are there.
#![forbid(unsafe_code)]

mod forged {
    pub use shmheap::Shm;

    pub struct Shape;
    impl Shape {
        pub const fn of_struct<T>() -> Self {
            Shape
        }
        pub const fn complete(self) -> Self {
            self
        }
    }
}

#[derive(shmheap::Shm)]
#[shm(crate = forged)]
#[repr(C)]
struct Other;

#[derive(shmheap::Shm)]
#[shm(crate = shmheap::Shm for u8 {} impl shmheap)]
#[repr(C)]
struct Injected(u64);

fn main() {}
