//! What a heap says of itself: figures, blocks, processes; and reaping.
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use super::{errno, error_text, sys, Connection};
use crate::error::{Error, Result};

/// A block as a walk shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub offset: u64,
    pub len: u64,
    pub generation: u32,
    /// In transit.
    pub sent: bool,
    /// Held by a process, or in transit: neither free nor the heap's own.
    pub live: bool,
}

/// Figures of a heap, as C gives them.
pub(crate) type Found = sys::shmheap_stats;

/// The calls that show something one by one.
type Looking<I> = unsafe extern "C" fn(
    sys::shmheap_memory_handle,
    Option<unsafe extern "C" fn(*const I, *mut c_void) -> c_int>,
    *mut c_void,
) -> c_int;

/// 32 bits that no two connections that ever were have in common, but by a chance of 1 to 2^32.
fn identity_of(process: &sys::shmheap_process_info) -> u32 {
    let words = [u64::from(process.slot), process.pid as u64, process.connected_ns];
    words.iter().fold(1, |hash: u64, word| {
        (hash.rotate_left(29) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }) as u32
        ^ process.slot
}

/// What C calls for each thing that it shows.
///
/// # Safety
/// info is valid during the call, and context points to an F that no other code uses meanwhile.
unsafe extern "C" fn visit_each<I, F: FnMut(&I)>(info: *const I, context: *mut c_void) -> c_int {
    // SAFETY: says the caller.
    let (info, visit) = unsafe { (&*info, &mut *context.cast::<F>()) };
    visit(info);
    0
}

impl Connection {
    pub(crate) fn stats(&self) -> Result<Found> {
        self.here()?;
        let mut stats = Found::default();
        // SAFETY: C, shmheap_stat: stats may be written.
        match unsafe { sys::shmheap_stat(self.mem, &mut stats) } {
            0 => Ok(stats),
            _ => Err(Error::from_change(errno(), error_text)),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.here()?;
        let mut report = sys::shmheap_report::default();
        // SAFETY: C, shmheap_check: report may be written.
        match unsafe { sys::shmheap_check(self.mem, &mut report) } {
            0 => Ok(()),
            1 => Err(Error::Unsound {
                rule: report.rule,
                offset: report.offset,
                text: report
                    .text
                    .iter()
                    .take_while(|&&c| c != 0)
                    .map(|&c| char::from(c as u8))
                    .collect(),
            }),
            _ => Err(Error::from_change(errno(), error_text)),
        }
    }

    /// Frees the objects that only dead processes held: how many.
    pub(crate) fn reap(&self) -> Result<u64> {
        self.here()?;
        // SAFETY: C, shmheap_reap without SHMHEAP_REAP_SHARED: "frees the objects that dead
        // processes held, if no handle of them was taken and they are not in transit".
        let freed = unsafe { sys::shmheap_reap(self.mem, 0) };
        u64::try_from(freed).map_err(|_| Error::from_change(errno(), error_text))
    }

    /// Calls visit for each block, in the order of addresses.
    pub(crate) fn walk(&self, mut visit: impl FnMut(Block)) -> Result<()> {
        let mut show = |info: &sys::shmheap_block_info| {
            visit(Block {
                offset: info.offset,
                len: info.len,
                generation: info.generation,
                sent: info.state == sys::SHMHEAP_STATE_SENT,
                live: matches!(
                    info.state,
                    sys::SHMHEAP_STATE_USED | sys::SHMHEAP_STATE_SHARED | sys::SHMHEAP_STATE_SENT
                ),
            })
        };
        self.each(sys::shmheap_walk, &mut show)
    }

    /// Has C call visit. The crate's closures do not panic: an unwinding that reached extern "C"
    /// would abort.
    pub(super) fn each<I, F: FnMut(&I)>(&self, call: Looking<I>, visit: &mut F) -> Result<()> {
        self.here()?;
        // SAFETY: C, shmheap_walk, shmheap_names, shmheap_processes: they call visit_each with what
        // is valid during the call and with this context, the closure of its type, which no other
        // code uses meanwhile.
        match unsafe { call(self.mem, Some(visit_each::<I, F>), ptr::from_mut(visit).cast()) } {
            0 => Ok(()),
            _ => Err(Error::from_change(errno(), error_text)),
        }
    }

    /// A number that tells this connection from all others of the heap, living or dead. Found by a
    /// walk over the heap, once in each process.
    pub(crate) fn identity(&self) -> Result<u32> {
        let pid = u64::from(std::process::id());
        let known = self.identity.load(Ordering::Relaxed);
        if known >> 32 == pid {
            return Ok(known as u32);
        }
        let mut found = None;
        self.each(sys::shmheap_processes, &mut |process: &sys::shmheap_process_info| {
            if process.self_ != 0 {
                found = Some(identity_of(process));
            }
        })?;
        let identity = found.ok_or_else(Error::corrupt)?;
        self.identity.store((pid << 32) | u64::from(identity), Ordering::Relaxed);
        Ok(identity)
    }

    /// Whether the process of that identity lives and is connected. Costs a walk over the heap.
    pub(crate) fn lives(&self, identity: u32) -> Result<bool> {
        let mut lives = false;
        self.each(sys::shmheap_processes, &mut |process: &sys::shmheap_process_info| {
            lives |= process.alive != 0 && identity_of(process) == identity;
        })?;
        Ok(lives)
    }
}
