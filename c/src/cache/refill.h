/* refill.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REFILL_H
#define SHMHEAP_REFILL_H

#include "cache.h"

/* XXX */
uint64_t cache_limit(const struct shmheap *heap, uint64_t len);

/* cache_start_if_room gets the cache its shared line, without which it cannot be used; while
 * threads wait for space only after some calls. After the object that the thread asked for has been
 * had: else the line might take the very room. Lock held. 0, or -1. */
int cache_start_if_room(struct cache *cache, struct shmheap *heap);

/* cache_take_settled puts what is in recent on the stacks, then does as cache_take for len bytes, a
 * block of size granules (1 to CACHE_SIZES - 1). NULL also where it would be rather more blocks
 * than that one that are missing. */
void *cache_take_settled(struct cache *cache, uint64_t size, size_t len);

/* cache_fill gets blocks of so many granules (1 to CACHE_SIZES - 1), one at least if possible.
 * cache_flush makes room for one, unless it would be more than a small part of all that may be
 * kept. Both first answer those who asked for the blocks. Lock held. 1 when the cache may be used
 * then, else 0. */
int cache_fill(struct cache *cache, struct shmheap *heap, uint64_t size);
int cache_flush(struct cache *cache, struct shmheap *heap, uint64_t size);

/* XXX */
void cache_empty(struct cache *cache, struct shmheap *heap);

#endif
