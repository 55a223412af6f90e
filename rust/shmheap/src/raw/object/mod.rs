//! An object that this process holds, and the value in it.
//!
//! - `room`: a new object that has no value yet.
//! - `claim`: an object in transit, looked at and claimed; `check`: whether its bytes are values.
//! - `copies`: values copied out of objects in transit, and into them.
use std::ptr::NonNull;
use std::time::Duration;

use crate::content::{Content, Refuse, Sealed};
use crate::error::{Error, Result};
use crate::heap::{connection, HeapRef};
use crate::label;
use crate::raw::{words, Connection, Held, Shm};

mod check;
mod claim;
mod copies;
mod room;
#[cfg(test)]
mod tests;

use check::{check_claimed, check_value};
pub(crate) use claim::Claim;
use claim::{look, receive_at_once};
pub(crate) use copies::{discard, peek, receive_bytes, send_copy, take};
use room::Room;

/// A value of T in an object that this process holds; frees it when dropped.
///
/// Invariants:
///   1  value points to the start of a live object of the heap, held by this connection, and no
///      other `Object` of this process or (as long as all writers keep to the protocol, see `Heap`)
///      of another does
///   2  the object has room for the value and, behind it, the words of label.rs
///   3  the value's bytes are initialised, and are a value of T
///   4  value is aligned for T
pub(crate) struct Object<T: Content + ?Sized, H: HeapRef> {
    value: NonNull<T>,
    heap: Held<H>,
}

// SAFETY: it owns its value as a Box does; the heap's calls may be made from any thread (see
// Connection).
unsafe impl<T: Content + ?Sized + Send, H: HeapRef + Send> Send for Object<T, H> {}

// SAFETY: shared, it gives `&T` alone.
unsafe impl<T: Content + ?Sized + Sync, H: HeapRef + Sync> Sync for Object<T, H> {}

impl<T: Content + ?Sized, H: HeapRef> Object<T, H> {
    /// An object with one element. Inlined, so that a box stays in registers: where the caller
    /// loads a result that the callee has just stored in pieces, the processor waits longer than
    /// the counting takes.
    #[inline(always)]
    pub(crate) fn one(heap: &H, value: T) -> Result<Self>
    where
        T: Sealed<Element = T> + Shm,
    {
        let () = Refuse::<T>::UNFIT;
        let size = const {
            match label::request(std::mem::size_of::<T>(), false) {
                Some(size) => size,
                None => panic!("no type is so large"),
            }
        };
        let place = connection(heap).alloc(size, std::mem::align_of::<T>())?.cast::<T>();
        // SAFETY: C, shmheap_alloc and shmheap_aligned_alloc: the object has room for the value, is
        // aligned for it, and is ours alone.
        unsafe { place.as_ptr().write(value) };
        Ok(Object { value: place, heap: Held::of(heap) })
    }

    /// An object of count elements, element i being what make(i) gives.
    pub(crate) fn new(
        heap: Held<H>,
        count: usize,
        make: impl FnMut(usize) -> T::Element,
    ) -> Result<Self> {
        let place = Self::filled(Room::new::<T>(heap.connection(), count)?, count, make);
        Ok(Object { value: T::pointer(place, count), heap })
    }

    /// As new, but waits for space: `None` is for ever.
    pub(crate) fn new_waiting(
        heap: Held<H>,
        count: usize,
        make: impl FnMut(usize) -> T::Element,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let place =
            Self::filled(Room::new_waiting::<T>(heap.connection(), count, limit)?, count, make);
        Ok(Object { value: T::pointer(place, count), heap })
    }

    fn filled(
        room: Room<'_>,
        count: usize,
        mut make: impl FnMut(usize) -> T::Element,
    ) -> NonNull<T::Element> {
        let place = room.place.cast::<T::Element>();
        for i in 0..count {
            let element = make(i);
            // SAFETY: C, shmheap_alloc and shmheap_aligned_alloc: the object has room for count
            // elements, is aligned for them, and is ours alone.
            unsafe { place.add(i).write(element) };
        }
        room.into_place();
        place
    }

    /// An object with a copy of the elements of `from`.
    pub(crate) fn copied(heap: Held<H>, from: &[T::Element]) -> Result<Self> {
        let () = Refuse::<T::Element>::ATOMICS;
        let room = Room::new::<T>(heap.connection(), from.len())?;
        let place = room.place.cast::<T::Element>();
        // SAFETY: C, shmheap_alloc: the object has room for these elements and is ours alone. They
        // may be doubled: an Shm without destructor is its bytes, and without atomics no thread
        // changes them meanwhile.
        unsafe { place.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        room.into_place();
        Ok(Object { value: T::pointer(place, from.len()), heap })
    }

    /// An object of count elements, all bytes zero.
    pub(crate) fn zeroed(heap: Held<H>, count: usize) -> Result<Self> {
        let () = Refuse::<T::Element>::NOT_ZERO;
        let room = Room::new::<T>(heap.connection(), count)?;
        let place = room.place.cast::<T::Element>();
        // SAFETY: C, shmheap_alloc: room for count elements, ours alone; zero bytes are a value
        // (NOT_ZERO).
        unsafe { place.as_ptr().write_bytes(0, count) };
        room.into_place();
        Ok(Object { value: T::pointer(place, count), heap })
    }

    /// Claims the object of a handle, where a T is in it. Refused, it is in transit as before.
    #[inline]
    pub(crate) fn receive(heap: &H, bits: u64) -> Result<Self> {
        let () = Refuse::<T::Element>::UNFIT;
        if let Some(place) = receive_at_once::<T>(connection(heap), bits) {
            return Ok(Object { value: T::pointer(place.cast(), 1), heap: Held::of(heap) });
        }
        let seen = look::<T>(connection(heap), bits)?;
        check_value::<T>(connection(heap), bits, seen.count)?;
        let claim = Claim::of::<T>(connection(heap), bits, seen)?;
        // Count elements lie there, aligned. What was found before the claim may be about an object
        // that lay there earlier.
        // SAFETY: they are ours; all writers keep to the protocol (see `Heap`), and only a `Heap`
        // receives.
        unsafe { check_claimed::<T>(claim.place, seen.count) }?;
        let place = claim.keep();
        Ok(Object { value: T::pointer(place.cast(), seen.count), heap: Held::of(heap) })
    }

    /// A copy of what is in it. Sound whatever other processes write meanwhile.
    pub(crate) fn snapshot(&self) -> Result<T::Owned> {
        let () = Refuse::<T::Element>::ATOMICS;
        self.heap.connection().here()?;
        let place = self.value.cast();
        // SAFETY: invariants 1 to 3; `&self` rules out a `&mut` to the value. All bytes are
        // written.
        let elements = unsafe {
            words::collect(T::count(self.value), |to, bytes| {
                words::copy_out(place, to, bytes);
                Ok(())
            })
        };
        owned::<T>(elements?)
    }

    /// Sends it: its handle. When that fails the object is freed.
    #[inline]
    pub(crate) fn send(self) -> Result<u64> {
        let place = self.value.cast::<u8>();
        let heap = self.heap.connection();
        // SAFETY: invariant 2: the words lie behind the value, where no reference reaches. (send)
        // invariant 1, and self, which alone could give references, is used up.
        let bits = unsafe { send_labelled::<T>(heap, place, T::count(self.value)) }?;
        self.into_heap();
        Ok(bits)
    }

    /// The value, with the object given back.
    pub(crate) fn into_inner(self) -> T
    where
        T: Sized,
    {
        self.heap.connection().assert_here();
        // SAFETY: invariants 1, 3 and 4; an Shm without destructor may be read, and its bytes stay
        // behind in memory that is freed.
        unsafe { self.value.as_ptr().read() }
    }

    /// The heap, with the object given up.
    fn into_heap(self) -> Held<H> {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, so the heap is moved out of it once.
        unsafe { std::ptr::read(&this.heap) }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        self.heap.connection().assert_here();
        // SAFETY: invariants 1, 3 and 4.
        unsafe { self.value.as_ref() }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.heap.connection().assert_here();
        // SAFETY: invariants 1, 3 and 4; `&mut self` makes the reference the only one.
        unsafe { self.value.as_mut() }
    }

    pub(crate) fn heap(&self) -> &H {
        &self.heap
    }
}

impl<T: Content + ?Sized, H: HeapRef> Drop for Object<T, H> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: (free) invariant 1, and references to the value have ended before.
        unsafe { self.heap.connection().free(self.value.cast()) }
    }
}

fn owned<T: Content + ?Sized>(elements: Vec<T::Element>) -> Result<T::Owned> {
    T::owned(elements).map_err(|error| Error::NotUtf8 { valid_up_to: error.valid_up_to() })
}

/// Writes what the object holds behind the value, and sends it.
///
/// # Safety
/// place is an object that this connection holds, with room for count elements of T and the words
/// behind them; nothing refers to it any more.
#[inline]
unsafe fn send_labelled<T: Content + ?Sized>(
    heap: &Connection,
    place: NonNull<u8>,
    count: usize,
) -> Result<u64> {
    // SAFETY: (send_labelled) the caller's: the words lie behind the value.
    unsafe {
        match T::COUNTED {
            true => heap.send_labelled(place, &[count as u64, T::LABEL]),
            false => heap.send_labelled(place, &[T::LABEL]),
        }
    }
}
