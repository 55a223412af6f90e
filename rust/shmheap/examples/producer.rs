//! Makes samples in a new heap and writes their handles, a line each:
//! `producer /name 10 | consumer /name`.
use std::io::Write;

use shmheap::{Heap, Shm};

#[derive(Shm)]
#[repr(C)]
struct Sample {
    number: u64,
    values: [f64; 1000],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = words.as_slice() else {
        return Err("usage: producer /NAME COUNT".into());
    };
    let heap = Heap::options().size(1 << 20).growable_to(1 << 28).create(name)?;
    // SAFETY: producer and consumer alone know the name, and write the heap by safe code.
    let heap = unsafe { heap.trust() };
    let mut out = std::io::stdout().lock();
    for number in 0..count.parse()? {
        let mut sample = heap.boxed(Sample { number, values: [0.0; 1000] })?;
        for (i, value) in sample.values.iter_mut().enumerate() {
            *value = number as f64 + i as f64 / 1000.0; // written where the consumer reads it
        }
        writeln!(out, "{}", sample.send()?)?;
    }
    Ok(())
}
