/* reserve.h: memory for ranges of a heap's file, got before a byte of them is used.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each way to run out of something is an errno of the call that asks:
 *   ENOSPC   the file system, the machine or a control group of the process has not that much left;
 *   ENOMEM   the kernel found no memory all the same;
 *   EDQUOT   the user's quota is used up;
 *   EFBIG    the file would be longer than RLIMIT_FSIZE or its file system allows;
 *   EINTR    signals come faster than the kernel reserves one page.
 * A call that fails gives back what it got.
 *
 * fallocate(2) reserves a range piece by piece. Where the file system lacks that call, the
 * library writes zeros: into a new file, or where the heap has never been, so that they overwrite
 * nothing. */
#ifndef SHMHEAP_RESERVE_H
#define SHMHEAP_RESERVE_H

#include "connection.h"

/* reserve_begin notes which file system heap->fd lies on; all calls below need that. No errors. */
void reserve_begin(struct shmheap *heap);

/* reserve_new does the same for a file that is still empty, and switches copying on write off for it
 * where it can. No errors. */
void reserve_new(struct shmheap *heap);

/* reserve_map_len returns the bytes of a mapping of the whole segment: those of the layout, on
 * hugetlbfs rounded up to whole huge pages. */
uint64_t reserve_map_len(const struct shmheap *heap);

/* reserve_holes_keep tells the kernel not to read ahead in the mapped index and slots. For a heap
 * that may still grow. What a disk file system reads ahead may become one large folio of the page
 * cache. A store to one page of it gets blocks for the whole folio, holes included, and raises
 * SIGBUS where the disk has none. Never fails. */
void reserve_holes_keep(const struct shmheap *heap);

/* reserve_region gets memory for a region of len bytes and its index, beyond what a region of
 * heap->len_known bytes has (0: the file is new). In a sparse heap it only makes the file as
 * long. Returns 0, or -1 with errno. The heap is mapped, and its lock is held. A death inside
 * leaves memory in place that the next call finds there. */
int reserve_region(struct shmheap *heap, uint64_t len);

/* reserve_slots makes the file reach to the offset `end` in the slots behind the region. Returns
 * 0, or -1 with errno; there may be more entries then, which are good. The heap's lock is held. */
int reserve_slots(struct shmheap *heap, uint64_t end);

#endif
