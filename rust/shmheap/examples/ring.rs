//! A ring of handles in the heap: one process puts lines in, another takes them out; no line is
//! copied.
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use shmheap::{AtomicHandle, Handle, Heap, Result, Shm, ShmArc};

const SLOTS: usize = 64;
const LINES: u64 = 10_000;

/// One puts at the back, another takes at the front; a place that holds the null handle is empty.
#[derive(Shm)]
#[repr(C)]
struct Ring {
    places: [AtomicHandle<str>; SLOTS],
    taken: AtomicU64,
}

impl Ring {
    fn put(&self, number: u64, line: Handle<str>) {
        let place = &self.places[number as usize % SLOTS];
        while !place.load(Acquire).is_null() {
            std::thread::yield_now();
        }
        place.store(line, Release);
    }

    fn take(&self, number: u64) -> Handle<str> {
        let place = &self.places[number as usize % SLOTS];
        loop {
            let line = place.swap(Handle::NULL, Acquire);
            if !line.is_null() {
                self.taken.store(number + 1, Release);
                return line;
            }
            std::thread::yield_now();
        }
    }
}

fn consume(name: &str, share: &str) -> Result<()> {
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::open(name)? };
    let ring: ShmArc<Ring> =
        heap.receive_arc(share.parse().expect("a handle in hexadecimal digits"))?;
    let mut letters = 0;
    for number in 0..LINES {
        let line = heap.receive(ring.take(number))?;
        assert!(line.ends_with(&format!(" {number}")));
        letters += line.len();
    }
    println!("took {LINES} lines, {letters} bytes");
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let [name, share] = std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        return Ok(consume(name, share)?);
    }
    let name = format!("/ring-{}", std::process::id());
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::create(&name, 1 << 20)? };
    let ring =
        heap.arc(Ring { places: [const { AtomicHandle::NULL }; SLOTS], taken: AtomicU64::new(0) })?;
    let share = ring.share()?.to_string();
    let mut consumer = Command::new(std::env::current_exe()?)
        .args([&name, &share])
        .stdin(Stdio::null())
        .spawn()?;
    for number in 0..LINES {
        ring.put(number, heap.boxed_str(&format!("this is line number {number}"))?.send()?);
    }
    let status = consumer.wait()?;
    Heap::remove(&name)?;
    println!("consumer: {status}; taken: {}", ring.taken.load(Acquire));
    drop(ring);
    println!("{} objects left", heap.stats()?.used_blocks);
    Ok(())
}
