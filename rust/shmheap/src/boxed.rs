//! Boxes: values in the heap with one owner.
use std::borrow::{Borrow, BorrowMut};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use crate::content::Content;
use crate::error::Result;
use crate::handle::Handle;
use crate::heap::{Heap, HeapRef};
use crate::raw::{Held, Object, Shm};

/// A value in a heap that this process alone may use, until it sends or drops it: a `T`, a `[T]` or
/// a `str`.
///
/// It costs 8 bytes besides the value, 24 at least together. A process that dies leaves its boxes
/// to [`Heap::reap`].
///
/// Only a [`Heap`] makes boxes: a heap of which all writers are trusted. In a child made by
/// `fork()`, a use of a box that it inherited panics, and its drop does nothing: the box is the
/// parent's.
///
/// ```
/// use shmheap::{Heap, ShmBox};
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let mut row: ShmBox<[f32]> = heap.boxed_zeroed(3)?;
/// row[1] = 2.5;
/// let handle = row.send()?; // row is gone; 8 bytes to be passed on
/// assert_eq!(*heap.receive(handle)?, [0.0, 2.5, 0.0]);
/// # Ok::<(), shmheap::Error>(())
/// ```
///
/// It compares, orders and hashes as its value does, and is borrowed as one; a slice is walked over
/// by reference.
///
/// ```
/// use shmheap::Heap;
/// use std::collections::{BTreeSet, HashMap};
///
/// fn main() -> std::io::Result<()> {
///     let heap = Heap::anonymous(1 << 16)?; // its errors are `io::Error`s where they have to be
///     let sorted: BTreeSet<_> = [heap.boxed(2u8)?, heap.boxed(1)?].into();
///     assert_eq!(sorted.first(), Some(&heap.boxed(1)?));
///     let ages = HashMap::from([(heap.boxed_str("Ada")?, 36)]);
///     assert_eq!(ages["Ada"], 36); // Borrow<str>
///     let mut row = heap.boxed_slice(&[1u32, 2])?;
///     for element in &mut row {
///         *element *= 10;
///     }
///     assert_eq!((&row).into_iter().sum::<u32>(), 30);
///     Ok(())
/// }
/// ```
pub struct ShmBox<T: Content + ?Sized, H: HeapRef = Heap> {
    object: Object<T, H>,
}

impl<T: Content + ?Sized, H: HeapRef> ShmBox<T, H> {
    #[inline]
    pub(crate) fn of(object: Object<T, H>) -> Self {
        ShmBox { object }
    }

    /// Puts it in transit: the handle, by which one process can claim it. When that fails (in a
    /// process made by `fork()`, say) the value is dropped.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed(1u8)?.send()?;
    /// assert!(!handle.is_null());
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[inline]
    pub fn send(self) -> Result<Handle<T>> {
        self.object.send().map(Handle::from_bits)
    }

    /// Claims a value: as [`Heap::receive`], for either kind of box.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed(1u8)?.send()?;
    /// assert_eq!(*ShmBox::receive_in(handle, &heap)?, 1);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[inline]
    pub fn receive_in(handle: Handle<T>, heap: H) -> Result<Self> {
        Object::receive(&heap, handle.bits()).map(Self::of)
    }

    /// A copy in memory of this process's own: `T`, `Vec<T>`, or `String` where it is UTF-8. Sound
    /// whatever other processes write meanwhile.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let three: [u8; 3] = heap.boxed([1u8, 2, 3])?.snapshot()?;
    /// let text: String = heap.boxed_str("text")?.snapshot()?;
    /// # assert_eq!((three, text.as_str()), ([1, 2, 3], "text"));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn snapshot(&self) -> Result<T::Owned> {
        self.object.snapshot()
    }

    /// The heap that it lies in.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let one = heap.boxed(1u8)?;
    /// let two = one.heap().boxed(2u8)?;
    /// # assert_eq!(*two, 2);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn heap(&self) -> &H {
        self.object.heap()
    }
}

impl<T: Shm, H: HeapRef> ShmBox<T, H> {
    /// Puts a value in the heap: as [`Heap::boxed`], for either kind of box.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let borrows = ShmBox::new_in(5u16, &heap)?;
    /// assert_eq!(*borrows, 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[inline(always)]
    pub fn new_in(value: T, heap: H) -> Result<Self> {
        Object::one(&heap, value).map(Self::of)
    }
}

impl<T: Shm, H: HeapRef> ShmBox<T, H> {
    /// The value, moved out of the heap, whose memory is given back. In a child made by `fork()` it
    /// panics, as every use.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let number: u64 = ShmBox::into_inner(heap.boxed(5u64)?);
    /// assert_eq!((number, heap.stats()?.used_blocks), (5, 0));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn into_inner(this: Self) -> T {
        this.object.into_inner()
    }

    /// A value whose bytes are zero, made where it lies: for values that are larger than a stack.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(16 << 20)?;
    /// let large: ShmBox<[u64; 1 << 20]> = ShmBox::zero_in(heap)?;
    /// assert_eq!(large[1 << 19], 0);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn zero_in(heap: H) -> Result<Self> {
        Object::zeroed(Held::from(heap), 1).map(Self::of)
    }
}

impl<T: Shm, H: HeapRef> ShmBox<[T], H> {
    /// Copies a slice into the heap: as [`Heap::boxed_slice`].
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert_eq!(ShmBox::copied_in(&[1u8, 2], &heap)?.len(), 2);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn copied_in(values: &[T], heap: H) -> Result<Self> {
        Object::copied(Held::from(heap), values).map(Self::of)
    }

    /// A slice whose bytes are zero: as [`Heap::boxed_zeroed`].
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert_eq!(*ShmBox::<[u64], _>::zeroed_in(2, &heap)?, [0, 0]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn zeroed_in(len: usize, heap: H) -> Result<Self> {
        Object::zeroed(Held::from(heap), len).map(Self::of)
    }

    /// A slice of which element `i` is what `make(i)` gives.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert_eq!(*ShmBox::from_fn_in(3, |i| i as u64 * 10, &heap)?, [0, 10, 20]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn from_fn_in(len: usize, make: impl FnMut(usize) -> T, heap: H) -> Result<Self> {
        Object::new(Held::from(heap), len, make).map(Self::of)
    }
}

impl<T: Shm, H: HeapRef> ShmBox<[T], H> {
    /// A slice of all that the iterator gives. Its length is not known before, so the elements are
    /// collected first.
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert_eq!(*ShmBox::from_iter_in((1u32..).take(3), &heap)?, [1, 2, 3]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn from_iter_in(elements: impl IntoIterator<Item = T>, heap: H) -> Result<Self> {
        let mut elements = elements.into_iter().collect::<Vec<T>>().into_iter();
        Self::from_fn_in(
            elements.len(),
            |_| elements.next().expect("as many as were counted"),
            heap,
        )
    }
}

impl<H: HeapRef> ShmBox<str, H> {
    /// Copies text into the heap: as [`Heap::boxed_str`].
    ///
    /// ```
    /// use shmheap::{Heap, ShmBox};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// assert_eq!(&*ShmBox::str_in("abc", &heap)?, "abc");
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn str_in(text: &str, heap: H) -> Result<Self> {
        Object::copied(Held::from(heap), text.as_bytes()).map(Self::of)
    }
}

impl<T: Content + ?Sized, H: HeapRef> Deref for ShmBox<T, H> {
    type Target = T;
    fn deref(&self) -> &T {
        self.object.get()
    }
}

impl<T: Content + ?Sized, H: HeapRef> DerefMut for ShmBox<T, H> {
    fn deref_mut(&mut self) -> &mut T {
        self.object.get_mut()
    }
}

impl<T: Content + ?Sized, H: HeapRef> AsRef<T> for ShmBox<T, H> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Content + fmt::Debug + ?Sized, H: HeapRef> fmt::Debug for ShmBox<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Content + fmt::Display + ?Sized, H: HeapRef> fmt::Display for ShmBox<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Content + ?Sized, H: HeapRef> AsMut<T> for ShmBox<T, H> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: Content + ?Sized, H: HeapRef> Borrow<T> for ShmBox<T, H> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: Content + ?Sized, H: HeapRef> BorrowMut<T> for ShmBox<T, H> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

/// Boxes compare by their values, wherever they lie.
impl<T: Content + PartialEq + ?Sized, H: HeapRef, I: HeapRef> PartialEq<ShmBox<T, I>>
    for ShmBox<T, H>
{
    fn eq(&self, other: &ShmBox<T, I>) -> bool {
        **self == **other
    }
}

impl<T: Content + Eq + ?Sized, H: HeapRef> Eq for ShmBox<T, H> {}

impl<T: Content + PartialOrd + ?Sized, H: HeapRef, I: HeapRef> PartialOrd<ShmBox<T, I>>
    for ShmBox<T, H>
{
    fn partial_cmp(&self, other: &ShmBox<T, I>) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: Content + Ord + ?Sized, H: HeapRef> Ord for ShmBox<T, H> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: Content + Hash + ?Sized, H: HeapRef> Hash for ShmBox<T, H> {
    fn hash<S: Hasher>(&self, state: &mut S) {
        (**self).hash(state);
    }
}

impl<'a, T: Shm, H: HeapRef> IntoIterator for &'a ShmBox<[T], H> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Shm, H: HeapRef> IntoIterator for &'a mut ShmBox<[T], H> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
