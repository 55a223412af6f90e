//! Roots, and the names in a heap.
use crate::content::Shareable;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::heap::Heap;
use crate::root::{NameInfo, Root};

impl Heap {
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
}
