//! How a connection begins: by a name, by a descriptor, or with a new heap.
use std::ffi::{c_int, CStr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use super::{errno, error_text, sys, Connection, Found};
use crate::error::{Error, Result};
use crate::raw::process::{Place, Process};

/// How to open: what `shmheap_options` has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    pub len: usize,
    pub max_len: usize,
    pub alignment: usize,
    pub flags: u32,
    pub mode: u32,
    pub timeout_ms: u32,
    /// The largest copy of a value, in bytes; 0: any.
    pub copies_up_to: usize,
}

pub(crate) const CREATE: u32 = sys::SHMHEAP_CREATE;
pub(crate) const EXCLUSIVE: u32 = sys::SHMHEAP_EXCLUSIVE;
pub(crate) const READ_ONLY: u32 = sys::SHMHEAP_READ_ONLY;
pub(crate) const CACHED: u32 = sys::SHMHEAP_CACHED;
pub(crate) const REAP: u32 = sys::SHMHEAP_REAP;
pub(crate) const SPARSE: u32 = sys::SHMHEAP_SPARSE;
pub(crate) const HUGE_PAGES: u32 = sys::SHMHEAP_HUGE_PAGES;
pub(crate) const ANONYMOUS: u32 = sys::SHMHEAP_ANONYMOUS;
pub(crate) const FILE: u32 = sys::SHMHEAP_FILE;
pub(crate) const TAKE_OVER: u32 = sys::SHMHEAP_TAKE_OVER;
pub(crate) const SOCKET: u32 = sys::SHMHEAP_SOCKET;

/// The installed library (feature `system`) may be another one than that whose header was compiled
/// against.
fn check_version() -> Result<()> {
    // SAFETY: C, shmheap_version: may be called at any time.
    let (needed, found) = (sys::SHMHEAP_VERSION, unsafe { sys::shmheap_version() });
    match found / 100 == needed / 100 && found >= needed {
        true => Ok(()),
        false => Err(Error::OtherLibrary { needed, found }),
    }
}

impl Opening {
    fn as_c(&self) -> sys::shmheap_options {
        sys::shmheap_options {
            len: self.len,
            max_len: self.max_len,
            alignment: self.alignment,
            flags: self.flags,
            mode: self.mode,
            timeout_ms: self.timeout_ms,
        }
    }
}

impl Connection {
    pub(crate) fn open(name: Option<&CStr>, opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        let words = name.map_or("(anonymous)".into(), CStr::to_string_lossy);
        let name = name.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: C, shmheap_open: name is NULL or ends with a zero byte, options is valid during
        // the call.
        Self::opened(&words, opening, |out| unsafe { sys::shmheap_open(out, name, &options) })
    }

    /// A heap without a name. No process, this one too, can map its memory to write it, or write to
    /// its file: this connection has the one mapping that can.
    pub(crate) fn create_sealed(opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        // SAFETY: C, shmheap_create_sealed: options is valid during the call.
        Self::opened("(anonymous)", opening, |out| unsafe {
            sys::shmheap_create_sealed(out, &options)
        })
    }

    pub(crate) fn open_fd(fd: BorrowedFd<'_>, opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        let words = format!("descriptor {}", fd.as_raw_fd());
        // SAFETY: C, shmheap_open_fd: "It neither keeps nor closes fd"; options is valid
        // during the call.
        Self::opened(&words, opening, |out| unsafe {
            sys::shmheap_open_fd(out, fd.as_raw_fd(), &options)
        })
    }

    fn opened(
        name: &str,
        opening: &Opening,
        open: impl FnOnce(*mut sys::shmheap_memory_handle) -> c_int,
    ) -> Result<Self> {
        let mut mem = sys::shmheap_memory_handle { heap: ptr::null_mut() };
        check_version()?;
        Place::watch();
        if open(&mut mem) != 0 {
            let is_file = opening.flags & FILE != 0;
            return Err(Error::from_open(errno(), name, is_file, error_text));
        }
        // SAFETY: C, shmheap_underlying: mem is open.
        let region = NonNull::new(unsafe { sys::shmheap_underlying(mem) }.cast())
            .ok_or(Error::Unsupported)?;
        let process = Process::current();
        let identity = AtomicU64::new(0);
        let mut connection = Connection {
            mem,
            region,
            alignment: 16,
            id: 0,
            place: None,
            process,
            identity,
            copies_up_to: opening.copies_up_to,
        };
        let stats = connection.stats()?;
        connection.alignment = if stats.alignment == 8 { 8 } else { 16 };
        connection.id = stats.id;
        connection.keep_from_children(&stats)?;
        Ok(connection)
    }

    /// A reference that a child made by fork() has inherited would be to memory that the parent
    /// goes on using: let it lead nowhere.
    fn keep_from_children(&mut self, stats: &Found) -> Result<()> {
        let before = (stats.segment_len - stats.len) as usize; // control data and index
        let len = (before as u64).saturating_add(stats.max_len);
        let start = self.region.as_ptr().wrapping_sub(before);
        let len = usize::try_from(len).map_err(|_| Error::TooLarge)?;
        // SAFETY: C, shmheap_stat: the segment, of which the region is the end, is mapped from a
        // page on as long as it can become; a child makes no call that needs it (`here`), and Drop
        // forgets the place before it disconnects.
        self.place = unsafe { Place::keep_from_children(start, len) };
        self.place.map(|_| ()).ok_or_else(|| Error::Os(std::io::Error::last_os_error()))
    }

    /// Removes a name of shm_open().
    pub(crate) fn unlink(name: &CStr) -> Result<()> {
        // SAFETY: C, shmheap_unlink: name ends with a zero byte.
        match unsafe { sys::shmheap_unlink(name.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Error::from_open(errno(), &name.to_string_lossy(), false, error_text)),
        }
    }
}
