//! The trait of what may lie in the heap, its shape, and the types that have it without a derive.
use std::marker::PhantomData;
use std::num::Wrapping;
use std::sync::atomic;

/// Types whose values may lie in shared memory. Derive it.
///
/// ```
/// use shmheap::{Handle, Heap, Shm};
///
/// #[derive(Shm, Clone, Copy, Debug, PartialEq)]
/// #[repr(u8)]
/// enum Unit {
///     Celsius = 1,
///     Kelvin = 2,
/// }
///
/// #[derive(Shm)]
/// #[repr(C)]
/// struct Sample {
///     time_ns: u64,
///     value: f32,
///     sensor: u16,
///     unit: Unit,
///     good: bool,
///     next: Handle<Sample>,
/// }
///
/// let heap = Heap::anonymous(1 << 16)?;
/// let (unit, good, next) = (Unit::Kelvin, true, Handle::NULL);
/// let sample = Sample { time_ns: 1, value: 0.5, sensor: 7, unit, good, next };
/// let sample = heap.receive(heap.boxed(sample)?.send()?)?;
/// assert_eq!((sample.unit, sample.good), (Unit::Kelvin, true));
/// # Ok::<(), shmheap::Error>(())
/// ```
///
/// Integers, floats, `bool`, `char`, `NonZero` integers and `Option` of those, atomics, arrays,
/// `()`, [`Handle`](crate::Handle)s, structs and enums without fields have it. A struct needs
/// `#[repr(C)]` or `#[repr(transparent)]`, an enum an integer's `repr`.
///
/// The derive refuses:
/// - references and pointers: an address means nothing in another process;
/// - padding: the bytes there would show a peer what lay in this process's memory before. Order the
///   fields by size, or add a field such as `unused: [u8; 4]`; It is refused where a value is
///   stored, too:
///
/// ```compile_fail,E0080
/// #[derive(shmheap::Shm)]
/// #[repr(C)]
/// struct Holes {
///     a: u8,
///     b: u32,
/// }
///
/// let _ = shmheap::Heap::anonymous(1 << 16).unwrap().boxed(Holes { a: 1, b: 2 });
/// ```
///
/// - other `Option`s and enums with fields: their layout is the compiler's, or has bytes that no
///   variant writes. Use a `bool` or an enum without fields beside the data.
///
/// # The fingerprint
/// The derive makes 64 bits of the type's size and alignment, and of each field's offset, width,
/// kind, and whether it may change under a reader (an atomic). Each object bears them, and a
/// receive compares them before it changes anything. Two programs whose types differ are told so
/// ([`Error::WrongType`](crate::Error::WrongType)). Types of the same structure are the same type,
/// unless they are named apart: `#[shm(name = "Celsius")]`, or `#[shm(version = 2)]`, or both.
///
/// The fingerprint is a hash: it tells types apart that differ by mistake. It is no secret, and no
/// signature.
///
/// # Validity
/// Bytes that are no value of the type are refused when they are received: a `bool` other than 0
/// and 1, a surrogate as a `char`, a number that no variant of an enum has
/// ([`Error::NotAValue`](crate::Error::NotAValue)).
///
/// Safe code of any process can make any value of the type, and copies of one, private fields
/// included: so nothing `unsafe` may rely on how a value came about. A type with a destructor is
/// refused when the program is compiled, since the process that would run it may be killed:
///
/// ```compile_fail,E0080
/// use shmheap::{Handle, Heap, Shm};
///
/// #[derive(Shm)]
/// #[repr(C)]
/// struct Guard(u64);
///
/// impl Drop for Guard {
///     fn drop(&mut self) {}
/// }
///
/// let _ = Heap::anonymous(1 << 16).unwrap().peek(Handle::<Guard>::NULL);
/// ```
///
/// `#[shm(crate = path::to::shmheap)]` is for crates that export this one under another path. A
/// module in its place that holds anything else than this crate's trait and [`Shape`] is refused
/// when the program is compiled.
///
/// # Safety
/// Derive it instead. By hand:
/// - [`SHAPE`](Shm::SHAPE) describes every byte of the type: offset, width, whether it may change
///   while a `&Self` exists, and no byte is padding;
/// - `Self` holds no references, no pointers and nothing else that means something in this process
///   alone;
/// - `is_valid` returns true only where the bytes are a value of the type; where `SHAPE` says that
///   any bytes are one, that is so.
pub unsafe trait Shm: Sized + Send + 'static {
    /// How a value lies in memory.
    const SHAPE: Shape;

    /// Whether the bytes at `place` are a value of the type.
    ///
    /// # Safety
    /// `place` is aligned, all its bytes are initialised, and no thread or process writes them
    /// during the call.
    unsafe fn is_valid(place: *const Self) -> bool;
}

/// How the values of a type lie in memory: see [`Shm`].
///
/// ```
/// use shmheap::Shm;
/// use std::sync::atomic::AtomicU64;
///
/// assert_ne!(u64::SHAPE.fingerprint(), AtomicU64::SHAPE.fingerprint());
/// assert!(AtomicU64::SHAPE.may_change() && !u64::SHAPE.may_change());
/// assert!(u64::SHAPE.any_bytes() && !bool::SHAPE.any_bytes());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    fingerprint: u64,
    size: usize,
    /// Bytes of the fields so far.
    covered: usize,
    /// Whether each field so far begins where the one before it ends.
    in_order: bool,
    any_bytes: bool,
    zero: bool,
    changes: bool,
    atomic: bool,
}

/// What a fingerprint begins with. In a format of its own: changes with the way fingerprints are
/// made.
const SEED: u64 = u64::from_le_bytes(*b"shmheap1");

/// Each marks the words that follow it in a fingerprint: no offset of a field equals a mark.
const VERSION: u64 = u64::MAX;
const NAME: u64 = u64::MAX - 1;
const VARIANT: u64 = u64::MAX - 2;

#[derive(Clone, Copy)]
#[repr(u64)]
enum Leaf {
    Unsigned = 1,
    Signed,
    Float,
    Bool,
    Char,
    NonZero,
    OptionNonZero,
    Atomic,
    AtomicSigned,
    AtomicBool,
    Handle,
    Struct,
    Enum,
    Array,
    Nothing,
    NonZeroSigned,
    OptionNonZeroSigned,
}

/// SipHash-2-4 of two words, under a fixed key: 64 bits in which each bit of both has its part.
pub(crate) const fn mix(first: u64, second: u64) -> u64 {
    const fn rounds(mut v: [u64; 4], mut count: u32) -> [u64; 4] {
        while count > 0 {
            v[0] = v[0].wrapping_add(v[1]);
            v[2] = v[2].wrapping_add(v[3]);
            v[1] = v[1].rotate_left(13) ^ v[0];
            v[3] = v[3].rotate_left(16) ^ v[2];
            v[0] = v[0].rotate_left(32);
            v[2] = v[2].wrapping_add(v[1]);
            v[0] = v[0].wrapping_add(v[3]);
            v[1] = v[1].rotate_left(17) ^ v[2];
            v[3] = v[3].rotate_left(21) ^ v[0];
            v[2] = v[2].rotate_left(32);
            count -= 1;
        }
        v
    }
    let mut v = [
        0x736f_6d65_7073_6575,
        0x646f_7261_6e64_6f6d,
        0x6c79_6765_6e65_7261,
        0x7465_6462_7974_6573,
    ];
    let words = [first, second, 16 << 56];
    let mut i = 0;
    while i < words.len() {
        v[3] ^= words[i];
        v = rounds(v, 2);
        v[0] ^= words[i];
        i += 1;
    }
    v[2] ^= 0xff;
    v = rounds(v, 4);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

impl Shape {
    const fn leaf<T>(leaf: Leaf, any_bytes: bool, zero: bool) -> Shape {
        let atomic = matches!(leaf, Leaf::Atomic | Leaf::AtomicSigned | Leaf::AtomicBool);
        let size = std::mem::size_of::<T>();
        let fingerprint =
            mix(mix(mix(SEED, leaf as u64), size as u64), std::mem::align_of::<T>() as u64);
        Shape {
            fingerprint,
            size,
            covered: size,
            in_order: true,
            any_bytes,
            zero,
            changes: atomic,
            atomic,
        }
    }

    const fn whole<T>(leaf: Leaf) -> Shape {
        // Nothing covered yet, and no field that says otherwise.
        Shape { covered: 0, atomic: true, changes: false, ..Shape::leaf::<T>(leaf, true, true) }
    }

    const fn with(mut self, word: u64) -> Shape {
        self.fingerprint = mix(self.fingerprint, word);
        self
    }

    const fn array<T>(of: &Shape, count: usize) -> Shape {
        let shape = Shape::whole::<T>(Leaf::Array).with(count as u64).with(of.fingerprint);
        let empty = count == 0;
        Shape {
            covered: shape.size,
            any_bytes: empty || of.any_bytes,
            zero: empty || of.zero,
            changes: of.changes,
            atomic: empty || of.atomic,
            ..shape
        }
    }

    /// For the derive.
    #[doc(hidden)]
    pub const fn of_struct<T>() -> Shape {
        Shape::whole::<T>(Leaf::Struct)
    }

    /// For the derive: an enum without fields that lies in memory as an I.
    #[doc(hidden)]
    pub const fn of_enum<T, I: Shm>() -> Shape {
        let shape = Shape::whole::<T>(Leaf::Enum);
        Shape { covered: I::SHAPE.size, any_bytes: false, zero: false, atomic: false, ..shape }
            .with(I::SHAPE.fingerprint)
    }

    /// For the derive.
    #[doc(hidden)]
    pub const fn field(mut self, offset: usize, field: &Shape) -> Shape {
        self = self.with(offset as u64).with(field.size as u64).with(field.fingerprint);
        self.in_order &= field.size == 0 || offset == self.covered;
        self.covered += field.size;
        self.any_bytes &= field.any_bytes;
        self.zero &= field.zero;
        self.changes |= field.changes;
        self.atomic &= field.atomic || field.size == 0;
        self
    }

    /// For the derive: a variant of an enum, and its number.
    ///
    /// # Safety
    /// All bytes of the value are initialised, as those of an enum without fields are. `Shm` alone
    /// does not say so: padding is refused by `complete`, which this is a part of.
    #[doc(hidden)]
    pub const unsafe fn variant<T: Shm>(mut self, value: &T, number: i64) -> Shape {
        let place: *const T = value;
        // SAFETY: says the caller.
        let lies_so = unsafe {
            match std::mem::size_of::<T>() {
                1 => place.cast::<u8>().read() == number as u8,
                2 => place.cast::<u16>().read_unaligned() == number as u16,
                4 => place.cast::<u32>().read_unaligned() == number as u32,
                8 => place.cast::<u64>().read_unaligned() == number as u64,
                _ => false,
            }
        };
        assert!(
            lies_so,
            "an enum in shared memory is its number: another macro has changed this one"
        );
        self.zero |= number == 0;
        self.with(VARIANT).with(number as u64)
    }

    /// For the derive.
    #[doc(hidden)]
    pub const fn named(self, name: &str) -> Shape {
        let (mut shape, name, mut i) =
            (self.with(NAME).with(name.len() as u64), name.as_bytes(), 0);
        while i < name.len() {
            shape = shape.with(name[i] as u64);
            i += 1;
        }
        shape
    }

    /// For the derive.
    #[doc(hidden)]
    pub const fn version(self, version: u64) -> Shape {
        self.with(VERSION).with(version)
    }

    /// For the derive: where the next field lies in a value that `complete` accepts, whose fields
    /// lie side by side. Moves `next` behind it.
    #[doc(hidden)]
    #[inline]
    pub fn next_field<T>(next: &mut *const u8) -> *const T {
        match std::mem::size_of::<T>() {
            0 => std::ptr::NonNull::dangling().as_ptr(),
            size => {
                let field = next.cast();
                *next = next.wrapping_add(size);
                field
            }
        }
    }

    /// For the derive: refuses padding when the program is compiled.
    #[doc(hidden)]
    pub const fn complete(self) -> Shape {
        assert!(
            self.covered == self.size,
            "a type in shared memory cannot have padding: order its fields by size, or add a \
             field for the unused bytes"
        );
        assert!(
            self.in_order,
            "the fields of a type in shared memory lie side by side, in the order of their \
             declaration"
        );
        self
    }

    /// 64 bits that tell it from types of another structure.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether a part of it may change while a reader looks: an atomic.
    pub const fn may_change(&self) -> bool {
        self.changes
    }

    /// Whether any bytes are a value of it.
    pub const fn any_bytes(&self) -> bool {
        self.any_bytes
    }

    /// Whether bytes that are all zero are a value of it.
    pub const fn zero_is_valid(&self) -> bool {
        self.zero
    }

    /// Whether it is made of atomics alone, and any bytes are a value: so a `&T` requires
    /// nothing of the processes that write it.
    pub const fn is_all_atomic(&self) -> bool {
        self.atomic && self.any_bytes
    }
}

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
        T::SHAPE.any_bytes || (0..N).all(|i| unsafe { T::is_valid(place.cast::<T>().add(i)) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::num::{NonZeroI32, NonZeroU32};
    use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

    #[test]
    #[allow(deprecated)]
    fn mix_is_siphash_2_4() {
        use std::hash::{Hasher, SipHasher};
        for (first, second) in [(0, 0), (1, 0), (0, 1), (u64::MAX, 0x0123_4567_89ab_cdef)] {
            let mut hasher = SipHasher::new();
            hasher.write_u64(first);
            hasher.write_u64(second);
            assert_eq!(mix(first, second), hasher.finish());
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
        const SHAPE: Shape =
            unsafe { Shape::of_enum::<Self, u8>().variant(&Self::A, Self::A as i64) };
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
}
