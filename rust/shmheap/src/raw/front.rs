//! The inside of a `ShmArc`: an object without a holder, in transit for good, and tickets, one for
//! each process that has a share and one for each share in transit.
//!
//! ```text
//! object   [ word ][ label ][ own ][ pad ][ value ][ pad ][ INSIDE ]
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
use crate::label::{self, label, Kind, INSIDE, TICKET, TICKET_LEN, TICKET_MAX};
use crate::raw::object::Claim;
use crate::raw::{words, Connection, Held};

/// Bytes before the value: word, label, own handle.
pub(crate) const FRONT_LEN: usize = 24;
const LABEL_AT: usize = 8;
const OWN_AT: usize = 16;

const COUNT: u64 = u32::MAX as u64;
const VERSION: u64 = 1 << 32;

const TICKET_TAG: u64 = 0x7a1c << 48;
const TICKET_OFFSET: u64 = (1 << 48) - 1;

/// A ticket of this process. Freed when dropped.
///
/// Invariant: this connection holds the object at place, which has `end` bytes: TICKET_LEN at
/// least, a multiple of 8.
pub(crate) struct Ticket {
    place: NonNull<u8>,
    end: usize,
    heap: Held<Heap>,
}

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

/// The object that a ticket's word names; None for any other word.
pub(crate) fn ticket_names(word: u64) -> Option<u64> {
    (word & !TICKET_OFFSET == TICKET_TAG).then_some((word & TICKET_OFFSET) << 3)
}

/// What `look_at_ticket` has found.
struct Named {
    /// Of its value.
    label: u64,
    /// Where the object lies that it names.
    offset: u64,
    /// Bytes that the share itself has.
    len: usize,
}

/// Looks at a share in transit, which stays so.
fn look_at_ticket(heap: &Connection, bits: u64, expected: &'static str) -> Result<Named> {
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
    fn new(heap: &Heap, object: u64, label: u64) -> Result<Self> {
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

    /// Claims a ticket that was looked at, where it is still the same.
    fn receive(heap: &Heap, bits: u64, seen: &Named) -> Result<Self> {
        let claim = Claim::new(connection(&heap), bits, seen.len, TICKET)?;
        if claim.word(2) != Some(seen.label)
            || claim.word(3).and_then(ticket_names) != Some(seen.offset)
        {
            return Err(Error::Stale);
        }
        Ok(Ticket { place: claim.keep(), end: seen.len & !7, heap: Held::of(heap) })
    }

    /// Sends it: its handle. Freed when that fails.
    fn send(self) -> Result<u64> {
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

    pub(crate) fn new(heap: &Heap, value: T) -> Result<Self> {
        let () = Refuse::<T>::UNFIT;
        let size = size_of_inside::<T>().ok_or(Error::TooLarge)?;
        let place = connection(&heap).alloc(size, std::mem::align_of::<T>().max(8))?;
        let end = connection(&heap).usable(place) & !7;
        if end < size {
            return Err(Error::Corrupt); // a process has changed its header: leave it alone
        }
        let ticket = Ticket::new(heap, connection(&heap).offset(place), Self::LABEL);
        // SAFETY: C, shmheap_alloc: the object is ours alone, aligned for T, with room for the
        // front, the value behind it and the last word; all places lie in it, at multiples of 8.
        let shared = unsafe {
            let target = place.add(value_at::<T>());
            words::put(value, target);
            words::store(place, first_version() | 1);
            words::store(place.add(LABEL_AT), Self::LABEL);
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
        if seen.label != Self::LABEL {
            return Err(Error::WrongType { expected, found: "a share in a value of another type" });
        }
        let ticket = Ticket::receive(heap, bits, &seen)?;
        Self::entered(heap, ticket, seen.offset)
    }

    /// The share of a ticket of ours, whose object no process frees while we have the ticket (rule
    /// 2). Only a process that keeps no rules makes tickets that name anything else, so a ticket
    /// that does is freed.
    fn entered(heap: &Heap, ticket: Ticket, offset: u64) -> Result<Self> {
        let heap = connection(&heap);
        let size = size_of_inside::<T>().ok_or(Error::TooLarge)?;
        let place = heap.at(offset, size)?.ok_or(Error::Corrupt)?;
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
            return Err(Error::Corrupt);
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
        changed.map_err(|_| Error::Corrupt)?;
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

fn leave(word: &AtomicU64) -> u64 {
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
    let ticket = Ticket::receive(heap, bits, &seen)?;
    let connection = connection(&heap);
    let place = connection.at(seen.offset, FRONT_LEN + 8)?.ok_or(Error::Corrupt)?;
    // SAFETY: FRONT_LEN bytes lie there in the region, at a multiple of 8, only used as atomics;
    // the object lives while our ticket does (rule 2).
    let (word, own) = unsafe {
        if words::load(place.add(LABEL_AT)) != seen.label {
            return Err(Error::Corrupt);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArcHandle, Handle};

    fn send_ticket(heap: &Heap, object: u64) -> u64 {
        Ticket::new(heap, object, Shared::<u64>::LABEL).unwrap().send().unwrap()
    }

    #[test]
    fn tickets_that_name_anything_are_refused() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let victim = heap.boxed_slice(&[0x55u8; 200]).unwrap();
        let inside = connection(&heap).offset(NonNull::from(&victim[0]));
        for object in
            [0, 8, 16, inside, inside + 8, 1 << 16, (1 << 16) - 8, u64::MAX >> 16 << 3, 1 << 40]
        {
            let bits = send_ticket(&heap, object & (TICKET_OFFSET << 3));
            match Shared::<u64>::receive(&heap, bits) {
                Err(Error::Corrupt | Error::NullHandle | Error::ForeignHandle | Error::Stale) => {}
                other => panic!("{object}: {:?}", other.map(|shared| *shared.get())),
            }
        }
        assert_eq!(*victim, [0x55; 200]);
        drop(victim);
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }

    #[test]
    fn a_share_is_no_box_and_a_box_no_share() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let arc = heap.arc(7u64).unwrap();
        let share = arc.share().unwrap();
        let as_box = Handle::<u64>::from_bits(share.bits());
        assert!(matches!(heap.receive(as_box), Err(Error::WrongType { .. })));
        assert!(matches!(heap.take(as_box), Err(Error::WrongType { .. })));
        assert!(matches!(heap.receive_bytes(as_box.cast()), Err(Error::WrongType { .. })));
        assert_eq!(*heap.receive_arc(share).unwrap(), 7);
        let boxed = heap.boxed([9u64; 1]).unwrap().send().unwrap();
        let as_share = ArcHandle::<u64>::from_bits(boxed.bits());
        assert!(matches!(heap.receive_arc(as_share), Err(Error::WrongType { .. })));
        assert_eq!(*heap.receive(boxed).unwrap(), [9]);
    }

    /// The object's own handle never leaves this module; a process that guesses it gets an error,
    /// and nothing changes.
    #[test]
    #[cfg_attr(miri, ignore)] // sweeping reads the heap's file
    fn the_inside_cannot_be_claimed() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let arc = Shared::new(&heap, [1u64; 8]).unwrap();
        let own = arc.own().load(Ordering::Relaxed);
        let offset = connection(&heap).offset(arc.place);
        assert_eq!(connection(&heap).handle_at(offset, ((own >> 36) & 0x7fff) as u32), own);
        for _ in 0..2 {
            assert!(matches!(
                heap.receive(Handle::<[u8]>::from_bits(own)),
                Err(Error::WrongType { .. })
            ));
            assert!(matches!(
                heap.receive(Handle::<[u64; 8]>::from_bits(own)),
                Err(Error::WrongType { .. })
            ));
            assert!(matches!(
                heap.receive_bytes(Handle::from_bits(own)),
                Err(Error::WrongType { .. })
            ));
            assert!(matches!(
                heap.receive_arc(ArcHandle::<[u64; 8]>::from_bits(own)),
                Err(Error::WrongType { .. })
            ));
        }
        assert_eq!(*arc.get(), [1; 8]);
        assert_eq!(heap.reap().unwrap().arcs, 0);
        drop(arc);
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }

    #[test]
    #[cfg_attr(miri, ignore)] // Miri's heap is larger
    fn a_full_heap_makes_no_share() {
        let heap = Heap::options().size(512).anonymous().unwrap();
        let arc = heap.arc(1u32).unwrap();
        let mut handles = Vec::new();
        let error = loop {
            match arc.share() {
                Ok(handle) => handles.push(handle),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        assert_eq!(arc.shares() as usize, handles.len() + 1);
        for handle in handles {
            drop(heap.receive_arc(handle).unwrap());
        }
        drop(arc);
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }
}
