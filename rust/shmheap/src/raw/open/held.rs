//! The heap of an object: counted, or borrowed.
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::OpenRef;
use crate::heap::{Heap, HeapRef};
use crate::raw::Connection;

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
