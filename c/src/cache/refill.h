/* refill.h: fills and empties a thread's cache.
 *
 * All calls but cache_limit, cache_take_settled and cache_take_near need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REFILL_H
#define SHMHEAP_REFILL_H

#include "cache.h"

/* cache_limit is how many granules a cache of a heap of len bytes may hold at most. */
uint64_t cache_limit(const struct shmheap *heap, uint64_t len);

/* cache_start_if_room gives the cache its shared line, without which it cannot be used. While
 * threads wait for space it does so only after some calls. Call it after the thread's request is
 * satisfied, so that the line cannot take the last free space. 0, or -1. */
int cache_start_if_room(struct cache *cache, struct shmheap *heap);

/* cache_take_settled puts the blocks in recent on their stacks, then acts as cache_take for len
 * bytes, a block of size granules (1 to CACHE_SIZES - 1). Returns NULL also where the stack has
 * so few blocks that it should be filled. */
void *cache_take_settled(struct cache *cache, uint64_t size, size_t len);

/* cache_take_near takes a block of size granules or of at most an eighth more, which the object
 * then has. It serves where the cache is nearly full: there a batch of this size would have to
 * displace others, and that batch as soon be displaced. Call it after cache_take_settled. Returns
 * NULL where there is no such block, or room enough for a batch. */
void *cache_take_near(struct cache *cache, uint64_t size);

/* cache_fill fetches blocks of size granules (1 to CACHE_SIZES - 1), one at least if possible.
 * cache_flush makes room for one, unless that is more than a small part of the cache. Both first
 * answer a request for the blocks. Return 1 when the cache may be used then, else 0. */
int cache_fill(struct cache *cache, struct shmheap *heap, uint64_t size);
int cache_flush(struct cache *cache, struct shmheap *heap, uint64_t size);

/* cache_empty gives back all blocks of the cache, and its line. */
void cache_empty(struct cache *cache, struct shmheap *heap);

#endif
