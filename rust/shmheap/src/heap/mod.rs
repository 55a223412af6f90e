//! The heap: opened and closed. Its folder: `options`, how to open; `values`, what lies in it;
//! `names`, roots; `figures`, what it says of itself.
use std::os::fd::{AsFd, BorrowedFd};

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::raw::{self, Connection, OpenRef};
use crate::untrusted::UntrustedHeap;
#[cfg(doc)]
use crate::{ShmArc, ShmBox};

mod figures;
mod names;
mod options;
mod values;

pub use figures::{Reaped, Stats};
use options::c_name;
pub use options::HeapOptions;

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
}

/// A descriptor of the file below the heap that can be read and not written, a description of its
/// own: nothing that is done with it, locks included, has to do with the heap's own. Processes that
/// get it open the heap [`read_only`](HeapOptions::read_only). Of a heap that is not sealed, a
/// process can open the file anew for writing, by `/proc/self/fd`, where the file's permissions let
/// it; [`open_fd`](HeapOptions::open_fd) does so.
impl AsFd for Heap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.fd().expect("a heap that this process opened has a file")
    }
}
