//! The end of the inside of a `ShmArc`: its count goes down, and the process that takes it to 0, or
//! sweeping, frees it.
use std::sync::atomic::{AtomicU64, Ordering};

use super::ticket::{look_at_ticket, Ticket};
use super::{COUNT, FRONT_LEN, LABEL_AT, OWN_AT, VERSION};
use crate::error::{Error, Result};
use crate::heap::{connection, Heap};
use crate::label::INSIDE;
use crate::raw::object::Claim;
use crate::raw::{words, Connection};

pub(super) fn leave(word: &AtomicU64) -> u64 {
    let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
        (word & COUNT != 0).then_some(word.wrapping_add(VERSION).wrapping_sub(1))
    });
    before.map_or(0, |word| word & COUNT)
}

/// Claims the inside of a ShmArc that has no shares, and frees it, if its word is one that `dead`
/// accepts. Of several processes that try one succeeds; a death inside leaves it to sweeping, or to
/// reaping once it was claimed.
pub(crate) fn bury(heap: &Connection, own: u64, dead: impl FnOnce(u64) -> bool) -> bool {
    let mut last = [0u64];
    let len = match heap.peek_end(own, &mut last) {
        Ok(Some(len)) if len >= FRONT_LEN + 8 && last[0] == INSIDE => len,
        _ => return false,
    };
    let Ok(claim) = Claim::new(heap, own, len, INSIDE) else {
        return false;
    };
    // Another object may lie there by now, under the same handle: then it is put back.
    if !claim.first_word().is_some_and(dead) {
        return false;
    }
    let place = claim.keep();
    // SAFETY: the object is ours, no share in it is left, and these places lie in it. Without
    // labels nothing that is made of this memory later looks like a ShmArc.
    unsafe {
        words::store(place.add(LABEL_AT), 0);
        words::store(place.add((len & !7) - 8), 0);
    }
    // SAFETY: (free) it is ours, and nothing refers to it.
    unsafe { heap.free(place) };
    true
}

/// Claims a share in transit, of whatever type, and gives it back.
pub(crate) fn discard_share(heap: &Heap, bits: u64) -> Result<()> {
    let seen = look_at_ticket(connection(&heap), bits, "a share in a ShmArc")?;
    let ticket = Ticket::receive(heap, bits, &seen, || Ok(()))?;
    let connection = connection(&heap);
    let place = connection.at(seen.offset, FRONT_LEN + 8)?.ok_or_else(Error::corrupt)?;
    // SAFETY: FRONT_LEN bytes lie there in the region, at a multiple of 8, only used as atomics;
    // the object lives while our ticket does (rule 2).
    let (word, own) = unsafe {
        if words::load(place.add(LABEL_AT)) != seen.label {
            return Err(Error::corrupt());
        }
        (AtomicU64::from_ptr(place.as_ptr().cast()), words::load(place.add(OWN_AT)))
    };
    if leave(word) == 1 {
        bury(connection, own, |word| word & COUNT == 0);
    }
    drop(ticket);
    Ok(())
}

/// Front of an object as a copy of its bytes.
#[derive(Clone, Copy)]
pub(crate) struct FrontCopy {
    pub word: u64,
    own: u64,
}

impl FrontCopy {
    pub(crate) fn of(bytes: [u8; FRONT_LEN]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        FrontCopy { word: word(0), own: word(OWN_AT) }
    }

    /// Whether it is that of a ShmArc whose object has this handle and ends with this word. `own`
    /// is 0 when its maker died before it could write it.
    pub(crate) fn is_arc(&self, handle: u64, last: u64) -> bool {
        last == INSIDE && (self.own == 0 || self.own == handle)
    }
}
