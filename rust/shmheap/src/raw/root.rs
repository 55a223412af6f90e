//! An object with a name, in use by this process, and the value in it.
//!
//! ```text
//! object   [ pad ][ value ][ pad ][ mark ][ label ][ second label ][ 1 byte ]
//! mark     the object's handle: the value is there, and stays
//!          a claim (32 bits of the handle's hash, 32 of a process's identity): that process is
//!          writing the value
//!          anything else: no value yet; memory of a new object holds the bytes of an earlier one
//! ```
//!
//! The C call does not tell whether it made the object or found it. So a process that finds no
//! value claims the mark, writes value and label, and publishes them by storing the handle, which
//! later objects in the same place do not have. Between claim and handle nothing can fail, so the
//! claim of a dead process counts as none, and a live process is waited for. A claimant's death
//! leaves the object in use by a dead process: reaping frees it, or another process finishes it.
//!
//! Where the bytes that lay there before are the handle by chance (the generation has repeated) or
//! because a process foresaw it, the first value is those bytes, not the one that the caller
//! requested. So each process checks that they are a value.
//!
//! The last byte makes the length odd: what a C program allocated for a struct of its own under the
//! same name has another length, and is told from a value that is not written yet.
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::content::{Refuse, Shareable};
use crate::error::{Error, Result};
use crate::heap::{connection, Heap};
use crate::label::{label, second_label, Kind};
use crate::raw::{words, Held};

/// As long as the heap's own lock waits for a live process that does not go on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes behind the value: mark, two labels, and the odd one.
const BEHIND: usize = 8 + 8 + 8 + 1;

/// The most that an alignment can be: the region begins on a page in every process.
const PAGE: usize = 4096;

/// One use of an object with a name, given back when dropped.
///
/// Invariants:
///   1  place is an object with a name, of which this connection has a use that is ours
///   2  it has `behind` bytes and then BEHIND more; value lies below `behind`, aligned for T
pub(crate) struct Used<T> {
    place: NonNull<u8>,
    value: NonNull<T>,
    behind: usize,
    handle: u64,
    heap: Held<Heap>,
}

// SAFETY: as std's Arc, for T: Send + Sync (Shareable); the heap's calls may be made from any
// thread.
unsafe impl<T: Shareable> Send for Used<T> {}
// SAFETY: as above.
unsafe impl<T: Shareable> Sync for Used<T> {}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Ready,
    /// No live process is making it; the mark is this word.
    Vacant(u64),
}

/// Bytes before mark and label of a T, in a heap of this alignment.
fn behind_of<T>(alignment: usize) -> Result<usize> {
    let align = std::mem::align_of::<T>();
    let slack = align.saturating_sub(alignment);
    // No type of Rust is so large that this overflows.
    let behind = (std::mem::size_of::<T>() + slack).next_multiple_of(8);
    (align <= PAGE).then_some(behind).ok_or(Error::TooLarge)
}

fn no_such(name: &CStr) -> Error {
    Error::NoSuchName { name: name.to_string_lossy().into() }
}

fn claim(handle: u64, identity: u32) -> u64 {
    let claim = (handle.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32 << 32) | u64::from(identity);
    claim ^ (u64::from(claim == handle) << 32)
}

impl<T: Shareable> Used<T> {
    const LABELS: [u64; 2] = [label::<T>(Kind::Root), second_label::<T>(Kind::Root)];

    /// The value of this name; made of zero bytes where there is none.
    pub(crate) fn zeroed(heap: &Heap, name: &CStr) -> Result<Self> {
        let () = Refuse::<T>::NOT_ZERO;
        Self::make(heap, name, || {
            // SAFETY: (write) room for a T, ours; zero bytes are one (NOT_ZERO).
            |place: NonNull<T>| unsafe { words::zero(place.cast(), std::mem::size_of::<T>()) }
        })
    }

    /// The value of this name; what initial gives where there is none.
    pub(crate) fn with(heap: &Heap, name: &CStr, initial: impl FnOnce() -> T) -> Result<Self> {
        Self::make(heap, name, || {
            let value = initial();
            // SAFETY: (write) room for a T, aligned, ours.
            move |place: NonNull<T>| unsafe { words::put(value, place.cast()) }
        })
    }

    fn make<W: FnOnce(NonNull<T>)>(
        heap: &Heap,
        name: &CStr,
        prepare: impl FnOnce() -> W,
    ) -> Result<Self> {
        let used = Self::enter(heap, name)?;
        if used.mark().load(Ordering::Acquire) != used.handle {
            used.put(prepare())?;
        }
        used.checked()
    }

    /// The value of this name, if there is one.
    pub(crate) fn find(heap: &Heap, name: &CStr) -> Result<Self> {
        if !connection(&heap).has_name(name)? {
            return Err(no_such(name));
        }
        // Where the name has just gone this makes one without a value, which goes with `used`.
        let used = Self::enter(heap, name)?;
        match used.look()? {
            Mark::Ready => used.checked(),
            Mark::Vacant(_) => Err(no_such(name)),
        }
    }

    fn enter(heap: &Heap, name: &CStr) -> Result<Self> {
        let () = Refuse::<T>::UNFIT;
        let connection = connection(&heap);
        let behind = behind_of::<T>(connection.alignment())?;
        let shorter = Error::OtherRoot { found: "shorter than this type" };
        let place = connection.alloc_named(name, behind + BEHIND)?.ok_or(shorter)?;
        let slack = (place.as_ptr() as usize).wrapping_neg() % std::mem::align_of::<T>();
        // SAFETY: behind is the value's size and the slack that the heap's alignment leaves at
        // most; the object has more.
        let value = unsafe { place.add(slack) }.cast();
        let mut used = Used { place, value, behind, handle: 0, heap: Held::of(heap) };
        if connection.usable(place) != behind + BEHIND {
            return Err(Error::OtherRoot {
                found: "of another length, or made by a program without this crate",
            });
        }
        used.handle = connection.handle_of(place)?;
        Ok(used)
    }

    /// Writes the value, unless another process does.
    fn put(&self, write: impl FnOnce(NonNull<T>)) -> Result<()> {
        let heap = self.heap.connection();
        let mine = claim(self.handle, heap.identity()?);
        while let Mark::Vacant(found) = self.look()? {
            if self
                .mark()
                .compare_exchange(found, mine, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                self.finish(write);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Call after claiming the mark: no other thread or process reads or writes the value until the
    /// mark is the handle.
    fn finish(&self, write: impl FnOnce(NonNull<T>)) {
        write(self.value);
        // SAFETY: invariant 2; the labels are only used as atomics.
        unsafe {
            words::store(self.place.add(self.behind + 8), Self::LABELS[0]);
            words::store(self.place.add(self.behind + 16), Self::LABELS[1]);
        }
        self.mark().store(self.handle, Ordering::Release);
    }

    /// Whether the value is there, once no process is making it.
    fn look(&self) -> Result<Mark> {
        let started = Instant::now();
        for turn in 0u32.. {
            let found = self.mark().load(Ordering::Acquire);
            if found == self.handle {
                return Ok(Mark::Ready);
            }
            // A process that died may have finished before.
            if !self.at_work(found)? && self.mark().load(Ordering::Acquire) == found {
                return Ok(Mark::Vacant(found));
            }
            if started.elapsed() > PATIENCE {
                break;
            }
            match turn {
                0..20 => std::thread::yield_now(),
                // Not scheduled, or stopped in a debugger.
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(Error::unfinished_root())
    }

    /// Whether the mark is the claim of a process that lives.
    fn at_work(&self, mark: u64) -> Result<bool> {
        let identity = mark as u32;
        Ok(mark == claim(self.handle, identity) && self.heap.connection().lives(identity)?)
    }

    fn checked(self) -> Result<Self> {
        // SAFETY: invariant 2: 16 bytes at a multiple of 8; the labels are only used as atomics.
        let labels = unsafe {
            let place = self.place.add(self.behind);
            [words::load(place.add(8)), words::load(place.add(16))]
        };
        if labels != Self::LABELS {
            return Err(Error::OtherRoot { found: "of another type" });
        }
        if !T::SHAPE.any_bytes() {
            let fill = |to, bytes| {
                // SAFETY: (collect) bytes can be written at to; invariant 2: the value lies there.
                unsafe { self.heap.connection().copy_shared(self.value.cast(), to, bytes) }
            };
            // SAFETY: copy_shared writes all bytes, or fails.
            unsafe { words::collect::<T>(1, fill) }?;
        }
        Ok(self)
    }
}

impl<T> Used<T> {
    fn mark(&self) -> &AtomicU64 {
        // SAFETY: invariants 1 and 2: the object lives while we use it; the mark is only used as an
        // atomic.
        unsafe { AtomicU64::from_ptr(self.place.add(self.behind).as_ptr().cast()) }
    }

    pub(crate) fn get(&self) -> &T {
        self.heap.connection().assert_here();
        // SAFETY: make and find give only what has a value: it is aligned (invariant 2), a value
        // (checked), and written through the atomics inside it alone (T: Sync), as long as the
        // object lives (invariant 1).
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Used<T> {
    fn drop(&mut self) {
        // SAFETY: (free) invariant 1: C, shmheap_free: "Of an object with a name this is one use
        // less"; references to the value have ended before.
        unsafe { self.heap.connection().free(self.place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap() -> Heap {
        Heap::anonymous(1 << 16).unwrap()
    }

    /// A use of a name that has no value yet, its mark being what it was or a claim.
    fn unfinished(heap: &Heap, name: &CStr, identity: Option<u32>) -> Used<[u64; 3]> {
        let used = Used::enter(heap, name).unwrap();
        if let Some(identity) = identity {
            used.mark().store(claim(used.handle, identity), Ordering::Release);
        }
        used
    }

    #[test]
    fn a_name_whose_maker_died_is_gone_on_with() {
        let heap = heap();
        let absent = connection(&heap).identity().unwrap() ^ 1;
        for (name, identity) in [(c"never claimed", None), (c"claimed by the dead", Some(absent))] {
            let theirs = unfinished(&heap, name, identity);
            assert!(matches!(Used::<[u64; 3]>::find(&heap, name), Err(Error::NoSuchName { .. })));
            let ours = Used::with(&heap, name, || [7u64, 8, 9]).unwrap();
            assert_eq!(
                (ours.get(), Used::<[u64; 3]>::find(&heap, name).unwrap().get()),
                (&[7, 8, 9], &[7, 8, 9])
            );
            drop(theirs);
            assert_eq!(*Used::<[u64; 3]>::zeroed(&heap, name).unwrap().get(), [7, 8, 9]);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // one connection only
    fn a_claim_lasts_as_long_as_its_connection() {
        let heap = Heap::options().size(1 << 16).anonymous_shared().unwrap().into_heap();
        let there = Heap::options().open_fd(&heap).unwrap().into_heap();
        let identity = connection(&there).identity().unwrap();
        assert_ne!(identity, connection(&heap).identity().unwrap());
        let used = unfinished(&heap, c"a", Some(identity));
        let mark = used.mark().load(Ordering::Relaxed);
        assert!(used.at_work(mark).unwrap());
        drop(there);
        assert!(!used.at_work(mark).unwrap());
        assert_eq!(*Used::<[u64; 3]>::zeroed(&heap, c"a").unwrap().get(), [0; 3]);
    }

    #[test]
    fn waits_for_a_root_in_the_making() {
        let heap = heap();
        let identity = connection(&heap).identity().unwrap();
        let ours = unfinished(&heap, c"slow", Some(identity));
        std::thread::scope(|scope| {
            let makes = scope.spawn(|| *Used::with(&heap, c"slow", || [1u64; 3]).unwrap().get());
            let finds = scope.spawn(|| *Used::<[u64; 3]>::find(&heap, c"slow").unwrap().get());
            // SAFETY: room for three words, claimed.
            ours.finish(|place| unsafe { place.as_ptr().write([2; 3]) });
            assert_eq!((makes.join().unwrap(), finds.join().unwrap()), ([2; 3], [2; 3]));
        });
    }

    #[test]
    fn what_others_named_is_left_alone() {
        let heap = heap();
        for size in [0, 8, 24, 40, 41, 48, 4000] {
            let name = c"theirs";
            let theirs = connection(&heap).alloc_named(name, size).unwrap().unwrap();
            for _ in 0..2 {
                let refused = Used::with(&heap, name, || [1u64; 3]).map(|_| ());
                assert!(matches!(refused, Err(Error::OtherRoot { .. })), "{size}: {refused:?}");
                let refused = Used::<[u64; 3]>::find(&heap, name).map(|_| ());
                assert!(matches!(refused, Err(Error::OtherRoot { .. })), "{size}: {refused:?}");
            }
            assert_eq!(connection(&heap).names().unwrap()[0].users, 1, "{size}");
            // SAFETY: (free) ours.
            unsafe { connection(&heap).free(theirs) };
            assert!(!connection(&heap).has_name(name).unwrap());
        }
    }

    /// Bytes that say that they are a value, and are none.
    #[test]
    fn what_is_no_value_is_refused() {
        let heap = heap();
        let theirs = Used::<[bool; 3]>::enter(&heap, c"forged").unwrap();
        // SAFETY: (put) room for three bytes; the label lies behind them.
        unsafe {
            words::put([0u8, 1, 2], theirs.value.cast());
            let [label, second] = Used::<[bool; 3]>::LABELS;
            words::store(theirs.place.add(theirs.behind + 8), label);
            words::store(theirs.place.add(theirs.behind + 16), second);
        }
        theirs.mark().store(theirs.handle, Ordering::Release);
        for _ in 0..2 {
            assert!(matches!(
                Used::<[bool; 3]>::find(&heap, c"forged"),
                Err(Error::NotAValue { .. })
            ));
            assert!(matches!(
                Used::<[bool; 3]>::zeroed(&heap, c"forged"),
                Err(Error::NotAValue { .. })
            ));
        }
        assert_eq!(connection(&heap).names().unwrap()[0].users, 1);
    }

    #[test]
    fn lengths_are_odd_and_fit() {
        for alignment in [8, 16] {
            assert_eq!(behind_of::<u8>(alignment).unwrap(), 8);
            assert_eq!(behind_of::<()>(alignment).unwrap(), 0);
            assert_eq!(behind_of::<[u64; 3]>(alignment).unwrap(), 24);
        }
        assert_eq!((behind_of::<u128>(8).unwrap(), behind_of::<u128>(16).unwrap()), (24, 16));
        assert_eq!(BEHIND % 8, 1);
    }

    #[test]
    fn a_claim_is_no_handle_and_names_its_claimant() {
        for handle in [1 << 51, 0x0123_4567_89ab_cdef, u64::MAX] {
            for identity in [0, 1, handle as u32, u32::MAX] {
                let claim = claim(handle, identity);
                assert!(claim != handle && claim as u32 == identity);
            }
        }
    }
}
