//! A ticket: what a process holds as long as it has a share in a `ShmArc`.
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::heap::{connection, Heap};
use crate::label::{self, TICKET, TICKET_LEN, TICKET_MAX};
use crate::raw::object::Claim;
use crate::raw::{words, Connection, Held};

const TICKET_TAG: u64 = 0x7a1c << 48;
pub(super) const TICKET_OFFSET: u64 = (1 << 48) - 1;

/// A ticket of this process. Freed when dropped.
///
/// Invariant: this connection holds the object at place, which has `end` bytes: TICKET_LEN at
/// least, a multiple of 8.
pub(super) struct Ticket {
    place: NonNull<u8>,
    end: usize,
    pub(super) heap: Held<Heap>,
}

/// The object that a ticket's word names; None for any other word.
pub(crate) fn ticket_names(word: u64) -> Option<u64> {
    (word & !TICKET_OFFSET == TICKET_TAG).then_some((word & TICKET_OFFSET) << 3)
}

/// What `look_at_ticket` has found.
pub(super) struct Named {
    /// Of its value.
    pub(super) label: u64,
    /// Where the object lies that it names.
    pub(super) offset: u64,
    /// Bytes that the share itself has.
    len: usize,
}

/// Looks at a share in transit, which stays so.
pub(super) fn look_at_ticket(
    heap: &Connection,
    bits: u64,
    expected: &'static str,
) -> Result<Named> {
    let mut words = [0u64; TICKET_LEN / 8];
    let wrong = |found| Error::WrongType { expected, found };
    let len = heap.peek_end(bits, &mut words)?.filter(|&len| len <= TICKET_MAX);
    if words[2] != TICKET {
        return Err(wrong(label::describe(words[2])));
    }
    match (len, ticket_names(words[0])) {
        (Some(len), Some(offset)) => Ok(Named { label: words[1], offset, len }),
        _ => Err(wrong("a damaged share in a ShmArc")),
    }
}

impl Ticket {
    pub(super) fn new(heap: &Heap, object: u64, label: u64) -> Result<Self> {
        let place = connection(&heap).alloc(TICKET_LEN, 8)?;
        let end = connection(&heap).usable(place) & !7;
        let ticket = Ticket { place, end, heap: Held::of(heap) };
        if !(TICKET_LEN..=TICKET_MAX).contains(&end) {
            // No heap of this format gives that much, or a peer has changed the header.
            return Err(Error::Unsupported);
        }
        // SAFETY: the words lie in the object, aligned to 8, which is ours alone.
        unsafe {
            words::store(ticket.word(3), TICKET_TAG | (object >> 3));
            words::store(ticket.word(2), label);
            words::store(ticket.word(1), TICKET);
        }
        Ok(ticket)
    }

    /// The place of the word that is so many words before the end, 3 at most.
    fn word(&self, before_end: usize) -> NonNull<u8> {
        // SAFETY: within the object (invariant).
        unsafe { self.place.add(self.end - before_end * 8) }
    }

    /// Claims a ticket that was looked at, where it is still the same and, once it is claimed,
    /// `check` accepts what it names. Refused, it is in transit as before.
    pub(super) fn receive(
        heap: &Heap,
        bits: u64,
        seen: &Named,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let claim = Claim::new(connection(&heap), bits, seen.len, TICKET)?;
        if claim.word(2) != Some(seen.label)
            || claim.word(3).and_then(ticket_names) != Some(seen.offset)
        {
            return Err(Error::Stale);
        }
        check()?;
        Ok(Ticket { place: claim.keep(), end: seen.len & !7, heap: Held::of(heap) })
    }

    /// Sends it: its handle. Freed when that fails.
    pub(super) fn send(self) -> Result<u64> {
        // SAFETY: (send) it is ours, and nothing refers to it.
        let bits = unsafe { self.heap.connection().send(self.place) }?;
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not used again: the heap is moved out of it once.
        drop(unsafe { std::ptr::read(&this.heap) });
        Ok(bits)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let heap = self.heap.connection();
        if heap.here().is_ok() && self.end >= TICKET_LEN && self.end <= TICKET_MAX {
            // SAFETY: within the object, which is ours. So that nothing that is made of this memory
            // later looks like a share.
            unsafe { words::store(self.word(1), 0) };
        }
        // SAFETY: (free) it is ours, and nothing refers to it.
        unsafe { heap.free(self.place) }
    }
}
