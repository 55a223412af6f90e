//! Padding would show other processes what lay on the stack.
use shmheap::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Padded {
    a: u8,
    b: u32,
}

fn main() {}
