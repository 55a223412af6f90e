/* reserve.h: reserves memory for a heap's file before any process uses a byte of it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A shortage is an errno of the call, and no later SIGBUS:
 *   ENOSPC   the file system, the machine or a control group of the process has too little left
 *   ENOMEM   the kernel found no memory nevertheless
 *   EDQUOT   the user's quota is used up
 *   EFBIG    the file would be longer than RLIMIT_FSIZE or its file system allows
 *   EINTR    signals come faster than the kernel reserves one page
 * A call that fails frees what it reserved.
 *
 * fallocate(2) reserves a range piece by piece. Where the file system lacks it, the library writes
 * zeros, but only to bytes that no heap has used: of a new file, or behind the region or the
 * slots. */
#ifndef SHMHEAP_RESERVE_H
#define SHMHEAP_RESERVE_H

#include "connection.h"

/* reserve_takes_memory returns 1 where bytes written to fd stay in the machine's memory, or may.
 * Never fails. */
int reserve_takes_memory(int fd);

/* reserve_begin stores the file system of heap->fd; all functions below need it. Never fails. */
void reserve_begin(struct shmheap *heap);

/* reserve_without_copies switches copying on write off for an empty file, where it can. Never
 * fails. */
void reserve_without_copies(const struct shmheap *heap);

/* reserve_holes_keep tells the kernel not to read ahead in the mapped index and slots of a heap
 * that may still grow. A disk file system may read ahead into one large folio of the page cache. A
 * store to one page of a folio needs blocks for all of it, holes included, and raises SIGBUS where
 * the disk has none. Never fails. */
void reserve_holes_keep(const struct shmheap *heap);

/* reserve_region reserves the memory that a region of len bytes and its index need beyond those of
 * heap->len_known bytes (0: the file is new). In a sparse heap it only extends the file. Returns 0,
 * or -1 with errno. The heap is mapped, and its lock is held. A death inside leaves reserved memory
 * that the next call finds in place. */
int reserve_region(struct shmheap *heap, uint64_t len);

/* reserve_slots extends the file to the offset `end` in the slots behind the region. Returns 0, or
 * -1 with errno; the file may then have some more entries, which are valid. The heap's lock is
 * held. A death inside leaves such entries as well. */
int reserve_slots(struct shmheap *heap, uint64_t end);

#endif
