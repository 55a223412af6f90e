//! The types that may lie in the heap without a derive.
use std::marker::PhantomData;
use std::num::Wrapping;
use std::sync::atomic;

use super::shape::Leaf;
use super::{Shape, Shm};

macro_rules! leaves {
    ($($leaf:ident, $any:literal, $zero:literal, $valid:expr => $($of:ty),+;)+) => {$($(
        // SAFETY: a number of this width and nothing else: no padding, no address; valid says which
        // bytes are one.
        unsafe impl Shm for $of {
            const SHAPE: Shape = Shape::leaf::<Self>(Leaf::$leaf, $any, $zero);
            #[inline]
            unsafe fn is_valid(place: *const Self) -> bool {
                // SAFETY: the caller says that the bytes may be read.
                unsafe { $valid(place.cast()) }
            }
        }
    )+)+};
}

/// # Safety
/// None.
unsafe fn any(_: *const u8) -> bool {
    true
}

/// # Safety
/// A byte may be read at place.
unsafe fn is_bool(place: *const u8) -> bool {
    // SAFETY: says the caller.
    unsafe { place.read() < 2 }
}

/// # Safety
/// A u32 may be read at place.
unsafe fn is_char(place: *const u32) -> bool {
    // SAFETY: says the caller.
    char::from_u32(unsafe { place.read() }).is_some()
}

/// # Safety
/// A T may be read at place.
unsafe fn is_not<T: Default + PartialEq>(place: *const T) -> bool {
    // SAFETY: says the caller; T is an integer, of which any bytes are a value.
    unsafe { place.read() != T::default() }
}

leaves! {
    Unsigned, true, true, any => u8, u16, u32, u64, u128, usize;
    Signed, true, true, any => i8, i16, i32, i64, i128, isize;
    Float, true, true, any => f32, f64;
    Bool, false, true, is_bool => bool;
    Char, false, true, is_char => char;
    Atomic, true, true, any => atomic::AtomicU8, atomic::AtomicU16, atomic::AtomicU32,
        atomic::AtomicU64, atomic::AtomicUsize;
    AtomicSigned, true, true, any => atomic::AtomicI8, atomic::AtomicI16, atomic::AtomicI32,
        atomic::AtomicI64, atomic::AtomicIsize;
    AtomicBool, false, true, is_bool => atomic::AtomicBool;
    Nothing, true, true, any => ();
}

macro_rules! non_zero {
    ($leaf:ident, $option:ident; $($non_zero:ident, $of:ty;)+) => {
        leaves! { $(
            $leaf, false, false, is_not::<$of> => std::num::$non_zero;
            $option, true, true, any => Option<std::num::$non_zero>;
        )+ }
    };
}

non_zero! { NonZero, OptionNonZero;
    NonZeroU8, u8; NonZeroU16, u16; NonZeroU32, u32;
    NonZeroU64, u64; NonZeroU128, u128; NonZeroUsize, usize;
}

non_zero! { NonZeroSigned, OptionNonZeroSigned;
    NonZeroI8, i8; NonZeroI16, i16; NonZeroI32, i32;
    NonZeroI64, i64; NonZeroI128, i128; NonZeroIsize, isize;
}

// SAFETY: elements lie side by side, without padding between them.
unsafe impl<T: Shm, const N: usize> Shm for [T; N] {
    const SHAPE: Shape = Shape::array::<Self>(&T::SHAPE, N);
    #[inline]
    unsafe fn is_valid(place: *const Self) -> bool {
        // SAFETY: the caller's, for each element; N elements lie there.
        T::SHAPE.any_bytes() || (0..N).all(|i| unsafe { T::is_valid(place.cast::<T>().add(i)) })
    }
}

// SAFETY: no bytes.
unsafe impl<T: ?Sized + 'static> Shm for PhantomData<T>
where
    PhantomData<T>: Send,
{
    const SHAPE: Shape = Shape::leaf::<Self>(Leaf::Nothing, true, true);
    unsafe fn is_valid(_: *const Self) -> bool {
        true
    }
}

// SAFETY: repr(transparent).
unsafe impl<T: Shm> Shm for Wrapping<T> {
    const SHAPE: Shape = T::SHAPE;
    unsafe fn is_valid(place: *const Self) -> bool {
        // SAFETY: the caller's.
        unsafe { T::is_valid(place.cast()) }
    }
}

// The crate's own handles mean the same in every process, whatever they name.
macro_rules! handles {
    ($($of:ident, $leaf:ident;)+) => {$(
        // SAFETY: repr(transparent) over a word of 64 bits (an atomic one), and nothing else; any
        // bits are a handle.
        unsafe impl<T: ?Sized + 'static> Shm for crate::$of<T> {
            const SHAPE: Shape =
                Shape::leaf::<Self>(Leaf::$leaf, true, true).with(Leaf::Handle as u64);
            unsafe fn is_valid(_: *const Self) -> bool {
                true
            }
        }
    )+};
}

handles! {
    Handle, Handle;
    ArcHandle, Handle;
    AtomicHandle, Atomic;
}
