//! The inside of a `ShmArc`: an object that nobody holds, in transit for good, and tickets, one for each process
//! that has a share and one for each share in transit.
//!
//! ```text
//! object   [ word ][ label ][ own ][ pad ][ value ][ pad ][ label ]     word: count 0-31, version 32-63
//! ticket   [ tag, offset of the object ]                                16 bytes at most: no box is that small
//! ```
//!
//! Being in transit, the object is out of reach of reaping, and its handle `own` is known to those inside alone. Tickets
//! are held as any object, so reaping frees those of the dead; they, not the count, are what keeps the object.
//!
//!   1  count is at least the number of tickets of the living and in transit
//!   2  a ticket exists while its process uses the object or has not yet freed it
//!   3  version changes before a ticket is made and once more after that, before anybody else can get it; and when a
//!      ticket goes
//!
//! So when the count has gone down to 0, no ticket is left but that of who took it down, who frees the object. A process
//! that dies leaves the count too high: then nobody takes it to 0, and sweeping frees the object when it has no tickets
//! (see sweep.rs).
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::content::{NoDestructor, Shareable};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::heap::{connection, Heap};
use crate::label::{self, Kind, Label, LABEL_LEN, TICKET_MAX};
use crate::raw::{words, Connection};

/// Bytes before the value: word, label, own handle.
pub(crate) const FRONT_LEN: usize = 24;
const LABEL_AT: usize = 8;
const OWN_AT: usize = 16;

const COUNT: u64 = u32::MAX as u64;
const VERSION: u64 = 1 << 32;

const TICKET_TAG: u64 = 0x7a1c << 48;
const TICKET_OFFSET: u64 = (1 << 48) - 1;

/// A ticket of this process. Freed when dropped.
pub(crate) struct Ticket {
    place: NonNull<u8>,
    heap: Heap,
}

/// A share in a value of T.
///
/// Invariant: ticket names the object at place, of which front is valid for T and value lies FRONT_LEN rounded up to
/// T's alignment behind place.
pub(crate) struct Shared<T> {
    place: NonNull<u8>,
    value: NonNull<T>,
    ticket: Ticket,
}

// SAFETY: as std's Arc, for T: Send + Sync (Shareable); the heap's calls may be made from any thread.
unsafe impl<T: Shareable> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Shareable> Sync for Shared<T> {}

/// The object that a ticket's word names; None for any other word.
pub(crate) fn ticket_names(word: u64) -> Option<u64> {
    (word & !TICKET_OFFSET == TICKET_TAG).then_some((word & TICKET_OFFSET) << 3)
}

impl Ticket {
    fn new(heap: &Heap, object: u64) -> Result<Self> {
        let place = connection(heap).alloc(8, 8)?;
        let ticket = Ticket { place, heap: heap.clone() };
        if connection(heap).usable(place) > TICKET_MAX {
            return Err(Error::Unsupported); // no heap of this format gives that much for 8 bytes
        }
        // SAFETY: C, shmheap_alloc: 8 bytes, aligned to 8, ours alone.
        unsafe { words::store(place, TICKET_TAG | (object >> 3)) };
        Ok(ticket)
    }

    /// Claims a ticket: itself and the offset that it names.
    fn receive(heap: &Heap, bits: u64) -> Result<(Self, u64)> {
        let ticket = Ticket { place: connection(heap).receive(bits)?, heap: heap.clone() };
        let usable = connection(heap).usable(ticket.place);
        if !(8..=TICKET_MAX).contains(&usable) {
            return Err(ticket.wrong("no share in a ShmArc"));
        }
        // SAFETY: at least 8 bytes, aligned to 8, ours alone.
        match ticket_names(unsafe { words::load(ticket.place) }) {
            Some(object) => Ok((ticket, object)),
            None => Err(ticket.wrong("no share in a ShmArc")),
        }
    }

    /// Sends it: its handle. Freed when that fails.
    fn send(self) -> Result<u64> {
        // SAFETY: (send) it is ours, and nothing refers to it.
        let bits = unsafe { connection(&self.heap).send(self.place) }?;
        self.given_up();
        Ok(bits)
    }

    fn given_up(self) {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is not used again: the heap is moved out of it once.
        drop(unsafe { std::ptr::read(&this.heap) });
    }

    fn wrong(self, found: &'static str) -> Error {
        match self.send() {
            Ok(bits) => Error::WrongType { found, again: Handle::from_bits(bits) },
            Err(error) => error,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // SAFETY: (free) it is ours, and nothing refers to it.
        unsafe { connection(&self.heap).free(self.place) }
    }
}

/// Bytes from the object's start to the value.
const fn value_at<T>() -> usize {
    let align = std::mem::align_of::<T>();
    FRONT_LEN.next_multiple_of(align)
}

fn label_of<T>() -> Label {
    Label::new::<T>(Kind::Arc, 1).expect("a count of 1 fits")
}

impl<T: Shareable> Shared<T> {
    pub(crate) fn new(heap: &Heap, value: T) -> Result<Self> {
        let () = NoDestructor::<T>::CHECKED;
        let size =
            value_at::<T>().checked_add(std::mem::size_of::<T>()).and_then(label::request).ok_or(Error::TooLarge)?;
        let place = connection(heap).alloc(size, std::mem::align_of::<T>().max(8))?;
        let usable = connection(heap).usable(place);
        if usable < size {
            return Err(Error::Corrupt); // somebody has changed its header: leave it alone
        }
        let ticket = Ticket::new(heap, connection(heap).offset(place));
        // SAFETY: C, shmheap_alloc: the object is ours alone, aligned for T, with room for the front, the value behind it
        // and the label at the end; all places lie in it.
        let shared = unsafe {
            let target = place.add(value_at::<T>()).cast::<T>();
            target.write(value);
            words::store(place, 1);
            words::store(place.add(LABEL_AT), label_of::<T>().bits());
            words::store(place.add(OWN_AT), 0);
            words::store(end_label(place, usable), label_of::<T>().bits());
            ticket.map(|ticket| Shared { place, value: target, ticket })
        };
        // SAFETY: (send) the object is ours; from here on only shares use it. (free) where there is none, nobody does.
        match shared.and_then(|shared| unsafe { connection(heap).send(place) }.map(|own| (shared, own))) {
            Ok((shared, own)) => {
                shared.own().store(own, Ordering::Release);
                Ok(shared)
            }
            Err(error) => {
                // SAFETY: (free) ours still, and a share, if there was one, has not been given out.
                unsafe { connection(heap).free(place) };
                Err(error)
            }
        }
    }

    /// Claims a share.
    pub(crate) fn receive(heap: &Heap, bits: u64) -> Result<Self> {
        let () = NoDestructor::<T>::CHECKED;
        let (ticket, offset) = Ticket::receive(heap, bits)?;
        let len = value_at::<T>() + std::mem::size_of::<T>() + LABEL_LEN;
        let place = match connection(heap).at(offset, len) {
            Ok(Some(place)) => place,
            Ok(None) => return Err(ticket.wrong("a share that names no object of this size")),
            Err(error) => return Err(error),
        };
        // SAFETY: at has found that len bytes lie there in the region; offset is a multiple of 8. Front words are only
        // used as atomics.
        let label = unsafe { words::load(place.add(LABEL_AT)) };
        let aligned = place.as_ptr() as usize % std::mem::align_of::<T>() == 0;
        if label != label_of::<T>().bits() || !aligned {
            return Err(ticket.wrong("a share in a value of another size or alignment"));
        }
        // SAFETY: within the len bytes.
        let value = unsafe { place.add(value_at::<T>()) }.cast();
        Ok(Shared { place, value, ticket })
    }

    /// A share for another process: its handle.
    pub(crate) fn share(&self) -> Result<u64> {
        let changed = self.word().fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COUNT != 0 && word & COUNT != COUNT).then_some(word.wrapping_add(VERSION + 1))
        });
        changed.map_err(|_| Error::Corrupt)?;
        let heap = &self.ticket.heap;
        let sent = Ticket::new(heap, connection(heap).offset(self.place)).and_then(|ticket| {
            self.word().fetch_add(VERSION, Ordering::AcqRel);
            ticket.send()
        });
        if sent.is_err() {
            self.leave();
        }
        sent
    }
}

impl<T> Shared<T> {
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the object lives while our ticket does (rule 2); its front is only used as atomics.
        unsafe { AtomicU64::from_ptr(self.place.as_ptr().cast()) }
    }

    fn own(&self) -> &AtomicU64 {
        // SAFETY: as in word.
        unsafe { AtomicU64::from_ptr(self.place.add(OWN_AT).as_ptr().cast()) }
    }

    /// Takes the count down; 0 is what it stays at. Returns what it was.
    fn leave(&self) -> u64 {
        let before = self.word().fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COUNT != 0).then_some(word.wrapping_add(VERSION).wrapping_sub(1))
        });
        before.map_or(0, |word| word & COUNT)
    }

    pub(crate) fn count(&self) -> u64 {
        self.word().load(Ordering::Acquire) & COUNT
    }

    pub(crate) fn heap(&self) -> &Heap {
        &self.ticket.heap
    }

    pub(crate) fn get(&self) -> &T {
        // SAFETY: the object lives while our ticket does, which the reference does not outlive; it is aligned and holds a T
        // (FromBytes). Nobody has a `&mut` to it; T: Sync allows what changes inside.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.leave() == 1 {
            bury(connection(&self.ticket.heap), self.own().load(Ordering::Acquire));
        }
        // Now the ticket goes (rule 2).
    }
}

/// Claims the inside of a ShmArc that has no shares, and frees it. Of several who try one succeeds; who dies inside
/// leaves it to sweeping, or to reaping once it was claimed.
pub(crate) fn bury(heap: &Connection, own: u64) -> bool {
    let Ok(place) = heap.receive(own) else {
        return false;
    };
    let usable = heap.usable(place);
    if usable >= FRONT_LEN + LABEL_LEN {
        // SAFETY: the object is ours, no share in it is left, and these places lie in it. Without labels nothing that is made
        // of this memory later looks like a ShmArc.
        unsafe {
            words::store(place.add(LABEL_AT), 0);
            words::store(end_label(place, usable), 0);
        }
    }
    // SAFETY: (free) it is ours, and nobody refers to it.
    unsafe { heap.free(place) };
    true
}

fn end_label(object: NonNull<u8>, usable: usize) -> NonNull<u8> {
    // SAFETY: C, shmheap_usable_size: the object has that many bytes; callers see to it that they are FRONT_LEN at least.
    unsafe { object.add((usable & !7) - LABEL_LEN) }
}

/// Front of an object as a copy of its bytes.
#[derive(Clone, Copy)]
pub(crate) struct FrontCopy {
    pub word: u64,
    label: u64,
    own: u64,
}

impl FrontCopy {
    pub(crate) fn of(bytes: [u8; FRONT_LEN]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        FrontCopy { word: word(0), label: word(LABEL_AT), own: word(OWN_AT) }
    }

    /// Whether it is that of a ShmArc whose object has this handle and ends with this label. `own` is 0 when its maker
    /// died before it could write it, and an earlier handle of the same place when somebody claimed the object by guessing
    /// and put it back.
    pub(crate) fn is_arc(&self, handle: u64, end_label: u64) -> bool {
        const STAMP: u64 = 0x7fff << 36;
        let own_fits = self.own == 0 || self.own & !STAMP == handle & !STAMP;
        self.label == end_label && Label::from_bits(end_label).is_arc() && own_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send_ticket(heap: &Heap, object: u64) -> u64 {
        Ticket::new(heap, object).unwrap().send().unwrap()
    }

    #[test]
    fn tickets_that_name_anything_are_refused_and_sent_again() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let victim = heap.boxed_slice(&[0x55u8; 200]).unwrap();
        let inside = connection(&heap).offset(NonNull::from(&victim[0]));
        for object in [0, 8, 16, inside, inside + 8, 1 << 16, (1 << 16) - 8, u64::MAX >> 16 << 3, 1 << 40] {
            let mut bits = send_ticket(&heap, object & (TICKET_OFFSET << 3));
            for _ in 0..2 {
                bits = match Shared::<u64>::receive(&heap, bits) {
                    Err(Error::WrongType { again, .. }) => again.bits(),
                    other => panic!("{object}: {:?}", other.map(|shared| *shared.get())),
                };
            }
            assert!(Ticket::receive(&heap, bits).is_ok());
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
        let again = match heap.receive(Handle::<u64>::from_bits(share.bits())) {
            Err(Error::WrongType { again, .. }) => again,
            other => panic!("{other:?}"),
        };
        assert_eq!(*heap.receive_arc::<u64>(crate::ArcHandle::from_bits(again.bits())).unwrap(), 7);
        let boxed = heap.boxed([9u64; 1]).unwrap().send().unwrap();
        assert!(matches!(
            heap.receive_arc::<u64>(crate::ArcHandle::from_bits(boxed.bits())),
            Err(Error::WrongType { .. })
        ));
    }

    /// The object's own handle never leaves this module; who guesses it gets an error, and the shares go on.
    #[test]
    #[cfg_attr(miri, ignore)] // sweeping reads the heap's file
    fn the_inside_cannot_be_claimed_as_a_box() {
        let heap = Heap::anonymous(1 << 16).unwrap();
        let arc = Shared::new(&heap, [1u64; 8]).unwrap();
        let own = arc.own().load(Ordering::Relaxed);
        let offset = connection(&heap).offset(arc.place);
        assert_eq!(connection(&heap).handle_at(offset, ((own >> 36) & 0x7fff) as u32), own);
        let refused = heap.receive(Handle::<[u8]>::from_bits(own));
        let Err(Error::WrongType { again, .. }) = refused else { panic!("{refused:?}") };
        let refused = heap.receive_bytes(again);
        let Err(Error::WrongType { found, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(found, "part of a ShmArc");
        assert_eq!(*arc.get(), [1; 8]);
        assert_eq!(heap.reap().unwrap().arcs, 0);
        drop(arc); // its own handle is stale now, so it is left to sweeping
        assert_eq!(heap.stats().unwrap().used_blocks, 1);
        assert_eq!(heap.reap().unwrap().arcs, 1);
        assert_eq!(heap.stats().unwrap().used_blocks, 0);
    }

    #[test]
    #[cfg_attr(miri, ignore)] // Miri's heap is larger
    fn a_full_heap_makes_no_share() {
        let heap = Heap::options().size(256).anonymous().unwrap();
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
