//! Programs without `unsafe` that try to get at memory that is not theirs by what is shared: roots
//! of one name, shares that go round, handles that were guessed or come round, a heap that grows.
//! Miri and the sanitizers run them as well.
#![forbid(unsafe_code)]
use std::marker::PhantomData;
use std::num::NonZeroU8;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::SeqCst};
use std::sync::{Barrier, OnceLock};

use shmheap::{ArcHandle, Error, Handle, Heap, Root, Shm, ShmBox};

fn heap() -> Heap {
    Heap::anonymous(1 << 16).unwrap()
}

fn is_empty(heap: &Heap) -> bool {
    heap.check().unwrap();
    heap.stats().unwrap().used_blocks == 0
}

fn is_other_root<T>(found: Result<T, Error>) -> bool {
    matches!(found, Err(Error::OtherRoot { .. }))
}

/// Requests the name as numbers, or as atomics.
fn wants(heap: &Heap, name: &str, i: u64) -> Result<(), Error> {
    if i % 2 == 0 {
        let root = heap.root_with(name, || [i; 3])?;
        assert_eq!([root[0]; 3], *root);
    } else {
        let root = heap.root_with(name, || [0, 1, 2].map(|_| AtomicU64::new(i)))?;
        root[0].fetch_add(8, SeqCst);
    }
    Ok(())
}

#[test]
fn a_name_that_threads_want_as_two_types() {
    let heap = heap();
    for round in 0..if cfg!(miri) { 2 } else { 200 } {
        let (start, name, found) = (Barrier::new(4), format!("r{round}"), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for i in 0..4 {
                let (heap, start, name, found) = (&heap, &start, &name, &found);
                scope.spawn(move || {
                    start.wait();
                    match wants(heap, name, i) {
                        Ok(()) => _ = found.fetch_add(1, SeqCst),
                        refused => assert!(is_other_root(refused)),
                    }
                });
            }
        });
        assert!(found.into_inner() > 0);
    }
    assert!(is_empty(&heap));
}

#[derive(Shm, Clone, Copy)]
#[repr(C, align(32))]
struct Aligned([u64; 4]);

/// Never dropped, so that the name stays.
static INNER: OnceLock<Root<AtomicU64>> = OnceLock::new();

#[test]
fn a_name_that_is_made_as_another_type_meanwhile() {
    let heap = heap();
    let made = heap.root_with("inner", || {
        let inner = INNER.get_or_init(|| heap.root("inner").unwrap());
        inner.store(77, SeqCst);
        5u64
    });
    assert!(is_other_root(made));
    assert_eq!(heap.find_root::<AtomicU64>("inner").unwrap().load(SeqCst), 77);
    // Of one length, and the value lies elsewhere.
    let aligned = heap.root_with("aligned", || Aligned([1; 4])).unwrap();
    assert!(is_other_root(heap.root_with("aligned", || [2u64; 6])));
    assert_eq!(aligned.0, [1; 4]);
}

#[test]
#[cfg_attr(miri, ignore)] // Miri's heap has handles of another form
fn handles_that_are_guessed_one_after_another() {
    let heap = heap();
    let probe = heap.boxed(1u64).unwrap().send().unwrap();
    let arc = heap.arc([7u64; 4]).unwrap();
    let tag = probe.bits() >> 51 << 51;
    let mut received = 0;
    for guess in 0..1u64 << 14 {
        let bits = tag | (guess & 63) << 36 | guess >> 6;
        let bytes = heap.receive_bytes(Handle::from_bits(bits));
        received += bytes.map(|mut bytes| bytes.fill(0xff)).is_ok() as u32;
        assert!(heap.discard(Handle::from_bits(bits)).is_err());
        assert!(heap.receive_arc(ArcHandle::<[AtomicU64; 4]>::from_bits(bits)).is_err());
    }
    assert_eq!(*arc, [7; 4]);
    drop(arc);
    let left = heap.in_transit().unwrap();
    assert_eq!(received as usize + left.len(), 1);
    left.iter().for_each(|found| heap.discard(found.handle).unwrap());
    assert!(is_empty(&heap));
}

#[test]
fn shares_that_are_discarded_while_the_value_is_used() {
    let heap = heap();
    let arc = heap.arc(AtomicU64::new(5)).unwrap();
    let shares: Vec<_> = (0..9).map(|_| arc.share().unwrap()).collect();
    let used = heap.receive_arc(shares[0]).unwrap();
    for share in &shares {
        let handle = Handle::from_bits(share.bits());
        assert_eq!(heap.discard(handle).is_ok(), share != &shares[0]);
        assert!(heap.discard(handle).is_err());
    }
    assert_eq!(arc.shares(), 2);
    drop(arc);
    let other = heap.boxed([0xffu8; 64]).unwrap();
    assert_eq!(used.load(SeqCst), 5);
    drop((used, other));
    assert!(is_empty(&heap));
}

#[test]
#[cfg_attr(miri, ignore)] // reaping reads the heap's file
fn shares_that_threads_pass_on_while_they_reap() {
    let heap = heap();
    for _ in 0..10 {
        let arc = heap.arc([const { AtomicU32::new(0xabcd) }; 20]).unwrap();
        let shares: Vec<_> = (0..4).map(|_| arc.share().unwrap()).collect();
        drop(arc);
        std::thread::scope(|scope| {
            for mut share in shares {
                let heap = &heap;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let arc = heap.receive_arc(share).unwrap();
                        share = arc.share().unwrap();
                        assert!(arc.iter().all(|word| word.load(SeqCst) == 0xabcd));
                        drop(arc);
                        heap.reap().unwrap();
                        drop(heap.boxed([0u8; 130]).unwrap());
                    }
                    heap.discard(Handle::from_bits(share.bits())).unwrap();
                });
            }
        });
        assert!(is_empty(&heap));
    }
}

/// The generation of a handle has 15 bits: a stale handle is good again, of an object of another
/// type.
#[test]
#[cfg_attr(miri, ignore)] // Miri's heap has handles of another form
fn handles_that_come_round() {
    let heap = heap();
    let stale = |i| {
        let handle = heap.boxed_slice(&[i; 4]).unwrap().send().unwrap();
        heap.discard(handle.cast()).unwrap();
        handle
    };
    let (stale, mut again): (Vec<Handle<[u64]>>, _) = ((0..64).map(stale).collect(), 0);
    for round in 0..70_000 {
        let sent = heap.boxed_slice(&[true; 32]).unwrap().send().unwrap();
        let handle = stale[round % 64];
        assert!(heap.receive(handle).is_err() && heap.receive(handle.cast::<u64>()).is_err());
        match heap.receive(handle.cast::<[bool]>()) {
            Ok(found) => again += u32::from(*found == [true; 32]),
            Err(_) => assert_eq!(heap.take(sent).unwrap(), [true; 32]),
        }
    }
    assert!(again > 0 && is_empty(&heap));
}

/// Threads use handles whose generation comes round, while another thread allocates: what a receive
/// saw is another object by the time that it claims one, and is put back.
#[test]
#[cfg_attr(miri, ignore)] // Miri's heap has handles of another form
fn handles_that_come_round_under_threads() {
    let heap = Heap::anonymous(1 << 16).unwrap();
    let text = "a text of 24 characters.";
    let send = |i: u32| -> Handle<()> {
        match i % 3 {
            0 => heap.boxed_slice(&[true; 24]).unwrap().send().unwrap().cast(),
            1 => heap.boxed([7u64; 4]).unwrap().send().unwrap().cast(),
            _ => heap.boxed_str(text).unwrap().send().unwrap().cast(),
        }
    };
    let stale: Vec<_> = (0..3)
        .map(|i| {
            let handle = send(i);
            heap.discard(handle).unwrap();
            handle
        })
        .collect();
    let (over, received) = (AtomicBool::new(false), AtomicU32::new(0));
    let discarded = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    for handle in &stale {
                        let flags = heap.receive(handle.cast::<[bool]>());
                        let words = heap.receive(handle.cast::<[u64; 4]>());
                        let found = heap.take(handle.cast::<str>());
                        assert!(flags.as_ref().map_or(true, |flags| **flags == [true; 24]));
                        assert!(words.as_ref().map_or(true, |words| **words == [7; 4]));
                        assert!(found.as_ref().map_or(true, |found| found == text));
                        let all = [flags.is_ok(), words.is_ok(), found.is_ok()];
                        received.fetch_add(all.iter().map(|&ok| u32::from(ok)).sum(), SeqCst);
                    }
                }
            });
        }
        let discarded = (0..100_000).filter(|&i| heap.discard(send(i)).is_ok()).count();
        over.store(true, SeqCst);
        discarded
    });
    // A discard may meet the object between a claim and its being put back.
    let left = heap.in_transit().unwrap();
    left.iter().for_each(|found| heap.discard(found.handle).unwrap());
    assert_eq!(discarded + received.into_inner() as usize + left.len(), 100_000);
    assert!(is_empty(&heap));
}

#[test]
#[cfg_attr(miri, ignore)] // Miri's heap does not grow
fn a_heap_that_grows_under_another_connection() {
    let name = format!("/safe-shared-{}", std::process::id());
    let options = Heap::options().size(4096).growable_to(64 << 20).alignment(8);
    let one = options.create(&name).unwrap();
    let two = Heap::options().open(&name).unwrap();
    Heap::remove(&name).unwrap();
    let first = one.arc(AtomicU64::new(1)).unwrap();
    let there = two.receive_arc(first.share().unwrap()).unwrap();
    for i in 1..40u64 {
        let large = one.send_slice(&vec![i; 4096 * i as usize % 50_000]).unwrap();
        let arc = one.arc([const { AtomicU64::new(9) }; 100]).unwrap();
        two.receive_arc(arc.share().unwrap()).unwrap()[99].fetch_add(1, SeqCst);
        assert_eq!(arc[99].load(SeqCst), 10);
        if i % 3 > 0 {
            assert!(two.take(large).unwrap().iter().all(|&word| word == i));
        }
        there.fetch_add(1, SeqCst);
    }
    assert_eq!(first.load(SeqCst), 40);
    assert!(one.stats().unwrap().grows > 3);
    two.check().unwrap();
}

#[allow(dead_code)]
mod names {
    pub type U8 = i8;
    pub struct Shape;
    pub trait Shm {}
    pub fn next() {}
    pub mod core {}

    /// A type whose names are those that the derive uses.
    #[derive(shmheap::Shm)]
    #[repr(C)]
    pub struct Same<Shape: Copy, const SHAPE: usize> {
        pub next: Shape,
        pub place: [Shape; SHAPE],
        pub value: bool,
        pub number: [bool; 3],
        pub r#type: ::std::marker::PhantomData<fn(Shape)>,
    }
}

#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(i16)]
enum Signed {
    Low = -32768,
    Minus = -1,
    Seven = 7,
}

#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Niches {
    nothing: [[char; 0]; 3],
    options: [Option<NonZeroU8>; 3],
    bits: [bool; 2],
    byte: names::U8,
    signed: [Signed; 2],
    last: u16,
}

#[derive(Shm)]
#[repr(transparent)]
struct Phantom<T>(T, PhantomData<fn(T)>, [(); 5]);

#[test]
fn types_with_niches_and_with_the_names_of_the_derive() {
    let heap = heap();
    let (options, signed) = ([None, NonZeroU8::new(3), None], [Signed::Low, Signed::Minus]);
    let bits = [true, false];
    let value = Niches { nothing: [[]; 3], options, bits, byte: -1, signed, last: 9 };
    let handle = heap.boxed(value).unwrap().send().unwrap();
    assert_eq!(heap.peek(handle).unwrap(), value);
    let mut bytes = heap.receive_bytes(handle.cast()).unwrap();
    bytes.fill(0xee);
    assert!(heap.receive(bytes.send().unwrap().cast::<Niches>()).is_err());
    let sevens = heap.boxed_slice(&[Signed::Seven; 2]).unwrap().send().unwrap();
    assert!(heap.receive(sevens.cast::<[i16]>()).is_err());
    let (place, number) = ([2, 3], [true, false, true]);
    let same = names::Same { next: 1u32, place, value: true, number, r#type: PhantomData };
    let handle = heap.boxed(same).unwrap().send().unwrap();
    assert!(heap.receive(handle.cast::<names::Same<i32, 2>>()).is_err());
    assert_eq!(heap.receive(handle).unwrap().place, place);
    let phantom = heap.boxed(Phantom(AtomicBool::new(true), PhantomData, [(); 5])).unwrap();
    let handle = phantom.send().unwrap();
    assert!(heap.receive(handle.cast::<Phantom<AtomicU8>>()).is_err());
    assert!(heap.receive(handle.cast::<Phantom<bool>>()).is_err());
    assert!(heap.receive(handle).unwrap().0.load(SeqCst));
}

/// Sorts downwards, and panics in the comparison of that number.
fn sorts_in_part<T: Ord>(values: &mut [T], mut left: u32) {
    let sort = AssertUnwindSafe(|| {
        values.sort_by(|a, b| {
            left -= 1;
            assert_ne!(left, 0, "as agreed");
            b.cmp(a)
        })
    });
    assert!(catch_unwind(sort).is_err());
}

#[test]
fn comparisons_that_panic_amid_a_sort() {
    let heap = heap();
    let mut boxes: Vec<_> = (0..90u64).map(|i| heap.boxed(i * 37 % 90).unwrap()).collect();
    let mut slice = ShmBox::from_fn_in(90, |i| i * 37 % 90, &heap).unwrap();
    for left in [2, 50, 99] {
        sorts_in_part(&mut boxes, left);
        sorts_in_part(&mut slice, left);
    }
    boxes.sort();
    slice.sort();
    assert!(boxes.iter().map(|boxed| **boxed).eq(0..90) && slice.iter().copied().eq(0..90));
    drop((boxes, slice));
    assert!(is_empty(&heap));
}
