//! What is in transit, in a list.
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::label::{INSIDE, TICKET};
use crate::raw::Connection;

/// An object in transit, as [`Heap::in_transit`](crate::Heap::in_transit) finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transit {
    /// The handle by which it can be received, as its own type, or discarded.
    pub handle: Handle<()>,
    /// Bytes that the object has, with those that this crate adds.
    pub len: u64,
    /// Whether it is a share in a [`ShmArc`](crate::ShmArc): then the handle is good as an
    /// [`ArcHandle`](crate::ArcHandle).
    pub is_share: bool,
}

impl Transit {
    pub(crate) fn all(heap: &Connection) -> Result<Vec<Transit>> {
        let mut sent = Vec::new();
        heap.walk(|block| {
            if block.sent {
                sent.push(block);
            }
        })?;
        let mut found = Vec::new();
        for block in sent {
            let bits = heap.handle_at(block.offset, block.generation);
            let mut last = [0u64];
            match heap.peek_end(bits, &mut last) {
                Err(Error::Stale) => continue, // claimed since
                looked => looked?,
            };
            if last[0] != INSIDE {
                let handle = Handle::from_bits(bits);
                found.push(Transit { handle, len: block.len, is_share: last[0] == TICKET });
            }
        }
        Ok(found)
    }
}
