//! The inside of a `ShmArc`: an object without a holder, in transit for good, and tickets, one for
//! each process that has a share and one for each share in transit.
//!
//! ```text
//! object   [ word ][ label ][ second label ][ own ][ pad ][ value ][ pad ][ INSIDE ]
//! word     count 0-31, version 32-63
//! ticket   [ pad ][ tag, offset of the object ][ label ][ TICKET ]       40 bytes at most
//! ```
//!
//! Being in transit, the object is out of reach of reaping; its last word keeps every receive from
//! claiming it. Tickets are held as any object, so reaping frees the tickets of dead processes. The
//! tickets, not the count, keep the object.
//!
//!   1  count is at least the number of tickets that live processes hold or that are in transit
//!   2  a ticket exists while its process uses the object or has not yet freed it
//!   3  version changes before a ticket is made and once more after that, before another process
//!      can get it; and when a ticket goes
//!   4  version begins at a number that no other object has had for long (first_version)
//!
//! So when the count has gone down to 0, no ticket is left but that of the process that took it
//! down, which frees the object. A process that dies leaves the count too high: then no process
//! takes it to 0, and sweeping frees the object when it has no tickets (see sweep.rs).
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

use crate::content::{Refuse, Shareable};
use crate::error::{Error, Result};
use crate::heap::{connection, Heap};
use crate::label::{self, label, second_label, Kind, INSIDE};
use crate::raw::words;

mod burial;
#[cfg(test)]
mod tests;
mod ticket;

use burial::leave;
pub(crate) use burial::{bury, discard_share, FrontCopy};
pub(crate) use ticket::ticket_names;
use ticket::{look_at_ticket, Ticket};

/// Bytes before the value: word, labels, own handle.
pub(crate) const FRONT_LEN: usize = 32;
const LABEL_AT: usize = 8;
const SECOND_AT: usize = 16;
const OWN_AT: usize = 24;

const COUNT: u64 = u32::MAX as u64;
const VERSION: u64 = 1 << 32;

/// A share in a value of T.
///
/// Invariant: ticket names the object at place, of which front is valid for T and value lies
/// FRONT_LEN rounded up to T's alignment behind place.
pub(crate) struct Shared<T> {
    place: NonNull<u8>,
    value: NonNull<T>,
    ticket: Ticket,
}

// SAFETY: as std's Arc, for T: Send + Sync (Shareable); the heap's calls may be made from any
// thread.
unsafe impl<T: Shareable> Send for Shared<T> {}

// SAFETY: as above.
unsafe impl<T: Shareable> Sync for Shared<T> {}

/// A version to begin with, which no other object has had for long: versions of one process are
/// 2^32 objects apart, those of other processes begin elsewhere by chance. So a word that is what
/// it was belongs to the same object, and not to a later one that has the place and, its generation
/// having repeated, the handle of the first.
fn first_version() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    static CHANCE: OnceLock<RandomState> = OnceLock::new();
    let begin = CHANCE.get_or_init(RandomState::new).hash_one(std::process::id());
    let step = MADE.fetch_add(0x9E37_79B9, Ordering::Relaxed);
    begin.wrapping_add(step) << 32
}

/// Bytes from the object's start to the value.
const fn value_at<T>() -> usize {
    let align = std::mem::align_of::<T>();
    FRONT_LEN.next_multiple_of(align)
}

/// Bytes to request for the inside.
fn size_of_inside<T>() -> Option<usize> {
    value_at::<T>().checked_add(std::mem::size_of::<T>()).and_then(|len| label::request(len, false))
}

impl<T: Shareable> Shared<T> {
    const LABEL: u64 = label::<T>(Kind::Arc);
    const SECOND: u64 = second_label::<T>(Kind::Arc);

    pub(crate) fn new(heap: &Heap, value: T) -> Result<Self> {
        let () = Refuse::<T>::UNFIT;
        let size = size_of_inside::<T>().ok_or(Error::TooLarge)?;
        let place = connection(&heap).alloc(size, std::mem::align_of::<T>().max(8))?;
        let end = connection(&heap).usable(place) & !7;
        if end < size {
            return Err(Error::corrupt()); // a process has changed its header: leave it alone
        }
        let ticket = Ticket::new(heap, connection(&heap).offset(place), Self::LABEL);
        // SAFETY: C, shmheap_alloc: the object is ours alone, aligned for T, with room for the
        // front, the value behind it and the last word; all places lie in it, at multiples of 8.
        let shared = unsafe {
            let target = place.add(value_at::<T>());
            words::put(value, target);
            words::store(place, first_version() | 1);
            words::store(place.add(LABEL_AT), Self::LABEL);
            words::store(place.add(SECOND_AT), Self::SECOND);
            words::store(place.add(OWN_AT), 0);
            words::store(place.add(end - 8), INSIDE);
            ticket.map(|ticket| Shared { place, value: target.cast(), ticket })
        };
        let sent = shared.and_then(|shared| {
            // SAFETY: (send) the object is ours; from here on only shares use it.
            let own = unsafe { connection(&heap).send(place) }?;
            Ok((shared, own))
        });
        match sent {
            Ok((shared, own)) => {
                shared.own().store(own, Ordering::Release);
                Ok(shared)
            }
            Err(error) => {
                // SAFETY: (free) ours still, and a share, if there was one, has not been given out.
                unsafe { connection(&heap).free(place) };
                Err(error)
            }
        }
    }

    /// Claims a share. Refused, it is in transit as before.
    pub(crate) fn receive(heap: &Heap, bits: u64) -> Result<Self> {
        let () = Refuse::<T>::UNFIT;
        let expected = std::any::type_name::<T>();
        let seen = look_at_ticket(connection(&heap), bits, expected)?;
        let wrong = Error::WrongType { expected, found: "a share in a value of another type" };
        if seen.label != Self::LABEL {
            return Err(wrong);
        }
        let check = || match Self::is_of_a_twin(heap, seen.offset)? {
            true => Err(wrong),
            false => Ok(()),
        };
        let ticket = Ticket::receive(heap, bits, &seen, check)?;
        Self::entered(heap, ticket, seen.offset)
    }

    /// Whether the inside that lies there holds a value of another type, whose first label is that
    /// of T. The caller has a ticket that names it.
    fn is_of_a_twin(heap: &Heap, offset: u64) -> Result<bool> {
        let Some(place) = connection(&heap).at(offset, FRONT_LEN + 8)? else {
            return Ok(false);
        };
        // SAFETY: FRONT_LEN bytes lie there in the region, at a multiple of 8, and are only used as
        // atomics; the object lives while the caller has the ticket (rule 2).
        let (label, second) =
            unsafe { (words::load(place.add(LABEL_AT)), words::load(place.add(SECOND_AT))) };
        Ok(label == Self::LABEL && second != Self::SECOND)
    }

    /// The share of a ticket of ours, whose object no process frees while we have the ticket (rule
    /// 2). Only a process that keeps no rules makes tickets that name anything else, so a ticket
    /// that does is freed.
    fn entered(heap: &Heap, ticket: Ticket, offset: u64) -> Result<Self> {
        let heap = connection(&heap);
        let size = size_of_inside::<T>().ok_or(Error::TooLarge)?;
        let place = heap.at(offset, size)?.ok_or_else(Error::corrupt)?;
        // SAFETY: at has found that the object's least bytes lie there in the region; offset is a
        // multiple of 8. Front words are only used as atomics.
        let (label, own) =
            unsafe { (words::load(place.add(LABEL_AT)), words::load(place.add(OWN_AT))) };
        let mut last = [0u64];
        let len = heap.peek_end(own, &mut last)?;
        let same_place = heap.address_of(own) == place.as_ptr() as usize;
        let aligned = place.as_ptr() as usize % std::mem::align_of::<T>().max(8) == 0;
        if label != Self::LABEL || last[0] != INSIDE || len < Some(size) || !same_place || !aligned
        {
            return Err(Error::corrupt());
        }
        // SAFETY: within the object.
        let value = unsafe { place.add(value_at::<T>()) };
        if !T::SHAPE.any_bytes() {
            let fill = |to, bytes| {
                // SAFETY: (collect) bytes can be written at to.
                unsafe { heap.peek(own, value_at::<T>(), to, bytes) }.map(|_| ())
            };
            // SAFETY: peek writes all bytes, or fails.
            unsafe { words::collect::<T>(1, fill) }?;
        }
        Ok(Shared { place, value: value.cast(), ticket })
    }

    /// A share for another process: its handle.
    pub(crate) fn share(&self) -> Result<u64> {
        let heap: &Heap = &self.ticket.heap;
        connection(&heap).here()?;
        let changed = self.word().fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COUNT != 0 && word & COUNT != COUNT).then_some(word.wrapping_add(VERSION + 1))
        });
        changed.map_err(|_| Error::corrupt())?;
        let sent = Ticket::new(heap, connection(&heap).offset(self.place), Self::LABEL).and_then(
            |ticket| {
                self.word().fetch_add(VERSION, Ordering::AcqRel);
                ticket.send()
            },
        );
        if sent.is_err() {
            self.leave();
        }
        sent
    }
}

impl<T> Shared<T> {
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the object lives while our ticket does (rule 2); its front is only used as
        // atomics.
        unsafe { AtomicU64::from_ptr(self.place.as_ptr().cast()) }
    }

    fn own(&self) -> &AtomicU64 {
        // SAFETY: as in word.
        unsafe { AtomicU64::from_ptr(self.place.add(OWN_AT).as_ptr().cast()) }
    }

    /// Takes the count down; 0 is what it stays at. Returns what it was.
    fn leave(&self) -> u64 {
        leave(self.word())
    }

    pub(crate) fn count(&self) -> u64 {
        self.ticket.heap.connection().assert_here();
        self.word().load(Ordering::Acquire) & COUNT
    }

    /// Whether both are shares in one object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let (heap, there) = (self.ticket.heap.connection(), other.ticket.heap.connection());
        heap.offset(self.place) == there.offset(other.place) && heap.is_of_the_same_heap(there)
    }

    pub(crate) fn get(&self) -> &T {
        self.ticket.heap.connection().assert_here();
        // SAFETY: the object lives while our ticket does, which the reference does not outlive; it
        // is aligned and holds a T. No `&mut` to it exists; T: Sync allows what changes inside.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let heap = self.ticket.heap.connection();
        // In a child made by fork() the share is the parent's.
        if heap.here().is_ok() && self.leave() == 1 {
            bury(heap, self.own().load(Ordering::Acquire), |word| word & COUNT == 0);
        }
        // Now the ticket goes (rule 2).
    }
}
