//! Objects with names, for Miri.
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr;

use super::{fail, heap, shmheap_name_info, Mem, Visit};
use crate::error::code;

pub(super) struct Name {
    name: CString,
    pub(super) at: usize,
    pub(super) size: usize,
    pub(super) users: u64,
}

/// # Safety
/// It ends with a zero byte.
unsafe fn text(name: *const c_char) -> CString {
    // SAFETY: says the caller.
    unsafe { CStr::from_ptr(name) }.to_owned()
}

pub(crate) unsafe extern "C" fn shmheap_alloc_named(
    mem: Mem,
    name: *const c_char,
    size: usize,
) -> *mut c_void {
    // SAFETY: open; a name.
    let (mut heap, name) = unsafe { (heap(mem), text(name)) };
    let heap = &mut *heap;
    if let Some(found) = heap.names.iter_mut().find(|found| found.name == name) {
        if found.size < size {
            return fail(code::EINVAL, ptr::null_mut());
        }
        found.users += 1;
        let at = found.at;
        return heap.place(at).as_ptr().cast();
    }
    let place = heap.made(16, size);
    if !place.is_null() {
        let at = place as usize - heap.region.as_ptr() as usize;
        heap.names.push(Name { name, at, size, users: 1 });
    }
    place
}

pub(crate) unsafe extern "C" fn shmheap_find(
    mem: Mem,
    name: *const c_char,
    _: *mut usize,
) -> *mut c_void {
    // SAFETY: open; a name.
    let (heap, name) = unsafe { (heap(mem), text(name)) };
    match heap.names.iter().find(|found| found.name == name) {
        Some(found) => heap.place(found.at).as_ptr().cast(),
        None => fail(code::ENOENT, ptr::null_mut()),
    }
}

pub(crate) unsafe extern "C" fn shmheap_names(
    mem: Mem,
    visit: Visit<shmheap_name_info>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: open.
    for name in &unsafe { heap(mem) }.names {
        let bytes = name.name.as_bytes();
        let mut info = shmheap_name_info {
            name: [0; 256],
            name_len: bytes.len() as u64,
            offset: name.at as u64,
            len: name.size as u64,
            users: name.users,
            kept: 0,
        };
        for (to, &from) in info.name.iter_mut().zip(bytes) {
            *to = from as c_char;
        }
        // SAFETY: the context is visit's.
        unsafe { visit.expect("a function")(&info, context) };
    }
    0
}

pub(crate) unsafe extern "C" fn shmheap_name_keep(_: Mem, _: *const c_char) -> c_int {
    fail(code::ENOTSUP, -1)
}

pub(crate) unsafe extern "C" fn shmheap_name_remove(_: Mem, _: *const c_char) -> c_int {
    fail(code::ENOTSUP, -1)
}
