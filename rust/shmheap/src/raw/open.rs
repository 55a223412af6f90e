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
use std::cell::{Cell, RefCell, UnsafeCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::atomic::{compiler_fence, AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::heap::{Heap, HeapRef};
use crate::raw::{barrier, Connection, Process};

/// In `total` for the tallies that have not been added to it.
const BIAS: i64 = 1 << 62;

/// What one thread has counted. Lines of its own: its thread alone writes the count.
#[repr(align(128))]
struct Tally {
    /// Objects made less objects dropped, modulo 2^64.
    count: AtomicI64,
    /// Of that, what is in `total`. Used under the lock.
    folded: AtomicI64,
    /// The thread: the address of its `SLOT`.
    thread: usize,
}

impl Tally {
    /// What has not been added to `total` yet, which the caller adds. Call under the lock.
    fn fold(&self) -> i64 {
        let count = self.count.load(Ordering::Acquire);
        count.wrapping_sub(self.folded.swap(count, Ordering::Relaxed))
    }
}

/// The tallies that have not been added to `total` for good.
struct Tallies {
    list: Vec<Arc<Tally>>,
    biased: bool,
}

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

/// The tally that this thread last used.
struct Slot {
    open: Cell<*const Open>,
    tally: Cell<*const Tally>,
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
struct Register(RefCell<Vec<Registered>>);

thread_local! {
    // Without a destructor, so that finding it takes one instruction. Invariant: where `open` is
    // not null, REGISTER has an entry of `open` and `tally`.
    static SLOT: Slot =
        const { Slot { open: Cell::new(ptr::null()), tally: Cell::new(ptr::null()) } };
    static REGISTER: Register = const { Register(RefCell::new(Vec::new())) };
}

fn this_thread() -> usize {
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
    fn find(&self, open: At) -> Option<*const Tally> {
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

    fn remove(&self, open: At) {
        let Ok(mut list) = self.0.try_borrow_mut() else { return };
        let at = list.iter().position(|entry| entry.is_of(open));
        let entry = at.map(|at| list.swap_remove(at));
        drop(list);
        drop(entry);
    }
}

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

/// What `HeapRef` requires.
pub trait Reference: Sized {
    /// Whether an object that has it keeps the heap open.
    const COUNTS: bool;

    fn heap(&self) -> &Heap;

    /// The same once more, not counted.
    ///
    /// # Safety
    /// It is not used once the heap may have closed, and is not dropped.
    unsafe fn alias(&self) -> ManuallyDrop<Self>;
}

impl Reference for Heap {
    const COUNTS: bool = true;

    #[inline]
    fn heap(&self) -> &Heap {
        self
    }

    #[inline]
    unsafe fn alias(&self) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Heap::of_open(OpenRef { at: self.open_ref().at }))
    }
}

impl Reference for &Heap {
    const COUNTS: bool = false;

    #[inline]
    fn heap(&self) -> &Heap {
        self
    }

    #[inline]
    unsafe fn alias(&self) -> ManuallyDrop<Self> {
        ManuallyDrop::new(self)
    }
}

/// The heap of an object: a `Heap`, counted as an object and not as a `Heap` value, or a `&Heap`.
pub(crate) struct Held<H: HeapRef> {
    /// Invariant: where H counts, this is counted.
    heap: ManuallyDrop<H>,
}

impl<H: HeapRef> Held<H> {
    #[inline]
    pub(crate) fn of(heap: &H) -> Self {
        if H::COUNTS {
            heap.heap().open_ref().at.count(1);
        }
        // SAFETY: (alias) counted; `drop` does not drop it, and is its last use.
        Held { heap: unsafe { heap.alias() } }
    }

    /// As `of`; the caller's reference goes.
    #[inline]
    pub(crate) fn from(heap: H) -> Self {
        Held::of(&heap)
    }

    #[inline]
    pub(crate) fn connection(&self) -> &Connection {
        self.heap.heap().open_ref()
    }
}

impl<H: HeapRef> Deref for Held<H> {
    type Target = H;
    #[inline]
    fn deref(&self) -> &H {
        &self.heap
    }
}

impl<H: HeapRef> Drop for Held<H> {
    #[inline]
    fn drop(&mut self) {
        if H::COUNTS {
            self.heap.heap().open_ref().at.count(-1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Opening, ANONYMOUS, CREATE};
    use crate::ShmBox;
    use std::sync::mpsc::{channel, Receiver, Sender};
    use std::thread;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kernel {
        Refuses,
        RefusesLater,
        Orders,
    }

    const KERNELS: [Kernel; 3] = [Kernel::Refuses, Kernel::RefusesLater, Kernel::Orders];

    /// A heap, and a use of its memory that tells when it has closed. None: not with this kernel.
    fn heap(kernel: Kernel) -> Option<(Heap, Arc<Open>)> {
        let opening = Opening { len: 1 << 16, flags: CREATE | ANONYMOUS, ..Opening::default() };
        let connection = Connection::open(None, &opening).unwrap();
        let orders = barrier::register();
        let opened = match kernel {
            Kernel::Refuses => OpenRef::made(connection, false, || false),
            Kernel::RefusesLater => OpenRef::made(connection, true, || false),
            Kernel::Orders if orders => OpenRef::made(connection, true, barrier::all_threads),
            Kernel::Orders => {
                println!("skipped: no membarrier");
                return None;
            }
        };
        let open = opened.at.shared();
        Some((Heap::of_open(opened), open))
    }

    fn has_closed(open: &Open) -> bool {
        open.total.load(Ordering::Acquire) == 0
    }

    #[test]
    fn the_last_of_all_closes_it() {
        for kernel in KERNELS {
            let Some((heap, open)) = heap(kernel) else { continue };
            let (one, two) = (heap.boxed(1u8).unwrap(), heap.boxed(2u8).unwrap());
            drop((heap.clone(), two));
            drop(heap);
            let again = one.heap().clone();
            drop(one.heap().clone());
            let three = one.heap().boxed(3u8).unwrap();
            drop((one, again));
            assert!(*three == 3 && !has_closed(&open), "{kernel:?}");
            drop(three);
            assert!(has_closed(&open) && Arc::strong_count(&open) == 1, "{kernel:?}");
        }
    }

    /// Makes and drops, passes some on, and lets its heap go early.
    fn work(heap: Heap, seed: usize, next: Sender<ShmBox<usize>>, got: Receiver<ShmBox<usize>>) {
        let rounds = if cfg!(miri) { 12 } else { 400 };
        let (mut mine, mut heap) = (heap.boxed(seed).unwrap(), Some(heap));
        for i in 0..rounds {
            if i == seed * 5 % rounds {
                heap = None;
            }
            let from = heap.as_ref().unwrap_or_else(|| mine.heap());
            let new = from.boxed(seed + i).unwrap();
            assert_eq!(*new, seed + i);
            match i % 3 {
                0 => drop(new),
                1 => mine = new,
                _ => drop(next.send(new)),
            }
            if i % 2 == 0 {
                let _ = got.try_recv().map(|theirs| assert!(*theirs < rounds * 100));
            }
        }
        drop(heap);
        drop((next, mine, got)); // the boxes in the channel go with its receiver
    }

    #[test]
    fn threads_that_pass_boxes_on() {
        for kernel in KERNELS {
            for round in 0..if cfg!(miri) { 2 } else { 20 } {
                let Some((heap, open)) = heap(kernel) else { continue };
                let last = heap.boxed(7u64).unwrap();
                let (mut ends, mut starts) = (Vec::new(), Vec::new());
                for _ in 0..3 {
                    let (start, end) = channel();
                    starts.push(start);
                    ends.push(end);
                }
                starts.rotate_left(1);
                let pairs = starts.into_iter().zip(ends);
                let threads: Vec<_> = pairs
                    .enumerate()
                    .map(|(i, (start, end))| {
                        let heap = heap.clone();
                        thread::spawn(move || work(heap, round + 7 * i, start, end))
                    })
                    .collect();
                drop(heap);
                for thread in threads {
                    thread.join().unwrap();
                }
                assert!(*last == 7 && !has_closed(&open), "{kernel:?}");
                drop(last);
                assert!(has_closed(&open), "{kernel:?}");
            }
        }
    }

    /// A thread that has counted, and then does nothing until the heap is to close.
    #[test]
    fn a_thread_that_does_nothing() {
        for kernel in KERNELS {
            let Some((heap, open)) = heap(kernel) else { continue };
            let (wake, sleeps) = channel::<()>();
            let (give, given) = channel();
            let theirs = heap.clone();
            let thread = thread::spawn(move || {
                give.send((0..5).map(|i| theirs.boxed(i).unwrap()).collect::<Vec<_>>()).unwrap();
                drop((theirs, give));
                sleeps.recv().unwrap_err();
            });
            let boxes = given.recv().unwrap();
            given.recv().unwrap_err();
            drop(heap);
            assert!(!has_closed(&open));
            drop(boxes);
            // Where nothing orders its stores, its end does.
            assert_eq!(has_closed(&open), kernel != Kernel::RefusesLater, "{kernel:?}");
            drop(wake);
            thread.join().unwrap();
            assert!(has_closed(&open), "{kernel:?}");
        }
    }

    /// Both threads go on at once.
    fn meet(here: &AtomicI64) {
        here.fetch_add(1, Ordering::AcqRel);
        for turn in 0.. {
            match here.load(Ordering::Acquire) {
                2 => break,
                _ if turn > 1000 || cfg!(miri) => thread::yield_now(),
                _ => std::hint::spin_loop(),
            }
        }
    }

    /// The last box and the last `Heap` value go at once, and their threads count nothing after.
    #[test]
    fn a_drop_that_meets_the_closing() {
        let (give, given) = channel::<(ShmBox<u8>, Arc<AtomicI64>)>();
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            for (boxed, here) in given {
                drop(boxed.heap().boxed(2u8)); // from here on the thread has a tally
                meet(&here);
                drop(boxed);
                tell.send(()).unwrap();
            }
        });
        for kernel in [Kernel::Refuses, Kernel::Orders] {
            for _ in 0..if cfg!(miri) { 5 } else { 300 } {
                let Some((heap, open)) = heap(kernel) else { continue };
                let here = Arc::new(AtomicI64::new(0));
                give.send((heap.boxed(1u8).unwrap(), Arc::clone(&here))).unwrap();
                meet(&here);
                drop(heap);
                told.recv().unwrap();
                assert!(has_closed(&open), "{kernel:?}");
            }
        }
        drop(give);
        thread.join().unwrap();
    }

    /// A thread that uses heaps in turn, and heaps that closed: their memory goes.
    #[test]
    fn many_heaps() {
        for kernel in KERNELS {
            let Some(first) = heap(kernel) else { continue };
            let mut heaps = vec![first];
            heaps.extend((0..8).filter_map(|_| heap(kernel)));
            let boxes: Vec<_> =
                (0..3).flat_map(|i| heaps.iter().map(move |(heap, _)| heap.boxed(i))).collect();
            let (values, opens): (Vec<_>, Vec<_>) = heaps.into_iter().unzip();
            drop(values);
            assert!(opens.iter().all(|open| !has_closed(open)));
            thread::spawn(move || drop(boxes)).join().unwrap();
            assert!(opens.iter().all(|open| has_closed(open)), "{kernel:?}");
            let Some((heap, _)) = heap(kernel) else { continue };
            drop(heap.boxed(1u8).unwrap()); // this thread looks at its list
            assert!(opens.iter().all(|open| Arc::strong_count(open) == 1), "{kernel:?}");
        }
    }

    struct Late(RefCell<Vec<ShmBox<u8>>>);

    thread_local! {
        static BEFORE: Late = const { Late(RefCell::new(Vec::new())) };
        static AFTER: Late = const { Late(RefCell::new(Vec::new())) };
    }

    impl Drop for Late {
        fn drop(&mut self) {
            let boxes = self.0.take();
            drop(boxes[0].heap().boxed(3u8));
            assert_eq!(boxes.iter().map(|boxed| **boxed).sum::<u8>(), 3);
        }
    }

    /// Boxes of thread-locals whose destructors run before and after that of REGISTER.
    #[test]
    fn boxes_of_thread_locals() {
        for kernel in KERNELS {
            let Some((heap, open)) = heap(kernel) else { continue };
            let run = move || {
                BEFORE.with(|_| ());
                let boxes = || vec![heap.boxed(1u8).unwrap(), heap.boxed(2u8).unwrap()];
                BEFORE.with(|late| *late.0.borrow_mut() = boxes());
                AFTER.with(|late| *late.0.borrow_mut() = boxes());
            };
            thread::spawn(run).join().unwrap();
            assert!(has_closed(&open), "{kernel:?}");
            assert_eq!(Arc::strong_count(&open), 1, "{kernel:?}");
        }
    }
}
