//! Two processes that know nothing of each other but the heap's name meet at a root.
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::AcqRel;

use shmheap::{AtomicHandle, Heap, Root};

/// The first process that calls this makes the mailbox.
fn mailbox(heap: &Heap) -> shmheap::Result<Root<AtomicHandle<str>>> {
    heap.root("mailbox")
}

fn write_letter(heap: &Heap) -> shmheap::Result<()> {
    let letter = heap.boxed_str("found by name alone")?.send()?;
    let before = mailbox(heap)?.swap(letter, AcqRel);
    assert!(before.is_null(), "one letter at a time");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(name) = std::env::args().nth(1) {
        // SAFETY: processes of this program alone know the name, and write the heap by safe code.
        return Ok(write_letter(&unsafe { Heap::open(&name)? })?);
    }
    let name = format!("/mailbox-{}", std::process::id());
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::create(&name, 1 << 16)? };
    let mailbox = mailbox(&heap)?;
    let status = Command::new(std::env::current_exe()?).arg(&name).stdin(Stdio::null()).status();
    Heap::remove(&name)?;
    println!("{} wrote", if status?.success() { "another process" } else { "no process" });
    println!("{}", &*heap.receive_from(&mailbox)?.expect("a letter"));
    for info in heap.names()? {
        println!("{info}: {} bytes, {} user", info.len, info.users);
    }
    drop(mailbox);
    println!("{} names left", heap.names()?.len());
    Ok(())
}
