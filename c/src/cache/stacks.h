/* stacks.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_STACKS_H
#define SHMHEAP_STACKS_H

#include "cache.h"

enum { BATCH_MOST = 512, SHARE = 64 };

static inline unsigned stack_count(const struct cache *cache, uint64_t size)
{
    return (unsigned)(cache->stacks[size].top - cache->stacks[size].bottom);
}

static inline uint64_t stack_share(const struct cache *cache) { return cache->most / SHARE; }

/* XXX */
void stacks_format(struct cache *cache, const struct shmheap *heap);

/* XXX */
void stack_flush(struct cache *cache, struct shmheap *heap, uint64_t size, unsigned count);

/* XXX */
void stacks_flush(struct cache *cache, struct shmheap *heap);

/* XXX */
void stacks_settle_recent(struct cache *cache);

/* XXX */
void stacks_forget(struct cache *cache);

/* XXX */
void stacks_make_room(struct cache *cache, struct shmheap *heap, uint64_t need);

/* XXX */
uint64_t stack_sum(const struct cache *cache, uint64_t size, unsigned count);

/* XXX */
unsigned stack_batch_next(struct cache *cache, uint64_t size);

/* XXX */
int stack_has_enough(const struct cache *cache, uint64_t size);

#endif
