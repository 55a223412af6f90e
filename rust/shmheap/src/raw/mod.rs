//! All of the crate's unsafe code. UNSAFE.md lists the blocks and why each is sound; a test holds
//! it to this folder.
//!
//! - `connection`: the C calls.
//! - `core_for_miri`: the C calls again, for Miri.
//! - `open`: what keeps a connection open.
//! - `object`: an object that this process holds, and the values in it.
//! - `shm`: the trait of what may lie in the heap.
//! - `process`: which process this is, and what the kernel keeps from child processes.
//! - `words`: copies of memory that other processes may write meanwhile.
//! - `front`: the inside of a `ShmArc`.
//! - `root`: an object with a name, and the value in it.
//!
//! What "C:" quotes in a SAFETY comment is shmheap.h.
#![allow(unsafe_code)]

mod connection;
#[cfg(miri)]
mod core_for_miri;
mod front;
mod object;
mod open;
mod process;
mod root;
mod shm;
mod words;

pub(crate) use connection::*;
pub(crate) use front::{bury, ticket_names, FrontCopy, Shared, FRONT_LEN};
pub(crate) use object::{discard, peek, receive_bytes, send_copy, take, Object};
pub use open::Reference;
pub(crate) use open::{Held, OpenRef};
pub(crate) use process::Process;
pub(crate) use root::Used;
pub(crate) use shm::mix;
pub use shm::{Shape, Shm};
