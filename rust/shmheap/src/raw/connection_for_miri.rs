//! A heap for Miri, which cannot call C: the same functions over an array of this process, so that
//! what the crate does with the memory can be checked. Blocks are never used again, handles are a
//! block's number and a generation; there are no other processes, files or growth.
use std::alloc::Layout;
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::raw::words;

const LEN: usize = 1 << 18;

#[derive(Debug)]
pub(crate) struct Connection {
    region: NonNull<u8>,
    blocks: Mutex<Vec<Entry>>,
    names: Mutex<Vec<Name>>,
    copies_up_to: usize,
}

#[derive(Debug)]
struct Name {
    name: CString,
    place: NonNull<u8>,
    size: usize,
    users: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    len: usize,
    generation: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Free,
    Used,
    Sent,
}

// SAFETY: the region is memory of its own, and the list is behind a lock.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    pub len: usize,
    pub max_len: usize,
    pub alignment: usize,
    pub flags: u32,
    pub mode: u32,
    pub timeout_ms: u32,
    pub copies_up_to: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub offset: u64,
    pub len: u64,
    pub generation: u32,
    pub sent: bool,
    pub live: bool,
}

pub(crate) struct Named {
    pub name: Vec<u8>,
    pub len: u64,
    pub users: u64,
    pub kept: bool,
}

#[derive(Default)]
pub(crate) struct Found {
    pub len: u64,
    pub max_len: u64,
    pub segment_len: u64,
    pub alignment: u64,
    pub used_blocks: u64,
    pub used_bytes: u64,
    pub free_blocks: u64,
    pub free_bytes: u64,
    pub largest_free: u64,
    pub high_water_bytes: u64,
    pub allocs: u64,
    pub alloc_bytes: u64,
    pub frees: u64,
    pub failed_allocs: u64,
    pub grows: u64,
    pub recoveries: u64,
    pub created_ns: u64,
    pub processes: u32,
    pub dead: u32,
}

pub(crate) const CREATE: u32 = 1;
pub(crate) const EXCLUSIVE: u32 = 2;
pub(crate) const READ_ONLY: u32 = 4;
pub(crate) const CACHED: u32 = 8;
pub(crate) const REAP: u32 = 16;
pub(crate) const SPARSE: u32 = 32;
pub(crate) const HUGE_PAGES: u32 = 64;
pub(crate) const ANONYMOUS: u32 = 128;
pub(crate) const FILE: u32 = 256;
pub(crate) const TAKE_OVER: u32 = 512;
pub(crate) const SOCKET: u32 = 1024;

/// There is one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process;

impl Process {
    pub(crate) fn current() -> Self {
        Process
    }

    pub(crate) fn is_current(self) -> bool {
        true
    }
}

fn layout() -> Layout {
    Layout::from_size_align(LEN, 4096).expect("a layout")
}

impl Connection {
    pub(crate) fn create_sealed(opening: &Opening) -> Result<Self> {
        Self::open(None, opening)
    }

    pub(crate) fn open(_: Option<&CStr>, opening: &Opening) -> Result<Self> {
        // SAFETY: the layout is not empty.
        let region = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout()) })
            .ok_or(Error::Unsupported)?;
        Ok(Connection {
            region,
            blocks: Mutex::new(Vec::new()),
            names: Mutex::new(Vec::new()),
            copies_up_to: opening.copies_up_to,
        })
    }

    pub(crate) fn open_fd(_: BorrowedFd<'_>, _: &Opening) -> Result<Self> {
        Err(Error::Unsupported)
    }

    pub(crate) fn copies_up_to(&self) -> usize {
        self.copies_up_to
    }

    pub(crate) fn here(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn assert_here(&self) {}

    pub(crate) fn is_of_the_same_heap(&self, other: &Self) -> bool {
        self.region == other.region
    }

    pub(crate) fn address_of(&self, bits: u64) -> usize {
        let blocks = self.blocks.lock().expect("no panic under the lock");
        let at = blocks.get((bits & 0xf_ffff_ffff) as usize).map_or(0, |block| block.at);
        self.region.as_ptr() as usize + at
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn peek(
        &self,
        bits: u64,
        from: usize,
        to: *mut u8,
        bytes: usize,
    ) -> Result<usize> {
        self.in_transit(bits, |len, place| {
            if from + bytes > len {
                return Err(Error::Stale);
            }
            // SAFETY: within the block, which has no holder; to is the caller's.
            unsafe { words::copy_out(place.add(from), to, bytes) };
            Ok(len)
        })
    }

    pub(crate) fn peek_end<const N: usize>(
        &self,
        bits: u64,
        last: &mut [u64; N],
    ) -> Result<Option<usize>> {
        self.in_transit(bits, |len, place| {
            if len < 8 * N {
                return Ok(None);
            }
            for (i, word) in last.iter_mut().enumerate() {
                // SAFETY: within the block, which has no holder.
                *word = unsafe { words::load(place.add(len - 8 * (N - i))) };
            }
            Ok(Some(len))
        })
    }

    /// Under the lock, so that no thread claims it meanwhile.
    fn in_transit<R>(
        &self,
        bits: u64,
        look: impl FnOnce(usize, NonNull<u8>) -> Result<R>,
    ) -> Result<R> {
        if bits == 0 {
            return Err(Error::NullHandle);
        }
        let blocks = self.blocks.lock().expect("no panic under the lock");
        let block = blocks.get((bits & 0xf_ffff_ffff) as usize).ok_or(Error::ForeignHandle)?;
        if block.state != State::Sent || bits >> 36 & 0x7fff != block.generation {
            return Err(Error::Stale);
        }
        // SAFETY: the block lies in the region.
        look(block.len, unsafe { self.region.add(block.at) })
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn copy_shared(
        &self,
        from: NonNull<u8>,
        to: *mut u8,
        bytes: usize,
    ) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { words::copy_out(from, to, bytes) };
        Ok(())
    }

    pub(crate) fn fd_writable(&self) -> Result<BorrowedFd<'_>> {
        Err(Error::Unsupported)
    }

    pub(crate) fn alloc(&self, size: usize, align: usize) -> Result<NonNull<u8>> {
        let mut blocks = self.blocks.lock().expect("no panic under the lock");
        let end = blocks.last().map_or(0, |block| block.at + block.len);
        let at = (end + 8).next_multiple_of(align.max(16));
        let len = (size + 8).next_multiple_of(16) - 8;
        if at + len > LEN {
            return Err(Error::OutOfMemory { size });
        }
        blocks.push(Entry { at, len, generation: 1, state: State::Used });
        // SAFETY: at lies in the region.
        Ok(unsafe { self.region.add(at) })
    }

    pub(crate) fn alloc_wait(
        &self,
        size: usize,
        align: usize,
        _: Option<std::time::Duration>,
    ) -> Result<NonNull<u8>> {
        self.alloc(size, align)
    }

    fn change<R>(
        &self,
        at: usize,
        change: impl FnOnce(usize, &mut Entry) -> Option<R>,
    ) -> Option<R> {
        let mut blocks = self.blocks.lock().expect("no panic under the lock");
        let (number, block) = blocks.iter_mut().enumerate().find(|(_, block)| block.at == at)?;
        change(number, block)
    }

    pub(crate) fn usable(&self, object: NonNull<u8>) -> usize {
        if let Some(name) = self.locked_names().iter().find(|name| name.place == object) {
            return name.size;
        }
        self.change(self.offset(object) as usize, |_, block| {
            (block.state == State::Used).then_some(block.len)
        })
        .unwrap_or(0)
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn free(&self, object: NonNull<u8>) {
        let mut names = self.locked_names();
        if let Some(i) = names.iter().position(|name| name.place == object) {
            names[i].users -= 1;
            if names[i].users > 0 {
                return;
            }
            names.swap_remove(i);
        }
        self.change(self.offset(object) as usize, |_, block| {
            assert_eq!(block.state, State::Used, "freed twice, or what was sent");
            block.state = State::Free;
            // A name that is in use stays.
            // SAFETY: the block lies in the region, and was the caller's.
            unsafe { object.as_ptr().write_bytes(0xdb, block.len) };
            Some(())
        });
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn send(&self, object: NonNull<u8>) -> Result<u64> {
        self.change(self.offset(object) as usize, |number, block| {
            assert_eq!(block.state, State::Used, "sent twice");
            block.state = State::Sent;
            block.generation += 1;
            Some(1 << 63 | block.generation << 36 | number as u64)
        })
        .ok_or(Error::Stale)
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn send_labelled<const N: usize>(
        &self,
        object: NonNull<u8>,
        last: &[u64; N],
    ) -> Result<u64> {
        let end = self.usable(object) & !7;
        for (i, word) in last.iter().enumerate() {
            // SAFETY: within the object, which is the caller's.
            unsafe { words::store(object.add(end - 8 * (N - i)), *word) };
        }
        // SAFETY: the caller's.
        unsafe { self.send(object) }
    }

    pub(crate) fn receive_labelled(
        &self,
        bits: u64,
        label: u64,
        least: usize,
    ) -> Option<NonNull<u8>> {
        let mut last = [0u64];
        let len = self.peek_end(bits, &mut last).ok().flatten()?;
        (last[0] == label && len >= least).then(|| self.receive(bits).ok()).flatten()
    }

    pub(crate) fn receive_seen(&self, bits: u64, label: u64, len: usize) -> Result<NonNull<u8>> {
        self.receive_labelled(bits, label, len).ok_or(Error::Stale)
    }

    /// # Safety
    /// As the real one.
    pub(crate) unsafe fn put_back(&self, bits: u64) {
        let mut blocks = self.blocks.lock().expect("no panic under the lock");
        let block = &mut blocks[(bits & 0xf_ffff_ffff) as usize];
        assert!(
            block.state == State::Used && bits >> 36 & 0x7fff == block.generation - 1,
            "put back, but not claimed so"
        );
        block.state = State::Sent;
        block.generation -= 1;
    }

    fn receive(&self, bits: u64) -> Result<NonNull<u8>> {
        if bits == 0 {
            return Err(Error::NullHandle);
        }
        let mut blocks = self.blocks.lock().expect("no panic under the lock");
        let block = blocks.get_mut((bits & 0xf_ffff_ffff) as usize).ok_or(Error::ForeignHandle)?;
        if block.state != State::Sent || bits >> 36 & 0x7fff != block.generation {
            return Err(Error::Stale);
        }
        block.state = State::Used;
        block.generation += 1;
        // SAFETY: the block lies in the region.
        Ok(unsafe { self.region.add(block.at) })
    }

    pub(crate) fn handle_at(&self, offset: u64, generation: u32) -> u64 {
        self.change(offset as usize, |number, _| {
            Some(1 << 63 | u64::from(generation) << 36 | number as u64)
        })
        .unwrap_or(0)
    }

    pub(crate) fn at(&self, offset: u64, len: usize) -> Result<Option<NonNull<u8>>> {
        let fits =
            offset >= 16 && offset.checked_add(len as u64).is_some_and(|end| end <= LEN as u64);
        // SAFETY: the offset lies in the region.
        Ok(fits.then(|| unsafe { self.region.add(offset as usize) }))
    }

    pub(crate) fn offset(&self, object: NonNull<u8>) -> u64 {
        (object.as_ptr() as usize - self.region.as_ptr() as usize) as u64
    }

    pub(crate) fn stats(&self) -> Result<Found> {
        let blocks = self.blocks.lock().expect("no panic under the lock");
        let used = blocks.iter().filter(|block| block.state != State::Free).count() as u64;
        Ok(Found {
            len: LEN as u64,
            max_len: LEN as u64,
            alignment: 16,
            used_blocks: used,
            processes: 1,
            ..Found::default()
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn reap(&self) -> Result<u64> {
        Ok(0)
    }

    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        Err(Error::Unsupported)
    }

    fn locked_names(&self) -> std::sync::MutexGuard<'_, Vec<Name>> {
        self.names.lock().expect("no panic under the lock")
    }

    pub(crate) fn alloc_named(&self, name: &CStr, size: usize) -> Result<Option<NonNull<u8>>> {
        let mut names = self.locked_names();
        if let Some(found) = names.iter_mut().find(|found| *found.name == *name) {
            found.users += u64::from(found.size >= size);
            return Ok((found.size >= size).then_some(found.place));
        }
        let place = self.alloc(size, 16)?;
        names.push(Name { name: name.to_owned(), place, size, users: 1 });
        Ok(Some(place))
    }

    pub(crate) fn has_name(&self, name: &CStr) -> Result<bool> {
        Ok(self.locked_names().iter().any(|found| *found.name == *name))
    }

    pub(crate) fn names(&self) -> Result<Vec<Named>> {
        let show = |name: &Name| Named {
            name: name.name.as_bytes().to_vec(),
            len: name.size as u64,
            users: name.users,
            kept: false,
        };
        Ok(self.locked_names().iter().map(show).collect())
    }

    pub(crate) fn keep_name(&self, _: &CStr) -> Result<()> {
        Err(Error::Unsupported)
    }

    pub(crate) fn remove_name(&self, _: &CStr) -> Result<bool> {
        Err(Error::Unsupported)
    }

    pub(crate) fn handle_of(&self, object: NonNull<u8>) -> Result<u64> {
        let offset = self.offset(object);
        self.change(offset as usize, |_, block| Some(1 << 63 | block.generation << 36 | offset))
            .ok_or(Error::Stale)
    }

    pub(crate) fn identity(&self) -> Result<u32> {
        Ok(1)
    }

    pub(crate) fn lives(&self, identity: u32) -> Result<bool> {
        Ok(identity == 1)
    }

    pub(crate) fn alignment(&self) -> usize {
        16
    }

    pub(crate) fn walk<F: FnMut(Block)>(&self, mut visit: F) -> Result<()> {
        for block in self.blocks.lock().expect("no panic under the lock").iter() {
            visit(Block {
                offset: block.at as u64,
                len: block.len as u64,
                generation: block.generation as u32,
                sent: block.state == State::Sent,
                live: block.state != State::Free,
            });
        }
        Ok(())
    }

    pub(crate) fn unlink(_: &CStr) -> Result<()> {
        Err(Error::NotFound { heap: "".into() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: open made it with this layout.
        unsafe { std::alloc::dealloc(self.region.as_ptr(), layout()) }
    }
}
