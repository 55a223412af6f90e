//! The C interface of shmheap, as bindgen reads it from `shmheap.h`.
//!
//! Each call's contract (success, failure, `errno`, threads, processes) is the comment in that
//! header, which lies in this package under `c/include/`. Rust programs want the safe crate
//! `shmheap` instead.
//!
//! ```
//! use shmheap_sys::*;
//!
//! let flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
//! let options = shmheap_options { flags, ..Default::default() };
//! let mut heap = shmheap_memory_handle { heap: core::ptr::null_mut() };
//! // SAFETY: out and options point to values of their types; an anonymous heap has no name.
//! unsafe {
//!     assert_eq!(shmheap_open(&mut heap, core::ptr::null(), &options), 0);
//!     let object = shmheap_alloc(heap, 100);
//!     assert!(!object.is_null());
//!     shmheap_free(heap, object);
//!     shmheap_disconnect(heap);
//! }
//! ```
#![no_std]

mod bindings {
    #![allow(
        non_camel_case_types,
        non_snake_case,
        non_upper_case_globals,
        missing_docs,
        clippy::all
    )]
    #[cfg(not(feature = "bindgen"))]
    include!("bindings.rs");
    #[cfg(feature = "bindgen")]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
pub use bindings::*;
