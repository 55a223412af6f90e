//! Handles: 8 bytes that name a value in transit.
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<T: ?Sized>(u64, PhantomData<fn() -> T>);

        impl<T: ?Sized> $name<T> {
            /// The handle that names nothing.
            ///
            /// ```
            #[doc = concat!("assert!(shmheap::", stringify!($name), "::<u64>::NULL.is_null());")]
            /// ```
            pub const NULL: Self = Self(0, PhantomData);

            /// Whether it is the null handle.
            ///
            /// ```
            #[doc = concat!(
                "assert!(!shmheap::", stringify!($name), "::<u64>::from_bits(1).is_null());"
            )]
            /// ```
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }

            /// Its 64 bits, as C's `shmheap_object_handle` has them.
            ///
            /// ```
            #[doc = concat!(
                "assert_eq!(shmheap::", stringify!($name), "::<u64>::from_bits(5).bits(), 5);"
            )]
            /// ```
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// The handle of the given bits. Any bits will do: a receive finds out what they name,
            /// and checks it.
            ///
            /// ```
            #[doc = concat!(
                "let handle = shmheap::", stringify!($name), "::<u64>::from_bits(12345);"
            )]
            #[doc = concat!("# let heap = shmheap::Heap::anonymous(1 << 16)?; let _ = handle;")]
            /// # Ok::<(), shmheap::Error>(())
            /// ```
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits, PhantomData)
            }

            /// The same bits as the handle of another type; receiving checks it.
            ///
            /// ```
            #[doc = concat!("let handle = shmheap::", stringify!($name), "::<u64>::from_bits(7);")]
            /// assert_eq!(handle.cast::<[u8]>().bits(), 7);
            /// ```
            pub const fn cast<U: ?Sized>(self) -> $name<U> {
                $name(self.0, PhantomData)
            }
        }

        impl<T: ?Sized> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T: ?Sized> Copy for $name<T> {}
        impl<T: ?Sized> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
        impl<T: ?Sized> Eq for $name<T> {}
        impl<T: ?Sized> Hash for $name<T> {
            fn hash<S: Hasher>(&self, state: &mut S) {
                self.0.hash(state);
            }
        }
        impl<T: ?Sized> Default for $name<T> {
            fn default() -> Self {
                Self::NULL
            }
        }
        /// 16 hexadecimal digits, which [`FromStr`] reads: for command lines and pipes.
        impl<T: ?Sized> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
        impl<T: ?Sized> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }
        impl<T: ?Sized> FromStr for $name<T> {
            type Err = ParseHandleError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u64::from_str_radix(text, 16).map(Self::from_bits).map_err(|_| ParseHandleError(()))
            }
        }
    };
}

handle! {
    /// Names a value of type `T` that was sent: 8 bytes, the same in every process, and itself fit
    /// to lie in shared memory. It means nothing without its heap, where
    /// [`Heap::receive`](crate::Heap::receive) claims the value, once.
    ///
    /// ```
    /// use shmheap::{Handle, Heap, Shm};
    ///
    /// #[derive(Shm)]
    /// #[repr(C)]
    /// struct Node {
    ///     value: u64,
    ///     next: Handle<Node>,
    /// }
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let last = heap.boxed(Node { value: 2, next: Handle::NULL })?.send()?;
    /// let first = heap.boxed(Node { value: 1, next: last })?.send()?;
    /// let first = heap.receive(first)?;
    /// assert_eq!(heap.receive(first.next)?.value, 2);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    Handle
}

handle! {
    /// Names a share in a [`ShmArc`](crate::ShmArc), made by
    /// [`ShmArc::share`](crate::ShmArc::share) for one receiver:
    /// [`Heap::receive_arc`](crate::Heap::receive_arc) claims it, once.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let ours = heap.arc(7u64)?;
    /// let theirs = heap.receive_arc(ours.share()?)?;
    /// assert_eq!(*theirs, 7);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    ArcHandle
}

/// What parsing a [`Handle`] or an [`ArcHandle`] fails with: the text is no number of at most 16
/// hexadecimal digits.
///
/// ```
/// let error = "xyz".parse::<shmheap::Handle<u64>>().unwrap_err();
/// assert_eq!(error.to_string(), "no handle: 16 hexadecimal digits make one");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseHandleError(());

impl fmt::Display for ParseHandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no handle: 16 hexadecimal digits make one")
    }
}

impl std::error::Error for ParseHandleError {}

/// A place for a [`Handle`] that several processes change: for rings, mailboxes and lists in a
/// [`ShmArc`](crate::ShmArc).
///
/// ```
/// use shmheap::{AtomicHandle, Handle, Heap};
/// use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let mailbox = heap.arc(AtomicHandle::<u64>::NULL)?;
/// mailbox.store(heap.boxed(5u64)?.send()?, Release);
/// let letter = mailbox.swap(Handle::NULL, AcqRel);
/// assert_eq!(*heap.receive(letter)?, 5);
/// assert!(mailbox.load(Acquire).is_null());
/// # Ok::<(), shmheap::Error>(())
/// ```
#[repr(transparent)]
pub struct AtomicHandle<T: ?Sized>(AtomicU64, PhantomData<fn() -> T>);

impl<T: ?Sized> AtomicHandle<T> {
    /// One that holds the null handle.
    ///
    /// ```
    /// use shmheap::AtomicHandle;
    /// use std::sync::atomic::Ordering::Relaxed;
    /// assert!(AtomicHandle::<u64>::NULL.load(Relaxed).is_null());
    /// ```
    #[allow(clippy::declare_interior_mutable_const)] // a value to begin with, as AtomicU64::new(0)
    pub const NULL: Self = Self(AtomicU64::new(0), PhantomData);

    /// One that holds this handle.
    ///
    /// ```
    /// use shmheap::{AtomicHandle, Handle};
    /// let place = AtomicHandle::new(Handle::<u64>::from_bits(3));
    /// # let _ = place;
    /// ```
    pub const fn new(handle: Handle<T>) -> Self {
        Self(AtomicU64::new(handle.bits()), PhantomData)
    }

    /// What it holds. Sending and receiving order what is in the value; `order` is about what lies
    /// around it.
    ///
    /// ```
    /// # use shmheap::{AtomicHandle, Handle}; use std::sync::atomic::Ordering::Acquire;
    /// assert_eq!(AtomicHandle::new(Handle::<u64>::from_bits(3)).load(Acquire).bits(), 3);
    /// ```
    pub fn load(&self, order: Ordering) -> Handle<T> {
        Handle::from_bits(self.0.load(order))
    }

    /// Puts a handle there.
    ///
    /// ```
    /// # use shmheap::{AtomicHandle, Handle}; use std::sync::atomic::Ordering::{Acquire, Release};
    /// let place = AtomicHandle::<u64>::NULL;
    /// place.store(Handle::from_bits(4), Release);
    /// assert_eq!(place.load(Acquire).bits(), 4);
    /// ```
    pub fn store(&self, handle: Handle<T>, order: Ordering) {
        self.0.store(handle.bits(), order);
    }

    /// Puts a handle there, and gives what was there before.
    ///
    /// ```
    /// # use shmheap::{AtomicHandle, Handle}; use std::sync::atomic::Ordering::AcqRel;
    /// let place = AtomicHandle::<u64>::NULL;
    /// assert!(place.swap(Handle::from_bits(4), AcqRel).is_null());
    /// ```
    pub fn swap(&self, handle: Handle<T>, order: Ordering) -> Handle<T> {
        Handle::from_bits(self.0.swap(handle.bits(), order))
    }

    /// Puts `new` there if it holds `current`. `Ok` is what was there, `Err` what is there instead.
    ///
    /// ```
    /// # use shmheap::{AtomicHandle, Handle}; use std::sync::atomic::Ordering::{AcqRel, Acquire};
    /// let place = AtomicHandle::<u64>::NULL;
    /// let new = Handle::from_bits(4);
    /// assert!(place.compare_exchange(Handle::NULL, new, AcqRel, Acquire).is_ok());
    /// assert!(place.compare_exchange(Handle::NULL, new, AcqRel, Acquire).is_err());
    /// ```
    pub fn compare_exchange(
        &self,
        current: Handle<T>,
        new: Handle<T>,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Handle<T>, Handle<T>> {
        self.0
            .compare_exchange(current.bits(), new.bits(), success, failure)
            .map(Handle::from_bits)
            .map_err(Handle::from_bits)
    }
}

impl<T: ?Sized> Default for AtomicHandle<T> {
    fn default() -> Self {
        Self::NULL
    }
}

impl<T: ?Sized> fmt::Debug for AtomicHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AtomicHandle({:016x})", self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_again() {
        for bits in [0, 1, u64::MAX, 0x8000_0000_0000_0000] {
            let handle = Handle::<str>::from_bits(bits);
            assert_eq!(handle.to_string().parse::<Handle<str>>().unwrap(), handle);
        }
        for text in ["no handle", "", "11112222333344445"] {
            assert_eq!(text.parse::<Handle<u8>>().unwrap_err(), ParseHandleError(()));
        }
        // For a main that returns any error, and for threads.
        let error = "xyz".parse::<ArcHandle<u8>>().unwrap_err();
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        assert_eq!(error.to_string(), "no handle: 16 hexadecimal digits make one");
    }

    #[test]
    fn eight_bytes_for_any_type() {
        assert_eq!(std::mem::size_of::<Handle<[u64]>>(), 8);
        assert_eq!(std::mem::size_of::<AtomicHandle<str>>(), 8);
    }
}
