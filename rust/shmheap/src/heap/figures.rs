//! Figures of a heap, its check, and reaping.
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::raw;
use crate::sweep;

impl Heap {
    /// Gives back what only processes that died can know: their boxes, their uses of roots, and
    /// what no share is left of. What is in transit stays. Costs a walk over the heap.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let ours = heap.boxed(1u8)?;
    /// assert_eq!(heap.reap()?.boxes, 0); // we live
    /// # drop(ours);
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn reap(&self) -> Result<Reaped> {
        let boxes = self.connection.reap()?;
        let arcs = match sweep::sweep(&self.connection) {
            Err(Error::Unsupported) => 0,
            swept => swept?,
        };
        Ok(Reaped { boxes, arcs })
    }

    /// Walks all blocks and holds the heap's figures against them: [`Error::Unsound`] names the
    /// rule that is broken.
    ///
    /// ```
    /// shmheap::Heap::anonymous(1 << 16)?.check()?;
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        self.connection.check()
    }

    /// Figures of the heap at one instant.
    ///
    /// ```
    /// let heap = shmheap::Heap::anonymous(1 << 16)?;
    /// let stats = heap.stats()?;
    /// assert_eq!((stats.len, stats.used_blocks, stats.processes), (1 << 16, 0, 1));
    /// # Ok::<(), shmheap::Error>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        self.connection.stats().map(Stats::of)
    }
}

/// What [`Heap::reap`] gave back.
///
/// ```
/// let heap = shmheap::Heap::anonymous(1 << 16)?;
/// let reaped = heap.reap()?;
/// assert_eq!((reaped.boxes, reaped.arcs), (0, 0));
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Objects that dead processes held: boxes, their shares in `ShmArc`s, and roots that no other
    /// process uses.
    pub boxes: u64,
    /// Insides of `ShmArc`s that no share was left of.
    pub arcs: u64,
}

impl fmt::Display for Reaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} boxes, {} arcs", self.boxes, self.arcs)
    }
}

/// Figures of a heap. Bytes unless said otherwise.
///
/// ```
/// let heap = shmheap::Heap::anonymous(1 << 16)?;
/// println!("{:?}", heap.stats()?);
/// # Ok::<(), shmheap::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Of the region now.
    pub len: u64,
    /// Of the region at most.
    pub max_len: u64,
    /// Alignment of every object: 8 or 16.
    pub alignment: u64,
    /// Number of objects.
    pub used_blocks: u64,
    /// Of all objects, with 8 for each header.
    pub used_bytes: u64,
    /// Number of free blocks.
    pub free_blocks: u64,
    /// Of all free blocks, with their headers.
    pub free_bytes: u64,
    /// The largest object that fits without growing. This crate adds 8 to a value's size.
    pub largest_free: u64,
    /// The most that `used_bytes` ever was.
    pub high_water_bytes: u64,
    /// How often something was allocated since creation.
    pub allocs: u64,
    /// Of all that was ever allocated, with headers.
    pub alloc_bytes: u64,
    /// How often something was freed.
    pub frees: u64,
    /// How often there was no room.
    pub failed_allocs: u64,
    /// How often the region grew.
    pub grows: u64,
    /// How often a process died holding the lock.
    pub recoveries: u64,
    /// When the heap was created.
    pub created: SystemTime,
    /// Connections of live processes that can write.
    pub processes: u32,
    /// Slots of processes that died.
    pub dead: u32,
}

impl Stats {
    fn of(found: raw::Found) -> Self {
        Stats {
            len: found.len,
            max_len: found.max_len,
            alignment: found.alignment,
            used_blocks: found.used_blocks,
            used_bytes: found.used_bytes,
            free_blocks: found.free_blocks,
            free_bytes: found.free_bytes,
            largest_free: found.largest_free,
            high_water_bytes: found.high_water_bytes,
            allocs: found.allocs,
            alloc_bytes: found.alloc_bytes,
            frees: found.frees,
            failed_allocs: found.failed_allocs,
            grows: found.grows,
            recoveries: found.recoveries,
            created: UNIX_EPOCH
                .checked_add(Duration::from_nanos(found.created_ns))
                .unwrap_or(UNIX_EPOCH),
            processes: found.processes,
            dead: found.dead,
        }
    }
}
