//! An object that this process holds, and the value in it; and looking at one in transit.
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use crate::content::{Content, Refuse, Sealed};
use crate::error::{Error, Result};
use crate::heap::{connection, Heap, HeapRef};
use crate::label::{self, INSIDE, TAIL_LEN, TICKET};
use crate::raw::front::discard_share;
use crate::raw::{words, Connection, Held, Shm};

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

/// A new object, not yet a value: freed when dropped.
struct Room<'h> {
    place: NonNull<u8>,
    heap: &'h Connection,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        // SAFETY: (free) alloc gave it to us, and nothing refers to it.
        unsafe { self.heap.free(self.place) }
    }
}

impl<'h> Room<'h> {
    fn new<T: Content + ?Sized>(heap: &'h Connection, count: usize) -> Result<Self> {
        let () = Refuse::<T::Element>::UNFIT;
        let bytes = std::mem::size_of::<T::Element>().checked_mul(count).ok_or(Error::TooLarge)?;
        let size = label::request(bytes, T::COUNTED).ok_or(Error::TooLarge)?;
        let place = heap.alloc(size, std::mem::align_of::<T::Element>())?;
        Ok(Room { place, heap })
    }

    /// As new, but waits for space.
    fn new_waiting<T: Content + ?Sized>(
        heap: &'h Connection,
        count: usize,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let () = Refuse::<T::Element>::UNFIT;
        let bytes = std::mem::size_of::<T::Element>().checked_mul(count).ok_or(Error::TooLarge)?;
        let size = label::request(bytes, T::COUNTED).ok_or(Error::TooLarge)?;
        let place = heap.alloc_wait(size, std::mem::align_of::<T::Element>(), limit)?;
        Ok(Room { place, heap })
    }

    fn into_place(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).place
    }
}

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

/// Whether the object of a handle lies where a T can be. Every object lies at a multiple of 8.
#[inline]
fn is_aligned<T: Content + ?Sized>(heap: &Connection, bits: u64) -> bool {
    let align = std::mem::align_of::<T::Element>();
    align <= 8 || heap.address_of(bits) % align == 0
}

/// Claims the object of a handle by one call of C, of a type of which label and length tell all.
/// None: refused, and the long way tells why.
#[inline]
fn receive_at_once<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Option<NonNull<u8>> {
    let least = const { label::request(std::mem::size_of::<T::Element>(), false) }?;
    if T::COUNTED || !T::Element::SHAPE.any_bytes() || !is_aligned::<T>(heap, bits) {
        return None;
    }
    heap.receive_labelled(bits, T::LABEL, least)
}

/// What `look` has found in an object in transit.
#[derive(Clone, Copy)]
struct Seen {
    /// Elements.
    count: usize,
    /// Bytes that the object has.
    len: usize,
}

/// Whether a T lies in the object of a handle, which is in transit and stays so.
#[inline]
fn look<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<Seen> {
    let mut tail = [0u64; TAIL_LEN / 8];
    let wrong = |found| Error::WrongType { expected: std::any::type_name::<T>(), found };
    let Some(len) = heap.peek_end(bits, &mut tail)? else {
        return Err(wrong("an object that is smaller than any value of this crate"));
    };
    if tail[1] != T::LABEL {
        return Err(wrong(label::describe(tail[1])));
    }
    let count = if T::COUNTED { usize::try_from(tail[0]).ok() } else { Some(1) };
    let bytes = count.and_then(|count| count.checked_mul(std::mem::size_of::<T::Element>()));
    let fits = bytes
        .and_then(|bytes| label::request(bytes, T::COUNTED))
        .is_some_and(|needed| needed <= len);
    match count.filter(|_| fits && is_aligned::<T>(heap, bits)) {
        Some(count) => Ok(Seen { count, len }),
        None => Err(wrong(
            "an object that is shorter than its label says, or elsewhere than its type can be",
        )),
    }
}

/// An object that was in transit, and is ours until this is dropped: that puts it back in transit,
/// under the same handle.
///
/// What `look` has found in an object in transit may be true of another object than that which is
/// claimed: the generation in a handle repeats after 2^15 allocations anywhere in the heap, a
/// millisecond. Once claimed the object stays what it is. So everything that matters is read again
/// from the claimed object; if it differs, the claim is undone.
///
/// A death between claim and putting back leaves an object that the dead process held, as a
/// receiver's death does.
///
/// Invariant: this connection claimed the object at place by these bits; it has len bytes, 8 at
/// least.
pub(crate) struct Claim<'h> {
    place: NonNull<u8>,
    len: usize,
    bits: u64,
    heap: &'h Connection,
}

impl<'h> Claim<'h> {
    /// Of an object that was looked at: `len` bytes, of which the last word is `last`.
    #[inline]
    pub(crate) fn new(heap: &'h Connection, bits: u64, len: usize, last: u64) -> Result<Self> {
        let place = heap.receive_seen(bits, last, len)?;
        let claim = Claim { place, len, bits, heap };
        match heap.usable(place) == len {
            true => Ok(claim),
            false => Err(Error::Stale),
        }
    }

    /// Of one in which so many elements of T were seen.
    #[inline]
    fn of<T: Content + ?Sized>(heap: &'h Connection, bits: u64, seen: Seen) -> Result<Self> {
        let claim = Claim::new(heap, bits, seen.len, T::LABEL)?;
        match !T::COUNTED || claim.word(2) == Some(seen.count as u64) {
            true => Ok(claim),
            false => Err(Error::Stale),
        }
    }

    /// The word that is so many words before the end; None: the object is shorter.
    pub(crate) fn word(&self, before_end: usize) -> Option<u64> {
        let at = (self.len & !7).checked_sub(8 * before_end)?;
        // SAFETY: it lies in the object (invariant), which is ours; the words at its ends are only
        // used as atomics.
        Some(unsafe { words::load(self.place.add(at)) })
    }

    /// The first word.
    pub(crate) fn first_word(&self) -> Option<u64> {
        self.word((self.len & !7) / 8)
    }

    /// The object is ours for good.
    pub(crate) fn keep(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).place
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // SAFETY: (put_back) invariant; nothing was made of it that refers to it.
        unsafe { self.heap.put_back(self.bits) }
    }
}

/// Whether the elements of a claimed object are values of T.
///
/// # Safety
/// count elements lie at place, aligned, in an object of ours that no process writes.
#[inline]
unsafe fn check_claimed<T: Content + ?Sized>(place: NonNull<u8>, count: usize) -> Result<()> {
    if T::TEXT {
        // SAFETY: says the caller; a TEXT's elements are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(place.as_ptr(), count) };
        return std::str::from_utf8(bytes)
            .map(|_| ())
            .map_err(|error| Error::NotUtf8 { valid_up_to: error.valid_up_to() });
    }
    if T::Element::SHAPE.any_bytes() {
        return Ok(());
    }
    let elements = place.cast::<T::Element>();
    // SAFETY: says the caller.
    match (0..count).find(|&i| unsafe { !T::Element::is_valid(elements.as_ptr().add(i)) }) {
        Some(index) => {
            Err(Error::NotAValue { expected: std::any::type_name::<T::Element>(), index })
        }
        None => Ok(()),
    }
}

/// Bytes that are looked at at once.
const CHUNK: usize = 4096;

/// Whether the elements are values of T; the object stays in transit.
#[inline]
fn check_value<T: Content + ?Sized>(heap: &Connection, bits: u64, count: usize) -> Result<()> {
    if T::TEXT {
        check_text(heap, bits, count)
    } else if !T::Element::SHAPE.any_bytes() {
        check_elements::<T::Element>(heap, bits, count)
    } else {
        Ok(())
    }
}

fn check_elements<E: Shm>(heap: &Connection, bits: u64, count: usize) -> Result<()> {
    let size = std::mem::size_of::<E>();
    let at_once = (CHUNK / size.max(1)).clamp(1, count.max(1));
    let mut done = 0;
    while done < count && size > 0 {
        let some = at_once.min(count - done);
        let fill = |to, bytes| {
            // SAFETY: (collect) bytes can be written at to.
            unsafe { heap.peek(bits, done * size, to, bytes) }.map(|_| ())
        };
        // SAFETY: peek writes all bytes, or fails.
        let checked = unsafe { words::collect::<E>(some, fill) };
        match checked {
            Err(Error::NotAValue { expected, index }) => {
                return Err(Error::NotAValue { expected, index: done + index })
            }
            checked => checked?,
        };
        done += some;
    }
    Ok(())
}

fn check_text(heap: &Connection, bits: u64, count: usize) -> Result<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); CHUNK];
    let mut valid = 0;
    while valid < count {
        let some = CHUNK.min(count - valid);
        let to = buffer.as_mut_ptr().cast::<u8>();
        // SAFETY: the buffer has room for some bytes.
        unsafe { heap.peek(bits, valid, to, some) }?;
        // SAFETY: peek has written some bytes.
        let bytes = unsafe { std::slice::from_raw_parts(to, some) };
        match std::str::from_utf8(bytes) {
            Ok(_) => valid += some,
            // A character that the chunk cuts comes whole with the next one.
            Err(error)
                if error.error_len().is_none()
                    && error.valid_up_to() > 0
                    && valid + some < count =>
            {
                valid += error.valid_up_to();
            }
            Err(error) => return Err(Error::NotUtf8 { valid_up_to: valid + error.valid_up_to() }),
        }
    }
    Ok(())
}

/// A copy of what is in the object of a handle, which stays in transit. Sound whatever other
/// processes write meanwhile.
pub(crate) fn peek<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<T::Owned> {
    let () = Refuse::<T::Element>::UNFIT;
    look::<T>(heap, bits).and_then(|seen| copy::<T>(heap, bits, seen))
}

/// The peer that sent the value chose its length.
fn check_copy<T: Content + ?Sized>(heap: &Connection, count: usize) -> Result<()> {
    let (bytes, limit) = (count * std::mem::size_of::<T::Element>(), heap.copies_up_to());
    if limit != 0 && bytes > limit {
        return Err(Error::CopyTooLarge { bytes, limit });
    }
    Ok(())
}

fn copy<T: Content + ?Sized>(heap: &Connection, bits: u64, seen: Seen) -> Result<T::Owned> {
    check_copy::<T>(heap, seen.count)?;
    let fill = |to, bytes| {
        // SAFETY: (collect) bytes can be written at to.
        unsafe { heap.peek(bits, 0, to, bytes) }.map(|_| ())
    };
    // SAFETY: peek writes all bytes, or fails.
    owned::<T>(unsafe { words::collect::<T::Element>(seen.count, fill) }?)
}

/// Claims the object, copies what is in it and frees it. Refused, it is in transit as before.
pub(crate) fn take<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<T::Owned> {
    let () = Refuse::<T::Element>::UNFIT;
    let seen = look::<T>(heap, bits)?;
    check_copy::<T>(heap, seen.count)?;
    check_value::<T>(heap, bits, seen.count)?;
    let mut claimed = None;
    let fill = |to, bytes| {
        let claim = Claim::of::<T>(heap, bits, seen)?;
        // SAFETY: count elements lie there, in an object of ours to which nothing refers; (collect)
        // bytes can be written at to.
        unsafe { words::copy_out(claim.place, to, bytes) };
        claimed = Some(claim);
        Ok(())
    };
    // Refused, `claimed` puts the object back. SAFETY: fill writes all bytes, or fails.
    let owned = owned::<T>(unsafe { words::collect::<T::Element>(seen.count, fill) }?)?;
    if let Some(claim) = claimed {
        // SAFETY: (free) it is ours, and nothing refers to it.
        unsafe { heap.free(claim.keep()) };
    }
    Ok(owned)
}

/// Copies elements into a new object and sends it: its handle. No reference to the object is
/// formed.
pub(crate) fn send_copy<T: Content + ?Sized>(heap: &Heap, from: &[T::Element]) -> Result<u64> {
    let () = Refuse::<T::Element>::ATOMICS;
    let heap = connection(&heap);
    let room = Room::new::<T>(heap, from.len())?;
    // SAFETY: C, shmheap_alloc: room for these elements, at a multiple of 8. (send_labelled) a new
    // object, to which nothing refers.
    let bits = unsafe {
        words::copy_in(from.as_ptr().cast(), room.place, std::mem::size_of_val(from));
        send_labelled::<T>(heap, room.place, from.len())
    }?;
    room.into_place();
    Ok(bits)
}

/// Claims whatever is in transit under a handle and gives it back; of a share in a ShmArc, the
/// share.
pub(crate) fn discard(heap: &Heap, bits: u64) -> Result<()> {
    let mut last = [0u64];
    let connection = connection(&heap);
    let len = connection.peek_end(bits, &mut last)?.unwrap_or(8);
    match last[0] {
        TICKET => discard_share(heap, bits),
        INSIDE => {
            Err(Error::WrongType { expected: "a value or a share", found: label::describe(INSIDE) })
        }
        _ => {
            let claim = Claim::new(connection, bits, len, last[0])?;
            // SAFETY: (free) it is ours, and nothing refers to it.
            unsafe { connection.free(claim.keep()) };
            Ok(())
        }
    }
}

/// Any bytes that a process sent, without a label: what C programs send. All but the last 16 of the
/// object.
pub(crate) fn receive_bytes<H: HeapRef>(heap: &H, bits: u64) -> Result<Object<[u8], H>> {
    let (len, last) = look_at_bytes(connection(heap), bits)?;
    let place = Claim::new(connection(heap), bits, len, last)?.keep();
    Ok(Object {
        value: <[u8] as Sealed>::pointer(place, (len & !7) - TAIL_LEN),
        heap: Held::of(heap),
    })
}

/// How many bytes the object of a handle has, and its last word.
fn look_at_bytes(heap: &Connection, bits: u64) -> Result<(usize, u64)> {
    let mut tail = [0u64; TAIL_LEN / 8];
    let wrong = |found| Error::WrongType { expected: "bytes", found };
    match heap.peek_end(bits, &mut tail)? {
        None => Err(wrong("an object of fewer than 16 bytes")),
        Some(_) if tail[1] == INSIDE || tail[1] == TICKET => Err(wrong(label::describe(tail[1]))),
        Some(len) => Ok((len, tail[1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Handle;

    /// Sends an object that holds `bytes` and bears the label of `T`, another type.
    fn sent_as<T: Content + ?Sized>(heap: &Heap, bytes: &[u8], count: usize) -> Handle<T> {
        let room = Room::new::<[u8]>(connection(&heap), bytes.len()).unwrap();
        // SAFETY: room for the bytes.
        let bits = unsafe {
            words::copy_in(bytes.as_ptr(), room.place, bytes.len());
            send_labelled::<T>(connection(&heap), room.place, count).unwrap()
        };
        room.into_place();
        Handle::from_bits(bits)
    }

    #[test]
    fn text_is_checked_before_it_is_claimed() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        assert_eq!(&*heap.receive(sent_as::<str>(&heap, b"good", 4)).unwrap(), "good");
        let handle = sent_as::<str>(&heap, b"abc\xff", 4);
        for _ in 0..2 {
            assert!(matches!(heap.receive(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
            assert!(matches!(heap.take(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
            assert!(matches!(heap.peek(handle), Err(Error::NotUtf8 { valid_up_to: 3 })));
        }
        assert_eq!(heap.receive_bytes(handle.cast()).unwrap()[..4], *b"abc\xff");
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }

    #[test]
    fn what_is_no_value_is_refused_before_it_is_claimed() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        for (bytes, index) in [([0u8, 1, 2], Some(2)), ([3, 1, 0], Some(0)), ([1, 1, 1], None)] {
            let handle = sent_as::<[bool]>(&heap, &bytes, 3);
            for _ in 0..2 {
                for refused in [
                    heap.peek(handle).map(|_| ()),
                    heap.receive(handle).map(drop),
                    heap.take(handle).map(drop),
                ] {
                    match (refused, index) {
                        (Err(Error::NotAValue { index: found, .. }), Some(index)) => {
                            assert_eq!(found, index)
                        }
                        (Ok(()) | Err(Error::Stale), None) => {}
                        (other, _) => panic!("{other:?}"),
                    }
                }
            }
            assert!(index.is_none() || heap.receive_bytes(handle.cast()).unwrap()[..3] == bytes);
        }
        let surrogate = sent_as::<char>(&heap, &0xd800u32.to_le_bytes(), 1);
        assert!(matches!(heap.receive(surrogate), Err(Error::NotAValue { index: 0, .. })));
        let mut many = vec![1u8; 3 * CHUNK];
        many[2 * CHUNK + 7] = 9;
        let refused = heap.receive(sent_as::<[bool]>(&heap, &many, many.len())).map(drop);
        assert!(matches!(refused, Err(Error::NotAValue { index, .. }) if index == 2 * CHUNK + 7));
    }

    #[test]
    fn characters_that_a_chunk_cuts() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        for before in [CHUNK - 4, CHUNK - 3, CHUNK - 2, CHUNK - 1, CHUNK] {
            let text = "a".repeat(before) + "\u{10ffff}\u{fc}b";
            assert_eq!(
                *heap.receive(heap.boxed_str(&text).unwrap().send().unwrap()).unwrap(),
                *text
            );
            for cut in 1..4 {
                let bytes = &text.as_bytes()[..before + cut];
                let refused = heap.receive(sent_as::<str>(&heap, bytes, bytes.len())).map(|_| ());
                assert!(
                    matches!(refused, Err(Error::NotUtf8 { valid_up_to }) if valid_up_to == before),
                    "{refused:?}"
                );
            }
        }
    }

    #[test]
    fn labels_that_say_too_much_are_refused() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        for count in [41, 49, 1000, usize::MAX, usize::MAX - 16] {
            let handle = sent_as::<[u8]>(&heap, &[1; 40], count);
            // 40 bytes and two words are 56; a heap of alignment 16 gives such objects no more.
            assert!(matches!(heap.receive(handle), Err(Error::WrongType { .. })), "{count}");
            assert!(matches!(heap.take(handle), Err(Error::WrongType { .. })), "{count}");
            assert_eq!(heap.receive_bytes(handle.cast()).unwrap()[..], [1; 40]);
        }
    }

    /// Larger than this machine's memory, in a heap that reserves none.
    #[test]
    #[cfg_attr(miri, ignore)] // Miri's heap is smaller
    fn a_copy_that_there_is_no_memory_for_is_an_error() {
        const HUGE: usize = 1 << 38;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let promises_anything = read("/proc/sys/vm/overcommit_memory").starts_with('1');
        let kib = read("/proc/meminfo")
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<usize>().ok());
        let heap = Heap::options().size(1 << 20).growable_to(2 * HUGE).sparse().anonymous();
        let (Ok(heap), false, 1..=0x800_0000) = (heap, promises_anything, kib.unwrap_or(0)) else {
            println!(
                "skipped: this machine cannot map 512 GiB, has more than 128 GiB of memory, or \
                 promises any amount of it"
            );
            return;
        };
        let heap = &heap;
        let Ok(room) = Room::new::<[u8]>(connection(&heap), HUGE) else {
            println!("skipped: this machine has no file of 256 GiB");
            return;
        };
        // SAFETY: new, and nothing refers to it; bytes of a new file are zero.
        let bits = unsafe { send_labelled::<[u8]>(connection(&heap), room.place, HUGE) }.unwrap();
        room.into_place();
        let handle = Handle::<[u8]>::from_bits(bits);
        assert!(matches!(heap.take(handle), Err(Error::NoMemory { bytes: HUGE })));
        assert!(matches!(heap.peek(handle), Err(Error::NoMemory { bytes: HUGE })));
        assert_eq!(heap.receive(handle).unwrap().len(), HUGE);
    }

    #[test]
    fn a_copy_above_the_limit_of_the_connection() {
        let options = Heap::options().copies_up_to(100);
        // SAFETY: (trust) no other process has this heap.
        let heap = unsafe { options.anonymous_shared().unwrap().trust() };
        let handle = heap.boxed_slice(&[7u8; 101]).unwrap().send().unwrap();
        let refused =
            |result| matches!(result, Err(Error::CopyTooLarge { bytes: 101, limit: 100 }));
        assert!(refused(heap.peek(handle)));
        assert!(refused(heap.take(handle)));
        assert_eq!(heap.receive(handle).unwrap().len(), 101);
        let handle = heap.boxed_slice(&[7u8; 100]).unwrap().send().unwrap();
        assert_eq!(heap.peek(handle).unwrap(), [7; 100]);
        assert_eq!(heap.take(handle).unwrap(), [7; 100]);
    }

    #[test]
    fn an_object_too_small_for_a_label() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let place = connection(&heap).alloc(8, 8).unwrap();
        // SAFETY: (send) ours.
        let bits = unsafe { connection(&heap).send(place) }.unwrap();
        assert!(matches!(
            heap.receive(Handle::<u8>::from_bits(bits)),
            Err(Error::WrongType { .. })
        ));
        assert!(matches!(
            heap.receive_bytes(Handle::from_bits(bits)),
            Err(Error::WrongType { .. })
        ));
    }
}
