//! Four processes count in one place.
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shmheap::{Heap, Result, Shm};

const PROCESSES: usize = 4;
const TURNS: u64 = 100_000;

#[derive(Shm)]
#[repr(C)]
struct Counter {
    total: AtomicU64,
    highest_pid: AtomicU64,
}

fn count(name: &str, share: &str) -> Result<()> {
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::open(name)? };
    let counter =
        heap.receive_arc::<Counter>(share.parse().expect("a handle in hexadecimal digits"))?;
    for _ in 0..TURNS {
        counter.total.fetch_add(1, Relaxed);
    }
    counter.highest_pid.fetch_max(std::process::id().into(), Relaxed);
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let [name, share] = std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        return Ok(count(name, share)?);
    }
    let name = format!("/counter-{}", std::process::id());
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::create(&name, 1 << 16)? };
    let counter = heap.arc(Counter { total: AtomicU64::new(0), highest_pid: AtomicU64::new(0) })?;
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let share = counter.share()?.to_string();
        children.push(
            Command::new(std::env::current_exe()?)
                .args([&name, &share])
                .stdin(Stdio::null())
                .spawn()?,
        );
    }
    let good = children.iter_mut().all(|child| child.wait().is_ok_and(|status| status.success()));
    Heap::remove(&name)?;
    println!("{} turns of {PROCESSES} processes, all well: {good}", counter.total.load(Relaxed));
    assert!(counter.highest_pid.load(Relaxed) > 0);
    drop(counter);
    println!("{} objects left", heap.stats()?.used_blocks);
    Ok(())
}
