//! Heaps that processes may write which are not trusted.
use std::os::fd::{AsFd, BorrowedFd};

use crate::arc::ShmArc;
use crate::content::{Content, Refuse, Shareable};
use crate::error::Result;
use crate::handle::{ArcHandle, Handle};
use crate::heap::{Heap, Reaped, Stats};
use crate::raw::{self, Shm};
use crate::root::{NameInfo, Root};
use crate::transit::Transit;

/// A heap that other processes may write as they please: values are copied in and out, and no
/// references are given but to atomics. The options open an `UntrustedHeap`;
/// [`trust`](Self::trust) makes a [`Heap`] of it.
///
/// Whatever the other processes write, no call here reads or writes outside the heap's memory,
/// loops without end or makes an invalid value. A hostile process can destroy what is in the heap,
/// and hand out bytes that are values and lies. By cutting the file short below a heap with a name
/// it can raise SIGBUS; a memfd is sealed against that.
///
/// ```
/// use shmheap::{Heap, UntrustedHeap};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// let name = format!("/untrusted-{}", std::process::id());
/// let heap: UntrustedHeap = Heap::options().size(1 << 20).create(&name)?;
/// let there = Heap::options().open(&name)?; // in another process, as a rule
/// let handle = heap.send_str("hello")?;
/// assert_eq!(there.take(handle)?, "hello"); // a String: UTF-8, whatever happens to the memory
/// let count = heap.root::<AtomicU64>("count")?;
/// there.root::<AtomicU64>("count")?.fetch_add(1, Relaxed);
/// assert_eq!(count.load(Relaxed), 1);
/// # Heap::remove(&name)?;
/// # Ok::<(), shmheap::Error>(())
/// ```
///
/// # A limit
/// A hostile process can write over the label of an object. So two calls of this process, by the
/// same name or by shares in the same object, may give references to the same bytes as atomics of
/// different widths: a `&AtomicU64` and a `&[AtomicU32; 2]`. Rust calls it undefined behaviour when
/// accesses of both meet and one is a write. Processors define it: each load gives bytes that were
/// stored. A program that must not depend on that requests each name and each share as one type
/// only.
///
/// On a [`read_only`](crate::HeapOptions::read_only) connection, which the kernel keeps from
/// writing, an observer has [`peek`](Self::peek), [`in_transit`](Self::in_transit),
/// [`names`](Self::names), [`stats`](Self::stats) and [`check`](Self::check).
#[derive(Clone, Debug)]
pub struct UntrustedHeap {
    heap: Heap,
}

impl UntrustedHeap {
    pub(crate) fn of(heap: Heap) -> Self {
        UntrustedHeap { heap }
    }

    pub(crate) fn into_heap(self) -> Heap {
        self.heap
    }

    /// The same connection, with references to what is in the heap.
    ///
    /// # Safety
    /// All writers of the heap are trusted: see [`Heap`].
    ///
    /// ```
    /// use shmheap::Heap;
    /// let shared = Heap::options().anonymous_shared()?;
    /// // SAFETY: no other process has a descriptor of it.
    /// let heap = unsafe { shared.trust() };
    /// assert_eq!(*heap.boxed(5u8)?, 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn trust(self) -> Heap {
        self.heap
    }

    /// Copies a value into the heap and sends it: its handle.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::TooLarge`](crate::Error::TooLarge), [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn send<T: Shm>(&self, value: &T) -> Result<Handle<T>> {
        raw::send_copy::<T>(&self.heap, std::slice::from_ref(value)).map(Handle::from_bits)
    }

    /// As [`send`](Self::send), of a slice.
    pub fn send_slice<T: Shm>(&self, values: &[T]) -> Result<Handle<[T]>> {
        raw::send_copy::<[T]>(&self.heap, values).map(Handle::from_bits)
    }

    /// As [`send`](Self::send), of text.
    pub fn send_str(&self, text: &str) -> Result<Handle<str>> {
        raw::send_copy::<str>(&self.heap, text.as_bytes()).map(Handle::from_bits)
    }

    /// Copies a value out of the heap, and frees it there: as [`Heap::take`].
    pub fn take<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        self.heap.take(handle)
    }

    /// Copies a value that stays in transit: as [`Heap::peek`].
    pub fn peek<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        self.heap.peek(handle)
    }

    /// Shares atomics, counted: as [`Heap::arc`]. A type with anything but atomics in it is refused
    /// when the program is compiled.
    ///
    /// ```compile_fail,E0080
    /// let heap = shmheap::Heap::options().anonymous_shared().unwrap();
    /// let _ = heap.arc(5u64);
    /// ```
    pub fn arc<T: Shareable>(&self, value: T) -> Result<ShmArc<T>> {
        let () = Refuse::<T>::NOT_ATOMIC;
        self.heap.arc(value)
    }

    /// Claims a share: as [`Heap::receive_arc`], for atomics alone.
    pub fn receive_arc<T: Shareable>(&self, handle: ArcHandle<T>) -> Result<ShmArc<T>> {
        let () = Refuse::<T>::NOT_ATOMIC;
        self.heap.receive_arc(handle)
    }

    /// Atomics with a name, zero when they are made: as [`Heap::root`].
    pub fn root<T: Shareable>(&self, name: impl AsRef<[u8]>) -> Result<Root<T>> {
        let () = Refuse::<T>::NOT_ATOMIC;
        self.heap.root(name)
    }

    /// As [`root`](Self::root), made of a value: as [`Heap::root_with`].
    pub fn root_with<T: Shareable>(
        &self,
        name: impl AsRef<[u8]>,
        initial: impl FnOnce() -> T,
    ) -> Result<Root<T>> {
        let () = Refuse::<T>::NOT_ATOMIC;
        self.heap.root_with(name, initial)
    }

    /// As [`root`](Self::root), where it has been made: as [`Heap::find_root`].
    pub fn find_root<T: Shareable>(&self, name: impl AsRef<[u8]>) -> Result<Root<T>> {
        let () = Refuse::<T>::NOT_ATOMIC;
        self.heap.find_root(name)
    }

    /// As [`Heap::in_transit`].
    pub fn in_transit(&self) -> Result<Vec<Transit>> {
        self.heap.in_transit()
    }

    /// As [`Heap::discard`].
    pub fn discard(&self, handle: Handle<()>) -> Result<()> {
        self.heap.discard(handle)
    }

    /// As [`Heap::names`].
    pub fn names(&self) -> Result<Vec<NameInfo>> {
        self.heap.names()
    }

    /// As [`Heap::reap`].
    pub fn reap(&self) -> Result<Reaped> {
        self.heap.reap()
    }

    /// As [`Heap::check`].
    pub fn check(&self) -> Result<()> {
        self.heap.check()
    }

    /// As [`Heap::stats`].
    pub fn stats(&self) -> Result<Stats> {
        self.heap.stats()
    }

    /// A descriptor of the heap's file for writing, for a process that is to open the heap so. It
    /// stays the heap's own.
    ///
    /// # Safety
    /// What is done with it keeps to the protocol (see [`Heap`]) wherever a process trusts this
    /// heap's writers.
    #[allow(unsafe_code)]
    pub unsafe fn writable_fd(&self) -> Result<BorrowedFd<'_>> {
        self.heap.fd_writable()
    }
}

/// As that of [`Heap`]: for reading, unless a process opens the file anew.
impl AsFd for UntrustedHeap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heap.as_fd()
    }
}
