/* reclaim.h: getting back what threads keep in their caches.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   control->cache_lines --> [ line ] --> [ line ] --> ...   one for each thread that caches, found
 *                                                            without a walk */
#ifndef SHMHEAP_RECLAIM_H
#define SHMHEAP_RECLAIM_H

#include "../block/block.h"
#include "../process/slot.h"

/* reclaim_caches frees the blocks in the caches of all processes, our own and those of the dead
 * too: how many, or -1 with errno EBADMSG. Those of a thread that is just using its cache, and does
 * not stop within a short time, stay. Lock held. A death in here leaves the rest to the next who
 * asks. Costs a walk over the blocks where a thread has used its cache since the last time, else
 * nothing. */
long reclaim_caches(struct shmheap *heap);

/* reclaim_is_paced: a thread that waits for space asked so short a time ago that another one need not
 * ask now. Lock held. */
int reclaim_is_paced(struct shmheap *heap);
/* The same for the caches of one slot. */
long reclaim_caches_of(struct shmheap *heap, unsigned slot);

/* reclaim_is_line tells whether a block in state internal is a thread's struct cache_line. */
int reclaim_is_line(const struct shmheap *heap, const struct block_step *step);

/* reclaim_line_add puts the line in this block, and reclaim_line_drop takes it off, the list. Lock held. Of
 * a line that is not in the list nothing is dropped. */
void reclaim_line_add(struct shmheap *heap, uint64_t granule);
void reclaim_line_drop(struct shmheap *heap, uint64_t granule);

/* struct reclaim_owners is private: which slots have lines in the list (bits), and how many lines there
 * are. */
struct reclaim_owners {
    uint64_t slots[SLOT_SET_WORDS];
    unsigned lines;
};

/* reclaim_lines_owners reads the list as far as it is sound. Lock held. */
void reclaim_lines_owners(const struct shmheap *heap, struct reclaim_owners *owners);

/* reclaim_lines_free takes the lines of these slots (bits), whose processes are gone, off the list and
 * frees them: how many. One pass over the list. Lock held. A death in here may leave a line that is
 * in no list, for reap. */
long reclaim_lines_free(struct shmheap *heap, const uint64_t *slots);

#endif
