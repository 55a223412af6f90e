//! The C calls that the crate makes, for Miri, which runs no C: the same functions over an array of
//! this process. All code of the crate above them is the code of every other build, so Miri checks
//! it.
//!
//! Blocks are never used again, so that Miri sees each use of a freed one. What lies in a free
//! block is overwritten. There are no other processes, no files and no growth. Handles have the
//! format of FORMAT.md: tag, generation, granule.
use std::alloc::Layout;
use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::ptr;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

pub(crate) use shmheap_sys::{
    shmheap_block_info, shmheap_memory_handle, shmheap_name_info, shmheap_object_handle,
    shmheap_options, shmheap_process_info, shmheap_report, shmheap_stats, SHMHEAP_ANONYMOUS,
    SHMHEAP_CACHED, SHMHEAP_CREATE, SHMHEAP_EXCLUSIVE, SHMHEAP_FILE, SHMHEAP_HUGE_PAGES,
    SHMHEAP_READ_ONLY, SHMHEAP_REAP, SHMHEAP_SOCKET, SHMHEAP_SPARSE, SHMHEAP_STATE_FREE,
    SHMHEAP_STATE_SENT, SHMHEAP_STATE_SHARED, SHMHEAP_STATE_USED, SHMHEAP_TAKE_OVER,
    SHMHEAP_VERSION,
};

use crate::error::code;
use crate::raw::words;

mod names;

use names::Name;
pub(crate) use names::*;

type Mem = shmheap_memory_handle;
type Handle = shmheap_object_handle;
type Visit<I> = Option<unsafe extern "C" fn(*const I, *mut c_void) -> c_int>;

const LEN: usize = 1 << 18;
/// The tag in handles of heap 1.
const TAG: u64 = 1 << 51;
const GRANULE: u64 = (1 << 36) - 1;

struct Heap {
    region: NonNull<u8>,
    blocks: Vec<Block>,
    names: Vec<Name>,
}

struct Block {
    at: usize,
    len: usize,
    generation: u64,
    state: c_uint,
}

extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// Sets errno, and gives what a call returns that fails.
fn fail<R>(errno: c_int, result: R) -> R {
    // SAFETY: this thread's own.
    unsafe { *__errno_location() = errno };
    result
}

fn layout() -> Layout {
    Layout::from_size_align(LEN, 4096).expect("a layout")
}

impl Block {
    fn bits(&self) -> u64 {
        TAG | self.generation << 36 | ((self.at - 16) / 16) as u64
    }
}

impl Heap {
    fn place(&self, at: usize) -> NonNull<u8> {
        // SAFETY: callers pass offsets of blocks, which lie in the region.
        unsafe { self.region.add(at) }
    }

    /// The live block whose payload begins there.
    fn block(&mut self, object: *const c_void) -> Option<&mut Block> {
        let at = (object as usize).wrapping_sub(self.region.as_ptr() as usize);
        let live = |block: &&mut Block| block.at == at && block.state != SHMHEAP_STATE_FREE;
        self.blocks.iter_mut().find(live)
    }

    /// The block in transit that a handle names; else errno.
    fn sent(&mut self, handle: Handle) -> Result<&mut Block, c_int> {
        let at = 16 + 16 * (handle.bits & GRANULE) as usize;
        let known = self.blocks.iter_mut().find(|block| block.at == at);
        match known {
            None => Err(code::EINVAL),
            Some(block) if block.state == SHMHEAP_STATE_SENT && block.bits() == handle.bits => {
                Ok(block)
            }
            Some(_) if handle.bits >> 51 == TAG >> 51 => Err(code::ESTALE),
            Some(_) => Err(code::EINVAL),
        }
    }

    fn made(&mut self, alignment: usize, size: usize) -> *mut c_void {
        let end = self.blocks.last().map_or(0, |block| block.at + block.len);
        let at = (end + 8).next_multiple_of(alignment.max(16));
        let len = (size.min(LEN) + 8).next_multiple_of(16) - 8;
        if at + len > LEN {
            return fail(code::ENOMEM, ptr::null_mut());
        }
        self.blocks.push(Block { at, len, generation: 1, state: SHMHEAP_STATE_USED });
        self.place(at).as_ptr().cast()
    }
}

/// # Safety
/// Open.
unsafe fn heap<'a>(mem: Mem) -> MutexGuard<'a, Heap> {
    // SAFETY: opened made it.
    unsafe { &*mem.heap.cast::<Mutex<Heap>>() }.lock().expect("no panic under the lock")
}

fn opened(out: *mut Mem) -> c_int {
    // SAFETY: the layout is not empty.
    let region = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout()) }).expect("memory");
    let heap = Mutex::new(Heap { region, blocks: Vec::new(), names: Vec::new() });
    // SAFETY: out may be written.
    unsafe { (*out).heap = Box::into_raw(Box::new(heap)).cast() };
    0
}

pub(crate) unsafe extern "C" fn shmheap_version() -> c_uint {
    SHMHEAP_VERSION
}

pub(crate) unsafe extern "C" fn shmheap_error_text() -> *const c_char {
    c"no call of C has failed".as_ptr()
}

pub(crate) unsafe extern "C" fn shmheap_open(
    out: *mut Mem,
    _: *const c_char,
    _: *const shmheap_options,
) -> c_int {
    opened(out)
}

pub(crate) unsafe extern "C" fn shmheap_create_sealed(
    out: *mut Mem,
    _: *const shmheap_options,
) -> c_int {
    opened(out)
}

pub(crate) unsafe extern "C" fn shmheap_open_fd(
    _: *mut Mem,
    _: c_int,
    _: *const shmheap_options,
) -> c_int {
    fail(code::ENOTSUP, -1)
}

pub(crate) unsafe extern "C" fn shmheap_unlink(_: *const c_char) -> c_int {
    fail(code::ENOENT, -1)
}

pub(crate) unsafe extern "C" fn shmheap_disconnect(mem: Mem) {
    // SAFETY: opened made both; no other call uses them.
    unsafe {
        let heap = Box::from_raw(mem.heap.cast::<Mutex<Heap>>());
        let region = heap.lock().expect("no panic under the lock").region;
        std::alloc::dealloc(region.as_ptr(), layout());
    }
}

pub(crate) unsafe extern "C" fn shmheap_underlying(mem: Mem) -> *mut c_void {
    // SAFETY: open.
    unsafe { heap(mem) }.region.as_ptr().cast()
}

pub(crate) unsafe extern "C" fn shmheap_fd(_: Mem) -> c_int {
    fail(code::ENOTSUP, -1)
}

pub(crate) unsafe extern "C" fn shmheap_fd_writable(_: Mem) -> c_int {
    fail(code::ENOTSUP, -1)
}

pub(crate) unsafe extern "C" fn shmheap_alloc(mem: Mem, size: usize) -> *mut c_void {
    // SAFETY: open.
    unsafe { heap(mem) }.made(16, size)
}

pub(crate) unsafe extern "C" fn shmheap_aligned_alloc(
    mem: Mem,
    align: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: open.
    unsafe { heap(mem) }.made(align, size)
}

pub(crate) unsafe extern "C" fn shmheap_alloc_wait(mem: Mem, size: usize, _: c_int) -> *mut c_void {
    // SAFETY: open.
    unsafe { heap(mem) }.made(16, size)
}

pub(crate) unsafe extern "C" fn shmheap_free(mem: Mem, object: *mut c_void) {
    // SAFETY: open.
    let mut heap = unsafe { heap(mem) };
    let at = object as usize - heap.region.as_ptr() as usize;
    if let Some(i) = heap.names.iter().position(|name| name.at == at) {
        heap.names[i].users -= 1;
        if heap.names[i].users > 0 {
            return;
        }
        heap.names.swap_remove(i);
    }
    let block = heap.block(object).expect("freed twice");
    assert_eq!(block.state, SHMHEAP_STATE_USED, "freed what was sent");
    block.state = SHMHEAP_STATE_FREE;
    let len = block.len;
    // SAFETY: the block lies in the region, and was the caller's.
    unsafe { object.cast::<u8>().write_bytes(0xdb, len) };
}

pub(crate) unsafe extern "C" fn shmheap_usable_size(mem: Mem, object: *const c_void) -> usize {
    // SAFETY: open.
    let mut heap = unsafe { heap(mem) };
    let at = (object as usize).wrapping_sub(heap.region.as_ptr() as usize);
    if let Some(name) = heap.names.iter().find(|name| name.at == at) {
        return name.size;
    }
    heap.block(object).map_or(0, |block| block.len)
}

pub(crate) unsafe extern "C" fn shmheap_ptr_to_handle(mem: Mem, object: *mut c_void) -> Handle {
    // SAFETY: open.
    let bits = unsafe { heap(mem) }.block(object).map(|block| block.bits());
    Handle { bits: bits.unwrap_or_else(|| fail(code::EINVAL, 0)) }
}

pub(crate) unsafe extern "C" fn shmheap_send(mem: Mem, object: *mut c_void) -> Handle {
    // SAFETY: open.
    let mut heap = unsafe { heap(mem) };
    let block = heap.block(object).expect("sent what is free");
    assert_eq!(block.state, SHMHEAP_STATE_USED, "sent twice");
    block.state = SHMHEAP_STATE_SENT;
    block.generation += 1;
    Handle { bits: block.bits() }
}

pub(crate) unsafe extern "C" fn shmheap_send_labelled(
    mem: Mem,
    object: *mut c_void,
    words: *const u64,
    count: usize,
) -> Handle {
    // SAFETY: the words lie in the object, which is the caller's.
    unsafe {
        let end = shmheap_usable_size(mem, object) & !7;
        for i in 0..count {
            let place = object.cast::<u8>().add(end - 8 * (count - i));
            words::store(NonNull::new_unchecked(place), *words.add(i));
        }
        shmheap_send(mem, object)
    }
}

pub(crate) unsafe extern "C" fn shmheap_receive_labelled(
    mem: Mem,
    handle: Handle,
    label: u64,
    least: usize,
) -> *mut c_void {
    // SAFETY: open.
    let mut heap = unsafe { heap(mem) };
    let (at, len) = match heap.sent(handle) {
        Ok(block) => (block.at, block.len),
        Err(errno) => return fail(errno, ptr::null_mut()),
    };
    // SAFETY: within the block, which has no holder.
    if len < least || len < 8 || unsafe { words::load(heap.place(at + len - 8)) } != label {
        return fail(code::ESTALE, ptr::null_mut());
    }
    let block = heap.sent(handle).unwrap_or_else(|_| unreachable!());
    block.state = SHMHEAP_STATE_USED;
    block.generation += 1;
    heap.place(at).as_ptr().cast()
}

pub(crate) unsafe extern "C" fn shmheap_put_back(mem: Mem, handle: Handle) -> c_int {
    // SAFETY: open.
    let mut heap = unsafe { heap(mem) };
    let at = 16 + 16 * (handle.bits & GRANULE) as usize;
    let block = heap.blocks.iter_mut().find(|block| block.at == at).expect("a block");
    block.generation -= 1;
    assert!(
        block.state == SHMHEAP_STATE_USED && block.bits() == handle.bits,
        "put back, but not claimed so"
    );
    block.state = SHMHEAP_STATE_SENT;
    0
}

pub(crate) unsafe extern "C" fn shmheap_peek(
    mem: Mem,
    handle: Handle,
    offset: isize,
    to: *mut c_void,
    bytes: usize,
) -> usize {
    // SAFETY: open. Under the lock, so that no thread claims the object meanwhile.
    let mut heap = unsafe { heap(mem) };
    let (at, len) = match heap.sent(handle) {
        Ok(block) => (block.at, block.len),
        Err(errno) => return fail(errno, 0),
    };
    let from = if offset < 0 { len as isize + offset } else { offset };
    if from < 0 || from as usize + bytes > len {
        return fail(code::ERANGE, 0);
    }
    // SAFETY: within the block, which has no holder; to is the caller's.
    unsafe { words::copy_out(heap.place(at + from as usize), to.cast(), bytes) };
    len
}

pub(crate) unsafe extern "C" fn shmheap_reap(_: Mem, _: c_uint) -> c_long {
    0
}

pub(crate) unsafe extern "C" fn shmheap_check(_: Mem, _: *mut shmheap_report) -> c_int {
    0
}

pub(crate) unsafe extern "C" fn shmheap_stat(mem: Mem, stats: *mut shmheap_stats) -> c_int {
    // SAFETY: open.
    let heap = unsafe { heap(mem) };
    let used = heap.blocks.iter().filter(|block| block.state != SHMHEAP_STATE_FREE).count();
    let len = LEN as u64;
    // SAFETY: stats may be written.
    unsafe {
        *stats = shmheap_stats {
            len,
            max_len: len,
            segment_len: len,
            alignment: 16,
            id: 1,
            used_blocks: used as u64,
            processes: 1,
            ..Default::default()
        }
    };
    0
}

pub(crate) unsafe extern "C" fn shmheap_walk(
    mem: Mem,
    visit: Visit<shmheap_block_info>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: open.
    for block in &unsafe { heap(mem) }.blocks {
        let info = shmheap_block_info {
            offset: block.at as u64,
            size: block.len as u64 + 8,
            len: block.len as u64,
            state: block.state,
            generation: block.generation as c_uint,
            ..Default::default()
        };
        // SAFETY: the context is visit's.
        unsafe { visit.expect("a function")(&info, context) };
    }
    0
}

pub(crate) unsafe extern "C" fn shmheap_processes(
    _: Mem,
    visit: Visit<shmheap_process_info>,
    context: *mut c_void,
) -> c_int {
    let info = shmheap_process_info { slot: 1, alive: 1, self_: 1, ..Default::default() };
    // SAFETY: the context is visit's.
    unsafe { visit.expect("a function")(&info, context) };
    0
}

/// There are no children.
pub(crate) unsafe extern "C" fn madvise(_: *mut c_void, _: usize, _: c_int) -> c_int {
    0
}

/// There are no children.
pub(crate) unsafe extern "C" fn pthread_atfork(
    _: Option<extern "C" fn()>,
    _: Option<extern "C" fn()>,
    _: Option<extern "C" fn()>,
) -> c_int {
    0
}
