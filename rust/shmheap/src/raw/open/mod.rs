//! What keeps a connection open, and when it closes: when the last `Heap` value and the last object
//! that counts (boxes, shares, roots) have gone, by whichever thread.
//!
//! A `Heap` value is counted by an atomic, as an `Arc`. Objects are too many for that: each thread
//! counts its own in a tally that no other thread writes, by a plain load and store. A box that one
//! thread makes and another drops leaves +1 in one tally and -1 in the other, so only the sum says
//! how many objects there are. No thread needs the sum while a `Heap` value lives. When the last
//! `Heap` value goes, its thread closes the tallies and adds them to `total`; from then on objects
//! are counted in `total` alone, and the thread that makes it 0 closes the connection. This is the
//! Linux kernel's `percpu_ref`, with threads for processors and `membarrier(2)` for RCU.
//!
//! ```text
//! object made, dropped                        last Heap value dropped, under the lock
//!   1 tally.count += 1, -= 1  (store)           1 closing = true  (store)
//!   2 closing?                (load)            2 a barrier in all threads
//!      no: done                                 3 each tally: folded = count  (load)
//!      yes: under the lock,                     4 total += sum of folded - BIAS
//!           total += count - folded
//! ```
//!
//! Each thread passes the barrier at one point of its program. If that point is behind 1 of the
//! left side, the closing thread's 3 sees the store. If it is before 2, the load sees `closing`.
//! One of both holds, or both. `folded` says what was added already, so that nothing is added
//! twice. No thread waits for another thread but for the lock.
//!
//! Why `total` is not 0 too early:
//!
//! - BIAS is in it until the tallies have been added, and is larger than any count.
//! - What makes an object has a `Heap` value or another object, which is not dropped meanwhile. If
//!   the new +1 is not yet in `total`, that of the other one is.
//! - A thread whose -1 was added at 3, and not the +1 of the same object, would have got the object
//!   from a thread that passed the barrier before its 1. That thread saw `closing`, and waited for
//!   the lock before it gave the object away.
//!
//! Why an end of use comes before the closing: the stores to tallies are releases, the loads of 3
//! acquires, and so are the operations on `total`.
//!
//! The memory of `Open` outlives the connection, since a thread looks at `closing` after its -1 may
//! have been added by another thread. Each thread that has a tally has a use of that memory.
//!
//! - A thread's end adds its tally. A thread whose thread-locals are gone counts in `total`.
//! - Without `membarrier` the connection is `closing` from the start: two atomic instructions for
//!   each object. If the kernel refuses it later (a filter of system calls was installed after the
//!   heap was opened), BIAS stays until each other thread has come by: it ends, or counts again.
//! - A child made by fork() has the tallies and the lock as they were in the middle of other
//!   threads' work. It takes no lock and closes nothing; its own stores are to its own memory.
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::{compiler_fence, AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::raw::{Connection, Process};

mod barrier;
mod held;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use held::Held;
pub use held::Reference;
use tally::{this_thread, Register, Tallies, Tally, REGISTER, SLOT};

/// In `total` for the tallies that have not been added to it.
const BIAS: i64 = 1 << 62;

/// A connection and what keeps it open. The memory lives longer than the connection.
pub(crate) struct Open {
    /// Open as long as `total` or `handles` is not 0.
    connection: UnsafeCell<ManuallyDrop<Connection>>,
    process: Process,
    /// `Heap` values.
    handles: AtomicI64,
    /// Objects that no tally counts, and 1 or BIAS for all `Heap` values together.
    total: AtomicI64,
    /// Objects are counted in `total`. Never becomes false again.
    closing: AtomicBool,
    tallies: Mutex<Tallies>,
    /// `barrier::all_threads`, except in tests.
    order: fn() -> bool,
}

// SAFETY: a Connection may be used by any thread, and may be dropped by any. `close` alone changes
// it, when no other use of it is left.
unsafe impl Send for Open {}
// SAFETY: as above.
unsafe impl Sync for Open {}
// What a panic interrupts leaves the counts as they are.
impl RefUnwindSafe for Open {}
impl UnwindSafe for Open {}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// Where an `Open` lies. Its functions take this, and no `&Open`, since another thread may free the
/// memory while a function returns.
///
/// Invariant: `Arc::into_raw` or `Arc::as_ptr` gave it, and a count or a use of the memory keeps it
/// during each function, up to the function's last access.
#[derive(Clone, Copy, PartialEq)]
struct At(NonNull<Open>);

impl At {
    fn of(open: *const Open) -> Self {
        At(NonNull::new(open.cast_mut()).expect("an Arc is nowhere null"))
    }

    #[inline]
    fn get<'a>(self) -> &'a Open {
        // SAFETY: invariant; it is used for one access, or while the memory is kept.
        unsafe { self.0.as_ref() }
    }

    /// Counts one object more or less. The caller has a `Heap` value or an object; for an object
    /// that goes, this is the last use.
    #[inline]
    fn count(self, by: i64) {
        let is_counted = SLOT.with(|slot| {
            if slot.open.get() != self.0.as_ptr().cast_const() {
                return false;
            }
            // SAFETY: REGISTER has the tally (invariant of SLOT).
            let tally = unsafe { &*slot.tally.get() };
            // This thread alone writes it. Release: what was done with an object comes before.
            let count = tally.count.load(Ordering::Relaxed).wrapping_add(by);
            tally.count.store(count, Ordering::Release);
            // The processor may load `closing` before the store is seen: the closing thread's
            // barrier puts them in order. The compiler must not.
            compiler_fence(Ordering::SeqCst);
            if self.get().is_closing() {
                self.leave();
            }
            true
        });
        if !is_counted {
            self.count_elsewhere(by);
        }
    }

    #[cold]
    #[inline(never)]
    fn count_elsewhere(self, by: i64) {
        match self.enter() {
            true => self.count(by),
            false => self.add(by),
        }
    }

    /// Counts in `total`, which is allowed at any time.
    fn add(self, by: i64) {
        // A thread that is not the last one has no access after this.
        if self.get().total.fetch_add(by, Ordering::AcqRel).wrapping_add(by) == 0 {
            self.close();
        }
    }

    /// Puts this thread's tally into its slot: a search in a short list. False: there is none.
    fn enter(self) -> bool {
        if self.get().is_closing() || !self.get().process.is_current() {
            return false;
        }
        let find = |register: &Register| {
            let tally = register.find(self)?;
            SLOT.with(|slot| {
                slot.open.set(self.0.as_ptr());
                slot.tally.set(tally);
            });
            Some(())
        };
        matches!(REGISTER.try_with(find), Ok(Some(())))
    }

    /// This thread has seen `closing`: its tally is added.
    #[cold]
    #[inline(never)]
    fn leave(self) {
        let _ = REGISTER.try_with(|register| register.remove(self));
    }

    /// A use of the memory.
    fn shared(self) -> Arc<Open> {
        // SAFETY: `OpenRef::made` made it by Arc::into_raw, and the caller's count keeps it.
        unsafe {
            Arc::increment_strong_count(self.0.as_ptr());
            Arc::from_raw(self.0.as_ptr())
        }
    }

    /// Puts a new tally into the list; false: too late.
    fn admit(self, tally: &Arc<Tally>) -> bool {
        let mut tallies = self.get().lock();
        let is_open = !self.get().is_closing();
        if is_open {
            tallies.list.push(Arc::clone(tally));
        }
        is_open
    }

    /// Adds a tally that its thread does not use any more. The caller has a use of the memory.
    fn retire(self, tally: &Arc<Tally>) {
        if !self.get().process.is_current() {
            return; // the lock may be taken for ever
        }
        let mut tallies = self.get().lock();
        tallies.list.retain(|other| !Arc::ptr_eq(other, tally));
        let by = tally.fold();
        self.settle(tallies, by);
    }

    /// Adds what was folded, and takes BIAS away once all tallies have been added. The caller has a
    /// use of the memory.
    fn settle(self, mut tallies: MutexGuard<'_, Tallies>, mut by: i64) {
        let all = self.get().is_closing() && tallies.list.is_empty();
        if all && std::mem::take(&mut tallies.biased) {
            by = by.wrapping_sub(BIAS);
        }
        // Under the lock: no other thread takes BIAS away before this is added.
        let total = self.get().total.fetch_add(by, Ordering::AcqRel).wrapping_add(by);
        drop(tallies);
        if by != 0 && total == 0 {
            self.close();
        }
    }

    /// The last `Heap` value has gone. An object's heap may give a new one at any moment, which
    /// then counts as one object.
    #[cold]
    fn last_handle(self) {
        if !self.get().process.is_current() {
            return;
        }
        let open = self.shared(); // until the lock is released
        let mut tallies = open.lock();
        if open.is_closing() {
            return self.settle(tallies, -1);
        }
        open.closing.store(true, Ordering::SeqCst);
        // What this thread has stored it sees without a barrier.
        let mut by = 0i64;
        let thread = this_thread();
        let others = tallies.list.iter().any(|tally| tally.thread != thread);
        // Behind the barrier, each other thread's stores are seen, or it will see `closing`.
        let ordered = !others || (open.order)();
        tallies.list.retain(|tally| {
            let seen = ordered || tally.thread == thread;
            by = if seen { by.wrapping_add(tally.fold()) } else { by };
            !seen
        });
        self.settle(tallies, by);
    }

    /// `total` is 0: no `Heap` value, no object and no tally is left.
    #[cold]
    fn close(self) {
        if !self.get().process.is_current() {
            return; // another thread of the parent may have been adding: the count may be too low
        }
        // SAFETY: `total` becomes 0 once, so this is the one call. No code uses the connection any
        // more: each use has a count, whose end comes before (release and acquire, see above).
        unsafe { ManuallyDrop::drop(&mut *self.get().connection.get()) };
        // SAFETY: the use of the memory that `OpenRef::made` made and that no other code ends.
        drop(unsafe { Arc::from_raw(self.0.as_ptr()) });
    }
}

/// What a `Heap` value is: a connection that it keeps open.
pub(crate) struct OpenRef {
    /// Invariant: `made` made it, and a count keeps it.
    at: At,
}

// SAFETY: as std's Arc: a connection may be used and dropped by any thread.
unsafe impl Send for OpenRef {}
// SAFETY: as above.
unsafe impl Sync for OpenRef {}
impl UnwindSafe for OpenRef {}
impl RefUnwindSafe for OpenRef {}

impl OpenRef {
    pub(crate) fn new(connection: Connection) -> Self {
        let biased = barrier::register();
        Self::made(connection, biased, barrier::all_threads)
    }

    fn made(connection: Connection, biased: bool, order: fn() -> bool) -> Self {
        let open = Open {
            connection: UnsafeCell::new(ManuallyDrop::new(connection)),
            process: Process::current(),
            handles: AtomicI64::new(1),
            total: AtomicI64::new(if biased { BIAS } else { 1 }),
            closing: AtomicBool::new(!biased),
            tallies: Mutex::new(Tallies { list: Vec::new(), biased }),
            order,
        };
        OpenRef { at: At::of(Arc::into_raw(Arc::new(open))) }
    }
}

impl Deref for OpenRef {
    type Target = Connection;
    #[inline]
    fn deref(&self) -> &Connection {
        // SAFETY: a count keeps it open (invariant), and until `close` it is only shared.
        unsafe { &*self.at.get().connection.get() }
    }
}

impl Clone for OpenRef {
    fn clone(&self) -> Self {
        if self.at.get().handles.fetch_add(1, Ordering::Relaxed) == 0 {
            // Of an object, after the last one went. The object is in `total`, or BIAS is.
            self.at.get().total.fetch_add(1, Ordering::Relaxed);
        }
        OpenRef { at: self.at }
    }
}

impl Drop for OpenRef {
    fn drop(&mut self) {
        // What was done with this one comes before the closing.
        if self.at.get().handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.at.last_handle();
        }
    }
}

impl fmt::Debug for OpenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
