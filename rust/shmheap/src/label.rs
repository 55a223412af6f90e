//! The word at the end of each object that was sent: what it holds. It lies behind the value, where no safe code
//! reaches, so a label is what this crate wrote there or a hostile peer.
//!
//! Bits 0-43 count of elements, 44-47 kind, 48-63 a digest of the element's size and alignment.

const COUNT_BITS: u32 = 44;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// Bytes that an object of this crate has at least. What is smaller is a ticket ([`TICKET_MAX`]): the size, which
/// nobody can write, tells them apart.
pub(crate) const OBJECT_MIN: usize = 24;

/// Bytes that a ticket has at most: 8 are asked for, and on heaps of alignment 8 a rest of 8 cannot be split off.
pub(crate) const TICKET_MAX: usize = 16;

/// Bytes of the label.
pub(crate) const LABEL_LEN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Value = 1,
    Slice = 2,
    Text = 3,
    Arc = 4,
    Root = 5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(u64);

impl Label {
    /// None: more elements than a label can say.
    pub(crate) fn new<T>(kind: Kind, count: usize) -> Option<Label> {
        let count = u64::try_from(count).ok().filter(|&count| count <= COUNT_MAX)?;
        Some(Label((digest::<T>() << 48) | ((kind as u64) << COUNT_BITS) | count))
    }

    pub(crate) fn from_bits(bits: u64) -> Label {
        Label(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn is_arc(self) -> bool {
        (self.0 >> COUNT_BITS) & 15 == Kind::Arc as u64
    }

    /// How many elements of T lie in an object with this label and room for `room` bytes of payload; None where it
    /// holds anything else.
    pub(crate) fn count_of<T>(self, kind: Kind, room: usize) -> Option<usize> {
        let count = usize::try_from(self.0 & COUNT_MAX).ok()?;
        let same = Label::new::<T>(kind, count)? == self && (kind == Kind::Slice || kind == Kind::Text || count == 1);
        let bytes = std::mem::size_of::<T>().checked_mul(count)?;
        (same && bytes <= room).then_some(count)
    }

    /// For messages.
    pub(crate) fn describe(self) -> &'static str {
        match (self.0 >> COUNT_BITS) & 15 {
            1 => "a value of another size or alignment",
            2 => "a slice of other elements or where none was asked for",
            3 => "a str",
            4 => "the inside of a ShmArc",
            5 => "a root of another size or alignment",
            _ => "no object that this crate has sent",
        }
    }
}

/// 16 bits of size and alignment. Types that agree in both are taken for each other, which harms nobody: any
/// bytes are a value of either.
fn digest<T>() -> u64 {
    let size = std::mem::size_of::<T>() as u64;
    let align = std::mem::align_of::<T>() as u64;
    ((size << 16) ^ align).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48
}

/// Bytes to ask for so that `len` bytes and the label fit.
pub(crate) fn request(len: usize) -> Option<usize> {
    Some(len.checked_add(LABEL_LEN)?.max(OBJECT_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_good_for_its_type_alone() {
        let label = Label::new::<u32>(Kind::Slice, 5).unwrap();
        assert_eq!(label.count_of::<u32>(Kind::Slice, 20), Some(5));
        assert_eq!(label.count_of::<u32>(Kind::Slice, 19), None);
        assert_eq!(label.count_of::<u32>(Kind::Value, 20), None);
        assert_eq!(label.count_of::<u16>(Kind::Slice, 20), None);
        assert_eq!(label.count_of::<u64>(Kind::Slice, 64), None);
        assert!(!label.is_arc() && Label::new::<u8>(Kind::Arc, 1).unwrap().is_arc());
    }

    #[test]
    fn sizes_that_differ_in_one_byte_have_other_digests() {
        fn of<const N: usize>() -> u64 {
            digest::<[u8; N]>()
        }
        let all =
            [of::<0>(), of::<1>(), of::<2>(), of::<3>(), of::<4>(), of::<7>(), of::<8>(), of::<16>(), of::<4096>()];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
        assert_ne!(digest::<u32>(), digest::<[u8; 4]>());
    }

    #[test]
    fn any_bits_are_refused_or_fit() {
        let mut bits = 0x1234_5678_9abc_def1u64;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let label = Label::from_bits(bits);
            if let Some(count) = label.count_of::<u64>(Kind::Slice, 1000) {
                assert!(count * 8 <= 1000);
            }
        }
        assert_eq!(Label::new::<u8>(Kind::Slice, usize::MAX), None);
        assert_eq!(request(usize::MAX), None);
        assert_eq!((request(0), request(17)), (Some(24), Some(25)));
    }
}
