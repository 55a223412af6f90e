//! Objects with names.
use std::ffi::CStr;
use std::ptr::{self, NonNull};

use super::{errno, error_text, sys, Connection};
use crate::error::{code, Error, Result};

/// A name as C shows it.
pub(crate) struct Named {
    pub name: Vec<u8>,
    pub len: u64,
    pub users: u64,
    pub kept: bool,
}

impl Connection {
    /// The object of this name, made with `size` bytes where there is none: one use of it, to be
    /// freed. `None`: the one that is there is shorter.
    pub(crate) fn alloc_named(&self, name: &CStr, size: usize) -> Result<Option<NonNull<u8>>> {
        self.here()?;
        // SAFETY: C, shmheap_alloc_named: name ends with a zero byte; any size is allowed.
        let object = unsafe { sys::shmheap_alloc_named(self.mem, name.as_ptr(), size) };
        match NonNull::new(object.cast()) {
            Some(object) => Ok(Some(object)),
            None => match errno() {
                code::ENOMEM => Err(Error::OutOfMemory { size }),
                code::EINVAL => Ok(None),
                code::ENAMETOOLONG => Err(Error::InvalidName("it is longer than 255 bytes")),
                other => Err(Error::from_change(other, error_text)),
            },
        }
    }

    /// The name stays without uses.
    pub(crate) fn keep_name(&self, name: &CStr) -> Result<()> {
        self.here()?;
        // SAFETY: C, shmheap_name_keep: name ends with a zero byte.
        match unsafe { sys::shmheap_name_keep(self.mem, name.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Self::no_name(errno(), name)),
        }
    }

    /// The name is kept no longer; true: no living process uses it, and it is gone.
    pub(crate) fn remove_name(&self, name: &CStr) -> Result<bool> {
        self.here()?;
        // SAFETY: C, shmheap_name_remove: name ends with a zero byte; a process that uses the
        // object keeps it.
        match unsafe { sys::shmheap_name_remove(self.mem, name.as_ptr()) } {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(Self::no_name(errno(), name)),
        }
    }

    fn no_name(code: i32, name: &CStr) -> Error {
        match code {
            code::ENOENT => Error::NoSuchName { name: name.to_string_lossy().into() },
            other => Error::from_change(other, error_text),
        }
    }

    /// Whether there is an object of this name now.
    pub(crate) fn has_name(&self, name: &CStr) -> Result<bool> {
        self.here()?;
        // SAFETY: C, shmheap_find: name ends with a zero byte; the size may be NULL. What it
        // returns is not used.
        let object = unsafe { sys::shmheap_find(self.mem, name.as_ptr(), ptr::null_mut()) };
        match object.is_null().then(errno) {
            None => Ok(true),
            Some(code::ENOENT) => Ok(false),
            Some(other) => Err(Error::from_change(other, error_text)),
        }
    }

    pub(crate) fn names(&self) -> Result<Vec<Named>> {
        let mut names = Vec::new();
        let mut show = |info: &sys::shmheap_name_info| {
            let len = usize::try_from(info.name_len).map_or(255, |len| len.min(255));
            let name = info.name[..len].iter().map(|&c| c as u8).collect();
            names.push(Named { name, len: info.len, users: info.users, kept: info.kept != 0 });
        };
        self.each(sys::shmheap_names, &mut show)?;
        Ok(names)
    }
}
