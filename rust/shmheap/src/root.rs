//! Roots: values with a name.
use std::ffi::CString;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::content::Shareable;
use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::raw::{Named, Used};

/// A value in a heap that has a name, by which every process finds it: where to begin. Made by
/// [`Heap::root`], [`Heap::root_with`] and [`Heap::find_root`].
///
/// It is for looking at together, as a [`ShmArc`](crate::ShmArc): what changes in it are atomics.
/// Value and name live as long as a process has the root: each call that gives one counts as a use,
/// a clone is the same use, and the last use that is dropped frees the value, unless its name is
/// kept ([`Heap::keep_root`]). The uses of a process that died are given back by [`Heap::reap`].
///
/// The value is complete before another process sees it. A process that dies while making it leaves
/// a name that the next one goes on with.
///
/// ```
/// use shmheap::{Heap, Shm};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// #[derive(Shm)]
/// #[repr(C)]
/// struct Settings {
///     version: u32,
///     readers: AtomicU32,
/// }
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let make = || Settings { version: 3, readers: AtomicU32::new(0) };
/// let settings = heap.root_with("settings", make)?;
/// settings.readers.fetch_add(1, Relaxed);
/// assert_eq!(heap.find_root::<Settings>("settings")?.version, 3);
/// drop(settings); // the last use
/// assert!(heap.names()?.is_empty());
/// # Ok::<(), shmheap::Error>(())
/// ```
pub struct Root<T: Shareable> {
    used: Arc<Used<T>>,
}

impl<T: Shareable> Root<T> {
    pub(crate) fn zeroed(heap: &Heap, name: &[u8]) -> Result<Self> {
        Used::zeroed(heap, &c_name(name)?).map(Self::of)
    }

    pub(crate) fn with(heap: &Heap, name: &[u8], initial: impl FnOnce() -> T) -> Result<Self> {
        Used::with(heap, &c_name(name)?, initial).map(Self::of)
    }

    pub(crate) fn find(heap: &Heap, name: &[u8]) -> Result<Self> {
        Used::find(heap, &c_name(name)?).map(Self::of)
    }

    fn of(used: Used<T>) -> Self {
        Root { used: Arc::new(used) }
    }
}

pub(crate) fn c_name(name: &[u8]) -> Result<CString> {
    match name.len() {
        0 => Err(Error::InvalidName("it is empty")),
        1..=255 => CString::new(name).map_err(|_| Error::InvalidName("it holds a zero byte")),
        _ => Err(Error::InvalidName("it is longer than 255 bytes")),
    }
}

impl<T: Shareable> Clone for Root<T> {
    fn clone(&self) -> Self {
        Root { used: Arc::clone(&self.used) }
    }
}

impl<T: Shareable> Deref for Root<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.used.get()
    }
}

impl<T: Shareable> AsRef<T> for Root<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A name in a heap, as [`Heap::names`] finds it. Displayed, bytes that are not UTF-8 are replaced.
///
/// ```
/// let heap = shmheap::Heap::anonymous(1 << 16)?;
/// let root = heap.root::<[u64; 4]>(b"caf\xe9")?;
/// let info = &heap.names()?[0];
/// assert_eq!((&info.name[..], info.users), (&b"caf\xe9"[..], 1));
/// assert_eq!(info.to_string(), "caf\u{fffd}");
/// # drop(root);
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameInfo {
    /// Its bytes, 1 to 255.
    pub name: Vec<u8>,
    /// Bytes of its object. This crate adds up to 32 to a value's size, and what an alignment above
    /// the heap's needs.
    pub len: u64,
    /// Uses that were not given back: one for each [`Root`] but clones. Too many where a process
    /// died.
    pub users: u64,
    /// It stays without uses, until [`Heap::remove_root`].
    pub kept: bool,
}

impl NameInfo {
    pub(crate) fn of(named: Named) -> Self {
        NameInfo { name: named.name, len: named.len, users: named.users, kept: named.kept }
    }
}

impl fmt::Display for NameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.name))
    }
}
