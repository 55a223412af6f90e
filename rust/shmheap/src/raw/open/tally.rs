//! What each thread has counted, and where a thread finds its count.
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;

use super::{At, Open};

/// What one thread has counted. Lines of its own: its thread alone writes the count.
#[repr(align(128))]
pub(super) struct Tally {
    /// Objects made less objects dropped, modulo 2^64.
    pub(super) count: AtomicI64,
    /// Of that, what is in `total`. Used under the lock.
    folded: AtomicI64,
    /// The thread: the address of its `SLOT`.
    pub(super) thread: usize,
}

impl Tally {
    /// What has not been added to `total` yet, which the caller adds. Call under the lock.
    pub(super) fn fold(&self) -> i64 {
        let count = self.count.load(Ordering::Acquire);
        count.wrapping_sub(self.folded.swap(count, Ordering::Relaxed))
    }
}

/// The tallies that have not been added to `total` for good.
pub(super) struct Tallies {
    pub(super) list: Vec<Arc<Tally>>,
    pub(super) biased: bool,
}

/// The tally that this thread last used.
pub(super) struct Slot {
    pub(super) open: Cell<*const Open>,
    pub(super) tally: Cell<*const Tally>,
}

/// A tally of this thread.
struct Registered {
    open: Arc<Open>,
    tally: Arc<Tally>,
}

impl Registered {
    fn is_of(&self, open: At) -> bool {
        Arc::as_ptr(&self.open) == open.0.as_ptr()
    }
}

/// All tallies of this thread.
pub(super) struct Register(RefCell<Vec<Registered>>);

thread_local! {
    // Without a destructor, so that finding it takes one instruction. Invariant: where `open` is
    // not null, REGISTER has an entry of `open` and `tally`.
    pub(super) static SLOT: Slot =
        const { Slot { open: Cell::new(ptr::null()), tally: Cell::new(ptr::null()) } };
    pub(super) static REGISTER: Register = const { Register(RefCell::new(Vec::new())) };
}

pub(super) fn this_thread() -> usize {
    SLOT.with(|slot| ptr::from_ref(slot) as usize)
}

impl Drop for Registered {
    /// At the thread's end, or when the heap is closing.
    fn drop(&mut self) {
        SLOT.with(|slot| {
            if slot.tally.get() == Arc::as_ptr(&self.tally) {
                slot.open.set(ptr::null());
            }
        });
        At::of(Arc::as_ptr(&self.open)).retire(&self.tally);
    }
}

impl Register {
    /// The thread's tally of this heap. None: the heap is closing, or the list is in use.
    pub(super) fn find(&self, open: At) -> Option<*const Tally> {
        // An allocator that counts while the list is borrowed counts in `total`.
        let mut list = self.0.try_borrow_mut().ok()?;
        let found = list.iter().find(|entry| entry.is_of(open));
        if let Some(entry) = found {
            return Some(Arc::as_ptr(&entry.tally));
        }
        let (count, folded) = (AtomicI64::new(0), AtomicI64::new(0));
        let tally = Arc::new(Tally { count, folded, thread: this_thread() });
        let entry = Registered { open: open.shared(), tally };
        if !open.admit(&entry.tally) {
            drop(list); // the entry's end may close a heap
            return None;
        }
        let tally = Arc::as_ptr(&entry.tally);
        let is_over = |entry: &Registered| entry.open.is_closing();
        let (over, mut stay): (Vec<_>, Vec<_>) = list.drain(..).partition(is_over);
        stay.push(entry);
        *list = stay;
        drop(list);
        drop(over); // heaps that this thread has not used since they began to close
        Some(tally)
    }

    pub(super) fn remove(&self, open: At) {
        let Ok(mut list) = self.0.try_borrow_mut() else { return };
        let at = list.iter().position(|entry| entry.is_of(open));
        let entry = at.map(|at| list.swap_remove(at));
        drop(list);
        drop(entry);
    }
}
