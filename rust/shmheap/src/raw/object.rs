//! An object that this process holds, and the value in it.
use std::ptr::NonNull;

use zerocopy::IntoBytes;

use crate::content::{Content, NoDestructor, Sealed};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::heap::{connection, Heap, HeapRef};
use crate::label::{self, Label, LABEL_LEN, OBJECT_MIN};
use crate::raw::words;

/// A value of T in an object that this process holds; frees it when dropped.
///
/// Invariants:
///   1  value points to the start of a live object of the heap, held by this connection, and no other `Object` of
///      this process or (as long as peers keep to the protocol) of another does
///   2  the object has room for the value and, behind it, the label
///   3  the value's bytes are initialised, and are a value of T
///   4  value is aligned for T
pub(crate) struct Object<T: Content + ?Sized, H: HeapRef> {
    value: NonNull<T>,
    heap: H,
}

// SAFETY: it owns its value as a Box does; the heap's calls may be made from any thread (see Connection).
unsafe impl<T: Content + ?Sized + Send, H: HeapRef + Send> Send for Object<T, H> {}
// SAFETY: shared, it gives `&T` alone.
unsafe impl<T: Content + ?Sized + Sync, H: HeapRef + Sync> Sync for Object<T, H> {}

/// A new object, not yet a value: freed when dropped.
struct Room<'h, H: HeapRef> {
    place: NonNull<u8>,
    heap: &'h H,
}

impl<H: HeapRef> Drop for Room<'_, H> {
    fn drop(&mut self) {
        // SAFETY: (free) alloc or receive gave it to us, and nothing refers to it.
        unsafe { connection(self.heap).free(self.place) }
    }
}

impl<'h, H: HeapRef> Room<'h, H> {
    fn new<T>(heap: &'h H, count: usize) -> Result<Self> {
        let bytes = std::mem::size_of::<T>().checked_mul(count).ok_or(Error::TooLarge)?;
        let size = label::request(bytes).ok_or(Error::TooLarge)?;
        let place = connection(heap).alloc(size, std::mem::align_of::<T>())?;
        Ok(Room { place, heap })
    }

    #[inline]
    fn usable(&self) -> usize {
        // SAFETY: (room) alloc or receive gave it.
        unsafe { connection(self.heap).room(self.place) }
    }

    #[inline]
    fn label_place(&self, usable: usize) -> NonNull<u8> {
        label_place(self.place, usable)
    }

    /// Sends it once more, with the label that it has: the new handle.
    fn send_again(self) -> Result<u64> {
        // SAFETY: (send) it is ours, and nothing refers to it.
        let bits = unsafe { connection(self.heap).send(self.place) }?;
        std::mem::forget(self);
        Ok(bits)
    }
}

/// Where the label of an object of `usable` bytes lies: a multiple of 8, since objects and their sizes are.
#[inline]
fn label_place(object: NonNull<u8>, usable: usize) -> NonNull<u8> {
    // SAFETY: C, shmheap_usable_size: the object has that many bytes, OBJECT_MIN at least, so this lies within it.
    unsafe { object.add((usable & !7) - LABEL_LEN) }
}

impl<T: Content + ?Sized, H: HeapRef> Object<T, H> {
    /// An object with one element.
    #[inline]
    pub(crate) fn one(heap: H, value: T) -> Result<Self>
    where
        T: Sealed<Element = T> + Sized,
    {
        let () = NoDestructor::<T>::CHECKED;
        let size = const { std::mem::size_of::<T>() + LABEL_LEN };
        let place = connection(&heap).alloc(size.max(OBJECT_MIN), std::mem::align_of::<T>())?.cast::<T>();
        // SAFETY: C, shmheap_alloc and shmheap_aligned_alloc: the object has room for the value, is aligned for it, and is
        // ours alone.
        unsafe { place.as_ptr().write(value) };
        Ok(Object { value: place, heap })
    }

    /// An object of count elements, element i being what make(i) gives.
    pub(crate) fn new(heap: H, count: usize, mut make: impl FnMut(usize) -> T::Element) -> Result<Self> {
        let () = NoDestructor::<T::Element>::CHECKED;
        T::label(count).ok_or(Error::TooLarge)?;
        let room = Room::new::<T::Element>(&heap, count)?;
        let place = room.place.cast::<T::Element>();
        for i in 0..count {
            let element = make(i);
            // SAFETY: C, shmheap_alloc and shmheap_aligned_alloc: the object has room for count elements, is aligned for
            // them, and is ours alone.
            unsafe { place.add(i).write(element) };
        }
        std::mem::forget(room);
        Ok(Object { value: T::pointer(place, count), heap })
    }

    /// An object with a copy of these elements.
    pub(crate) fn copied(heap: H, from: &[T::Element]) -> Result<Self> {
        let () = NoDestructor::<T::Element>::CHECKED;
        T::label(from.len()).ok_or(Error::TooLarge)?;
        let room = Room::new::<T::Element>(&heap, from.len())?;
        let bytes = from.as_bytes();
        // SAFETY: C, shmheap_alloc: the object has room for these bytes and is ours alone. They may be doubled, since T is
        // FromBytes and has no destructor.
        unsafe { room.place.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        let place = room.place.cast();
        std::mem::forget(room);
        Ok(Object { value: T::pointer(place, from.len()), heap })
    }

    /// An object of count elements, all bytes zero.
    pub(crate) fn zeroed(heap: H, count: usize) -> Result<Self> {
        let () = NoDestructor::<T::Element>::CHECKED;
        T::label(count).ok_or(Error::TooLarge)?;
        let room = Room::new::<T::Element>(&heap, count)?;
        let place = room.place.cast::<T::Element>();
        // SAFETY: C, shmheap_alloc: room for count elements, ours alone; T: FromBytes has the value of zero bytes.
        unsafe { place.as_ptr().write_bytes(0, count) };
        std::mem::forget(room);
        Ok(Object { value: T::pointer(place, count), heap })
    }

    /// Claims the object of a handle and checks that a T is in it. What is none is sent again.
    #[inline]
    pub(crate) fn receive(heap: H, bits: u64) -> Result<Self> {
        let (place, count) = claim::<T, H>(&heap, bits)?;
        let pointer = T::pointer(place.cast(), count);
        let object = Object { value: pointer, heap };
        // SAFETY: C, shmheap_receive: the object is ours alone; claim has found that count elements lie there, aligned;
        // any bytes are values of T::Element (FromBytes), and all bytes of shared memory are initialised.
        let elements = unsafe { std::slice::from_raw_parts(place.cast::<T::Element>().as_ptr(), count) };
        match T::validate(elements) {
            Ok(()) => Ok(object),
            Err(error) => Err(object.not_utf8(error.valid_up_to())),
        }
    }

    /// Claims the object of a handle, copies what is in it and frees it. Sound whatever others write meanwhile.
    pub(crate) fn take(heap: &H, bits: u64) -> Result<T::Owned> {
        let (place, count) = claim::<T, H>(heap, bits)?;
        let room = Room { place, heap };
        // SAFETY: claim has found that count elements lie there; the object is ours, and there is no reference to it.
        let elements = unsafe { words::copy::<T::Element>(place, count) };
        T::owned(elements).map_err(|error| {
            std::mem::forget(room);
            let value = <[u8] as Sealed>::pointer(place, count);
            let bytes: Object<[u8], &Heap> = Object { value, heap: heap.heap() };
            bytes.not_utf8(error.valid_up_to())
        })
    }

    /// A copy of what is in it. Sound whatever others write meanwhile.
    pub(crate) fn snapshot(&self) -> std::result::Result<T::Owned, std::str::Utf8Error> {
        // SAFETY: invariants 1 to 3; `&self` rules out a `&mut` to the value.
        T::owned(unsafe { words::copy::<T::Element>(self.value.cast(), T::count(self.value)) })
    }

    /// Sends it: its handle. When that fails the object is freed.
    #[inline]
    pub(crate) fn send(self) -> Result<u64> {
        let count = T::count(self.value);
        self.send_as(T::label(count).ok_or(Error::TooLarge)?)
    }

    #[inline]
    fn send_as(self, label: Label) -> Result<u64> {
        let place = self.value.cast::<u8>();
        let heap = connection(&self.heap);
        // SAFETY: (room) invariant 1.
        let usable = unsafe { heap.room(place) };
        if usable < OBJECT_MIN {
            return Err(Error::NotHeld); // damaged by a peer: leave it
        }
        // SAFETY: invariant 2: the label lies behind the value, where no reference reaches.
        unsafe { words::store(label_place(place, usable), label.bits()) };
        // SAFETY: (send) invariant 1, and self, which alone could give references, is used up.
        let bits = unsafe { heap.send(place) }?;
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, so the heap is moved out of it once.
        drop(unsafe { std::ptr::read(&this.heap) });
        Ok(bits)
    }

    fn not_utf8(self, valid_up_to: usize) -> Error {
        let sent =
            <[u8] as Sealed>::label(T::count(self.value)).ok_or(Error::TooLarge).and_then(|label| self.send_as(label));
        match sent {
            Ok(bits) => Error::NotUtf8 { valid_up_to, bytes: Handle::from_bits(bits) },
            Err(error) => error,
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: invariants 1, 3 and 4.
        unsafe { self.value.as_ref() }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
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
        unsafe { connection(&self.heap).free(self.value.cast()) }
    }
}

/// Claims the object of a handle: where it lies and how many elements of T it holds. What holds none is sent again.
#[inline]
fn claim<T: Content + ?Sized, H: HeapRef>(heap: &H, bits: u64) -> Result<(NonNull<u8>, usize)> {
    let () = NoDestructor::<T::Element>::CHECKED;
    let room = Room { place: connection(heap).receive(bits)?, heap };
    let place = room.place;
    match element_count::<T, H>(&room) {
        Ok(count) => {
            std::mem::forget(room);
            Ok((place, count))
        }
        Err(found) => Err(Error::WrongType { found, again: Handle::from_bits(room.send_again()?) }),
    }
}

#[inline]
fn element_count<T: Content + ?Sized, H: HeapRef>(room: &Room<'_, H>) -> std::result::Result<usize, &'static str> {
    let usable = room.usable();
    if usable < OBJECT_MIN {
        return Err("a share in a ShmArc");
    }
    // SAFETY: the label's place lies in the object, which is ours alone, and nothing refers to it.
    let label = Label::from_bits(unsafe { words::load(room.label_place(usable)) });
    let count = label.count_of::<T::Element>(T::KIND, usable - LABEL_LEN).ok_or(label.describe())?;
    let aligned = room.place.as_ptr() as usize % std::mem::align_of::<T::Element>() == 0;
    aligned.then_some(count).ok_or("a value that is not aligned as this type")
}

/// Any bytes that somebody sent, without a label: what C programs send. All but the last 8 of the object.
pub(crate) fn receive_bytes<H: HeapRef>(heap: H, bits: u64) -> Result<Object<[u8], H>> {
    let room = Room { place: connection(&heap).receive(bits)?, heap: &heap };
    let usable = room.usable();
    // SAFETY: the label's place lies in the object (checked first), which is ours alone.
    let is_ours = usable < OBJECT_MIN || Label::from_bits(unsafe { words::load(room.label_place(usable)) }).is_arc();
    if is_ours {
        return Err(Error::WrongType { found: "part of a ShmArc", again: Handle::from_bits(room.send_again()?) });
    }
    let value = <[u8] as Sealed>::pointer(room.place, (usable & !7) - LABEL_LEN);
    std::mem::forget(room);
    Ok(Object { value, heap })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(heap: &Heap, bytes: &[u8]) -> u64 {
        let object: Object<[u8], &Heap> = Object::copied(heap, bytes).unwrap();
        object.send_as(<str as Sealed>::label(bytes.len()).unwrap()).unwrap()
    }

    #[test]
    fn text_is_checked_when_it_arrives() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        assert_eq!(heap.receive(Handle::<str>::from_bits(text_of(&heap, b"good"))).unwrap().to_string(), "good");
        for copy in [false, true] {
            let handle = Handle::<str>::from_bits(text_of(&heap, b"abc\xff"));
            let error = if copy { heap.take(handle).unwrap_err() } else { heap.receive(handle).unwrap_err() };
            let Error::NotUtf8 { valid_up_to: 3, bytes } = error else { panic!("{error}") };
            assert_eq!(*heap.receive(bytes).unwrap(), *b"abc\xff");
        }
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }

    #[test]
    fn labels_that_say_too_much_are_refused() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let object: Object<[u8], &Heap> = Object::copied(&heap, &[1; 40]).unwrap();
        let label = <[u8] as Sealed>::label(1000).unwrap();
        let bits = object.send_as(label).unwrap();
        let error = heap.receive(Handle::<[u8]>::from_bits(bits)).unwrap_err();
        let Error::WrongType { again, .. } = error else { panic!("{error}") };
        assert_eq!(heap.receive_bytes(again).unwrap()[..40], [1; 40]);
    }
}
