//! The heap: opening, allocating, receiving, reaping.
use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::arc::ShmArc;
use crate::boxed::ShmBox;
use crate::content::{Content, Shareable};
use crate::error::{Error, Result};
use crate::handle::{ArcHandle, AtomicHandle, Handle};
use crate::raw::{self, Connection, Held, Object, OpenRef, Opening, Shm};
use crate::root::{NameInfo, Root};
use crate::sweep;
use crate::transit::Transit;
use crate::untrusted::UntrustedHeap;

/// A heap whose writers are all trusted: values in it are used by reference, where they lie.
///
/// A clone is the same connection; the last of clones, boxes and shares closes it. What is in the
/// heap stays, for other processes, until its name is removed and the last process has closed it.
/// All calls may be made from any thread.
///
/// # Trust
/// A `&T` to memory that another process writes meanwhile is undefined behaviour in Rust. So a
/// connection to memory that other processes can write is a `Heap` only by an `unsafe` call:
/// [`Heap::create`], [`Heap::open`] or [`UntrustedHeap::trust`]. It is a promise about all of them:
///
/// - Whatever can write the heap's memory keeps to the protocol, as long as this process uses the
///   heap: it writes the memory by this library alone, and an object while it holds it; what
///   several processes share, it writes by atomics alone. Programs whose only `unsafe` call of this
///   crate is that promise keep to it, whatever handles they make up.
/// - A C program that keeps to `shmheap.h` does so when it writes all bytes of an object before it
///   sends it, and does not use it after.
/// - No process, this one included, writes the heap's file or its name's file by other means, or
///   cuts it short.
///
/// Where that cannot be promised there is [`UntrustedHeap`], which copies. [`Heap::anonymous`]
/// needs no promise: the kernel lets no second writer in.
///
/// # fork
/// A connection belongs to the process that opened it. In a child made by `fork()`, calls on a heap
/// that it inherited fail with [`Error::OtherProcess`], and so do `send`, `share` and `snapshot`.
/// Uses of its boxes, shares and roots that cannot fail panic: dereferencing, [`ShmArc::shares`]
/// and [`ShmBox::into_inner`]. Drops do nothing. References that live across the fork lead to
/// memory that the kernel does not map in the child: a use of one ends the child by SIGSEGV.
///
/// ```
/// use shmheap::Heap;
///
/// let name = format!("/shmheap-doc-{}", std::process::id());
/// // SAFETY: only this program, which has no other unsafe code, opens heaps of this name.
/// let heap = unsafe { Heap::create(&name, 1 << 20)? };
/// // SAFETY: as above.
/// let there = unsafe { Heap::open(&name)? }; // in another process, as a rule
/// let handle = heap.boxed_str("hello")?.send()?;
/// assert_eq!(&*there.receive(handle)?, "hello");
/// Heap::remove(&name)?;
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Heap {
    connection: OpenRef,
}

/// Where a box finds its heap: [`Heap`], which the box keeps open, or `&Heap`, which costs nothing
/// and ties the box to the heap's lifetime. Sealed.
///
/// ```
/// use shmheap::{Heap, ShmBox};
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let keeps_it_open: ShmBox<u64> = heap.boxed(1)?;
/// let borrows: ShmBox<u64, &Heap> = ShmBox::new_in(1, &heap)?;
/// assert_eq!(*keeps_it_open, *borrows);
/// # Ok::<(), shmheap::Error>(())
/// ```
pub trait HeapRef: raw::Reference {}

impl HeapRef for Heap {}
impl HeapRef for &Heap {}

#[inline]
pub(crate) fn connection<H: HeapRef>(heap: &H) -> &Connection {
    &heap.heap().connection
}

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

fn c_name(name: &[u8]) -> Result<CString> {
    let invalid = |_| Error::InvalidOption {
        heap: String::from_utf8_lossy(name).into(),
        what: "a name cannot hold a zero byte".into(),
    };
    CString::new(name).map_err(invalid)
}

impl Heap {
    fn of(connection: Connection) -> Self {
        Heap::of_open(OpenRef::new(connection))
    }

    pub(crate) fn of_open(connection: OpenRef) -> Self {
        Heap { connection }
    }

    #[inline]
    pub(crate) fn open_ref(&self) -> &OpenRef {
        &self.connection
    }

    /// The heap's descriptor for writing: see [`UntrustedHeap::writable_fd`].
    pub(crate) fn fd_writable(&self) -> Result<BorrowedFd<'_>> {
        self.connection.fd_writable()
    }

    /// All that can be said about how to open.
    pub fn options() -> HeapOptions {
        HeapOptions::default()
    }

    /// Makes a heap of `size` bytes under a name of `shm_open`.
    ///
    /// # Safety
    /// All writers of the heap are trusted: see [`Heap`].
    #[allow(unsafe_code)]
    pub unsafe fn create(name: &str, size: usize) -> Result<Heap> {
        Heap::options().size(size).create(name).map(UntrustedHeap::into_heap)
    }

    /// Connects to the heap of that name.
    ///
    /// # Safety
    /// All writers of the heap are trusted: see [`Heap`].
    #[allow(unsafe_code)]
    pub unsafe fn open(name: &str) -> Result<Heap> {
        Heap::options().open(name).map(UntrustedHeap::into_heap)
    }

    /// Makes a heap of `size` bytes without a name, which this process alone can write: see
    /// [`HeapOptions::anonymous`].
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// // In another process, as a rule:
    /// let observer = shmheap::Heap::options().read_only().open_fd(&heap)?;
    /// let handle = heap.boxed(3u32)?.send()?;
    /// assert_eq!(observer.peek(handle)?, 3);
    /// assert!(shmheap::Heap::options().open_fd(&heap).is_err()); // not for writing
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn anonymous(size: usize) -> Result<Heap> {
        Heap::options().size(size).anonymous()
    }

    /// Keeps the heap open until the process ends. With the reference that it gives, boxes are
    /// owned, may go to other threads, and cost no count of what keeps the heap open (see the
    /// figures in the README). When the process ends, other processes take it for dead: they reap
    /// what it still holds.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    ///
    /// let heap: &'static Heap = Heap::anonymous(1 << 16)?.leak();
    /// let boxed: ShmBox<u64, &'static Heap> = ShmBox::new_in(41, heap)?;
    /// let sum = std::thread::spawn(move || *boxed + 1).join().unwrap();
    /// assert_eq!(sum, 42);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn leak(self) -> &'static Heap {
        Box::leak(Box::new(self))
    }

    /// Removes the name of a heap. Connected processes go on; the last one that closes the heap
    /// frees the memory. (The name of a heap in a file is removed as any file's.)
    pub fn remove(name: &str) -> Result<()> {
        Connection::unlink(&c_name(name.as_bytes())?)
    }

    /// Puts a value in the heap. The box keeps the heap open; [`ShmBox::new_in`] with `&heap`
    /// borrows it instead.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::TooLarge`] (also for a type whose alignment is more than a
    /// page), [`Error::ReadOnly`].
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let mut number = heap.boxed(41u64)?;
    /// *number += 1;
    /// assert_eq!(*number, 42);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[inline(always)]
    pub fn boxed<T: Shm>(&self, value: T) -> Result<ShmBox<T>> {
        Object::one(self, value).map(ShmBox::of)
    }

    /// As [`boxed`](Self::boxed), but where there is no space it waits until some is given back:
    /// `limit` long at most, `None` for ever.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after that time, [`Error::OutOfMemory`] at once where the value could
    /// not fit even in the empty heap, [`Error::TooLarge`] also for a type whose alignment is more
    /// than the heap's.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// use std::time::Duration;
    ///
    /// let heap = Heap::anonymous(4096)?;
    /// let full = heap.boxed_zeroed::<u8>(3000)?;
    /// let soon = Some(Duration::from_millis(1));
    /// assert!(matches!(heap.boxed_wait([0u8; 3000], soon), Err(Error::TimedOut)));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| drop(full)); // as another process, as a rule
    ///     heap.boxed_wait([0u8; 3000], None).map(|_| ())
    /// })?;
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_wait<T: Shm>(&self, value: T, limit: Option<Duration>) -> Result<ShmBox<T>> {
        let mut value = Some(value);
        let make = |_| value.take().expect("there is one element");
        Object::new_waiting(Held::of(self), 1, make, limit).map(ShmBox::of)
    }

    /// As [`boxed_wait`](Self::boxed_wait), for a slice of `len` elements, element `i` being what
    /// `make(i)` gives.
    pub fn boxed_slice_wait<T: Shm>(
        &self,
        len: usize,
        make: impl FnMut(usize) -> T,
        limit: Option<Duration>,
    ) -> Result<ShmBox<[T]>> {
        Object::new_waiting(Held::of(self), len, make, limit).map(ShmBox::of)
    }

    /// Copies a slice into the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let mut primes = heap.boxed_slice(&[2u32, 3, 5, 7])?;
    /// primes[0] = 11;
    /// assert_eq!(primes.iter().sum::<u32>(), 26);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_slice<T: Shm>(&self, values: &[T]) -> Result<ShmBox<[T]>> {
        Object::copied(Held::of(self), values).map(ShmBox::of)
    }

    /// A slice of `len` elements whose bytes are zero. Refused when the program is compiled where
    /// zero bytes are no value of `T`.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// assert!(heap.boxed_zeroed::<u64>(100)?.iter().all(|&x| x == 0));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_zeroed<T: Shm>(&self, len: usize) -> Result<ShmBox<[T]>> {
        Object::zeroed(Held::of(self), len).map(ShmBox::of)
    }

    /// Copies text into the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// assert_eq!(heap.boxed_str("zwölf")?.chars().count(), 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_str(&self, text: &str) -> Result<ShmBox<str>> {
        Object::copied(Held::of(self), text.as_bytes()).map(ShmBox::of)
    }

    /// Claims a value that was sent. Of all claims of it, in all processes, one succeeds.
    ///
    /// # Errors
    /// [`Error::NullHandle`], [`Error::ForeignHandle`] (of another heap, or bits that are no
    /// handle), [`Error::Stale`] (claimed already), [`Error::WrongType`], [`Error::NotAValue`],
    /// [`Error::NotUtf8`]. None of them changes anything: the value is looked at before it is
    /// claimed.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed_slice(&[1.0f64, 2.0])?.send()?;
    /// let pair = heap.receive(handle)?;
    /// assert_eq!(pair.len(), 2);
    /// assert!(matches!(heap.receive(handle), Err(Error::Stale)));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<ShmBox<T>> {
        Object::receive(self, handle.bits()).map(ShmBox::of)
    }

    /// Claims the value whose handle lies in `place`, and leaves the null handle there; `None`
    /// where there is none. The handle stays in `place` until the value is claimed: a process that
    /// dies inside leaves the value in the mailbox, or holds it, so that [`reap`](Self::reap) finds
    /// it.
    ///
    /// ```
    /// use shmheap::{AtomicHandle, Heap};
    /// use std::sync::atomic::Ordering::Release;
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let mailbox = heap.root::<AtomicHandle<str>>("mailbox")?;
    /// mailbox.store(heap.boxed_str("letter")?.send()?, Release);
    /// assert_eq!(&*heap.receive_from(&mailbox)?.expect("a letter"), "letter");
    /// assert!(heap.receive_from(&mailbox)?.is_none());
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_from<T: Content + ?Sized>(
        &self,
        place: &AtomicHandle<T>,
    ) -> Result<Option<ShmBox<T>>> {
        use std::sync::atomic::Ordering::{AcqRel, Acquire};
        loop {
            let handle = place.load(Acquire);
            if handle.is_null() {
                return Ok(None);
            }
            let received = match self.receive(handle) {
                Err(Error::Stale) => None, // a process claimed it, and had no time to say so here
                received => Some(received?),
            };
            // Where another handle lies there by now, it stays.
            let _ = place.compare_exchange(handle, Handle::NULL, AcqRel, Acquire);
            if received.is_some() {
                return Ok(received);
            }
        }
    }

    /// Claims a value, copies it into this process's own memory and frees it. Refused, it is in
    /// transit as before.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`Error::NoMemory`] where the system refuses memory for the
    /// copy; [`Error::CopyTooLarge`] above [`copies_up_to`](HeapOptions::copies_up_to). The peer
    /// chose the length. A control group kills a process that uses more memory than its limit, and
    /// gives no error: in one, set `copies_up_to`.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed_str("from afar")?.send()?;
    /// let text: String = heap.take(handle)?;
    /// assert_eq!(text, "from afar");
    /// assert_eq!(heap.stats()?.used_blocks, 0);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn take<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        raw::take::<T>(&self.connection, handle.bits())
    }

    /// Copies a value that stays in transit. Errors as [`take`](Self::take).
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed([1u8, 2])?.send()?;
    /// assert_eq!((heap.peek(handle)?, heap.peek(handle)?), ([1, 2], [1, 2]));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn peek<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        raw::peek::<T>(&self.connection, handle.bits())
    }

    /// What is in transit: values that were sent and not claimed, and shares. Among them are those
    /// whose handles are lost, since the process died that had them: [`discard`](Self::discard)
    /// gives them back. Which these are, the program has to know. Costs a walk over the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let _lost = heap.boxed_slice(&[1u8; 1000])?.send()?;
    /// let found = heap.in_transit()?;
    /// assert_eq!(found.len(), 1);
    /// heap.discard(found[0].handle)?;
    /// assert_eq!(heap.stats()?.used_blocks, 0);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn in_transit(&self) -> Result<Vec<Transit>> {
        Transit::all(&self.connection)
    }

    /// Claims what is in transit under a handle, of whatever type, and gives it back; of a share
    /// ([`ArcHandle`]), the share.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn discard(&self, handle: Handle<()>) -> Result<()> {
        raw::discard(self, handle.bits())
    }

    /// Claims an object that a program without this crate sent, with `shmheap_send`: all its bytes
    /// but the last 16, which this crate keeps for itself (so let that program allocate 16 more).
    /// What this crate sent comes as its bytes.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed(0x0102_0304u32)?.send()?;
    /// let bytes = heap.receive_bytes(handle.cast())?;
    /// assert_eq!(bytes[..4], [4, 3, 2, 1]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_bytes(&self, handle: Handle<()>) -> Result<ShmBox<[u8]>> {
        raw::receive_bytes(self, handle.bits()).map(ShmBox::of)
    }

    /// Puts a value in the heap for several processes to look at, counted.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::TooLarge`] (also for a type whose alignment is more than a
    /// page), [`Error::ReadOnly`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let counter = heap.arc(AtomicU32::new(1))?;
    /// counter.fetch_add(1, Relaxed);
    /// assert_eq!(counter.load(Relaxed), 2);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn arc<T: Shareable>(&self, value: T) -> Result<ShmArc<T>> {
        ShmArc::new_in(value, self)
    }

    /// Claims a share that [`ShmArc::share`] made. Errors as [`receive`](Self::receive); refused,
    /// it is in transit as before.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let one = heap.arc([1u8, 2, 3])?;
    /// let two = heap.receive_arc(one.share()?)?;
    /// drop(one);
    /// assert_eq!(*two, [1, 2, 3]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_arc<T: Shareable>(&self, handle: ArcHandle<T>) -> Result<ShmArc<T>> {
        ShmArc::receive_in(handle, self)
    }

    /// The value of this name, the same one for all processes, which lives as long as any of them
    /// has the [`Root`]. The first call makes it, of zero bytes (refused when the program is
    /// compiled where these are no value of `T`); [`root_with`](Self::root_with) makes it of a
    /// value.
    ///
    /// The name is 1 to 255 bytes of any kind but zero. Making one costs a walk over the heap's
    /// blocks, once for each connection.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::OtherRoot`] (there is something of that name, of another
    /// type, or made by a program without this crate), [`Error::OutOfMemory`], [`Error::ReadOnly`],
    /// [`Error::TooLarge`] (also for a type whose alignment is more than 4096), [`Error::TimedOut`]
    /// (a live process began making it 30 s ago: stopped in a debugger?). Nothing changes by any of
    /// them.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let visits = heap.root::<AtomicU64>("visits")?;
    /// let same = heap.root::<AtomicU64>("visits")?; // in another process, as a rule
    /// same.fetch_add(1, Relaxed);
    /// assert_eq!(visits.load(Relaxed), 1);
    /// assert!(matches!(heap.root::<[u64; 2]>("visits"), Err(Error::OtherRoot { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn root<T: Shareable>(&self, name: impl AsRef<[u8]>) -> Result<Root<T>> {
        Root::zeroed(self, name.as_ref())
    }

    /// As [`root`](Self::root), but the process that makes it puts `initial()` there. Of several
    /// processes at the same time each may call its own, and all get the value of one.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let first = heap.root_with("limits", || [3u64, 4])?;
    /// let second = heap.root_with("limits", || [5u64, 6])?; // there is one: not called
    /// assert_eq!((*first, *second), ([3, 4], [3, 4]));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn root_with<T: Shareable>(
        &self,
        name: impl AsRef<[u8]>,
        initial: impl FnOnce() -> T,
    ) -> Result<Root<T>> {
        Root::with(self, name.as_ref(), initial)
    }

    /// The value of this name, where a process has made it. Errors as [`root`](Self::root), and
    /// [`Error::NoSuchName`].
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert!(matches!(heap.find_root::<u64>("limit"), Err(Error::NoSuchName { .. })));
    /// let made = heap.root_with("limit", || 5u64)?;
    /// assert_eq!(*heap.find_root::<u64>("limit")?, 5);
    /// # drop(made);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn find_root<T: Shareable>(&self, name: impl AsRef<[u8]>) -> Result<Root<T>> {
        Root::find(self, name.as_ref())
    }

    /// Keeps a name: from now on it stays without uses, also when all processes have died or left,
    /// until [`remove_root`](Self::remove_root). So a heap in a file has a root to come back to. Do
    /// it each time when the root has been opened, since a process may die before.
    ///
    /// # Errors
    /// [`Error::NoSuchName`], [`Error::ReadOnly`].
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let limit = heap.root_with("limit", || 5u64)?;
    /// heap.keep_root("limit")?;
    /// drop(limit); // the last use
    /// assert_eq!(*heap.find_root::<u64>("limit")?, 5);
    /// assert!(heap.remove_root("limit")?);
    /// assert!(heap.names()?.is_empty());
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn keep_root(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.connection.keep_name(&crate::root::c_name(name.as_ref())?)
    }

    /// Removes a name, kept or not. True: it is gone. False: living processes use it, and it goes
    /// with their last use. The caller counts: while it has a [`Root`] of the name itself, the
    /// result is false.
    ///
    /// # Errors
    /// [`Error::NoSuchName`], [`Error::ReadOnly`].
    pub fn remove_root(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        self.connection.remove_name(&crate::root::c_name(name.as_ref())?)
    }

    /// All names in the heap, those of C programs too, in no particular order. Names that come or
    /// go meanwhile may be among them or not. Also on read-only connections.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let (one, two) = (heap.root::<u64>("one")?, heap.root::<u32>("two")?);
    /// let mut names: Vec<_> = heap.names()?.into_iter().map(|info| info.to_string()).collect();
    /// names.sort();
    /// assert_eq!(names, ["one", "two"]);
    /// # drop((one, two));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn names(&self) -> Result<Vec<NameInfo>> {
        Ok(self.connection.names()?.into_iter().map(NameInfo::of).collect())
    }

    /// Gives back what only processes that died can know: their boxes, their uses of roots, and
    /// what no share is left of. What is in transit stays. Costs a walk over the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let ours = heap.boxed(1u8)?;
    /// assert_eq!(heap.reap()?.boxes, 0); // we live
    /// # drop(ours);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn reap(&self) -> Result<Reaped> {
        let boxes = self.connection.reap()?;
        let arcs = match sweep::sweep(&self.connection) {
            Err(Error::Unsupported) => 0,
            swept => swept?,
        };
        Ok(Reaped { boxes, arcs })
    }

    /// Walks all blocks and holds the heap's figures against them: [`Error::Unsound`] names the
    /// rule that is broken.
    ///
    /// ```
    /// shmheap::Heap::anonymous(1 << 16)?.check()?;
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        self.connection.check()
    }

    /// Figures of the heap at one instant.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let stats = heap.stats()?;
    /// assert_eq!((stats.len, stats.used_blocks, stats.processes), (1 << 16, 0, 1));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        self.connection.stats().map(Stats::of)
    }
}

/// A descriptor of the file below the heap that can be read and not written, a description of its
/// own: nothing that is done with it, locks included, has to do with the heap's own. Processes that
/// get it open the heap [`read_only`](HeapOptions::read_only).
impl AsFd for Heap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.fd().expect("a heap that this process opened has a file")
    }
}

/// What [`Heap::reap`] gave back.
///
/// ```
/// let heap = shmheap::Heap::anonymous(1 << 16)?;
/// let reaped = heap.reap()?;
/// assert_eq!((reaped.boxes, reaped.arcs), (0, 0));
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Objects that dead processes held: boxes, their shares in `ShmArc`s, and roots that no other
    /// process uses.
    pub boxes: u64,
    /// Insides of `ShmArc`s that no share was left of.
    pub arcs: u64,
}

/// Figures of a heap. Bytes unless said otherwise.
///
/// ```
/// let heap = shmheap::Heap::anonymous(1 << 16)?;
/// println!("{:?}", heap.stats()?);
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Of the region now.
    pub len: u64,
    /// Of the region at most.
    pub max_len: u64,
    /// Alignment of every object: 8 or 16.
    pub alignment: u64,
    /// Number of objects.
    pub used_blocks: u64,
    /// Of all objects, with 8 for each header.
    pub used_bytes: u64,
    /// Number of free blocks.
    pub free_blocks: u64,
    /// Of all free blocks, with their headers.
    pub free_bytes: u64,
    /// The largest object that fits without growing. This crate adds 8 to a value's size.
    pub largest_free: u64,
    /// The most that `used_bytes` ever was.
    pub high_water_bytes: u64,
    /// How often something was allocated since creation.
    pub allocs: u64,
    /// Of all that was ever allocated, with headers.
    pub alloc_bytes: u64,
    /// How often something was freed.
    pub frees: u64,
    /// How often there was no room.
    pub failed_allocs: u64,
    /// How often the region grew.
    pub grows: u64,
    /// How often a process died holding the lock.
    pub recoveries: u64,
    /// When the heap was created.
    pub created: SystemTime,
    /// Connections of live processes that can write.
    pub processes: u32,
    /// Slots of processes that died.
    pub dead: u32,
}

impl Stats {
    fn of(found: raw::Found) -> Self {
        Stats {
            len: found.len,
            max_len: found.max_len,
            alignment: found.alignment,
            used_blocks: found.used_blocks,
            used_bytes: found.used_bytes,
            free_blocks: found.free_blocks,
            free_bytes: found.free_bytes,
            largest_free: found.largest_free,
            high_water_bytes: found.high_water_bytes,
            allocs: found.allocs,
            alloc_bytes: found.alloc_bytes,
            frees: found.frees,
            failed_allocs: found.failed_allocs,
            grows: found.grows,
            recoveries: found.recoveries,
            created: UNIX_EPOCH
                .checked_add(Duration::from_nanos(found.created_ns))
                .unwrap_or(UNIX_EPOCH),
            processes: found.processes,
            dead: found.dead,
        }
    }
}

impl fmt::Display for Reaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} boxes, {} arcs", self.boxes, self.arcs)
    }
}
