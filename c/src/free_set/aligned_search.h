/* aligned_search.h: the search for a free block in which an aligned object fits: bins, tree, bits.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whether an object fits depends on where a block begins, not on its size alone. The search visits
 * the chunks that hold a block of at least the object's size, as bins and tree name them. In each
 * it tests all small blocks at once, on the bits. It reads no header but that of a block of
 * MAXIMUM_CAP granules or more. */
#ifndef SHMHEAP_ALIGNED_SEARCH_H
#define SHMHEAP_ALIGNED_SEARCH_H

#include "../block/bits.h"

/* aligned_search returns the lowest free block below the top block in which an object of need
 * granules fits with its payload at a multiple of alignment, a power of two above the heap's own.
 * GRANULE_NONE: there is none. Needs the lock, and the binned form of the free set. Changes
 * nothing. Cost: some instructions for each chunk that holds a free block of at least need. */
uint64_t aligned_search(const struct shmheap *heap, uint64_t need, uint64_t alignment,
                        uint64_t top);

#endif
