//! The C calls, each behind a function that cannot be called wrongly but where it says `unsafe`.
use std::ffi::{c_int, c_void, CStr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shmheap_sys as sys;

use crate::error::{code, Error, Result};
use crate::raw::process::{Place, Process};

/// A connection to a heap, open as long as this lives.
///
/// Invariant: `mem` is a handle that a successful `shmheap_open` or `shmheap_open_fd` gave, and
/// only `Drop` disconnects it.
#[derive(Debug)]
pub(crate) struct Connection {
    mem: sys::shmheap_memory_handle,
    region: NonNull<u8>,
    alignment: usize,
    id: u64,
    /// What children made by fork() do not use.
    place: Option<&'static Place>,
    /// The process that opened it. No other one uses it: a child made by fork() has copies of all
    /// that refers to it.
    process: Process,
    /// The process that last called `identity`, and the result; 0: no process has called it.
    identity: AtomicU64,
    /// The largest copy of a value, in bytes; 0: any.
    copies_up_to: usize,
}

// SAFETY: C, Threads: "Any thread of any process may make any call at any time", except during and
// after shmheap_disconnect. Only Drop calls it, when no other thread has the connection any more.
unsafe impl Send for Connection {}
// SAFETY: as above; the calls of one connection may overlap in time.
unsafe impl Sync for Connection {}

/// How to open: what `shmheap_options` has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    pub len: usize,
    pub max_len: usize,
    pub alignment: usize,
    pub flags: u32,
    pub mode: u32,
    pub timeout_ms: u32,
    /// The largest copy of a value, in bytes; 0: any.
    pub copies_up_to: usize,
}

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

/// A name as C shows it.
pub(crate) struct Named {
    pub name: Vec<u8>,
    pub len: u64,
    pub users: u64,
    pub kept: bool,
}

/// Figures of a heap, as C gives them.
pub(crate) type Found = sys::shmheap_stats;

/// The calls that show something one by one.
type Looking<I> = unsafe extern "C" fn(
    sys::shmheap_memory_handle,
    Option<unsafe extern "C" fn(*const I, *mut c_void) -> c_int>,
    *mut c_void,
) -> c_int;

pub(crate) const CREATE: u32 = sys::SHMHEAP_CREATE;
pub(crate) const EXCLUSIVE: u32 = sys::SHMHEAP_EXCLUSIVE;
pub(crate) const READ_ONLY: u32 = sys::SHMHEAP_READ_ONLY;
pub(crate) const CACHED: u32 = sys::SHMHEAP_CACHED;
pub(crate) const REAP: u32 = sys::SHMHEAP_REAP;
pub(crate) const SPARSE: u32 = sys::SHMHEAP_SPARSE;
pub(crate) const HUGE_PAGES: u32 = sys::SHMHEAP_HUGE_PAGES;
pub(crate) const ANONYMOUS: u32 = sys::SHMHEAP_ANONYMOUS;
pub(crate) const FILE: u32 = sys::SHMHEAP_FILE;
pub(crate) const TAKE_OVER: u32 = sys::SHMHEAP_TAKE_OVER;
pub(crate) const SOCKET: u32 = sys::SHMHEAP_SOCKET;

/// FORMAT.md, Blocks.
const HEADER_SIZE_MASK: u64 = (1 << 36) - 1;

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

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Why the call that has just failed in this thread failed, as C says it.
fn error_text() -> Box<str> {
    // SAFETY: C, shmheap_error_text: it returns a text with a zero byte at its end, "valid until
    // the thread's next failure"; no call comes between.
    let text = unsafe { CStr::from_ptr(sys::shmheap_error_text()) };
    text.to_string_lossy().into()
}

#[cold]
fn not_changed() -> Error {
    Error::from_change(errno(), error_text)
}

#[cold]
#[inline(never)]
fn in_a_child() -> ! {
    panic!(
        "this value is the parent's: a child made by fork() opens the heap itself, and receives \
         what it is to use"
    )
}

#[cold]
fn not_seen() -> Error {
    match errno() {
        code::EACCES => Error::ReadOnly,
        code::EBADMSG => Error::Corrupt,
        _ => Error::Stale,
    }
}

#[cold]
fn not_sent() -> Error {
    match errno() {
        code::EINVAL => Error::Stale,
        other => Error::from_change(other, error_text),
    }
}

#[cold]
fn not_allocated(size: usize) -> Error {
    match errno() {
        code::ENOMEM => Error::OutOfMemory { size },
        code::EINVAL => Error::TooLarge,
        other => Error::from_change(other, error_text),
    }
}

/// The installed library (feature `system`) may be another one than that whose header was compiled
/// against.
fn check_version() -> Result<()> {
    // SAFETY: C, shmheap_version: may be called at any time.
    let (needed, found) = (sys::SHMHEAP_VERSION, unsafe { sys::shmheap_version() });
    match found / 100 == needed / 100 && found >= needed {
        true => Ok(()),
        false => Err(Error::OtherLibrary { needed, found }),
    }
}

impl Opening {
    fn as_c(&self) -> sys::shmheap_options {
        sys::shmheap_options {
            len: self.len,
            max_len: self.max_len,
            alignment: self.alignment,
            flags: self.flags,
            mode: self.mode,
            timeout_ms: self.timeout_ms,
        }
    }
}

impl Connection {
    pub(crate) fn open(name: Option<&CStr>, opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        let words = name.map_or("(anonymous)".into(), CStr::to_string_lossy);
        let name = name.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: C, shmheap_open: name is NULL or ends with a zero byte, options is valid during
        // the call.
        Self::opened(&words, opening, |out| unsafe { sys::shmheap_open(out, name, &options) })
    }

    /// A heap without a name. No process, this one too, can map its memory to write it, or write to
    /// its file: this connection has the one mapping that can.
    pub(crate) fn create_sealed(opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        // SAFETY: C, shmheap_create_sealed: options is valid during the call.
        Self::opened("(anonymous)", opening, |out| unsafe {
            sys::shmheap_create_sealed(out, &options)
        })
    }

    pub(crate) fn open_fd(fd: BorrowedFd<'_>, opening: &Opening) -> Result<Self> {
        let options = opening.as_c();
        let words = format!("descriptor {}", fd.as_raw_fd());
        // SAFETY: C, shmheap_open_fd: "It neither keeps nor closes fd"; options is valid
        // during the call.
        Self::opened(&words, opening, |out| unsafe {
            sys::shmheap_open_fd(out, fd.as_raw_fd(), &options)
        })
    }

    fn opened(
        name: &str,
        opening: &Opening,
        open: impl FnOnce(*mut sys::shmheap_memory_handle) -> c_int,
    ) -> Result<Self> {
        let mut mem = sys::shmheap_memory_handle { heap: ptr::null_mut() };
        check_version()?;
        Place::watch();
        if open(&mut mem) != 0 {
            return Err(Error::from_open(errno(), name, error_text));
        }
        // SAFETY: C, shmheap_underlying: mem is open.
        let region = NonNull::new(unsafe { sys::shmheap_underlying(mem) }.cast())
            .ok_or(Error::Unsupported)?;
        let process = Process::current();
        let identity = AtomicU64::new(0);
        let mut connection = Connection {
            mem,
            region,
            alignment: 16,
            id: 0,
            place: None,
            process,
            identity,
            copies_up_to: opening.copies_up_to,
        };
        let stats = connection.stats()?;
        connection.alignment = if stats.alignment == 8 { 8 } else { 16 };
        connection.id = stats.id;
        connection.keep_from_children(&stats)?;
        Ok(connection)
    }

    /// A reference that a child made by fork() has inherited would be to memory that the parent
    /// goes on using: let it lead nowhere.
    fn keep_from_children(&mut self, stats: &Found) -> Result<()> {
        let before = (stats.segment_len - stats.len) as usize; // control data and index
        let len = (before as u64).saturating_add(stats.max_len);
        let start = self.region.as_ptr().wrapping_sub(before);
        let len = usize::try_from(len).map_err(|_| Error::TooLarge)?;
        // SAFETY: C, shmheap_stat: the segment, of which the region is the end, is mapped from a
        // page on as long as it can become; a child makes no call that needs it (`here`), and Drop
        // forgets the place before it disconnects.
        self.place = unsafe { Place::keep_from_children(start, len) };
        self.place.map(|_| ()).ok_or_else(|| Error::Os(std::io::Error::last_os_error()))
    }

    pub(crate) fn copies_up_to(&self) -> usize {
        self.copies_up_to
    }

    /// Refuses in a child made by fork(): the connection is its parent's.
    #[inline]
    pub(crate) fn here(&self) -> Result<()> {
        match self.process.is_current() {
            true => Ok(()),
            false => Err(Error::OtherProcess),
        }
    }

    /// As here, for what gives references.
    #[inline]
    pub(crate) fn assert_here(&self) {
        if !self.process.is_current() {
            in_a_child();
        }
    }

    /// At least `size` bytes at a multiple of `align`. The memory is this process's alone until it
    /// frees or sends it.
    #[inline]
    pub(crate) fn alloc(&self, size: usize, align: usize) -> Result<NonNull<u8>> {
        self.here()?;
        let object = if align <= self.alignment {
            // SAFETY: C, shmheap_alloc: any size is allowed.
            unsafe { sys::shmheap_alloc(self.mem, size) }
        } else {
            // SAFETY: C, shmheap_aligned_alloc: what is no alignment that it can give is refused
            // with EINVAL.
            unsafe { sys::shmheap_aligned_alloc(self.mem, align, size) }
        };
        NonNull::new(object.cast()).ok_or_else(|| not_allocated(size))
    }

    /// As alloc, but waits for space that other processes give back: `None` is for ever.
    pub(crate) fn alloc_wait(
        &self,
        size: usize,
        align: usize,
        limit: Option<Duration>,
    ) -> Result<NonNull<u8>> {
        self.here()?;
        if align > self.alignment {
            return Err(Error::TooLarge); // C waits for objects of the heap's alignment alone
        }
        let limit_ms = limit.map_or(-1, |limit| {
            c_int::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        });
        // SAFETY: C, shmheap_alloc_wait: any size and any time are allowed.
        let object = unsafe { sys::shmheap_alloc_wait(self.mem, size, limit_ms) };
        NonNull::new(object.cast()).ok_or_else(|| not_allocated(size))
    }

    /// Bytes that an object which this process holds can hold; of an object with a name, the bytes
    /// requested.
    pub(crate) fn usable(&self, object: NonNull<u8>) -> usize {
        // SAFETY: C, shmheap_usable_size: "0 with EINVAL if ptr is not the start of a live object".
        let ask = || unsafe { sys::shmheap_usable_size(self.mem, object.as_ptr().cast()) };
        match ask() {
            // An object that reaches beyond what this connection knows of a heap that has grown:
            // figures make it look.
            0 if self.stats().is_ok() => ask(),
            usable => usable,
        }
    }

    /// Gives an object back. In a child made by fork() nothing happens: it is the parent's.
    ///
    /// # Safety
    /// This process holds it, and nothing refers to its bytes any more.
    #[inline]
    pub(crate) unsafe fn free(&self, object: NonNull<u8>) {
        if !self.process.is_current() {
            return;
        }
        // SAFETY: C, shmheap_free: what is no live object is recognised; the caller says that
        // nothing uses this one.
        unsafe { sys::shmheap_free(self.mem, object.as_ptr().cast()) }
    }

    /// Puts an object in transit: its handle.
    ///
    /// # Safety
    /// As for `free`, but that the inside of a ShmArc may be used on by processes that have a share
    /// in it.
    #[inline]
    pub(crate) unsafe fn send(&self, object: NonNull<u8>) -> Result<u64> {
        self.here()?;
        // SAFETY: C, shmheap_send: refuses with EPERM what another holds, and with EINVAL what is
        // no object.
        let handle = unsafe { sys::shmheap_send(self.mem, object.as_ptr().cast()) };
        match handle.bits {
            0 => Err(not_sent()),
            bits => Ok(bits),
        }
    }

    /// As send, but writes words to the object's end first.
    ///
    /// # Safety
    /// As for `send`; the last N words of the object are no part of a value.
    #[inline]
    pub(crate) unsafe fn send_labelled<const N: usize>(
        &self,
        object: NonNull<u8>,
        words: &[u64; N],
    ) -> Result<u64> {
        self.here()?;
        // SAFETY: C, shmheap_send_labelled: as shmheap_send; refuses with EBADMSG what has no room
        // for the words.
        let handle = unsafe {
            sys::shmheap_send_labelled(self.mem, object.as_ptr().cast(), words.as_ptr(), N)
        };
        match handle.bits {
            0 => Err(not_sent()),
            bits => Ok(bits),
        }
    }

    /// Claims an object in transit whose last word is this and which has so many bytes. It is this
    /// process's alone from then on. None: refused, and `peek_end` tells why.
    #[inline]
    pub(crate) fn receive_labelled(
        &self,
        bits: u64,
        label: u64,
        least: usize,
    ) -> Option<NonNull<u8>> {
        if !self.process.is_current() {
            return None;
        }
        let handle = sys::shmheap_object_handle { bits };
        // SAFETY: C, shmheap_receive_labelled: any bits may be given; of all claims of an object,
        // one succeeds.
        let object = unsafe { sys::shmheap_receive_labelled(self.mem, handle, label, least) };
        NonNull::new(object.cast())
    }

    /// As receive_labelled, of an object that was looked at: refused, another object lies there
    /// since.
    #[inline]
    pub(crate) fn receive_seen(&self, bits: u64, label: u64, len: usize) -> Result<NonNull<u8>> {
        self.here()?;
        self.receive_labelled(bits, label, len).ok_or_else(not_seen)
    }

    /// Undoes a claim: the object is in transit under the same handle as before.
    ///
    /// # Safety
    /// This process claimed it by this handle, and nothing refers to its bytes any more.
    pub(crate) unsafe fn put_back(&self, bits: u64) {
        // SAFETY: C, shmheap_put_back: refuses what this connection does not hold by that handle.
        // That no process uses the object says the caller.
        unsafe { sys::shmheap_put_back(self.mem, sys::shmheap_object_handle { bits }) };
    }

    /// Copies bytes of an object in transit, which stays so, from `from` on: how long the object
    /// is.
    ///
    /// # Safety
    /// `bytes` bytes can be written at `to`.
    #[inline]
    pub(crate) unsafe fn peek(
        &self,
        bits: u64,
        from: usize,
        to: *mut u8,
        bytes: usize,
    ) -> Result<usize> {
        let from = isize::try_from(from).map_err(|_| Error::Stale)?;
        // SAFETY: says the caller.
        unsafe { self.peek_at(bits, from, to, bytes) }?.ok_or(Error::Stale)
    }

    /// The last words of an object in transit, which stays so, and how long it is. None: it is
    /// shorter.
    #[inline]
    pub(crate) fn peek_end<const N: usize>(
        &self,
        bits: u64,
        words: &mut [u64; N],
    ) -> Result<Option<usize>> {
        // SAFETY: N words can be written there.
        unsafe { self.peek_at(bits, -8 * N as isize, words.as_mut_ptr().cast(), 8 * N) }
    }

    /// # Safety
    /// `bytes` bytes can be written at `to`.
    #[inline]
    unsafe fn peek_at(
        &self,
        bits: u64,
        from: isize,
        to: *mut u8,
        bytes: usize,
    ) -> Result<Option<usize>> {
        self.here()?;
        if bits == 0 {
            return Err(Error::NullHandle);
        }
        let handle = sys::shmheap_object_handle { bits };
        // SAFETY: C, shmheap_peek: any bits, any place and any length are allowed; the caller says
        // that bytes can be written at to.
        match unsafe { sys::shmheap_peek(self.mem, handle, from, to.cast(), bytes) } {
            0 if errno() == code::ERANGE => Ok(None),
            0 => Err(not_changed()),
            len => Ok(Some(len)),
        }
    }

    /// Where the object of a handle lies, if there is one (FORMAT.md, Handles).
    #[inline]
    pub(crate) fn address_of(&self, bits: u64) -> usize {
        let granule = (bits & HEADER_SIZE_MASK) as usize;
        (self.region.as_ptr() as usize)
            .wrapping_add(16)
            .wrapping_add(granule.wrapping_mul(self.alignment))
    }

    /// Whether both are connections to one heap, and not to a heap and a copy of its file, which
    /// has the same id.
    pub(crate) fn is_of_the_same_heap(&self, other: &Self) -> bool {
        let file = |heap: &Connection| {
            let status =
                std::fs::File::from(heap.fd().ok()?.try_clone_to_owned().ok()?).metadata().ok()?;
            Some((status.dev(), status.ino()))
        };
        self.region == other.region
            || (self.id == other.id && file(self).is_some() && file(self) == file(other))
    }

    /// The handle of the object whose payload begins at `offset` and whose generation is this
    /// (FORMAT.md, Handles).
    pub(crate) fn handle_at(&self, offset: u64, generation: u32) -> u64 {
        let tag = (self.id ^ (self.id >> 13) ^ (self.id >> 39)) & 0x1fff;
        let granule = (offset - 16) / self.alignment as u64;
        (tag.max(1) << 51) | (u64::from(generation & 0x7fff) << 36) | granule & 0xf_ffff_ffff
    }

    /// The address of an offset in the region; None where `len` bytes there do not lie in it.
    pub(crate) fn at(&self, offset: u64, len: usize) -> Result<Option<NonNull<u8>>> {
        let end = offset.checked_add(len as u64).filter(|_| offset >= 16);
        let region_len = self.stats()?.len;
        let Some(offset) =
            end.filter(|&end| end <= region_len).and_then(|_| usize::try_from(offset).ok())
        else {
            return Ok(None);
        };
        // SAFETY: C, shmheap_underlying and shmheap_stat: the region is mapped at region and has
        // region_len bytes; offset lies below that.
        Ok(Some(unsafe { self.region.add(offset) }))
    }

    /// Bytes from the start of the region to an object in it.
    pub(crate) fn offset(&self, object: NonNull<u8>) -> u64 {
        (object.as_ptr() as usize).wrapping_sub(self.region.as_ptr() as usize) as u64
    }

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

    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.here()?;
        // SAFETY: C, shmheap_fd: mem is open.
        match unsafe { sys::shmheap_fd(self.mem) } {
            // SAFETY: C, shmheap_fd: it "belongs to the connection", so it is open as long as self.
            fd if fd >= 0 => Ok(unsafe { BorrowedFd::borrow_raw(fd) }),
            _ => Err(Error::Unsupported),
        }
    }

    /// Copies bytes that several processes use, where they lie. Through the file: they may be
    /// atomics of any width, which other threads change meanwhile, and a load of another width
    /// would be a data race.
    ///
    /// # Safety
    /// `bytes` bytes lie at from in the region, and can be written at to.
    pub(crate) unsafe fn copy_shared(
        &self,
        from: NonNull<u8>,
        to: *mut u8,
        bytes: usize,
    ) -> Result<()> {
        let stats = self.stats()?;
        let file = std::fs::File::from(self.fd()?.try_clone_to_owned().map_err(Error::Os)?);
        // SAFETY: says the caller; zeros make them initialised.
        let to = unsafe {
            to.write_bytes(0, bytes);
            std::slice::from_raw_parts_mut(to, bytes)
        };
        file.read_exact_at(to, stats.segment_len - stats.len + self.offset(from)).map_err(Error::Os)
    }

    /// As fd, but for writing.
    pub(crate) fn fd_writable(&self) -> Result<BorrowedFd<'_>> {
        self.here()?;
        // SAFETY: C, shmheap_fd_writable: mem is open.
        match unsafe { sys::shmheap_fd_writable(self.mem) } {
            // SAFETY: C, shmheap_fd_writable: it "belongs to the connection", so it is open as long
            // as self.
            fd if fd >= 0 => Ok(unsafe { BorrowedFd::borrow_raw(fd) }),
            _ => Err(Error::Unsupported),
        }
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
    fn each<I, F: FnMut(&I)>(&self, call: Looking<I>, visit: &mut F) -> Result<()> {
        self.here()?;
        // SAFETY: C, shmheap_walk, shmheap_names, shmheap_processes: they call visit_each with what
        // is valid during the call and with this context, the closure of its type, which no other
        // code uses meanwhile.
        match unsafe { call(self.mem, Some(visit_each::<I, F>), ptr::from_mut(visit).cast()) } {
            0 => Ok(()),
            _ => Err(Error::from_change(errno(), error_text)),
        }
    }

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

    /// The bits of the object's handle: no other object has them, here or elsewhere in the heap,
    /// until its generation repeats.
    pub(crate) fn handle_of(&self, object: NonNull<u8>) -> Result<u64> {
        // SAFETY: C, shmheap_ptr_to_handle: what is no live object is refused.
        match unsafe { sys::shmheap_ptr_to_handle(self.mem, object.as_ptr().cast()) }.bits {
            0 => Err(Error::from_change(errno(), error_text)),
            bits => Ok(bits),
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
        let identity = found.ok_or(Error::Corrupt)?;
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

    /// Of every object: 8 or 16.
    pub(crate) fn alignment(&self) -> usize {
        self.alignment
    }

    /// Removes a name of shm_open().
    pub(crate) fn unlink(name: &CStr) -> Result<()> {
        // SAFETY: C, shmheap_unlink: name ends with a zero byte.
        match unsafe { sys::shmheap_unlink(name.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Error::from_open(errno(), &name.to_string_lossy(), error_text)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A child made by fork() leaves its parent's alone.
        if !self.process.is_current() {
            return;
        }
        if let Some(place) = self.place {
            place.forget();
        }
        // SAFETY: C, shmheap_disconnect: no other call uses the connection any more, since Drop has
        // it alone.
        unsafe { sys::shmheap_disconnect(self.mem) }
    }
}
