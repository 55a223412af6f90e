/* reserve.h: memory for ranges of a heap's file, got before anything is written there.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each way to run out of something is an errno of the call that asks for it, and nothing of what it got stays:
 *   ENOSPC      the file system, the machine, or a control group of the process has not that much memory left;
 *   ENOMEM      the kernel found none all the same;
 *   EDQUOT      the user's quota;
 *   EFBIG       the file would be longer than RLIMIT_FSIZE or its file system allows;
 *   EINTR       signals come faster than the kernel reserves one page.
 * A range is reserved in pieces, by fallocate(2). Where the file system does not know that call, zeros are written instead:
 * into a new file, or where no region has been yet, so that they overwrite nothing. */
#ifndef SHMHEAP_RESERVE_H
#define SHMHEAP_RESERVE_H

#include "connection.h"

/* reserve_begin looks what file system heap->fd lies on; the functions below and segment_map need that. Never fails. */
void reserve_begin(struct shmheap *heap);

/* reserve_map_len is how many bytes a mapping of the whole segment has: the layout's, on hugetlbfs up to the end of a huge page. */
uint64_t reserve_map_len(const struct shmheap *heap);

/* reserve_region gets memory for a region of len bytes and its index, beyond what heap->len_known bytes (0: the file is new) have;
 * in a sparse heap the file only becomes as long. 0, or -1 with errno. The heap is mapped, its lock is held. A death inside leaves memory
 * that the next call finds in place. */
int reserve_region(struct shmheap *heap, uint64_t len);

/* reserve_slots makes the file reach to the offset end within the slots behind the region: 0, or -1 with errno; then there may be
 * some entries more, which are as good as any. The heap's lock is held. */
int reserve_slots(struct shmheap *heap, uint64_t end);

#endif
