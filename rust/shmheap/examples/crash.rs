//! A process is killed holding a hundred boxes and a share; the survivor gets all of it back.
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use shmheap::{Heap, Result};

fn victim(name: &str, share: &str) -> Result<()> {
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::open(name)? };
    let _shared =
        heap.receive_arc::<[u64; 4]>(share.parse().expect("a handle in hexadecimal digits"))?;
    let _boxes = (0..100).map(|i| heap.boxed([i; 32])).collect::<Result<Vec<_>>>()?;
    println!("holding 100 boxes");
    std::io::stdout().flush().expect("standard output is open");
    loop {
        std::thread::park();
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let [name, share] = std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        return Ok(victim(name, share)?);
    }
    let name = format!("/crash-{}", std::process::id());
    // SAFETY: processes of this program alone know the name, and write the heap by safe code.
    let heap = unsafe { Heap::create(&name, 1 << 20)? };
    let shared = heap.arc([1u64, 2, 3, 4])?;
    let share = shared.share()?.to_string();
    let mut child = Command::new(std::env::current_exe()?)
        .args([&name, &share])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line)?;
    Heap::remove(&name)?;
    child.kill()?; // SIGKILL
    child.wait()?;
    println!("killed while {}: {} objects in the heap", line.trim_end(), heap.stats()?.used_blocks);
    println!("reaped: {}", heap.reap()?);
    assert_eq!(*shared, [1, 2, 3, 4]);
    drop(shared);
    println!("then the value that was shared: {}", heap.reap()?);
    println!("{} objects left", heap.stats()?.used_blocks);
    heap.check()?;
    Ok(())
}
