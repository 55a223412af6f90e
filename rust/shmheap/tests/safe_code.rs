//! Programs without `unsafe` that try to get at memory that is not theirs, by each kind of way:
//! layouts, lengths, panics, calls from within calls, leaks, swaps, threads, the heap's file. Miri
//! and the sanitizers run them as well.
#![forbid(unsafe_code)]
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};

use shmheap::{AtomicHandle, Error, Handle, Heap, Root, Shm, ShmArc, ShmBox};

fn heap() -> Heap {
    Heap::anonymous(1 << 16).unwrap()
}

fn is_empty(heap: &Heap) -> bool {
    heap.check().unwrap();
    heap.stats().unwrap().used_blocks == 0
}

fn panics(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_err()
}

/// As wide as its alignment.
#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(C, align(256))]
struct Wide([u64; 32]);

/// An alignment, and no bytes.
#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(C, align(128))]
struct Nothing;

#[derive(Shm, Clone, Copy, Debug, PartialEq)]
#[repr(C, align(8192))]
struct TooWide([u64; 1024]);

fn aligned<T>(value: &T) -> bool {
    std::ptr::from_ref(value) as usize % std::mem::align_of::<T>() == 0
}

#[test]
fn wide_values_are_aligned_wherever_they_lie() {
    let heap = Heap::options().size(1 << 16).alignment(8).anonymous().unwrap();
    for odd in 1..6 {
        let _before = heap.boxed_zeroed::<u8>(odd * 24).unwrap();
        let wide = heap.boxed(Wide([7; 32])).unwrap();
        assert!(aligned(&*wide));
        let wide = heap.receive(wide.send().unwrap()).unwrap();
        assert!(aligned(&*wide) && *wide == Wide([7; 32]));
        let arc = heap.arc(Wide([8; 32])).unwrap();
        let same = heap.receive_arc(arc.share().unwrap()).unwrap();
        assert!(aligned(&*same) && *same == Wide([8; 32]));
        let root = heap.root_with(format!("wide {odd}"), || Wide([9; 32])).unwrap();
        assert!(aligned(&*root) && *root == Wide([9; 32]));
        let slice = heap.boxed_slice(&[Wide([1; 32]), Wide([2; 32])]).unwrap();
        assert!(aligned(&slice[1]) && slice[1] == Wide([2; 32]));
        assert_eq!(heap.take(slice.send().unwrap()).unwrap()[1], Wide([2; 32]));
    }
    assert!(is_empty(&heap));
}

#[test]
fn values_without_bytes_are_aligned_and_counted() {
    let heap = heap();
    let nothing = heap.receive(heap.boxed(Nothing).unwrap().send().unwrap()).unwrap();
    let slice = heap.boxed_zeroed::<Nothing>(usize::MAX >> 1).unwrap();
    assert!(aligned(&*nothing) && aligned(&slice[0]) && slice.len() == usize::MAX >> 1);
    let slice = heap.receive(slice.send().unwrap()).unwrap();
    assert!(aligned(&slice[slice.len() - 1]) && slice[1..3] == [Nothing; 2]);
    assert_eq!(heap.take(slice.send().unwrap()).unwrap().len(), usize::MAX >> 1);
    let units = heap.boxed_zeroed::<()>(usize::MAX).unwrap();
    assert_eq!(heap.peek(units.send().unwrap()).unwrap().len(), usize::MAX);
    assert!(aligned(&*heap.arc(Nothing).unwrap()) && aligned(&*heap.root::<Nothing>("n").unwrap()));
}

#[test]
fn what_no_heap_can_hold_is_an_error() {
    let heap = heap();
    assert!(heap.boxed_zeroed::<u64>(usize::MAX / 8).is_err());
    assert!(heap.boxed_zeroed::<u64>(usize::MAX / 4).is_err());
    assert!(heap.boxed_zeroed::<u8>(usize::MAX - 15).is_err());
    assert!(heap.boxed_zeroed::<Wide>(usize::MAX / 256).is_err());
    assert!(matches!(heap.root::<TooWide>("wide"), Err(Error::TooLarge)));
    assert!(is_empty(&heap));
}

#[test]
#[cfg_attr(miri, ignore)] // Miri's heap gives any alignment
fn alignments_above_a_page_are_an_error() {
    let heap = heap();
    let value = TooWide([0; 1024]);
    assert!(matches!(heap.boxed(value), Err(Error::TooLarge)));
    assert!(matches!(heap.arc(value), Err(Error::TooLarge)));
    assert!(matches!(heap.boxed_zeroed::<TooWide>(0), Err(Error::TooLarge)));
    assert!(Heap::anonymous(usize::MAX).is_err() && Heap::anonymous(1 << 62).is_err());
    assert!(is_empty(&heap));
}

macro_rules! declared {
    ($name:ident<$t:ident, const $n:ident: usize> { $($field:ident: $of:ty),+ }) => {
        #[derive(Shm, Clone, Copy, Debug, PartialEq)]
        #[repr(C)]
        struct $name<$t: Copy, const $n: usize>
        where
            [$t; $n]: Copy,
        {
            $($field: $of),+
        }
    };
}

declared!(Pair<T, const N: usize> { first: [T; N], second: [(); N], third: [T; N] });

#[derive(Shm)]
#[repr(transparent)]
struct Wrapped<T>(T);

/// What a macro writes, of types that it was given, is told apart as what a person writes.
#[test]
fn types_of_macros_and_of_parameters_are_told_apart() {
    let heap = heap();
    let pair = Pair { first: [true; 3], second: [(); 3], third: [false; 3] };
    let handle = heap.boxed(pair).unwrap().send().unwrap();
    assert!(matches!(heap.receive(handle.cast::<Pair<u8, 3>>()), Err(Error::WrongType { .. })));
    assert!(matches!(heap.receive(handle.cast::<Pair<bool, 2>>()), Err(Error::WrongType { .. })));
    assert!(matches!(heap.receive(handle.cast::<[bool; 6]>()), Err(Error::WrongType { .. })));
    assert_eq!(*heap.receive(handle).unwrap(), pair);
    let arc = heap.arc(Wrapped(AtomicU64::new(1))).unwrap();
    let share = || arc.share().unwrap().cast::<Wrapped<u64>>();
    assert!(matches!(heap.receive_arc(share()), Err(Error::WrongType { .. })));
    arc.0.store(2, SeqCst);
    assert_eq!(arc.0.load(SeqCst), 2);
}

#[test]
fn panics_in_what_makes_a_value_leave_nothing() {
    let heap = heap();
    let bad = |i: usize| if i == 3 { panic!("no value") } else { [i as u64; 4] };
    assert!(panics(|| drop(ShmBox::from_fn_in(9, bad, &heap))));
    assert!(panics(|| drop(heap.boxed_slice_wait(9, bad, None))));
    assert!(panics(|| drop(heap.root_with("a", || -> u64 { panic!("no value") }))));
    assert!(is_empty(&heap) && heap.names().unwrap().is_empty());
    assert_eq!(*heap.root_with("a", || 5u64).unwrap(), 5);
    assert!(panics(|| drop(ShmBox::from_iter_in((0..9).map(bad), &heap))));
    assert!(is_empty(&heap));
}

#[test]
fn calls_from_within_calls() {
    let heap = heap();
    let make = |i: usize| {
        let inner = ShmBox::from_fn_in(i, |j| j as u64, &heap).unwrap();
        heap.discard(inner.send().unwrap().cast()).unwrap();
        assert_eq!(heap.in_transit().unwrap(), []);
        let _ = heap.reap();
        i as u64
    };
    assert_eq!(*ShmBox::from_fn_in(5, make, &heap).unwrap(), [0, 1, 2, 3, 4]);
    // The inner call makes the value, the outer one finds it.
    let outer = heap.root_with("same", || *heap.root_with("same", || 1u64).unwrap() + 1).unwrap();
    assert_eq!(*outer, 1);
    let inner = Cell::new(None);
    let kept = heap.root_with("kept", || {
        inner.set(Some(heap.root_with("kept", || 3u64).unwrap()));
        4u64
    });
    let inner = inner.take().unwrap();
    assert_eq!((*kept.as_ref().unwrap().clone(), *inner), (3, 3));
    drop((kept, inner, outer));
    assert!(is_empty(&heap));
}

/// An iterator that says any length.
struct Liar(u32, (usize, Option<usize>));

impl Iterator for Liar {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

impl ExactSizeIterator for Liar {}

#[test]
fn iterators_that_lie_about_their_length() {
    let heap = heap();
    for hint in [(0, Some(0)), (1, Some(1)), (900, None)] {
        let slice = ShmBox::from_iter_in(Liar(40, hint), &heap).unwrap();
        assert!(slice.iter().copied().eq((0..40).rev()));
    }
    assert!(is_empty(&heap));
}

/// Each box goes back to the heap that it came from.
#[test]
fn boxes_of_two_heaps_change_places() {
    let (one, two) = (heap(), heap());
    let (mut a, mut b) = (one.boxed(1u64).unwrap(), two.boxed(2u64).unwrap());
    std::mem::swap(&mut a, &mut b);
    std::mem::swap(&mut *a, &mut *b);
    assert_eq!((*a, *b), (1, 2));
    drop(one);
    assert_eq!(two.stats().unwrap().used_blocks, 1);
    let old = std::mem::replace(&mut b, two.boxed(3).unwrap());
    assert_eq!(*old + *a + *b, 6);
    drop((a, b));
    assert!(is_empty(&two));
    let foreign = old.send().unwrap();
    assert!(two.receive(foreign).is_err());
    let (mut a, mut b) = (two.boxed_slice(&[1u8]).unwrap(), two.boxed_slice(&[2u8; 9]).unwrap());
    std::mem::swap(&mut a, &mut b);
    assert_eq!((&a[..], &b[..]), (&[2; 9][..], &[1][..]));
}

type Kept = (Mutex<ShmBox<u64>>, ShmArc<AtomicU64>, Root<AtomicU64>);

/// Never dropped.
static KEPT: OnceLock<Kept> = OnceLock::new();

#[test]
fn what_is_leaked_stays() {
    let heap = heap();
    let number = Mutex::new(heap.boxed(1u64).unwrap());
    let kept = (number, heap.arc(AtomicU64::new(2)).unwrap(), heap.root("a").unwrap());
    let (number, shared, root) = KEPT.get_or_init(|| kept);
    std::mem::forget(heap.boxed([0u8; 99]).unwrap());
    drop(heap);
    let mut guard = number.lock().unwrap();
    let inner: &mut u64 = &mut guard;
    *inner += 1;
    std::thread::spawn(|| shared.fetch_add(1, SeqCst)).join().unwrap();
    assert_eq!((*inner, shared.load(SeqCst), root.load(SeqCst)), (2, 3, 0));
}

struct Last<'a>(ShmBox<u64>, &'a Cell<u64>);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        // The heap's last `Heap` value has gone by now.
        let again = self.0.heap().boxed(*self.0 + 1).unwrap();
        self.1.set(*again);
        *self.0 = 9;
    }
}

#[test]
fn destructors_that_use_the_heap_while_it_goes() {
    let seen = Cell::new(0);
    let last = {
        let heap = heap();
        let last = Last(heap.boxed(4u64).unwrap(), &seen);
        let moved = (heap, last);
        moved.1
    };
    assert!(panics(|| {
        let _last = last;
        panic!("unwinds over it");
    }));
    assert_eq!(seen.get(), 5);
}

#[test]
fn pinned_hashed_and_sorted_boxes() {
    let heap = heap();
    let mut pinned = Pin::new(heap.boxed([1u32; 4]).unwrap());
    pinned[2] = 7;
    let moved = Pin::into_inner(pinned);
    let mut map = HashMap::new();
    map.insert(moved, 1);
    assert_eq!(map.get(&[1, 1, 7, 1][..4].try_into().map(|key: [u32; 4]| key).unwrap()), Some(&1));
    let sorted: BTreeSet<_> = (0..20).map(|i| heap.boxed(i * 7 % 20u8).unwrap()).collect();
    assert!(sorted.iter().map(|boxed| **boxed).eq(0..20));
}

/// Four threads hand boxes on by one mailbox; a stale or a null handle gives nothing.
#[test]
fn threads_that_race_for_letters() {
    let heap = heap();
    let mailbox = heap.arc(AtomicHandle::<[u32]>::NULL).unwrap();
    let (sent, got) = (AtomicU32::new(0), AtomicU32::new(0));
    let rounds = if cfg!(miri) { 8 } else { 2000 };
    std::thread::scope(|scope| {
        for seed in 0..4u32 {
            let (heap, mailbox, sent, got) = (&heap, &mailbox, &sent, &got);
            scope.spawn(move || {
                for i in 0..rounds {
                    let letter = heap.boxed_slice(&[seed, i, seed ^ i]).unwrap();
                    let before = mailbox.swap(letter.send().unwrap(), SeqCst);
                    sent.fetch_add(1, SeqCst);
                    let found = [heap.receive(before).ok(), heap.receive_from(mailbox).unwrap()];
                    for letter in found.into_iter().flatten() {
                        assert_eq!(letter[2], letter[0] ^ letter[1]);
                        got.fetch_add(1, SeqCst);
                    }
                    let guess = Handle::<[u64]>::from_bits(before.bits() ^ u64::from(i));
                    assert!(heap.receive(guess).is_err());
                }
            });
        }
    });
    let left = u32::from(heap.receive_from(&mailbox).unwrap().is_some());
    assert_eq!(sent.into_inner(), got.into_inner() + left);
    drop(mailbox);
    assert!(is_empty(&heap));
}

/// The names of roots that are in use belong to their types, whatever is removed and made anew.
#[test]
#[cfg_attr(miri, ignore)] // Miri's heap keeps no names
fn names_that_are_removed_while_they_are_used() {
    let heap = heap();
    let root = heap.root_with("a", || [1u64; 2]).unwrap();
    heap.keep_root("a").unwrap();
    assert!(!heap.remove_root("a").unwrap());
    assert!(matches!(heap.root::<[AtomicU64; 2]>("a"), Err(Error::OtherRoot { .. })));
    assert!(matches!(heap.root::<[u64; 3]>("a"), Err(Error::OtherRoot { .. })));
    assert_eq!(*root, [1; 2]);
    drop(root);
    let other = heap.root::<[AtomicU64; 2]>("a").unwrap();
    other[1].store(5, SeqCst);
    assert_eq!((other[0].load(SeqCst), other[1].load(SeqCst)), (0, 5));
}

/// Safe code reopens each descriptor of its own for writing, and cuts the heap's file short or
/// lengthens it: the memory below a reference stays.
#[test]
#[cfg_attr(miri, ignore)] // Miri's heap has no file
fn the_file_cannot_be_cut_short() {
    let heap = heap();
    let number = heap.boxed(0x1111_2222_3333_4444u64).unwrap();
    let lent = File::from(heap.as_fd().try_clone_to_owned().unwrap());
    let (own, len) = (lent.metadata().unwrap().ino(), lent.metadata().unwrap().len());
    let mut found = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // Of the descriptors of other tests' threads, this one opens and changes none.
        if !std::fs::metadata(&path).is_ok_and(|data| data.ino() == own) {
            continue;
        }
        found += 1;
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
        assert!(file.set_len(0).is_err() && file.set_len(len - 4096).is_err());
        assert!(OpenOptions::new().write(true).truncate(true).open(&path).is_err());
        assert_eq!(file.metadata().unwrap().len(), len);
    }
    assert!(found >= 2 && *number == 0x1111_2222_3333_4444);
}
