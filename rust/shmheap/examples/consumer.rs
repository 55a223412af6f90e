//! Reads handles, a line each, and adds up what they name; removes the heap at the end. See
//! producer.
use std::io::BufRead;

use shmheap::{Heap, Shm};

#[derive(Shm)]
#[repr(C)]
struct Sample {
    number: u64,
    values: [f64; 1000],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: producer /NAME COUNT | consumer /NAME")?;
    let (mut heap, mut count, mut sum) = (None, 0, 0.0);
    for line in std::io::stdin().lock().lines() {
        // The first line says that the heap is there.
        let heap = match &heap {
            Some(heap) => heap,
            // SAFETY: processes of this program alone know the name, and write the heap by safe
            // code.
            None => heap.insert(unsafe { Heap::open(&name)? }),
        };
        let sample = heap.receive::<Sample>(line?.parse()?)?;
        assert_eq!(sample.number, count);
        count += 1;
        sum += sample.values.iter().sum::<f64>();
    }
    let left = heap.map_or(Ok(0), |heap| heap.stats().map(|stats| stats.used_blocks))?;
    Heap::remove(&name)?;
    println!("{count} samples, sum {sum:.1}, {left} left in the heap");
    Ok(())
}
