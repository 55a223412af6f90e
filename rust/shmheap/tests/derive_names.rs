//! The derive's words are its own, whatever a program calls `core`.
#![forbid(unsafe_code)]
extern crate shmheap as core;

use shmheap::{Heap, Shm};

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
        let sent = heap.boxed(Sample { at: 1, good: true, unit, unused: [0; 2] }).unwrap().send().unwrap();
        let sample = heap.receive(sent).unwrap();
        assert!(sample.at == 1 && sample.good && sample.unit == unit && sample.unused == [0; 2]);
    }
}
