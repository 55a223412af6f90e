//! The file below the heap, and what is read through it.
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::NonNull;

use super::{sys, Connection};
use crate::error::{Error, Result};
use crate::raw::words;

impl Connection {
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.here()?;
        // SAFETY: C, shmheap_fd: mem is open.
        match unsafe { sys::shmheap_fd(self.mem) } {
            // SAFETY: C, shmheap_fd: it "belongs to the connection", so it is open as long as self.
            fd if fd >= 0 => Ok(unsafe { BorrowedFd::borrow_raw(fd) }),
            _ => Err(Error::Unsupported),
        }
    }

    /// As fd, but for writing.
    pub(crate) fn fd_writable(&self) -> Result<BorrowedFd<'_>> {
        self.here()?;
        // SAFETY: C, shmheap_fd_writable: mem is open.
        match unsafe { sys::shmheap_fd_writable(self.mem) } {
            // SAFETY: C, shmheap_fd_writable: it "belongs to the connection", so it is open as long
            // as self.
            fd if fd >= 0 => Ok(unsafe { BorrowedFd::borrow_raw(fd) }),
            _ => Err(Error::Unsupported),
        }
    }

    /// Copies bytes that several processes use, where they lie. Through the file: they may be
    /// atomics of any width, which other threads change meanwhile, and a load of another width
    /// would be a data race.
    ///
    /// # Safety
    /// `bytes` bytes lie at from in the region, and can be written at to.
    pub(crate) unsafe fn copy_shared(
        &self,
        from: NonNull<u8>,
        to: *mut u8,
        bytes: usize,
    ) -> Result<()> {
        if cfg!(miri) {
            // There is no file. SAFETY: says the caller.
            unsafe { words::copy_out(from, to, bytes) };
            return Ok(());
        }
        let stats = self.stats()?;
        let file = std::fs::File::from(self.fd()?.try_clone_to_owned().map_err(Error::Os)?);
        // SAFETY: says the caller; zeros make them initialised.
        let to = unsafe {
            to.write_bytes(0, bytes);
            std::slice::from_raw_parts_mut(to, bytes)
        };
        file.read_exact_at(to, stats.segment_len - stats.len + self.offset(from)).map_err(Error::Os)
    }

    /// Whether both are connections to one heap, and not to a heap and a copy of its file, which
    /// has the same id.
    pub(crate) fn is_of_the_same_heap(&self, other: &Self) -> bool {
        let file = |heap: &Connection| {
            let status =
                std::fs::File::from(heap.fd().ok()?.try_clone_to_owned().ok()?).metadata().ok()?;
            Some((status.dev(), status.ino()))
        };
        self.region == other.region
            || (self.id == other.id && file(self).is_some() && file(self) == file(other))
    }
}
