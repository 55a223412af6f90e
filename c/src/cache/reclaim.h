/* reclaim.h: frees the blocks that threads keep in their caches.
 *
 *  control->cache_lines --> [ line ] --> [ line ] --> ...
 *
 * The list has a struct cache_line for each thread that caches, so no walk is needed to find them.
 * All calls need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RECLAIM_H
#define SHMHEAP_RECLAIM_H

#include "../block/block.h"
#include "../process/slot.h"

/* reclaim_caches frees the blocks in the caches of all processes, living and dead. Returns how
 * many, or -1 with errno EBADMSG. The blocks of a thread that stays active in its cache for 50
 * ms remain. A death in here leaves the rest to the next request. Costs a walk over the blocks
 * where a thread has used its cache since the last request, else nothing. */
long reclaim_caches(struct shmheap *heap);

/* reclaim_is_paced: 1 where a thread that waits for space posted a request so recently that
 * another request may wait. */
int reclaim_is_paced(struct shmheap *heap);
/* reclaim_caches_of does the same for the caches of one slot. */
long reclaim_caches_of(struct shmheap *heap, unsigned slot);

/* reclaim_is_line: 1 where a block is a struct cache_line. */
int reclaim_is_line(const struct shmheap *heap, const struct block_step *step);

/* reclaim_line_add puts the line in this block on the list, reclaim_line_drop takes it off. A
 * line that is not on the list stays as it is. */
void reclaim_line_add(struct shmheap *heap, uint64_t granule);
void reclaim_line_drop(struct shmheap *heap, uint64_t granule);

/* struct reclaim_owners names the slots that have lines in the list (bits), and the number
 * of lines. */
struct reclaim_owners {
    uint64_t slots[SLOT_SET_WORDS];
    unsigned lines;
};

/* reclaim_lines_owners reads the list as far as it is sound. */
void reclaim_lines_owners(const struct shmheap *heap, struct reclaim_owners *owners);

/* reclaim_lines_free frees the lines of the given slots (bits), whose processes have departed or
 * died. Returns how many. One pass over the list. A death in here may leave a line that is on no
 * list, for reap.h to free. */
long reclaim_lines_free(struct shmheap *heap, const uint64_t *slots);

#endif
