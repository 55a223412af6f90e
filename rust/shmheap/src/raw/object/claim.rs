//! Looking at an object in transit, and claiming it where it is what was seen.
use std::ptr::NonNull;

use crate::content::Content;
use crate::error::{Error, Result};
use crate::label::{self, TAIL_LEN};
use crate::raw::{words, Connection, Shm};

/// Whether the object of a handle lies where a T can be. Every object lies at a multiple of 8.
#[inline]
fn is_aligned<T: Content + ?Sized>(heap: &Connection, bits: u64) -> bool {
    let align = std::mem::align_of::<T::Element>();
    align <= 8 || heap.address_of(bits) % align == 0
}

/// Claims the object of a handle by one call of C, of a type of which label and length tell all.
/// None: refused, and the long way tells why.
#[inline]
pub(super) fn receive_at_once<T: Content + ?Sized>(
    heap: &Connection,
    bits: u64,
) -> Option<NonNull<u8>> {
    let least = const { label::request(std::mem::size_of::<T::Element>(), false) }?;
    if T::COUNTED || !T::Element::SHAPE.any_bytes() || !is_aligned::<T>(heap, bits) {
        return None;
    }
    heap.receive_labelled(bits, T::LABEL, least)
}

/// What `look` has found in an object in transit.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// Elements.
    pub(super) count: usize,
    /// Bytes that the object has.
    pub(super) len: usize,
}

/// Whether a T lies in the object of a handle, which is in transit and stays so.
#[inline]
pub(super) fn look<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<Seen> {
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
    pub(super) place: NonNull<u8>,
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
    pub(super) fn of<T: Content + ?Sized>(
        heap: &'h Connection,
        bits: u64,
        seen: Seen,
    ) -> Result<Self> {
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
