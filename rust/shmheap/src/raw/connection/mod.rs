//! The C calls, each behind a function that cannot be called wrongly but where it says `unsafe`.
//!
//! - `opening`: how a connection begins.
//! - `objects`: objects allocated, freed, sent, claimed, looked at; `names`: those with names.
//! - `figures`: what the heap says of itself; `file`: what is read through its file.
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, Result};
use crate::raw::process::{Place, Process};

#[cfg(miri)]
use crate::raw::core_for_miri as sys;
#[cfg(not(miri))]
use shmheap_sys as sys;

mod figures;
mod file;
mod names;
mod objects;
mod opening;

pub(crate) use figures::{Block, Found};
pub(crate) use names::Named;
pub(crate) use opening::*;

/// A connection to a heap, open as long as this lives.
///
/// Invariant: `mem` is a handle that a successful `shmheap_open` or `shmheap_open_fd` gave, and
/// only `Drop` disconnects it.
#[derive(Debug)]
pub(crate) struct Connection {
    mem: sys::shmheap_memory_handle,
    region: NonNull<u8>,
    alignment: usize,
    id: u64,
    /// What children made by fork() do not use.
    place: Option<&'static Place>,
    /// The process that opened it. No other one uses it: a child made by fork() has copies of all
    /// that refers to it.
    process: Process,
    /// The process that last called `identity`, and the result; 0: no process has called it.
    identity: AtomicU64,
    /// The largest copy of a value, in bytes; 0: any.
    copies_up_to: usize,
}

// SAFETY: C, Threads: "Any thread of any process may make any call at any time", except during and
// after shmheap_disconnect. Only Drop calls it, when no other thread has the connection any more.
unsafe impl Send for Connection {}
// SAFETY: as above; the calls of one connection may overlap in time.
unsafe impl Sync for Connection {}

/// FORMAT.md, Blocks.
const HEADER_SIZE_MASK: u64 = (1 << 36) - 1;

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Why the call that has just failed in this thread failed, as C says it.
fn error_text() -> Box<str> {
    // SAFETY: C, shmheap_error_text: it returns a text with a zero byte at its end, "valid until
    // the thread's next failure"; no call comes between.
    let text = unsafe { CStr::from_ptr(sys::shmheap_error_text()) };
    text.to_string_lossy().into()
}

#[cold]
fn not_changed() -> Error {
    Error::from_change(errno(), error_text)
}

#[cold]
#[inline(never)]
fn in_a_child() -> ! {
    panic!(
        "this value is the parent's: a child made by fork() opens the heap itself, and receives \
         what it is to use"
    )
}

impl Connection {
    pub(crate) fn copies_up_to(&self) -> usize {
        self.copies_up_to
    }

    /// Refuses in a child made by fork(): the connection is its parent's.
    #[inline]
    pub(crate) fn here(&self) -> Result<()> {
        match self.process.is_current() {
            true => Ok(()),
            false => Err(Error::OtherProcess),
        }
    }

    /// As here, for what gives references.
    #[inline]
    pub(crate) fn assert_here(&self) {
        if !self.process.is_current() {
            in_a_child();
        }
    }

    /// Of every object: 8 or 16.
    pub(crate) fn alignment(&self) -> usize {
        self.alignment
    }

    /// Where the object of a handle lies, if there is one (FORMAT.md, Handles).
    #[inline]
    pub(crate) fn address_of(&self, bits: u64) -> usize {
        let granule = (bits & HEADER_SIZE_MASK) as usize;
        (self.region.as_ptr() as usize)
            .wrapping_add(16)
            .wrapping_add(granule.wrapping_mul(self.alignment))
    }

    /// The handle of the object whose payload begins at `offset` and whose generation is this
    /// (FORMAT.md, Handles).
    pub(crate) fn handle_at(&self, offset: u64, generation: u32) -> u64 {
        let tag = (self.id ^ (self.id >> 13) ^ (self.id >> 39)) & 0x1fff;
        let granule = (offset - 16) / self.alignment as u64;
        (tag.max(1) << 51) | (u64::from(generation & 0x7fff) << 36) | granule & 0xf_ffff_ffff
    }

    /// The address of an offset in the region; None where `len` bytes there do not lie in it.
    pub(crate) fn at(&self, offset: u64, len: usize) -> Result<Option<NonNull<u8>>> {
        let end = offset.checked_add(len as u64).filter(|_| offset >= 16);
        let region_len = self.stats()?.len;
        let Some(offset) =
            end.filter(|&end| end <= region_len).and_then(|_| usize::try_from(offset).ok())
        else {
            return Ok(None);
        };
        // SAFETY: C, shmheap_underlying and shmheap_stat: the region is mapped at region and has
        // region_len bytes; offset lies below that.
        Ok(Some(unsafe { self.region.add(offset) }))
    }

    /// Bytes from the start of the region to an object in it.
    pub(crate) fn offset(&self, object: NonNull<u8>) -> u64 {
        (object.as_ptr() as usize).wrapping_sub(self.region.as_ptr() as usize) as u64
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A child made by fork() leaves its parent's alone.
        if !self.process.is_current() {
            return;
        }
        if let Some(place) = self.place {
            place.forget();
        }
        // SAFETY: C, shmheap_disconnect: no other call uses the connection any more, since Drop has
        // it alone.
        unsafe { sys::shmheap_disconnect(self.mem) }
    }
}
