//! The words at the end of each object that was sent: what it holds. They lie behind the value,
//! where no safe code reaches, so a label is what this crate wrote there or a process that keeps no
//! rules.
//!
//! ```text
//! value                 [ value ][ ... ][ label ]
//! slice, text           [ elements ][ ... ][ count ][ label ]
//! share in a ShmArc     [ ... ][ object ][ label of the value ][ TICKET ]
//! inside of a ShmArc    [ front ][ value ][ ... ][ INSIDE ]
//! ```
//!
//! A label is 64 bits of a hash: of the kind of object and of its type's fingerprint. What is in a
//! box is checked besides: its length, and that its bytes are a value. So a box whose label was
//! forged, by a type made to have the same one, is still a box with a value in it. Of a value that
//! is shared no check says what may change under a reader. Beside its label lies a second one, of
//! 64 bits more, in the front of a ShmArc and behind the value of a root.
use crate::raw::{mix, Shm};

/// Bytes of the words at the end of an object, at most.
pub(crate) const TAIL_LEN: usize = 16;

/// The last word of a share: fixed, so that what is no share is told from one whatever its type.
pub(crate) const TICKET: u64 = u64::from_le_bytes(*b"shmheapt");

/// The last word of the inside of a ShmArc.
pub(crate) const INSIDE: u64 = u64::from_le_bytes(*b"shmheapi");

/// Bytes that a ticket has.
pub(crate) const TICKET_LEN: usize = 24;

/// Bytes that a ticket has at most: what the heap cannot split off.
pub(crate) const TICKET_MAX: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    Value = 1,
    Slice = 2,
    Text = 3,
    Arc = 4,
    Root = 5,
}

/// The label of an object that holds T in this way.
pub(crate) const fn label<T: Shm>(kind: Kind) -> u64 {
    mix(0, &[T::SHAPE.print()[0], kind as u64])
}

/// The second label of an object that holds a shared T in this way.
pub(crate) const fn second_label<T: Shm>(kind: Kind) -> u64 {
    mix(0, &[T::SHAPE.print()[1], kind as u64])
}

/// For messages.
pub(crate) fn describe(label: u64) -> &'static str {
    match label {
        TICKET => "a share in a ShmArc",
        INSIDE => "part of a ShmArc",
        _ => "a value of another type, or none that this crate sent",
    }
}

/// Bytes to request so that `len` bytes and the words behind them fit.
pub(crate) const fn request(len: usize, counted: bool) -> Option<usize> {
    let with = match counted {
        true => len.checked_add(16),
        false => len.checked_add(8),
    };
    match with {
        Some(with) if with < TAIL_LEN => Some(TAIL_LEN),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_label_is_good_for_its_type_and_kind_alone() {
        let kinds = [Kind::Value, Kind::Slice, Kind::Text, Kind::Arc, Kind::Root];
        let mut labels: Vec<u64> =
            kinds.iter().flat_map(|&kind| [label::<u64>(kind), label::<AtomicU64>(kind)]).collect();
        labels.extend([TICKET, INSIDE, label::<[AtomicU64; 7038]>(Kind::Arc)]);
        let all = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), all);
    }

    #[test]
    fn requests() {
        assert_eq!((request(usize::MAX, false), request(usize::MAX - 8, true)), (None, None));
        assert_eq!(
            (request(0, false), request(0, true), request(17, false), request(17, true)),
            (Some(16), Some(16), Some(25), Some(33))
        );
    }
}
