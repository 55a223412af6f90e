/* ask.h: getting back what others keep in their caches.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_ASK_H
#define SHMHEAP_ASK_H

#include "block.h"

/* ask_for_caches frees the blocks in the caches of all processes, our own and those of the dead too: how many, or -1 with errno
 * EBADMSG. Those of a thread that is just using its cache, and does not stop within a short time, stay. Lock held. A death
 * in here leaves the rest to the next who asks. */
long ask_for_caches(struct shmheap *heap);

/* The same for the caches of one slot. */
long ask_for_caches_of(struct shmheap *heap, unsigned slot);

/* ask_is_line tells whether a block in state internal is a thread's struct cache_line. */
int ask_is_line(const struct shmheap *heap, const struct block_step *step);

#endif
