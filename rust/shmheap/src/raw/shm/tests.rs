//! Fingerprints, and bytes that are no value.

use super::*;
use std::collections::BTreeMap;
use std::num::{NonZeroI32, NonZeroU32};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

#[test]
#[allow(deprecated)]
fn mix_is_siphash_2_4() {
    use std::hash::{Hasher, SipHasher};
    for key in [0, 1, u64::MAX] {
        for words in [&[] as &[u64], &[0], &[1, 0], &[0, 1], &[u64::MAX, 0x0123_4567_89ab_cdef, 5]]
        {
            let mut hasher = SipHasher::new_with_keys(key, 0);
            words.iter().for_each(|&word| hasher.write_u64(word));
            assert_eq!(mix(key, words), hasher.finish());
        }
    }
}

#[test]
fn types_that_differ_have_other_fingerprints() {
    let mut seen = BTreeMap::new();
    macro_rules! all {
        ($($of:ty),+ $(,)?) => {$(
            if let Some(other) = seen.insert(<$of>::SHAPE.fingerprint(), stringify!($of)) {
                panic!("{other} and {} have the same", stringify!($of));
            }
        )+};
    }
    all!(
        u8,
        u16,
        u32,
        u64,
        u128,
        i8,
        i64,
        f32,
        f64,
        bool,
        char,
        AtomicU64,
        AtomicU32,
        AtomicBool,
        NonZeroU32,
        NonZeroI32,
        Option<NonZeroU32>,
        Option<NonZeroI32>,
        (),
        [u8; 0],
        [u8; 1],
        [u8; 8],
        [u32; 2],
        [[u8; 2]; 4],
        [[u8; 4]; 2],
        [AtomicU64; 7038],
        crate::Handle<u64>,
        crate::AtomicHandle<u64>,
    );
}

#[test]
fn bytes_that_are_no_value() {
    fn valid<T: Shm, const N: usize>(bytes: [u8; N]) -> bool {
        #[repr(C, align(16))]
        struct Aligned<const N: usize>([u8; N]);
        let place = Aligned(bytes);
        assert_eq!(N, std::mem::size_of::<T>());
        // SAFETY: aligned, initialised, not shared.
        unsafe { T::is_valid(place.0.as_ptr().cast()) }
    }
    assert!(
        valid::<bool, 1>([0])
            && valid::<bool, 1>([1])
            && !valid::<bool, 1>([2])
            && !valid::<AtomicBool, 1>([255])
    );
    assert!(
        valid::<char, 4>([0x61, 0, 0, 0])
            && !valid::<char, 4>([0, 0xd8, 0, 0])
            && !valid::<char, 4>([0, 0, 0x11, 0])
    );
    assert!(!valid::<NonZeroU32, 4>([0; 4]) && valid::<NonZeroU32, 4>([0, 0, 0, 1]));
    assert!(valid::<Option<NonZeroU32>, 4>([0; 4]));
    assert!(valid::<[bool; 3], 3>([0, 1, 1]) && !valid::<[bool; 3], 3>([0, 1, 3]));
    assert!(valid::<u64, 8>([255; 8]));
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Small {
    A = 1,
}

// SAFETY: an enum that lies as a u8; no bytes are given to it.
unsafe impl Shm for Small {
    // SAFETY: as above. (clippy 1.85 does not see this comment.)
    #[allow(clippy::undocumented_unsafe_blocks)]
    const SHAPE: Shape = unsafe { Shape::of_enum::<Self, u8>().variant(&Self::A, Self::A as i64) };
    unsafe fn is_valid(_: *const Self) -> bool {
        false
    }
}

/// What the derive was told about is no longer there.
#[test]
#[should_panic(expected = "an enum in shared memory is its number")]
fn an_enum_is_its_number() {
    // SAFETY: an enum without fields.
    let _ = unsafe { Small::SHAPE.variant(&Small::A, 2) };
}

#[test]
#[should_panic(expected = "an enum in shared memory is its number")]
fn an_enum_is_no_longer_than_its_number() {
    // SAFETY: bytes.
    let _ = unsafe { Small::SHAPE.variant(&[1u8; 3], 1) };
}

#[test]
fn an_option_of_a_non_zero_lies_as_the_number() {
    let none: Option<NonZeroU32> = None;
    assert_eq!((std::mem::size_of_val(&none), NonZeroU32::new(7)), (4, NonZeroU32::new(7)));
    // SAFETY: documented layout of Option<NonZeroU32>: None is 0.
    assert_eq!(unsafe { std::mem::transmute::<u32, Option<NonZeroU32>>(0) }, None);
}
