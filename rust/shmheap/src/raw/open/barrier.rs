//! A memory barrier in all threads of this process: `membarrier(2)`, Linux 4.14.
//!
//! A thread that counts pays for no fence. The thread that closes a heap pays for all of them: the
//! kernel interrupts each processor that runs a thread of this process, and a thread that is not
//! running passed a barrier when the kernel took it off its processor.
use std::ffi::c_long;

extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const MEMBARRIER: c_long = 324;
#[cfg(target_arch = "x86")]
const MEMBARRIER: c_long = 375;
/// Of aarch64, and of every machine that Linux has supported since.
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
const MEMBARRIER: c_long = 283;

const PRIVATE_EXPEDITED: c_long = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: c_long = 1 << 4;

fn membarrier(command: c_long) -> bool {
    // SAFETY: (membarrier) changes no memory, and refuses a command that it does not know. Its last
    // argument is ignored.
    !cfg!(miri) && unsafe { syscall(MEMBARRIER, command, 0 as c_long, 0 as c_long) } == 0
}

/// Tells the kernel that this process will call `all_threads`; false: the kernel, or a filter of
/// system calls, refuses. A repeated call costs one short system call.
pub(crate) fn register() -> bool {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

/// Each other thread of this process passes a full memory barrier between the begin of this call
/// and its end, and so does the caller. False: the kernel refuses.
pub(crate) fn all_threads() -> bool {
    membarrier(PRIVATE_EXPEDITED)
}
