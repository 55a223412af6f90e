//! Copies of memory that a process which keeps no rules may write meanwhile. The loads are atomic and no reference
//! to the memory is formed, so whatever comes out is bytes of some moment, and nothing worse.
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

use crate::content::Plain;

/// The word at place.
///
/// # Safety
/// 8 bytes at place, a multiple of 8, are mapped and no reference but to atomics covers them.
pub(crate) unsafe fn load(place: NonNull<u8>) -> u64 {
    // SAFETY: the caller says that place is aligned and mapped, and that others only use it as an atomic or are no
    // part of this program.
    unsafe { AtomicU64::from_ptr(place.as_ptr().cast()) }.load(Ordering::Acquire)
}

/// Writes the word at place.
///
/// # Safety
/// As for `load`.
pub(crate) unsafe fn store(place: NonNull<u8>, word: u64) {
    // SAFETY: as in load.
    unsafe { AtomicU64::from_ptr(place.as_ptr().cast()) }.store(word, Ordering::Release);
}

/// `count` values from place, each byte read once.
///
/// # Safety
/// `count` values lie at place, aligned to 8, in memory that this process holds and to which no `&mut` is alive.
pub(crate) unsafe fn copy<T: Plain>(place: NonNull<u8>, count: usize) -> Vec<T> {
    let mut values: Vec<MaybeUninit<T>> = Vec::with_capacity(count);
    let bytes = count * std::mem::size_of::<T>();
    let target = values.as_mut_ptr().cast::<u8>();
    let words = bytes / 8;
    for i in 0..words {
        // SAFETY: word i lies within the values at place and, with unaligned writing, within the vector's capacity.
        unsafe {
            target
                .cast::<u64>()
                .add(i)
                .write_unaligned(AtomicU64::from_ptr(place.as_ptr().cast::<u64>().add(i)).load(Ordering::Relaxed))
        };
    }
    for i in words * 8..bytes {
        // SAFETY: byte i lies within both, as above.
        unsafe { target.add(i).write(AtomicU8::from_ptr(place.as_ptr().add(i)).load(Ordering::Relaxed)) };
    }
    // SAFETY: all bytes of count values were written, and T: FromBytes takes any. MaybeUninit<T> is laid out as T, so
    // the vector's parts are those of a Vec<T>, and `values` is given up.
    unsafe {
        let mut values = std::mem::ManuallyDrop::new(values);
        Vec::from_raw_parts(values.as_mut_ptr().cast::<T>(), count, values.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_all_and_no_more() {
        let mut from = [0u64; 9];
        for (i, word) in from.iter_mut().enumerate() {
            *word = 0x0101_0101_0101_0101 * (i as u64 + 1);
        }
        let place = NonNull::from(&mut from).cast::<u8>();
        // SAFETY: from has 72 bytes, and nobody else uses it.
        let (bytes, words, nothing) =
            unsafe { (copy::<u8>(place, 13), copy::<[u32; 3]>(place, 5), copy::<()>(place, 4)) };
        assert_eq!(bytes, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
        assert_eq!(words[4], [0x0707_0707, 0x0707_0707, 0x0808_0808]);
        assert_eq!(nothing.len(), 4);
    }

    #[test]
    fn a_word_is_stored_and_loaded() {
        let mut word = 5u64;
        let place = NonNull::from(&mut word).cast::<u8>();
        // SAFETY: the word is aligned, and nobody else uses it.
        let loaded = unsafe {
            store(place, 6);
            load(place)
        };
        assert_eq!(loaded, 6);
    }
}
