//! A new object that has no value yet.
use std::ptr::NonNull;
use std::time::Duration;

use crate::content::{Content, Refuse};
use crate::error::{Error, Result};
use crate::label;
use crate::raw::Connection;

/// A new object, not yet a value: freed when dropped.
pub(super) struct Room<'h> {
    pub(super) place: NonNull<u8>,
    heap: &'h Connection,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        // SAFETY: (free) alloc gave it to us, and nothing refers to it.
        unsafe { self.heap.free(self.place) }
    }
}

impl<'h> Room<'h> {
    pub(super) fn new<T: Content + ?Sized>(heap: &'h Connection, count: usize) -> Result<Self> {
        let () = Refuse::<T::Element>::UNFIT;
        let bytes = std::mem::size_of::<T::Element>().checked_mul(count).ok_or(Error::TooLarge)?;
        let size = label::request(bytes, T::COUNTED).ok_or(Error::TooLarge)?;
        let place = heap.alloc(size, std::mem::align_of::<T::Element>())?;
        Ok(Room { place, heap })
    }

    /// As new, but waits for space.
    pub(super) fn new_waiting<T: Content + ?Sized>(
        heap: &'h Connection,
        count: usize,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let () = Refuse::<T::Element>::UNFIT;
        let bytes = std::mem::size_of::<T::Element>().checked_mul(count).ok_or(Error::TooLarge)?;
        let size = label::request(bytes, T::COUNTED).ok_or(Error::TooLarge)?;
        let place = heap.alloc_wait(size, std::mem::align_of::<T::Element>(), limit)?;
        Ok(Room { place, heap })
    }

    pub(super) fn into_place(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).place
    }
}
