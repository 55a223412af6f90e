//! What may lie in shared memory.
use crate::raw::Shm;

/// Values that several processes may use together, in a [`ShmArc`](crate::ShmArc) or a
/// [`Root`](crate::Root): [`Shm`], and what changes inside is an atomic, as [`Sync`] requires. A
/// program does not implement it by hand: each [`Shm`] type that is [`Sync`] has it.
///
/// ```
/// use shmheap::{Heap, Shm};
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// #[derive(Shm)]
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
#[diagnostic::on_unimplemented(
    message = "a value of type `{Self}` cannot be shared in a heap",
    note = "it has to be a `Shm` type: a struct with `#[derive(shmheap::Shm)] #[repr(C)]`, an \
            array such as `[u8; 64]` for text",
    note = "what changes in it has to be an atomic, such as `AtomicU64`, and no `Cell` or `Mutex`"
)]
pub trait Shareable: Shm + Sync {}
impl<T: Shm + Sync> Shareable for T {}

/// What a [`ShmBox`](crate::ShmBox) holds: a [`Shm`] value, a slice of them, or text. Sealed: these
/// three it is.
///
/// ```
/// fn names_it<T: shmheap::Content + ?Sized>() {}
/// names_it::<u64>();
/// names_it::<[f32]>();
/// names_it::<str>();
/// ```
#[diagnostic::on_unimplemented(
    message = "a box in shared memory cannot hold a `{Self}`",
    note = "for text: `str` in the place of `String`, as in `Handle<str>`",
    note = "for elements: `[T]` in the place of `Vec<T>`, as in `Handle<[u64]>`",
    note = "for a struct: `#[derive(shmheap::Shm)] #[repr(C)]`"
)]
pub trait Content: sealed::Sealed {
    /// The same in memory of the process's own: `T`, `Vec<T>` or `String`.
    type Owned;

    /// Made of its elements: one for a value, any number for a slice, bytes of UTF-8 for text. What
    /// [`take`](crate::Heap::take) and [`peek`](crate::Heap::peek) end with.
    fn owned(elements: Vec<Self::Element>) -> Result<Self::Owned, std::str::Utf8Error>;
}

impl<T: Shm> Content for T {
    type Owned = T;
    fn owned(mut elements: Vec<T>) -> Result<T, std::str::Utf8Error> {
        Ok(elements.pop().expect("one element was copied"))
    }
}

impl<T: Shm> Content for [T] {
    type Owned = Vec<T>;
    fn owned(elements: Vec<T>) -> Result<Vec<T>, std::str::Utf8Error> {
        Ok(elements)
    }
}

impl Content for str {
    type Owned = String;
    fn owned(elements: Vec<u8>) -> Result<String, std::str::Utf8Error> {
        String::from_utf8(elements).map_err(|error| error.utf8_error())
    }
}

pub(crate) use sealed::Sealed;

mod sealed {
    use crate::label::{label, Kind};
    use crate::raw::Shm;
    use std::ptr::NonNull;

    /// How a value lies in its object. `Self` may be unsized; no method forms a reference to it.
    pub trait Sealed {
        type Element: Shm;
        /// What the object's last word is.
        const LABEL: u64;
        /// Whether the word before says how many elements there are; else there is one.
        const COUNTED: bool;
        /// Whether the bytes have to be UTF-8.
        const TEXT: bool = false;

        /// The pointer to count elements at place.
        fn pointer(place: NonNull<Self::Element>, count: usize) -> NonNull<Self>;
        /// How many elements.
        fn count(pointer: NonNull<Self>) -> usize;
    }

    impl<T: Shm> Sealed for T {
        type Element = T;
        const LABEL: u64 = label::<T>(Kind::Value);
        const COUNTED: bool = false;

        fn pointer(place: NonNull<T>, _: usize) -> NonNull<T> {
            place
        }
        fn count(_: NonNull<T>) -> usize {
            1
        }
    }

    impl<T: Shm> Sealed for [T] {
        type Element = T;
        const LABEL: u64 = label::<T>(Kind::Slice);
        const COUNTED: bool = true;

        fn pointer(place: NonNull<T>, count: usize) -> NonNull<[T]> {
            NonNull::slice_from_raw_parts(place, count)
        }
        fn count(pointer: NonNull<[T]>) -> usize {
            pointer.len()
        }
    }

    impl Sealed for str {
        type Element = u8;
        const LABEL: u64 = label::<u8>(Kind::Text);
        const COUNTED: bool = true;
        const TEXT: bool = true;

        fn pointer(place: NonNull<u8>, count: usize) -> NonNull<str> {
            let bytes = NonNull::slice_from_raw_parts(place, count).as_ptr();
            NonNull::new(bytes as *mut str).expect("made of one that is not null")
        }
        fn count(pointer: NonNull<str>) -> usize {
            (pointer.as_ptr() as *mut [u8]).len()
        }
    }
}

/// What is refused when the program is compiled.
pub(crate) struct Refuse<T>(std::marker::PhantomData<T>);

impl<T: Shm> Refuse<T> {
    /// A value in shared memory may end with its process, and has no padding: its shape is refused
    /// then.
    pub(crate) const UNFIT: () = {
        let _ = T::SHAPE;
        assert!(!std::mem::needs_drop::<T>(), "a value in shared memory cannot have a destructor");
    };

    /// Values that are made of zero bytes.
    pub(crate) const NOT_ZERO: () = assert!(
        T::SHAPE.zero_is_valid(),
        "zero bytes are no value of this type: make it of a value instead"
    );

    /// Values that are copied byte by byte while other processes may read them.
    pub(crate) const ATOMICS: () = assert!(
        !T::SHAPE.may_change(),
        "atomics cannot be copied from a slice: make the elements with from_fn_in"
    );

    /// Values that a hostile process may write while this one has a reference to them.
    pub(crate) const NOT_ATOMIC: () = assert!(
        T::SHAPE.is_all_atomic(),
        "only atomics can be shared with processes that are not trusted"
    );
}
