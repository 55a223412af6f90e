//! Values on a heap in memory that several processes share: allocated by any, freed by any, passed
//! on as 8 bytes, never copied.
//!
//! ```
//! use shmheap::{Heap, Shm};
//!
//! #[derive(Shm)]
//! #[repr(C)]
//! struct Sample {
//!     time_ns: u64,
//!     value: f64,
//! }
//!
//! // One process:
//! let name = format!("/samples-{}", std::process::id());
//! // SAFETY: the programs that open heaps of this name are ours, and write it by this crate alone.
//! let heap = unsafe { Heap::create(&name, 1 << 20)? };
//! let handle = heap.boxed(Sample { time_ns: 1, value: 0.5 })?.send()?;
//! let text = handle.to_string(); // 16 digits, or 8 bytes in a message or in the heap itself
//!
//! // Another:
//! // SAFETY: as above.
//! let heap = unsafe { Heap::open(&name)? };
//! let sample = heap.receive::<Sample>(text.parse()?)?;
//! assert_eq!(sample.value, 0.5);
//! # Heap::remove(&name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! **A process may die at any instruction.** The other processes go on. [`Heap::reap`] gives back
//! what it held.
//!
//! **No undefined behaviour through safe code.** What safe code does with a heap, with handles that
//! it makes up, with the heap's descriptor or with `fork()`, gives errors, panics, or a death of
//! the process itself. Three things make that so:
//!
//! - *Types.* What lies in the heap implements [`Shm`], by a derive. Each object bears 64 bits of
//!   its type's fingerprint, and its length; a receive compares both, and checks that the bytes are
//!   a value of the type, before it claims anything.
//! - *Trust.* A `&T` to memory that another process writes is undefined behaviour, and no library
//!   can keep another process from writing memory that it may write. So opening a heap gives an
//!   [`UntrustedHeap`], which copies, and references come with a promise about the other processes:
//!   [`UntrustedHeap::trust`], [`Heap::open`] and [`Heap::create`] are `unsafe`.
//! - *The kernel.* A heap of [`Heap::anonymous`] has one writer, by a seal on its memory, and needs
//!   no promise. A [`read_only`](HeapOptions::read_only) connection cannot write. The descriptor
//!   that a heap lends is for reading. A child made by `fork()` does not inherit the mapping.
//!
//! `/proc/self/mem`, `ptrace` and the like are out of scope, as for Rust itself.
//!
//! # Which processes to trust
//!
//! | the other processes | use | references | costs |
//! | --- | --- | --- | --- |
//! | run your programs | [`Heap`], by one `unsafe` call | yes | none |
//! | may do anything | [`UntrustedHeap`] | to atomics | a copy in, a copy out |
//! | only look | [`Heap::anonymous`]; they open it read-only | yes | none |
//! | are looked at | [`UntrustedHeap`], read-only | none | a copy out |
//!
//! The crates that stand for each answer: memmap2 makes every mapping an `unsafe` call; vm-memory,
//! whose peer is a guest system, copies by volatile accesses and gives no references; iceoryx2 is
//! safe to call and trusts all processes of its service. This crate serves the first and the second
//! by two types, so that a reader of a program sees which promise it makes, once, where it opens.
//!
//! # Which to take
//!
//! [`ShmBox`]: one owner, moved from process to process by [`Handle`]. [`ShmArc`]: many owners,
//! which get it from each other. [`Root`]: many owners, which find it by name: what a heap begins
//! with, such as mailboxes for the handles of all else.
//!
//! # Costs
//!
//! A box is 8 bytes more than its value (a slice or text 16), 16 at least together, and the heap's
//! own 8. Boxes hold the heap open, by a count of each thread; `ShmBox<T, &Heap>`
//! ([`ShmBox::new_in`]) borrows it, and needs no count; so does `ShmBox<T, &'static Heap>` of a
//! heap that stays open ([`Heap::leak`]). Once all `Heap` values have gone, boxes are counted by an
//! atomic: a program that makes many keeps a `Heap`.
//!
//! Linux, little-endian, 64 bits or 32-bit x86; gcc or clang to compile the C sources of
//! `shmheap-sys`.
#![deny(unsafe_op_in_unsafe_fn, missing_docs, unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(miri, allow(dead_code))]

#[cfg(not(all(
    target_os = "linux",
    target_endian = "little",
    any(target_pointer_width = "64", target_arch = "x86"),
    target_has_atomic = "64"
)))]
compile_error!(
    "shmheap runs on Linux, on little-endian machines of 64 bits and on 32-bit x86: this target \
     is another one"
);

mod arc;
mod boxed;
mod content;
mod error;
mod handle;
mod heap;
mod label;
mod raw;
mod root;
mod sweep;
mod transit;
mod untrusted;

pub use arc::ShmArc;
pub use boxed::ShmBox;
pub use content::{Content, Shareable};
pub use error::{Error, Result};
pub use handle::{ArcHandle, AtomicHandle, Handle, ParseHandleError};
pub use heap::{Heap, HeapOptions, HeapRef, Reaped, Stats};
pub use raw::{Shape, Shm};
pub use root::{NameInfo, Root};
pub use transit::Transit;
pub use untrusted::UntrustedHeap;

pub use shmheap_derive::Shm;

/// For the derive, whose words must not depend on what a program calls `core`.
#[doc(hidden)]
pub mod __private {
    pub use ::core;
}
