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

/// Parameters, constants, statics and functions with the names that the derive's variables have, or
/// had.
#[allow(dead_code, non_upper_case_globals, non_camel_case_types)]
mod variables {
    const value: usize = 3;
    const number: u8 = 9;
    static place: u8 = 0;
    static next: u8 = 0;
    pub struct field_0;
    pub const fn fields() -> usize {
        2
    }

    #[derive(shmheap::Shm)]
    #[repr(C)]
    pub struct Rows<const place: usize, const next: usize, const field_0: usize> {
        pub rows: [[bool; place]; next],
        pub more: [u8; field_0],
        pub fixed: [u8; fields() + value],
    }

    #[derive(shmheap::Shm)]
    #[repr(C)]
    pub struct Own<const __shm_place: usize, const __shm_next: usize, const __shm_value: usize> {
        pub rows: [[bool; __shm_place]; __shm_next],
        pub more: [u8; __shm_value],
    }

    #[derive(shmheap::Shm)]
    #[repr(u8)]
    pub enum Number<const __shm_number: u8> {
        Nine = number,
    }

    #[derive(shmheap::Shm)]
    #[repr(C)]
    pub struct Calls(pub core::marker::PhantomData<for<'shm> fn(&'shm u8)>);

    pub use std as core;
}

#[test]
fn names_of_variables_are_the_derives_own() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let rows: variables::Rows<2, 3, 1> =
        variables::Rows { rows: [[true, false]; 3], more: [7], fixed: [8; 5] };
    let sent = heap.boxed(rows).unwrap().send().unwrap();
    let other = sent.cast::<variables::Rows<3, 2, 1>>();
    assert!(matches!(heap.receive(other), Err(Error::WrongType { .. })));
    let rows = heap.receive(sent).unwrap();
    assert_eq!((rows.rows, rows.more, rows.fixed), ([[true, false]; 3], [7], [8; 5]));
    let own = variables::Own { rows: [[true; 2]; 1], more: [4; 3] };
    let sent = heap.boxed(own).unwrap().send().unwrap();
    assert_eq!(heap.receive(sent).unwrap().more, [4; 3]);
    let sent = heap.boxed(variables::Number::<1>::Nine).unwrap().send().unwrap();
    assert_eq!(heap.peek(sent).map(|found| found as u8).unwrap(), 9);
    // What is not its number is refused.
    let mut bytes = heap.receive_bytes(sent.cast()).unwrap();
    bytes[0] = 8;
    assert!(heap.receive(bytes.send().unwrap().cast::<variables::Number<1>>()).is_err());
    heap.boxed(variables::Calls(std::marker::PhantomData)).unwrap();
}
