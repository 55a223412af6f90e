//! What may lie in shared memory.
use std::str::Utf8Error;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Values that may travel between processes: every pattern of bytes is one of them, none of their bytes is
/// padding, and they hold no reference and no pointer.
///
/// Nobody implements it; whoever has the four traits of `zerocopy` has it. They are derived, and the derive refuses
/// what is not so:
///
/// ```
/// use shmheap::{FromBytes, Heap, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Sample {
///     time_ns: u64,
///     value: f32,
///     sensor: u32,
/// }
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let sample = heap.boxed(Sample { time_ns: 1, value: 0.5, sensor: 7 })?;
/// assert_eq!(sample.sensor, 7);
/// # Ok::<(), shmheap::Error>(())
/// ```
///
/// `bool`, `char` and most enums are not among them, since a peer may write bytes that are none of their values: keep
/// an integer, and convert it where it is read. Types with a destructor are refused when the program is compiled, since
/// nobody would run it when the process dies:
///
/// ```compile_fail,E0080
/// # use shmheap::{FromBytes, Heap, Immutable, IntoBytes, KnownLayout};
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Guard(u64);
///
/// impl Drop for Guard {
///     fn drop(&mut self) {}
/// }
///
/// let heap = Heap::anonymous(1 << 16).unwrap();
/// let _ = heap.boxed(Guard(1)); // "a value in shared memory cannot have a destructor"
/// ```
pub trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Send + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Send + 'static> Plain for T {}

/// Values that several processes may look at together, in a [`ShmArc`](crate::ShmArc): as [`Plain`], but what changes
/// inside must be an atomic, which is what [`Sync`] asks for.
///
/// ```
/// use shmheap::{FromBytes, Heap, IntoBytes, KnownLayout};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// #[derive(FromBytes, IntoBytes, KnownLayout)]
/// #[repr(C)]
/// struct Counters {
///     hits: AtomicU64,
///     limit: u64,
/// }
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let counters = heap.arc(Counters { hits: AtomicU64::new(0), limit: 10 })?;
/// counters.hits.fetch_add(1, Relaxed);
/// assert!(counters.hits.load(Relaxed) < counters.limit);
/// # Ok::<(), shmheap::Error>(())
/// ```
pub trait Shareable: FromBytes + IntoBytes + KnownLayout + Send + Sync + 'static {}
impl<T: FromBytes + IntoBytes + KnownLayout + Send + Sync + 'static> Shareable for T {}

/// What a [`ShmBox`](crate::ShmBox) holds: a [`Plain`] value, a slice of them, or text. Sealed: these three it is.
///
/// ```
/// fn names_it<T: shmheap::Content + ?Sized>() {}
/// names_it::<u64>();
/// names_it::<[f32]>();
/// names_it::<str>();
/// ```
pub trait Content: sealed::Sealed {
    /// The same in memory of the process's own: `T`, `Vec<T>` or `String`.
    type Owned;

    /// Made of its elements, where they are a value of the type.
    #[doc(hidden)]
    fn owned(elements: Vec<Self::Element>) -> Result<Self::Owned, Utf8Error>;
}

impl<T: Plain> Content for T {
    type Owned = T;
    fn owned(mut elements: Vec<T>) -> Result<T, Utf8Error> {
        Ok(elements.pop().expect("one element was copied"))
    }
}

impl<T: Plain> Content for [T] {
    type Owned = Vec<T>;
    fn owned(elements: Vec<T>) -> Result<Vec<T>, Utf8Error> {
        Ok(elements)
    }
}

impl Content for str {
    type Owned = String;
    fn owned(elements: Vec<u8>) -> Result<String, Utf8Error> {
        String::from_utf8(elements).map_err(|error| error.utf8_error())
    }
}

pub(crate) use sealed::Sealed;

mod sealed {
    use super::Plain;
    use crate::label::{Kind, Label};
    use std::ptr::NonNull;
    use std::str::Utf8Error;

    /// How a value lies in its object. `Self` may be unsized; no method forms a reference to it.
    pub trait Sealed {
        type Element: Plain;
        const KIND: Kind;

        /// The pointer to count elements at place.
        fn pointer(place: NonNull<Self::Element>, count: usize) -> NonNull<Self>;
        /// How many elements.
        fn count(pointer: NonNull<Self>) -> usize;
        /// Whether the bytes at hand are a value of the type.
        fn validate(_bytes: &[Self::Element]) -> Result<(), Utf8Error> {
            Ok(())
        }

        fn label(count: usize) -> Option<Label> {
            Label::new::<Self::Element>(Self::KIND, count)
        }
    }

    impl<T: Plain> Sealed for T {
        type Element = T;
        const KIND: Kind = Kind::Value;

        fn pointer(place: NonNull<T>, _: usize) -> NonNull<T> {
            place
        }
        fn count(_: NonNull<T>) -> usize {
            1
        }
    }

    impl<T: Plain> Sealed for [T] {
        type Element = T;
        const KIND: Kind = Kind::Slice;

        fn pointer(place: NonNull<T>, count: usize) -> NonNull<[T]> {
            NonNull::slice_from_raw_parts(place, count)
        }
        fn count(pointer: NonNull<[T]>) -> usize {
            pointer.len()
        }
    }

    impl Sealed for str {
        type Element = u8;
        const KIND: Kind = Kind::Text;

        fn pointer(place: NonNull<u8>, count: usize) -> NonNull<str> {
            let bytes = NonNull::slice_from_raw_parts(place, count).as_ptr();
            NonNull::new(bytes as *mut str).expect("made of one that is not null")
        }
        fn count(pointer: NonNull<str>) -> usize {
            (pointer.as_ptr() as *mut [u8]).len()
        }
        fn validate(bytes: &[u8]) -> Result<(), Utf8Error> {
            std::str::from_utf8(bytes).map(|_| ())
        }
    }
}

/// Refuses, when compiled, what has something to do on being dropped: a value in shared memory may end with its process.
pub(crate) struct NoDestructor<T>(std::marker::PhantomData<T>);

impl<T> NoDestructor<T> {
    pub(crate) const CHECKED: () =
        assert!(!std::mem::needs_drop::<T>(), "a value in shared memory cannot have a destructor");
}
