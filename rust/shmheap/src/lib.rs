//! Values on a heap in memory that several processes share: allocated by any, freed by any, passed on as 8 bytes,
//! never copied.
//!
//! ```
//! use shmheap::{FromBytes, Heap, Immutable, IntoBytes, KnownLayout};
//!
//! #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
//! #[repr(C)]
//! struct Sample {
//!     time_ns: u64,
//!     value: f64,
//! }
//!
//! // One process:
//! let name = format!("/samples-{}", std::process::id());
//! let heap = Heap::create(&name, 1 << 20)?;
//! let handle = heap.boxed(Sample { time_ns: 1, value: 0.5 })?.send()?;
//! let text = handle.to_string(); // 16 digits for a pipe, or 8 bytes in a message or in the heap itself
//!
//! // Another:
//! let heap = Heap::open(&name)?;
//! let sample = heap.receive::<Sample>(text.parse()?)?;
//! assert_eq!(sample.value, 0.5);
//! # Heap::remove(&name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The derives come from the crate `zerocopy`: add it to your dependencies, or write
//! `#[zerocopy(crate = "shmheap::zerocopy")]` below the derive to go through this crate's:
//!
//! ```
//! # use shmheap::{FromBytes, Handle, Heap, Immutable, IntoBytes, KnownLayout};
//! #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
//! #[zerocopy(crate = "shmheap::zerocopy")]
//! #[repr(C)]
//! struct Node {
//!     next: Handle<Node>,
//!     value: [f32; 4],
//! }
//! # let heap = Heap::anonymous(1 << 16)?;
//! # assert!(heap.boxed(Node { next: Handle::NULL, value: [1.0; 4] })?.next.is_null());
//! # Ok::<(), shmheap::Error>(())
//! ```
//!
//! # What is promised
//!
//! **A process may die at any instruction.** The others go on. [`Heap::reap`] gives back what it held.
//!
//! **Bytes are never an invalid value.** What may lie in the heap takes any bytes ([`Plain`], [`Shareable`]); text is
//! checked when it is received. No call panics on what another process did.
//!
//! **No undefined behaviour through safe code, as long as other processes keep to the protocol**: they use an object only
//! while they hold it, which is all that this crate lets them do, and what `shmheap.h` asks of C programs. Safe code in
//! any process cannot break it, whatever handles it makes up: [`Heap::receive`] claims only what was sent, once, and what this
//! crate keeps for itself is told from boxes by marks where no safe code can write.
//!
//! **From a process that does not keep to it** (it writes the memory behind the library's back) these stay as they are: no
//! call reads or writes outside the heap's memory, loops without end, or makes an invalid value of bytes that hold still.
//! What cannot be had is a `&T` to memory that somebody else writes while you read: Rust calls that undefined. So when
//! peers are not trusted at all, receive with [`Heap::take`], or use [`ShmBox::snapshot`], or share only atomics: those are
//! sound whatever happens to the memory. And such a process can destroy any object, and by truncating the file
//! below a heap with a name raise SIGBUS (an [anonymous](Heap::anonymous) heap is sealed against that).
//!
//! # Which to take
//!
//! [`ShmBox`]: one owner, moved from process to process by [`Handle`]. [`ShmArc`]: many owners, who get it from each
//! other. [`Root`]: many owners, who find it by name: what a heap begins with, such as mailboxes for the handles of all
//! else.
//!
//! # Costs
//!
//! A box is 8 bytes more than its value, 24 at least together, and the heap's own 8. Boxes hold the heap open, by a
//! count; `ShmBox<T, &Heap>` ([`ShmBox::new_in`]) borrows it, and saves the two atomic instructions; so does
//! `ShmBox<T, &'static Heap>` of a heap that stays open ([`Heap::leak`]).
//!
//! Linux, 64 bits, little-endian, gcc or clang to compile the C sources of `shmheap-sys`.
#![deny(unsafe_op_in_unsafe_fn, missing_docs, unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(miri, allow(dead_code))]

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

pub use arc::ShmArc;
pub use boxed::ShmBox;
pub use content::{Content, Plain, Shareable};
pub use error::{Error, Result};
pub use handle::{ArcHandle, AtomicHandle, Handle};
pub use heap::{Heap, HeapOptions, HeapRef, Reaped, Stats};
pub use root::{NameInfo, Root};

pub use zerocopy;
pub use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
