/* stacks.h: the stacks of a cache, under the heap's lock but for stacks_settle_recent and
 * stack_has_enough.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_STACKS_H
#define SHMHEAP_STACKS_H

#include "cache.h"

/* SHARE: the part of a cache that one size may hold; a size that holds more gives back first. */
enum { BATCH_MOST = 512, SHARE = 64 };

/* Blocks on the stack. */
static inline unsigned stack_count(const struct cache *cache, uint64_t size)
{
    return (unsigned)(cache->stacks[size].top - cache->stacks[size].bottom);
}

static inline uint64_t stack_share(const struct cache *cache) { return cache->most / SHARE; }

/* stacks_format empties a cache that gets its line. */
void stacks_format(struct cache *cache, const struct shmheap *heap);

/* stack_flush frees the lowest count blocks of a stack, the oldest. */
void stack_flush(struct cache *cache, struct shmheap *heap, uint64_t size, unsigned count);

/* stacks_flush frees the blocks of all stacks. */
void stacks_flush(struct cache *cache, struct shmheap *heap);

/* stacks_settle_recent puts the blocks in recent on their stacks. */
void stacks_settle_recent(struct cache *cache);

/* stacks_forget empties the stacks without freeing: a peer has reclaimed the blocks. */
void stacks_forget(struct cache *cache);

/* stacks_make_room lets the stacks grow by need granules, and by some more before the next call.
 * It flushes other stacks for that, but not for more than a share. */
void stacks_make_room(struct cache *cache, struct shmheap *heap, uint64_t need);

/* stacks_shrink lowers the granules that may be cached to most, or as far as flushing a part of
 * one stack allows: other processes wait for the lock meanwhile. */
void stacks_shrink(struct cache *cache, struct shmheap *heap, uint64_t most);

/* stack_sum is a checksum of the entries that the last batch fetched. The stack is empty, so it
 * is unchanged where no block was added since. */
uint64_t stack_sum(const struct cache *cache, uint64_t size, unsigned count);

/* stack_batch_next is how many blocks of this size to fetch. The first batch is BATCH_FIRST,
 * each later one twice the last, up to a quarter of a share. Where the thread frees none the
 * limit is four shares: the lock is then the whole cost. In a small heap, where a quarter is
 * nothing, it is BATCH_FIRST for small blocks, else 1. */
unsigned stack_batch_next(struct cache *cache, uint64_t size);

/* stack_has_enough: 1 where a settled stack lasts for some time. A freed block returns to it
 * only after CACHE_RECENT more frees, so a stack of so many or fewer is soon empty again. For a
 * large size, or for any in a tiny heap, one block is enough: more would take the cache's room
 * from other sizes. */
int stack_has_enough(const struct cache *cache, uint64_t size);

#endif
