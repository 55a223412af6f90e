//! Frees the insides of `ShmArc`s whose last shares were held by processes that died.
//!
//! Looks twice: at all such objects and their words, then at all tickets. An object has no owner,
//! and can never have one again, if no ticket names it and its word has not changed: a ticket that
//! is good now was either there before the first look, and is then seen by the second (objects that
//! live throughout are visited exactly once), or was made after it, and making it changed the word.
//! (Made from another one, which was there: new tickets come from tickets alone.)
//!
//! What looks like a ticket counts as one, also a value that a program made to look so: that keeps
//! the object, and does no other harm.
//!
//! The word is compared once more after the claim. Another object may lie there by then, under the
//! same handle, since generations repeat. Its word has another version, so the claim is undone. A
//! process that dies at that very moment leaves it to reaping, as any receiver.
//!
//! Contents are read through the heap's file: a block that a walk has shown may be another thread's
//! box by now, and reading that as memory would be a data race.
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::error::{Error, Result};
use crate::label::{TICKET_LEN, TICKET_MAX};
use crate::raw::{bury, ticket_names, Block, Connection, FrontCopy, FRONT_LEN};

/// An object that looks like the inside of a ShmArc.
struct Candidate {
    handle: u64,
    word: u64,
}

/// The region as a file.
struct Contents {
    file: File,
    region: u64,
}

impl Contents {
    fn of(heap: &Connection) -> Result<Self> {
        let stats = heap.stats()?;
        let file = File::from(heap.fd()?.try_clone_to_owned().map_err(Error::Os)?);
        Ok(Contents { file, region: stats.segment_len - stats.len })
    }

    fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, self.region + offset).map_err(Error::Os)?;
        Ok(bytes)
    }

    fn word(&self, offset: u64) -> Result<u64> {
        self.read(offset).map(u64::from_le_bytes)
    }
}

/// How many were freed.
pub(crate) fn sweep(heap: &Connection) -> Result<u64> {
    let contents = Contents::of(heap)?;
    let mut candidates = candidates(heap, &contents)?;
    if candidates.is_empty() {
        return Ok(0);
    }
    let sizes = TICKET_LEN as u64..=TICKET_MAX as u64;
    for ticket in blocks(heap, |block| block.live && sizes.contains(&block.len))? {
        if let Some(object) =
            ticket_names(contents.word(ticket.offset + ticket.len - TICKET_LEN as u64)?)
        {
            candidates.remove(&object);
        }
    }
    let mut freed = 0;
    for (offset, candidate) in candidates {
        if contents.word(offset)? == candidate.word
            && bury(heap, candidate.handle, |word| word == candidate.word)
        {
            freed += 1;
        }
    }
    Ok(freed)
}

fn blocks(heap: &Connection, wanted: impl Fn(&Block) -> bool) -> Result<Vec<Block>> {
    let mut found = Vec::new();
    heap.walk(|block| {
        if wanted(&block) {
            found.push(block);
        }
    })?;
    Ok(found)
}

fn candidates(heap: &Connection, contents: &Contents) -> Result<HashMap<u64, Candidate>> {
    let mut found = HashMap::new();
    for block in blocks(heap, |block| block.sent && block.len >= (FRONT_LEN + 8) as u64)? {
        let front = FrontCopy::of(contents.read(block.offset)?);
        let last = contents.word(block.offset + block.len - 8)?;
        let handle = heap.handle_at(block.offset, block.generation);
        if front.is_arc(handle, last) {
            found.insert(block.offset, Candidate { handle, word: front.word });
        }
    }
    Ok(found)
}
