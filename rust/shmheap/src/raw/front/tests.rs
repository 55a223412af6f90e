//! Shares that name anything, and heaps without room for a share.

use super::ticket::TICKET_OFFSET;
use super::*;
use crate::{ArcHandle, Handle, Shape, Shm};

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
            Err(
                Error::Corrupt { .. } | Error::NullHandle | Error::ForeignHandle | Error::Stale,
            ) => {}
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
        assert!(matches!(heap.receive_bytes(Handle::from_bits(own)), Err(Error::WrongType { .. })));
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

/// Two types of one fingerprint, as a program finds that tries 2^32 versions of two types: one of
/// which the bytes do not change under a reader, and one that changes them.
struct Frozen(u64);
struct Moving(AtomicU64);

// SAFETY: a u64 and nothing else, but for the fingerprint.
unsafe impl Shm for Frozen {
    const SHAPE: Shape = u64::SHAPE.with_print([7, 1]);
    unsafe fn is_valid(_: *const Self) -> bool {
        true
    }
}

// SAFETY: as above, of an AtomicU64.
unsafe impl Shm for Moving {
    const SHAPE: Shape = AtomicU64::SHAPE.with_print([7, 2]);
    unsafe fn is_valid(_: *const Self) -> bool {
        true
    }
}

#[test]
fn types_of_one_fingerprint_are_told_apart_where_they_are_shared() {
    assert_eq!(Frozen::SHAPE.fingerprint(), Moving::SHAPE.fingerprint());
    let heap = Heap::anonymous(1 << 16).unwrap();
    let arc = heap.arc(Frozen(5)).unwrap();
    let share = arc.share().unwrap();
    for _ in 0..2 {
        assert!(matches!(
            heap.receive_arc(share.cast::<Moving>()),
            Err(Error::WrongType { found: "a share in a value of another type", .. })
        ));
        assert_eq!(arc.shares(), 2);
    }
    assert_eq!(heap.receive_arc(share).unwrap().0, 5);
    let root = heap.root_with("a", || Moving(AtomicU64::new(1))).unwrap();
    assert!(matches!(heap.find_root::<Frozen>("a"), Err(Error::OtherRoot { .. })));
    assert!(matches!(heap.root::<Frozen>("a"), Err(Error::OtherRoot { .. })));
    root.0.store(2, Ordering::Relaxed);
    // One owner: what is in the box is a value of either type.
    let boxed = heap.boxed(Frozen(6)).unwrap().send().unwrap();
    assert_eq!(heap.receive(boxed.cast::<Moving>()).unwrap().0.load(Ordering::Relaxed), 6);
}
