//! A module that `#[shm(crate = ...)]` names cannot lie about where a field is.
#![forbid(unsafe_code)]

mod forged {
    pub use shmheap::{Shape, Shm};
    pub mod __private {
        pub mod core {
            pub mod mem {
                macro_rules! offset_of {
                    ($of:ty, $field:tt) => {
                        8
                    };
                }
                pub(crate) use offset_of;
            }
        }
    }
}

#[derive(shmheap::Shm)]
#[shm(crate = forged)]
#[repr(C)]
struct Offsets(u64);

fn main() {
    const _: shmheap::Shape = <Offsets as shmheap::Shm>::SHAPE;
}
