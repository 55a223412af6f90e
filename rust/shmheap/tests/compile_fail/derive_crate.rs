//! What `#[shm(crate = ...)]` names is this crate, and a path.
#![forbid(unsafe_code)]

macro_rules! forged {
    ($name:ident, $offset:literal, $shape:item) => {
        mod $name {
            pub use shmheap::Shm;
            $shape
            pub mod __private {
                pub mod core {
                    pub mod mem {
                        macro_rules! offset_of {
                            ($of:ty, $field:tt) => {
                                $offset
                            };
                        }
                        pub(crate) use offset_of;
                    }
                }
            }
        }
    };
}

forged!(offsets, 8, pub use shmheap::Shape;);
forged!(shape, 0, pub struct Shape;);

#[derive(shmheap::Shm)]
#[shm(crate = offsets)]
#[repr(C)]
struct Offsets(u64);

#[derive(shmheap::Shm)]
#[shm(crate = shape)]
#[repr(C)]
struct Other(u64);

#[derive(shmheap::Shm)]
#[shm(crate = shmheap::Shm for u8 {} impl shmheap)]
#[repr(C)]
struct Injected(u64);

fn main() {
    let heap = shmheap::Heap::anonymous(1 << 16).unwrap();
    let _ = heap.boxed(Offsets(1));
}
