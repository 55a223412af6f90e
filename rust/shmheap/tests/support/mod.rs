// What the tests share.
#![allow(dead_code)]

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use shmheap::{Heap, UntrustedHeap};

/// A name for a heap that no other process has; removed at the end.
pub struct Name(pub String);

impl Name {
    pub fn new() -> Self {
        Name(format!("/shmheap-rust-{:016x}", RandomState::new().hash_one(std::process::id())))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = shmheap::Heap::remove(&self.0);
    }
}

/// A heap whose writers are these tests.
pub trait Trusted {
    fn trusted(self) -> Heap;
}

impl Trusted for UntrustedHeap {
    fn trusted(self) -> Heap {
        // SAFETY: the heaps of the tests have names or descriptors that no other program knows.
        // Tests that write one behind the library's back use no references to what is in it.
        unsafe { self.trust() }
    }
}

pub fn create(name: &str, size: usize) -> shmheap::Result<Heap> {
    Heap::options().size(size).create(name).map(Trusted::trusted)
}

pub fn open(name: &str) -> shmheap::Result<Heap> {
    Heap::options().open(name).map(Trusted::trusted)
}

/// A heap without a name that has room for more writers.
pub fn shared(size: usize) -> Heap {
    Heap::options().size(size).anonymous_shared().unwrap().trusted()
}

/// Another connection to the same heap: as another process has one.
pub fn again(heap: &Heap) -> Heap {
    Heap::options().open_fd(heap).unwrap().trusted()
}

/// The seed of a test: printed, and taken from SHMHEAP_SEED where it is set.
pub fn seed() -> u64 {
    let seed = match std::env::var("SHMHEAP_SEED") {
        Ok(text) => text.parse().expect("SHMHEAP_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    println!("SHMHEAP_SEED={seed}");
    seed
}

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }
}

/// This test program once more, as another process that runs one role and talks over pipes. Killed
/// when dropped.
pub struct Peer {
    child: Child,
    pub to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

const ROLE: &str = "SHMHEAP_ROLE";

impl Peer {
    /// Runs the test function `role` in another process, with these words.
    pub fn start(role: &str, words: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([role, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, words.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        Peer { to: child.stdin.take(), child, from }
    }

    /// What the peer said next.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.from.read_line(&mut line).expect("the pipe can be read"),
                0,
                "the peer has gone"
            );
            if let Some((_, said)) = line.split_once('@') {
                return said.trim_end().to_owned();
            }
        }
    }

    pub fn tell(&mut self, words: &str) {
        writeln!(self.to.as_mut().expect("open"), "{words}").expect("the peer listens");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits until it ends, which it has to do well.
    pub fn join(mut self) {
        drop(self.to.take());
        std::io::copy(&mut self.from, &mut std::io::sink()).expect("the pipe can be read");
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of this process's role; None when the tests themselves run it.
pub fn role() -> Option<Vec<String>> {
    std::env::var(ROLE).ok().map(|words| words.split_whitespace().map(str::to_owned).collect())
}

/// Tells the process that started this one.
pub fn say(words: impl std::fmt::Display) {
    println!("@{words}");
    std::io::stdout().flush().expect("the pipe is open");
}

/// What that process says next.
pub fn listen() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the pipe can be read");
    line.trim_end().to_owned()
}

/// Until SIGKILL.
pub fn wait_for_death() -> ! {
    loop {
        std::thread::park();
    }
}
