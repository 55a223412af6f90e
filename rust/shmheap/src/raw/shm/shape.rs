//! How the values of a type lie in memory, and the fingerprint of that.
use super::Shm;

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
    /// The hash of all words so far.
    print: Print,
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
const SEED: u64 = u64::from_le_bytes(*b"shmheap2");

/// Each marks the words that follow it in a fingerprint: no offset of a field equals a mark.
const VERSION: u64 = u64::MAX;
const NAME: u64 = u64::MAX - 1;
const VARIANT: u64 = u64::MAX - 2;

#[derive(Clone, Copy)]
#[repr(u64)]
pub(super) enum Leaf {
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

/// A hash of 128 bits. As wide between the words as at the end: else a program that finds types
/// with equal 64 bits could make many of them, and among those two that are equal in all.
pub(crate) type Print = [u64; 2];

/// SipHash-2-4 of some words: 64 bits in which each bit of the words and of the key has its part.
pub(crate) const fn mix(key: u64, words: &[u64]) -> u64 {
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
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573,
    ];
    let mut i = 0;
    while i <= words.len() {
        let word = if i < words.len() { words[i] } else { (words.len() as u64 * 8) << 56 };
        v[3] ^= word;
        v = rounds(v, 2);
        v[0] ^= word;
        i += 1;
    }
    v[2] ^= 0xff;
    v = rounds(v, 4);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

const fn mixed(print: Print, word: u64) -> Print {
    let words = [print[0], print[1], word];
    [mix(0, &words), mix(1, &words)]
}

impl Shape {
    pub(super) const fn leaf<T>(leaf: Leaf, any_bytes: bool, zero: bool) -> Shape {
        let atomic = matches!(leaf, Leaf::Atomic | Leaf::AtomicSigned | Leaf::AtomicBool);
        let size = std::mem::size_of::<T>();
        let print =
            mixed(mixed([SEED, leaf as u64], size as u64), std::mem::align_of::<T>() as u64);
        Shape {
            print,
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

    pub(super) const fn with(mut self, word: u64) -> Shape {
        self.print = mixed(self.print, word);
        self
    }

    const fn with_shape(self, other: &Shape) -> Shape {
        self.with(other.print[0]).with(other.print[1])
    }

    pub(super) const fn array<T>(of: &Shape, count: usize) -> Shape {
        let shape = Shape::whole::<T>(Leaf::Array).with(count as u64).with_shape(of);
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
            .with_shape(&I::SHAPE)
    }

    /// For the derive.
    #[doc(hidden)]
    pub const fn field(mut self, offset: usize, field: &Shape) -> Shape {
        self = self.with(offset as u64).with(field.size as u64).with_shape(field);
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
        self.print[0]
    }

    /// The same, with this fingerprint and these 64 bits more.
    #[cfg(test)]
    pub(crate) const fn with_print(self, print: Print) -> Shape {
        Shape { print, ..self }
    }

    /// The fingerprint, and 64 bits more.
    pub(crate) const fn print(&self) -> Print {
        self.print
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
