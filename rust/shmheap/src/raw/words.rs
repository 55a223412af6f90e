//! Copies of memory that a process which keeps no rules may write meanwhile. The loads and stores
//! are atomic and no reference to the memory is formed, so whatever comes out is bytes of some
//! moment, and nothing worse.
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

use crate::error::{Error, Result};
use crate::raw::Shm;

/// The word at place.
///
/// # Safety
/// 8 bytes at place, a multiple of 8, are mapped and no reference but to atomics covers them.
pub(crate) unsafe fn load(place: NonNull<u8>) -> u64 {
    // SAFETY: the caller says that place is aligned and mapped, and that other code of this program
    // uses it as an atomic alone.
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

/// Copies bytes out of the heap, each read once.
///
/// # Safety
/// bytes lie at from, aligned to 8, in memory to which no `&mut` is alive; as many can be written
/// at to.
pub(crate) unsafe fn copy_out(from: NonNull<u8>, to: *mut u8, bytes: usize) {
    let words = bytes / 8;
    for i in 0..words {
        // SAFETY: word i lies within both, and to may be unaligned.
        unsafe {
            let word =
                AtomicU64::from_ptr(from.as_ptr().cast::<u64>().add(i)).load(Ordering::Relaxed);
            to.cast::<u64>().add(i).write_unaligned(word);
        }
    }
    for i in words * 8..bytes {
        // SAFETY: byte i lies within both.
        unsafe {
            to.add(i).write(AtomicU8::from_ptr(from.as_ptr().add(i)).load(Ordering::Relaxed))
        };
    }
}

/// Copies bytes into the heap, each written once.
///
/// # Safety
/// bytes can be read at from, and lie at to, aligned to 8, in memory to which nothing but atomics
/// refers.
pub(crate) unsafe fn copy_in(from: *const u8, to: NonNull<u8>, bytes: usize) {
    let words = bytes / 8;
    for i in 0..words {
        // SAFETY: word i lies within both, and from may be unaligned.
        unsafe {
            let word = from.cast::<u64>().add(i).read_unaligned();
            AtomicU64::from_ptr(to.as_ptr().cast::<u64>().add(i)).store(word, Ordering::Relaxed);
        }
    }
    for i in words * 8..bytes {
        // SAFETY: byte i lies within both.
        unsafe {
            AtomicU8::from_ptr(to.as_ptr().add(i)).store(from.add(i).read(), Ordering::Relaxed)
        };
    }
}

/// Writes zeros.
///
/// # Safety
/// As for `copy_in`.
pub(crate) unsafe fn zero(to: NonNull<u8>, bytes: usize) {
    const ZEROS: [u8; 512] = [0; 512];
    let mut done = 0;
    while done < bytes {
        let some = ZEROS.len().min(bytes - done);
        // SAFETY: these bytes lie within, at a multiple of 8.
        unsafe { copy_in(ZEROS.as_ptr(), to.add(done), some) };
        done += some;
    }
}

/// Moves a value into the heap.
///
/// # Safety
/// As for `copy_in`, of which the bytes are the value's; T has no destructor.
pub(crate) unsafe fn put<T: Shm>(value: T, to: NonNull<u8>) {
    let value = MaybeUninit::new(value);
    // SAFETY: the caller's; all bytes of a T are initialised, since Shm has no padding.
    unsafe { copy_in(value.as_ptr().cast(), to, std::mem::size_of::<T>()) }
}

/// `count` values whose bytes `fill` writes to where it is told.
///
/// # Safety
/// Where it succeeds, fill has written as many bytes as its second argument says.
pub(crate) unsafe fn collect<T: Shm>(
    count: usize,
    fill: impl FnOnce(*mut u8, usize) -> Result<()>,
) -> Result<Vec<T>> {
    let mut values: Vec<MaybeUninit<T>> = Vec::new();
    let bytes = count.checked_mul(std::mem::size_of::<T>()).ok_or(Error::TooLarge)?;
    values.try_reserve_exact(count).map_err(|_| Error::NoMemory { bytes })?;
    fill(values.as_mut_ptr().cast(), bytes)?;
    if !T::SHAPE.any_bytes() {
        for index in 0..count {
            // SAFETY: the value was filled, and is this vector's alone.
            if !unsafe { T::is_valid(values.as_ptr().add(index).cast()) } {
                return Err(Error::NotAValue { expected: std::any::type_name::<T>(), index });
            }
        }
    }
    // SAFETY: all bytes of count values were written, and are values of T. MaybeUninit<T> is laid
    // out as T, so the vector's parts are those of a Vec<T>, and `values` is given up.
    unsafe {
        let mut values = std::mem::ManuallyDrop::new(values);
        Ok(Vec::from_raw_parts(values.as_mut_ptr().cast::<T>(), count, values.capacity()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` values from place.
    fn copy<T: Shm>(from: &mut [u64], count: usize) -> Result<Vec<T>> {
        assert!(count * std::mem::size_of::<T>() <= std::mem::size_of_val(from));
        let place = NonNull::from(from).cast();
        // SAFETY: there are as many bytes, and no other code uses them.
        unsafe {
            collect(count, |to, bytes| {
                copy_out(place, to, bytes);
                Ok(())
            })
        }
    }

    #[test]
    fn copies_all_and_no_more() {
        let mut from = [0u64; 9];
        for (i, word) in from.iter_mut().enumerate() {
            *word = 0x0101_0101_0101_0101 * (i as u64 + 1);
        }
        assert_eq!(copy::<u8>(&mut from, 13).unwrap(), [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
        assert_eq!(
            copy::<[u32; 3]>(&mut from, 5).unwrap()[4],
            [0x0707_0707, 0x0707_0707, 0x0808_0808]
        );
        assert_eq!(copy::<()>(&mut from, 4).unwrap().len(), 4);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let mut from = [0x0001_0001_0000_0101, 2];
        assert_eq!(
            copy::<bool>(&mut from, 8).unwrap(),
            [true, true, false, false, true, false, true, false]
        );
        assert!(matches!(copy::<bool>(&mut from, 9), Err(Error::NotAValue { index: 8, .. })));
    }

    #[test]
    #[cfg_attr(miri, ignore)] // Miri ends there
    fn more_than_there_is_memory_for() {
        // SAFETY: fill is not called.
        let refused = unsafe { collect::<u64>(usize::MAX / 16, |_, _| unreachable!()) };
        assert!(matches!(refused, Err(Error::NoMemory { .. })));
        // SAFETY: as above.
        let refused = unsafe { collect::<u64>(usize::MAX / 4, |_, _| unreachable!()) };
        assert!(matches!(refused, Err(Error::TooLarge)));
    }

    #[test]
    fn a_value_is_put_and_words_are_stored_and_loaded() {
        let mut words = [0u64; 3];
        let place = NonNull::from(&mut words).cast::<u8>();
        // SAFETY: the words are aligned, and no other code uses them.
        let loaded = unsafe {
            put([1u8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], place);
            store(place.add(16), 6);
            (load(place), load(place.add(8)), load(place.add(16)))
        };
        assert_eq!(loaded, (0x0807_0605_0403_0201, 0x000b_0a09, 6));
    }
}
