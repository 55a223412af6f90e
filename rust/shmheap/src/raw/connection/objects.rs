//! Objects: allocated, freed, sent, claimed, and looked at in transit.
use std::ffi::c_int;
use std::ptr::NonNull;
use std::time::Duration;

use super::{errno, error_text, not_changed, sys, Connection};
use crate::error::{code, Error, Result};

#[cold]
fn not_seen() -> Error {
    match errno() {
        code::EACCES => Error::ReadOnly,
        other @ code::EBADMSG => Error::from_errno(other, error_text),
        _ => Error::Stale,
    }
}

#[cold]
fn not_sent() -> Error {
    match errno() {
        code::EINVAL => Error::Stale,
        other => Error::from_change(other, error_text),
    }
}

#[cold]
fn not_allocated(size: usize) -> Error {
    match errno() {
        code::ENOMEM => Error::OutOfMemory { size },
        code::EINVAL => Error::TooLarge,
        other => Error::from_change(other, error_text),
    }
}

impl Connection {
    /// At least `size` bytes at a multiple of `align`. The memory is this process's alone until it
    /// frees or sends it.
    #[inline]
    pub(crate) fn alloc(&self, size: usize, align: usize) -> Result<NonNull<u8>> {
        self.here()?;
        let object = if align <= self.alignment {
            // SAFETY: C, shmheap_alloc: any size is allowed.
            unsafe { sys::shmheap_alloc(self.mem, size) }
        } else {
            // SAFETY: C, shmheap_aligned_alloc: what is no alignment that it can give is refused
            // with EINVAL.
            unsafe { sys::shmheap_aligned_alloc(self.mem, align, size) }
        };
        NonNull::new(object.cast()).ok_or_else(|| not_allocated(size))
    }

    /// As alloc, but waits for space that other processes give back: `None` is for ever.
    pub(crate) fn alloc_wait(
        &self,
        size: usize,
        align: usize,
        limit: Option<Duration>,
    ) -> Result<NonNull<u8>> {
        self.here()?;
        if align > self.alignment {
            return Err(Error::TooLarge); // C waits for objects of the heap's alignment alone
        }
        let limit_ms = limit.map_or(-1, |limit| {
            c_int::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        });
        // SAFETY: C, shmheap_alloc_wait: any size and any time are allowed.
        let object = unsafe { sys::shmheap_alloc_wait(self.mem, size, limit_ms) };
        NonNull::new(object.cast()).ok_or_else(|| not_allocated(size))
    }

    /// Bytes that an object which this process holds can hold; of an object with a name, the bytes
    /// requested.
    pub(crate) fn usable(&self, object: NonNull<u8>) -> usize {
        // SAFETY: C, shmheap_usable_size: "0 with EINVAL if ptr is not the start of a live object".
        let ask = || unsafe { sys::shmheap_usable_size(self.mem, object.as_ptr().cast()) };
        match ask() {
            // An object that reaches beyond what this connection knows of a heap that has grown:
            // figures make it look.
            0 if self.stats().is_ok() => ask(),
            usable => usable,
        }
    }

    /// Gives an object back. In a child made by fork() nothing happens: it is the parent's.
    ///
    /// # Safety
    /// This process holds it, and nothing refers to its bytes any more.
    #[inline]
    pub(crate) unsafe fn free(&self, object: NonNull<u8>) {
        if !self.process.is_current() {
            return;
        }
        // SAFETY: C, shmheap_free: what is no live object is recognised; the caller says that
        // nothing uses this one.
        unsafe { sys::shmheap_free(self.mem, object.as_ptr().cast()) }
    }

    /// Puts an object in transit: its handle.
    ///
    /// # Safety
    /// As for `free`, but that the inside of a ShmArc may be used on by processes that have a share
    /// in it.
    #[inline]
    pub(crate) unsafe fn send(&self, object: NonNull<u8>) -> Result<u64> {
        self.here()?;
        // SAFETY: C, shmheap_send: refuses with EPERM what another holds, and with EINVAL what is
        // no object.
        let handle = unsafe { sys::shmheap_send(self.mem, object.as_ptr().cast()) };
        match handle.bits {
            0 => Err(not_sent()),
            bits => Ok(bits),
        }
    }

    /// As send, but writes words to the object's end first.
    ///
    /// # Safety
    /// As for `send`; the last N words of the object are no part of a value.
    #[inline]
    pub(crate) unsafe fn send_labelled<const N: usize>(
        &self,
        object: NonNull<u8>,
        words: &[u64; N],
    ) -> Result<u64> {
        self.here()?;
        // SAFETY: C, shmheap_send_labelled: as shmheap_send; refuses with EBADMSG what has no room
        // for the words.
        let handle = unsafe {
            sys::shmheap_send_labelled(self.mem, object.as_ptr().cast(), words.as_ptr(), N)
        };
        match handle.bits {
            0 => Err(not_sent()),
            bits => Ok(bits),
        }
    }

    /// Claims an object in transit whose last word is this and which has so many bytes. It is this
    /// process's alone from then on. None: refused, and `peek_end` tells why.
    #[inline]
    pub(crate) fn receive_labelled(
        &self,
        bits: u64,
        label: u64,
        least: usize,
    ) -> Option<NonNull<u8>> {
        if !self.process.is_current() {
            return None;
        }
        let handle = sys::shmheap_object_handle { bits };
        // SAFETY: C, shmheap_receive_labelled: any bits may be given; of all claims of an object,
        // one succeeds.
        let object = unsafe { sys::shmheap_receive_labelled(self.mem, handle, label, least) };
        NonNull::new(object.cast())
    }

    /// As receive_labelled, of an object that was looked at: refused, another object lies there
    /// since.
    #[inline]
    pub(crate) fn receive_seen(&self, bits: u64, label: u64, len: usize) -> Result<NonNull<u8>> {
        self.here()?;
        self.receive_labelled(bits, label, len).ok_or_else(not_seen)
    }

    /// Undoes a claim: the object is in transit under the same handle as before.
    ///
    /// # Safety
    /// This process claimed it by this handle, and nothing refers to its bytes any more.
    pub(crate) unsafe fn put_back(&self, bits: u64) {
        // SAFETY: C, shmheap_put_back: refuses what this connection does not hold by that handle.
        // That no process uses the object says the caller.
        unsafe { sys::shmheap_put_back(self.mem, sys::shmheap_object_handle { bits }) };
    }

    /// Copies bytes of an object in transit, which stays so, from `from` on: how long the object
    /// is.
    ///
    /// # Safety
    /// `bytes` bytes can be written at `to`.
    #[inline]
    pub(crate) unsafe fn peek(
        &self,
        bits: u64,
        from: usize,
        to: *mut u8,
        bytes: usize,
    ) -> Result<usize> {
        let from = isize::try_from(from).map_err(|_| Error::Stale)?;
        // SAFETY: says the caller.
        unsafe { self.peek_at(bits, from, to, bytes) }?.ok_or(Error::Stale)
    }

    /// The last words of an object in transit, which stays so, and how long it is. None: it is
    /// shorter.
    #[inline]
    pub(crate) fn peek_end<const N: usize>(
        &self,
        bits: u64,
        words: &mut [u64; N],
    ) -> Result<Option<usize>> {
        // SAFETY: N words can be written there.
        unsafe { self.peek_at(bits, -8 * N as isize, words.as_mut_ptr().cast(), 8 * N) }
    }

    /// # Safety
    /// `bytes` bytes can be written at `to`.
    #[inline]
    unsafe fn peek_at(
        &self,
        bits: u64,
        from: isize,
        to: *mut u8,
        bytes: usize,
    ) -> Result<Option<usize>> {
        self.here()?;
        if bits == 0 {
            return Err(Error::NullHandle);
        }
        let handle = sys::shmheap_object_handle { bits };
        // SAFETY: C, shmheap_peek: any bits, any place and any length are allowed; the caller says
        // that bytes can be written at to.
        match unsafe { sys::shmheap_peek(self.mem, handle, from, to.cast(), bytes) } {
            0 if errno() == code::ERANGE => Ok(None),
            0 => Err(not_changed()),
            len => Ok(Some(len)),
        }
    }

    /// The bits of the object's handle: no other object has them, here or elsewhere in the heap,
    /// until its generation repeats.
    pub(crate) fn handle_of(&self, object: NonNull<u8>) -> Result<u64> {
        // SAFETY: C, shmheap_ptr_to_handle: what is no live object is refused.
        match unsafe { sys::shmheap_ptr_to_handle(self.mem, object.as_ptr().cast()) }.bits {
            0 => Err(Error::from_change(errno(), error_text)),
            bits => Ok(bits),
        }
    }
}
