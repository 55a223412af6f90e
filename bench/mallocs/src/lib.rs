//! C calls to three mallocs, each one jump more than the malloc's own. bench/peers/malloc.cpp loads
//! the library; a process calls one malloc only.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

macro_rules! forward {
    ($library:ident: $alloc:ident = $malloc:ident, $end:ident = $free:ident,
     $resize:ident = $realloc:ident) => {
        /// # Safety
        /// As malloc.
        #[no_mangle]
        pub unsafe extern "C" fn $alloc(size: usize) -> *mut c_void {
            $library::$malloc(size)
        }
        /// # Safety
        /// As free.
        #[no_mangle]
        pub unsafe extern "C" fn $end(object: *mut c_void) {
            $library::$free(object)
        }
        /// # Safety
        /// As realloc.
        #[no_mangle]
        pub unsafe extern "C" fn $resize(object: *mut c_void, size: usize) -> *mut c_void {
            $library::$realloc(object, size)
        }
    };
}

forward!(libmimalloc_sys: mimalloc_alloc = mi_malloc, mimalloc_free = mi_free,
    mimalloc_resize = mi_realloc);
forward!(snmalloc_sys: snmalloc_alloc = sn_malloc, snmalloc_free = sn_free,
    snmalloc_resize = sn_realloc);
forward!(tikv_jemalloc_sys: jemalloc_alloc = malloc, jemalloc_free = free,
    jemalloc_resize = realloc);

/// Returns major * 10000 + minor * 100 + patch.
#[no_mangle]
pub extern "C" fn mimalloc_version() -> c_int {
    // SAFETY: it reads a constant.
    unsafe { libmimalloc_sys::mi_version() }
}

/// Returns a text that lives as long as the process, or null.
#[no_mangle]
pub extern "C" fn jemalloc_version() -> *const c_char {
    let mut text: *const c_char = null_mut();
    let mut len = size_of::<*const c_char>();
    // SAFETY: "version" writes a pointer of this length.
    let failed = unsafe {
        let place = (&raw mut text).cast();
        tikv_jemalloc_sys::mallctl(c"version".as_ptr(), place, &mut len, null_mut(), 0)
    };
    if failed == 0 {
        text
    } else {
        null_mut()
    }
}

/// Returns a text that lives as long as the process.
#[no_mangle]
pub extern "C" fn snmalloc_version() -> *const c_char {
    concat!(env!("SNMALLOC"), "\0").as_ptr().cast()
}
