//! Values: put into the heap, received, copied, given back.
use std::time::Duration;

use crate::arc::ShmArc;
use crate::boxed::ShmBox;
use crate::content::{Content, Shareable};
use crate::error::{Error, Result};
use crate::handle::{ArcHandle, AtomicHandle, Handle};
use crate::heap::Heap;
#[cfg(doc)]
use crate::heap::HeapOptions;
use crate::raw::{self, Held, Object, Shm};
use crate::transit::Transit;

impl Heap {
    /// Puts a value in the heap. The box keeps the heap open; [`ShmBox::new_in`] with `&heap`
    /// borrows it instead.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::TooLarge`] (also for a type whose alignment is more than a
    /// page), [`Error::ReadOnly`].
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let mut number = heap.boxed(41u64)?;
    /// *number += 1;
    /// assert_eq!(*number, 42);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    #[inline(always)]
    pub fn boxed<T: Shm>(&self, value: T) -> Result<ShmBox<T>> {
        Object::one(self, value).map(ShmBox::of)
    }

    /// As [`boxed`](Self::boxed), but where there is no space it waits until some is given back:
    /// `limit` long at most, `None` for ever.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after that time, [`Error::OutOfMemory`] at once where the value could
    /// not fit even in the empty heap, [`Error::TooLarge`] also for a type whose alignment is more
    /// than the heap's.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// use std::time::Duration;
    ///
    /// let heap = Heap::anonymous(4096)?;
    /// let full = heap.boxed_zeroed::<u8>(3000)?;
    /// let soon = Some(Duration::from_millis(1));
    /// assert!(matches!(heap.boxed_wait([0u8; 3000], soon), Err(Error::TimedOut { .. })));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| drop(full)); // as another process, as a rule
    ///     heap.boxed_wait([0u8; 3000], None).map(|_| ())
    /// })?;
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_wait<T: Shm>(&self, value: T, limit: Option<Duration>) -> Result<ShmBox<T>> {
        let mut value = Some(value);
        let make = |_| value.take().expect("there is one element");
        Object::new_waiting(Held::of(self), 1, make, limit).map(ShmBox::of)
    }

    /// As [`boxed_wait`](Self::boxed_wait), for a slice of `len` elements, element `i` being what
    /// `make(i)` gives.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let limit = std::time::Duration::from_secs(1);
    /// assert_eq!(*heap.boxed_slice_wait(3, |i| i as u64, Some(limit))?, [0, 1, 2]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_slice_wait<T: Shm>(
        &self,
        len: usize,
        make: impl FnMut(usize) -> T,
        limit: Option<Duration>,
    ) -> Result<ShmBox<[T]>> {
        Object::new_waiting(Held::of(self), len, make, limit).map(ShmBox::of)
    }

    /// Copies a slice into the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let mut primes = heap.boxed_slice(&[2u32, 3, 5, 7])?;
    /// primes[0] = 11;
    /// assert_eq!(primes.iter().sum::<u32>(), 26);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_slice<T: Shm>(&self, values: &[T]) -> Result<ShmBox<[T]>> {
        Object::copied(Held::of(self), values).map(ShmBox::of)
    }

    /// A slice of `len` elements whose bytes are zero. Refused when the program is compiled where
    /// zero bytes are no value of `T`.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// assert!(heap.boxed_zeroed::<u64>(100)?.iter().all(|&x| x == 0));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_zeroed<T: Shm>(&self, len: usize) -> Result<ShmBox<[T]>> {
        Object::zeroed(Held::of(self), len).map(ShmBox::of)
    }

    /// Copies text into the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// assert_eq!(heap.boxed_str("zwölf")?.chars().count(), 5);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn boxed_str(&self, text: &str) -> Result<ShmBox<str>> {
        Object::copied(Held::of(self), text.as_bytes()).map(ShmBox::of)
    }

    /// Claims a value that was sent. Of all claims of it, in all processes, one succeeds.
    ///
    /// # Errors
    /// [`Error::NullHandle`], [`Error::ForeignHandle`] (of another heap, or bits that are no
    /// handle), [`Error::Stale`] (claimed already), [`Error::WrongType`], [`Error::NotAValue`],
    /// [`Error::NotUtf8`]. None of them changes anything: the value is looked at before it is
    /// claimed.
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed_slice(&[1.0f64, 2.0])?.send()?;
    /// let pair = heap.receive(handle)?;
    /// assert_eq!(pair.len(), 2);
    /// assert!(matches!(heap.receive(handle), Err(Error::Stale)));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<ShmBox<T>> {
        Object::receive(self, handle.bits()).map(ShmBox::of)
    }

    /// Claims the value whose handle lies in `place`, and leaves the null handle there; `None`
    /// where there is none. The handle stays in `place` until the value is claimed: a process that
    /// dies inside leaves the value in the mailbox, or holds it, so that [`reap`](Self::reap) finds
    /// it.
    ///
    /// ```
    /// use shmheap::{AtomicHandle, Heap};
    /// use std::sync::atomic::Ordering::Release;
    ///
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let mailbox = heap.root::<AtomicHandle<str>>("mailbox")?;
    /// mailbox.store(heap.boxed_str("letter")?.send()?, Release);
    /// assert_eq!(&*heap.receive_from(&mailbox)?.expect("a letter"), "letter");
    /// assert!(heap.receive_from(&mailbox)?.is_none());
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_from<T: Content + ?Sized>(
        &self,
        place: &AtomicHandle<T>,
    ) -> Result<Option<ShmBox<T>>> {
        use std::sync::atomic::Ordering::{AcqRel, Acquire};
        loop {
            let handle = place.load(Acquire);
            if handle.is_null() {
                return Ok(None);
            }
            let received = match self.receive(handle) {
                Err(Error::Stale) => None, // a process claimed it, and had no time to say so here
                received => Some(received?),
            };
            // Where another handle lies there by now, it stays.
            let _ = place.compare_exchange(handle, Handle::NULL, AcqRel, Acquire);
            if received.is_some() {
                return Ok(received);
            }
        }
    }

    /// Claims a value, copies it into this process's own memory and frees it. Refused, it is in
    /// transit as before.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`Error::NoMemory`] where the system refuses memory for the
    /// copy; [`Error::CopyTooLarge`] above [`copies_up_to`](HeapOptions::copies_up_to). The peer
    /// chose the length. A control group kills a process that uses more memory than its limit, and
    /// gives no error: in one, set `copies_up_to`.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed_str("from afar")?.send()?;
    /// let text: String = heap.take(handle)?;
    /// assert_eq!(text, "from afar");
    /// assert_eq!(heap.stats()?.used_blocks, 0);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn take<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        raw::take::<T>(&self.connection, handle.bits())
    }

    /// Copies a value that stays in transit. Errors as [`take`](Self::take).
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed([1u8, 2])?.send()?;
    /// assert_eq!((heap.peek(handle)?, heap.peek(handle)?), ([1, 2], [1, 2]));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn peek<T: Content + ?Sized>(&self, handle: Handle<T>) -> Result<T::Owned> {
        raw::peek::<T>(&self.connection, handle.bits())
    }

    /// What is in transit: values that were sent and not claimed, and shares. Among them are those
    /// whose handles are lost, since the process died that had them: [`discard`](Self::discard)
    /// gives them back. Which these are, the program has to know. Costs a walk over the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let _lost = heap.boxed_slice(&[1u8; 1000])?.send()?;
    /// let found = heap.in_transit()?;
    /// assert_eq!(found.len(), 1);
    /// heap.discard(found[0].handle)?;
    /// assert_eq!(heap.stats()?.used_blocks, 0);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn in_transit(&self) -> Result<Vec<Transit>> {
        Transit::all(&self.connection)
    }

    /// Claims what is in transit under a handle, of whatever type, and gives it back; of a share
    /// ([`ArcHandle`]), the share.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    ///
    /// ```
    /// use shmheap::{Error, Heap};
    /// let heap = Heap::anonymous(1 << 16)?;
    /// let lost = heap.boxed(1u64)?.send()?;
    /// heap.discard(lost.cast())?;
    /// assert!(matches!(heap.receive(lost), Err(Error::Stale)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn discard(&self, handle: Handle<()>) -> Result<()> {
        raw::discard(self, handle.bits())
    }

    /// Claims an object that a program without this crate sent, with `shmheap_send`: all its bytes
    /// but the last 16, which this crate keeps for itself (so let that program allocate 16 more).
    /// What this crate sent comes as its bytes.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let handle = heap.boxed(0x0102_0304u32)?.send()?;
    /// let bytes = heap.receive_bytes(handle.cast())?;
    /// assert_eq!(bytes[..4], [4, 3, 2, 1]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_bytes(&self, handle: Handle<()>) -> Result<ShmBox<[u8]>> {
        raw::receive_bytes(self, handle.bits()).map(ShmBox::of)
    }

    /// Puts a value in the heap for several processes to look at, counted.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::TooLarge`] (also for a type whose alignment is more than a
    /// page), [`Error::ReadOnly`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let counter = heap.arc(AtomicU32::new(1))?;
    /// counter.fetch_add(1, Relaxed);
    /// assert_eq!(counter.load(Relaxed), 2);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn arc<T: Shareable>(&self, value: T) -> Result<ShmArc<T>> {
        ShmArc::new_in(value, self)
    }

    /// Claims a share that [`ShmArc::share`] made. Errors as [`receive`](Self::receive); refused,
    /// it is in transit as before.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let one = heap.arc([1u8, 2, 3])?;
    /// let two = heap.receive_arc(one.share()?)?;
    /// drop(one);
    /// assert_eq!(*two, [1, 2, 3]);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn receive_arc<T: Shareable>(&self, handle: ArcHandle<T>) -> Result<ShmArc<T>> {
        ShmArc::receive_in(handle, self)
    }
}
