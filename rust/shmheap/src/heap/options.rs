//! How to open or create a heap.
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::raw::{self, Connection, Opening};
use crate::untrusted::UntrustedHeap;

/// How to open or create a heap. Made by [`Heap::options`]. What opens a heap that other processes
/// can write gives an [`UntrustedHeap`], and [`trust`](UntrustedHeap::trust) makes a [`Heap`] of
/// it.
///
/// ```
/// use shmheap::Heap;
/// use std::time::Duration;
///
/// let name = format!("/shmheap-options-{}", std::process::id());
/// let heap = Heap::options()
///     .size(1 << 20)
///     .growable_to(1 << 24)
///     .mode(0o660)
///     .timeout(Duration::from_millis(500))
///     .open_or_create(&name)?; // an UntrustedHeap: see `trust`
/// assert_eq!(heap.stats()?.max_len, 1 << 24);
/// Heap::remove(&name)?;
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until one of the calls that open"]
pub struct HeapOptions {
    opening: Opening,
}

impl HeapOptions {
    /// Bytes of the region when it is created, at least 128; default 1 MiB.
    pub fn size(mut self, bytes: usize) -> Self {
        self.opening.len = bytes;
        self
    }

    /// Bytes to which it grows by itself; default: it never grows.
    pub fn growable_to(mut self, bytes: usize) -> Self {
        self.opening.max_len = bytes;
        self
    }

    /// 8 or 16 bytes (default), when creating. Types that need more get more.
    pub fn alignment(mut self, bytes: usize) -> Self {
        self.opening.alignment = bytes;
        self
    }

    /// Permission bits when creating, exactly, whatever the umask; default 0600.
    pub fn mode(mut self, bits: u32) -> Self {
        self.opening.mode = bits;
        self
    }

    /// How long to wait for a heap that is still being created; default 2 s. In milliseconds,
    /// rounded up.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.opening.timeout_ms =
            limit.as_nanos().div_ceil(1_000_000).clamp(1, u128::from(u32::MAX)) as u32;
        self
    }

    /// Connect without the right to write: to look at figures.
    pub fn read_only(self) -> Self {
        self.flag(raw::READ_ONLY)
    }

    /// Keep free blocks for each thread: faster, and placement is no longer exact first fit.
    pub fn cached(self) -> Self {
        self.flag(raw::CACHED)
    }

    /// When creating: in this heap, a call that finds no space first frees the boxes of dead
    /// processes.
    pub fn reap(self) -> Self {
        self.flag(raw::REAP)
    }

    /// When creating or growing, do not reserve memory: a machine that runs out of it raises SIGBUS
    /// then.
    pub fn sparse(self) -> Self {
        self.flag(raw::SPARSE)
    }

    /// Request huge pages from the kernel however long it takes, also in small and sparse heaps,
    /// and in a heap that was made without this option. Heaps of 16 MiB and more request them
    /// without it, too, for at most half a second for each GiB.
    pub fn huge_pages(self) -> Self {
        self.flag(raw::HUGE_PAGES)
    }

    /// When creating by name: a heap of that name that no live process uses, or that was never
    /// finished, is replaced by a new one. With [`create`](Self::create), [`Error::AlreadyExists`]
    /// then says that a live process uses it.
    pub fn take_over(self) -> Self {
        self.flag(raw::TAKE_OVER)
    }

    /// The heap of the CPU package that the caller runs on: `.socketN` is added to the name, and a
    /// new heap's memory lies on the package's NUMA nodes. [`Error::Unsupported`] where the system
    /// does not tell, [`Error::Call`] with `EXDEV` where the caller may run on several packages.
    pub fn of_socket(self) -> Self {
        self.flag(raw::SOCKET)
    }

    /// Connects to the heap of this name, as `shm_open` takes it: `"/name"`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::Corrupt`] (what is there is no
    /// heap), [`Error::OtherVersion`], [`Error::TimedOut`], [`Error::TooManyProcesses`],
    /// [`Error::InvalidOption`].
    pub fn open(&self, name: &str) -> Result<UntrustedHeap> {
        self.at(name.as_bytes(), 0)
    }

    /// Makes a heap of this name; [`Error::AlreadyExists`] if there is one.
    pub fn create(&self, name: &str) -> Result<UntrustedHeap> {
        self.at(name.as_bytes(), raw::CREATE | raw::EXCLUSIVE)
    }

    /// Connects to the heap of this name, or makes it. What is there keeps its size and alignment.
    pub fn open_or_create(&self, name: &str) -> Result<UntrustedHeap> {
        self.at(name.as_bytes(), raw::CREATE)
    }

    /// As [`open`](Self::open), for the heap in a file.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<UntrustedHeap> {
        self.at(path.as_ref().as_os_str().as_bytes(), raw::FILE)
    }

    /// As [`create`](Self::create), in a file.
    pub fn create_file(&self, path: impl AsRef<Path>) -> Result<UntrustedHeap> {
        self.at(path.as_ref().as_os_str().as_bytes(), raw::FILE | raw::CREATE | raw::EXCLUSIVE)
    }

    /// As [`open_or_create`](Self::open_or_create), in a file.
    pub fn open_or_create_file(&self, path: impl AsRef<Path>) -> Result<UntrustedHeap> {
        self.at(path.as_ref().as_os_str().as_bytes(), raw::FILE | raw::CREATE)
    }

    /// Makes a heap without a name that this process alone can write: the kernel refuses every
    /// other mapping of it for writing and every write to its file, in this process too
    /// (`F_SEAL_FUTURE_WRITE`), by way of `/proc/self/fd` too. The seal comes before the heap's
    /// contents. Processes that get its descriptor ([`AsFd`]: by inheritance, or over a socket) can
    /// open it [`read_only`](Self::read_only), and copy what they see.
    ///
    /// # Errors
    /// [`Error::Unsupported`]: before Linux 5.1, which lacks that seal;
    /// [`anonymous_shared`](Self::anonymous_shared) does without.
    pub fn anonymous(&self) -> Result<Heap> {
        Connection::create_sealed(&self.with(raw::ANONYMOUS | raw::CREATE)).map(Heap::of)
    }

    /// Makes a heap without a name, which other processes can write that get a descriptor of it
    /// ([`UntrustedHeap::writable_fd`]): by inheritance, or over a socket.
    pub fn anonymous_shared(&self) -> Result<UntrustedHeap> {
        let opening = self.with(raw::ANONYMOUS | raw::CREATE);
        Connection::open(None, &opening).map(Heap::of).map(UntrustedHeap::of)
    }

    /// Connects to the heap that a descriptor refers to, which stays the caller's.
    pub fn open_fd(&self, fd: impl AsFd) -> Result<UntrustedHeap> {
        Connection::open_fd(fd.as_fd(), &self.opening).map(Heap::of).map(UntrustedHeap::of)
    }

    /// The largest value in bytes that [`take`](Heap::take) and [`peek`](Heap::peek) copy into this
    /// process's own memory; default: any. A peer that is not trusted may send a value as large as
    /// the heap. A value above the limit gives [`Error::CopyTooLarge`] and stays in transit;
    /// [`discard`](Heap::discard) frees it.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// let heap = Heap::options().copies_up_to(1000).anonymous_shared()?;
    /// let handle = heap.send_str(&"long ".repeat(300))?;
    /// assert!(matches!(heap.take(handle), Err(Error::CopyTooLarge { bytes: 1500, limit: 1000 })));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn copies_up_to(mut self, bytes: usize) -> Self {
        self.opening.copies_up_to = bytes;
        self
    }

    fn flag(mut self, flag: u32) -> Self {
        self.opening.flags |= flag;
        self
    }

    fn with(&self, flags: u32) -> Opening {
        let mut opening = self.opening.clone();
        opening.flags |= flags;
        opening
    }

    fn at(&self, name: &[u8], flags: u32) -> Result<UntrustedHeap> {
        let name = c_name(name)?;
        Connection::open(Some(&name), &self.with(flags)).map(Heap::of).map(UntrustedHeap::of)
    }
}

pub(super) fn c_name(name: &[u8]) -> Result<CString> {
    let invalid = |_| Error::InvalidOption {
        heap: String::from_utf8_lossy(name).into(),
        what: "a name cannot hold a zero byte".into(),
    };
    CString::new(name).map_err(invalid)
}
