//! Shared values, counted.
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::content::Shareable;
use crate::error::Result;
use crate::handle::ArcHandle;
use crate::heap::Heap;
use crate::raw::Shared;

/// A value in a heap that several processes look at, and change through atomics. It lives until the
/// last share in it is dropped.
///
/// A clone is another owner within the process, and costs what std's [`Arc`] costs. For another
/// process [`share`](ShmArc::share) makes a share in transit, and [`Heap::receive_arc`] claims it
/// there.
///
/// A process that dies keeps no value alive: once it and all other processes that had a share are
/// gone, [`Heap::reap`] gives the value back. A share in transit does keep it, until a process
/// claims it.
///
/// ```
/// use shmheap::Heap;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let ours = heap.arc(AtomicU64::new(0))?;
/// let theirs = heap.receive_arc(ours.share()?)?; // in another process, as a rule
/// theirs.fetch_add(3, Relaxed);
/// assert_eq!(ours.load(Relaxed), 3);
/// # Ok::<(), shmheap::Error>(())
/// ```
pub struct ShmArc<T: Shareable> {
    shared: Arc<Shared<T>>,
}

impl<T: Shareable> ShmArc<T> {
    /// Puts a value in the heap: as [`Heap::arc`].
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// assert_eq!(*shmheap::ShmArc::new_in(5u8, &heap)?, 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn new_in(value: T, heap: &Heap) -> Result<Self> {
        Ok(ShmArc { shared: Arc::new(Shared::new(heap, value)?) })
    }

    /// Claims a share: as [`Heap::receive_arc`].
    ///
    /// ```
    /// use shmheap::{Heap, ShmArc};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let handle = heap.arc(5u8)?.share()?;
    /// assert_eq!(*ShmArc::receive_in(handle, &heap)?, 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_in(handle: ArcHandle<T>, heap: &Heap) -> Result<Self> {
        Ok(ShmArc { shared: Arc::new(Shared::receive(heap, handle.bits())?) })
    }

    /// Makes a share for another process: its handle, good for one [`Heap::receive_arc`]. It keeps
    /// the value alive, also when this process dies.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory): a share takes 16 bytes of the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let value = heap.arc(1u8)?;
    /// let handle = value.share()?;
    /// assert_eq!(value.shares(), 2);
    /// # let _ = handle;
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn share(&self) -> Result<ArcHandle<T>> {
        self.shared.share().map(ArcHandle::from_bits)
    }

    /// How many shares there are: one for each process (or each `receive_arc`), and those in
    /// transit. Too many where a process died.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let one = heap.arc(1u8)?;
    /// let clone = one.clone();
    /// assert_eq!(clone.shares(), 1);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn shares(&self) -> u64 {
        self.shared.count()
    }

    /// Whether both are shares in the same value. A heap and a copy of its file have different
    /// values.
    ///
    /// ```
    /// use shmheap::ShmArc;
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let (one, other) = (heap.arc(1u8)?, heap.arc(1u8)?);
    /// assert!(ShmArc::ptr_eq(&one, &heap.receive_arc(one.share()?)?));
    /// assert!(!ShmArc::ptr_eq(&one, &other));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.shared.is_same(&other.shared)
    }
}

impl<T: Shareable> Clone for ShmArc<T> {
    fn clone(&self) -> Self {
        ShmArc { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Shareable> Deref for ShmArc<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.shared.get()
    }
}

impl<T: Shareable> AsRef<T> for ShmArc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for ShmArc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
