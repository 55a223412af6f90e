//! Values copied out of objects in transit and into them, and objects whose type does not matter.
use super::check::check_value;
use super::claim::{look, Claim, Seen};
use super::{owned, send_labelled, Object, Room};
use crate::content::{Content, Refuse, Sealed};
use crate::error::{Error, Result};
use crate::heap::{connection, Heap, HeapRef};
use crate::label::{self, INSIDE, TAIL_LEN, TICKET};
use crate::raw::front::discard_share;
use crate::raw::{words, Connection, Held};

/// A copy of what is in the object of a handle, which stays in transit. Sound whatever other
/// processes write meanwhile.
pub(crate) fn peek<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<T::Owned> {
    let () = Refuse::<T::Element>::UNFIT;
    look::<T>(heap, bits).and_then(|seen| copy::<T>(heap, bits, seen))
}

/// The peer that sent the value chose its length.
fn check_copy<T: Content + ?Sized>(heap: &Connection, count: usize) -> Result<()> {
    let (bytes, limit) = (count * std::mem::size_of::<T::Element>(), heap.copies_up_to());
    if limit != 0 && bytes > limit {
        return Err(Error::CopyTooLarge { bytes, limit });
    }
    Ok(())
}

fn copy<T: Content + ?Sized>(heap: &Connection, bits: u64, seen: Seen) -> Result<T::Owned> {
    check_copy::<T>(heap, seen.count)?;
    let fill = |to, bytes| {
        // SAFETY: (collect) bytes can be written at to.
        unsafe { heap.peek(bits, 0, to, bytes) }.map(|_| ())
    };
    // SAFETY: peek writes all bytes, or fails.
    owned::<T>(unsafe { words::collect::<T::Element>(seen.count, fill) }?)
}

/// Claims the object, copies what is in it and frees it. Refused, it is in transit as before.
pub(crate) fn take<T: Content + ?Sized>(heap: &Connection, bits: u64) -> Result<T::Owned> {
    let () = Refuse::<T::Element>::UNFIT;
    let seen = look::<T>(heap, bits)?;
    check_copy::<T>(heap, seen.count)?;
    check_value::<T>(heap, bits, seen.count)?;
    let mut claimed = None;
    let fill = |to, bytes| {
        let claim = Claim::of::<T>(heap, bits, seen)?;
        // SAFETY: count elements lie there, in an object of ours to which nothing refers; (collect)
        // bytes can be written at to.
        unsafe { words::copy_out(claim.place, to, bytes) };
        claimed = Some(claim);
        Ok(())
    };
    // Refused, `claimed` puts the object back. SAFETY: fill writes all bytes, or fails.
    let owned = owned::<T>(unsafe { words::collect::<T::Element>(seen.count, fill) }?)?;
    if let Some(claim) = claimed {
        // SAFETY: (free) it is ours, and nothing refers to it.
        unsafe { heap.free(claim.keep()) };
    }
    Ok(owned)
}

/// Copies elements into a new object and sends it: its handle. No reference to the object is
/// formed.
pub(crate) fn send_copy<T: Content + ?Sized>(heap: &Heap, from: &[T::Element]) -> Result<u64> {
    let () = Refuse::<T::Element>::ATOMICS;
    let heap = connection(&heap);
    let room = Room::new::<T>(heap, from.len())?;
    // SAFETY: C, shmheap_alloc: room for these elements, at a multiple of 8. (send_labelled) a new
    // object, to which nothing refers.
    let bits = unsafe {
        words::copy_in(from.as_ptr().cast(), room.place, std::mem::size_of_val(from));
        send_labelled::<T>(heap, room.place, from.len())
    }?;
    room.into_place();
    Ok(bits)
}

/// Claims whatever is in transit under a handle and gives it back; of a share in a ShmArc, the
/// share.
pub(crate) fn discard(heap: &Heap, bits: u64) -> Result<()> {
    let mut last = [0u64];
    let connection = connection(&heap);
    let len = connection.peek_end(bits, &mut last)?.unwrap_or(8);
    match last[0] {
        TICKET => discard_share(heap, bits),
        INSIDE => {
            Err(Error::WrongType { expected: "a value or a share", found: label::describe(INSIDE) })
        }
        _ => {
            let claim = Claim::new(connection, bits, len, last[0])?;
            // SAFETY: (free) it is ours, and nothing refers to it.
            unsafe { connection.free(claim.keep()) };
            Ok(())
        }
    }
}

/// Any bytes that a process sent, without a label: what C programs send. All but the last 16 of the
/// object.
pub(crate) fn receive_bytes<H: HeapRef>(heap: &H, bits: u64) -> Result<Object<[u8], H>> {
    let (len, last) = look_at_bytes(connection(heap), bits)?;
    let place = Claim::new(connection(heap), bits, len, last)?.keep();
    Ok(Object {
        value: <[u8] as Sealed>::pointer(place, (len & !7) - TAIL_LEN),
        heap: Held::of(heap),
    })
}

/// How many bytes the object of a handle has, and its last word.
fn look_at_bytes(heap: &Connection, bits: u64) -> Result<(usize, u64)> {
    let mut tail = [0u64; TAIL_LEN / 8];
    let wrong = |found| Error::WrongType { expected: "bytes", found };
    match heap.peek_end(bits, &mut tail)? {
        None => Err(wrong("an object of fewer than 16 bytes")),
        Some(_) if tail[1] == INSIDE || tail[1] == TICKET => Err(wrong(label::describe(tail[1]))),
        Some(len) => Ok((len, tail[1])),
    }
}
