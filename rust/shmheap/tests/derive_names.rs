//! The derive's words are its own, whatever a program calls `core`, and whatever it says this crate
//! is.
#![forbid(unsafe_code)]
extern crate shmheap as core;

use shmheap::{Error, Heap, Shm};

#[derive(Shm)]
#[repr(C)]
struct Sample {
    at: u32,
    good: bool,
    unit: Unit,
    unused: [u8; 2],
}

#[derive(Shm, Clone, Copy, PartialEq)]
#[repr(u8)]
enum Unit {
    Celsius = 1,
    Kelvin = 200,
}

#[test]
fn core_is_another_crate() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    for unit in [Unit::Celsius, Unit::Kelvin] {
        let sent =
            heap.boxed(Sample { at: 1, good: true, unit, unused: [0; 2] }).unwrap().send().unwrap();
        let sample = heap.receive(sent).unwrap();
        assert!(sample.at == 1 && sample.good && sample.unit == unit && sample.unused == [0; 2]);
    }
}

/// A module that a program gives to the derive as this crate. `compile_fail/derive_crate.rs` has
/// those that are refused.
#[allow(unused_macros, unused_imports)] // the derive may use less of it than there is
mod forged {
    pub use shmheap::{Shape, Shm};
    pub mod __private {
        pub mod core {
            pub mod mem {
                macro_rules! offset_of {
                    ($of:ty, $field:tt) => {
                        0
                    };
                }
                pub(crate) use offset_of;
            }
            pub mod ptr {
                macro_rules! addr_of {
                    ($($place:tt)*) => {
                        compile_error!("what a program wrote would stand inside of `unsafe`")
                    };
                }
                pub(crate) use addr_of;
            }
        }
    }
}

#[derive(Shm)]
#[shm(crate = forged, name = "answer")]
#[repr(C)]
struct Answer {
    yes: bool,
}

#[derive(Shm)]
#[shm(name = "answer")]
#[repr(C)]
struct Byte {
    yes: u8,
}

#[test]
fn a_forged_crate_forges_nothing() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let answer = heap.boxed(Answer { yes: true }).unwrap().send().unwrap();
    assert!(matches!(heap.receive(answer.cast::<Byte>()), Err(Error::WrongType { .. })));
    assert!(heap.receive(answer).unwrap().yes);
}

#[derive(Shm)]
#[repr(C)]
struct Sized {
    bytes: [u8; Self::LEN],
}

impl Sized {
    const LEN: usize = 4;
}

#[test]
fn a_field_may_use_a_constant_of_its_type() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    assert_eq!(heap.boxed(Sized { bytes: [1; 4] }).unwrap().bytes, [1; Sized::LEN]);
}
