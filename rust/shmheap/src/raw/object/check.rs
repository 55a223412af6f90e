//! Whether the bytes of an object are values of its type.
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::content::Content;
use crate::error::{Error, Result};
use crate::raw::{words, Connection, Shm};

/// Whether the elements of a claimed object are values of T.
///
/// # Safety
/// count elements lie at place, aligned, in an object of ours that no process writes.
#[inline]
pub(super) unsafe fn check_claimed<T: Content + ?Sized>(
    place: NonNull<u8>,
    count: usize,
) -> Result<()> {
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
pub(super) const CHUNK: usize = 4096;

/// Whether the elements are values of T; the object stays in transit.
#[inline]
pub(super) fn check_value<T: Content + ?Sized>(
    heap: &Connection,
    bits: u64,
    count: usize,
) -> Result<()> {
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
