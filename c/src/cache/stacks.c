/* stacks.c: the slow paths of a cache's stacks: flushing, room, and the size of batches.
 * SPDX-License-Identifier: Apache-2.0 */
#include "stacks.h"

#include <string.h>

#include "sort.h"

enum {
    BATCH_FIRST = 4, /* blocks */
    SMALL_SIZE = 8,  /* granules up to which blocks are never fetched one by one */
    FLUSH_BATCH = SORT_MOST,
    FLUSH_SHARE = 16, /* the part of a stack deeper than two batches that goes at a time */
    /* Of a size of up to CIRCULATING_SIZE granules more blocks than recent holds may circulate
     * where they take at most this part of the cache. */
    CIRCULATING_SIZE = 16,
    CIRCULATING_SHARE = 8,
    GRANT_LEAST = 256 /* granules by which stacks may grow at least until they are examined again */
};

static uint64_t entry_granule(const struct cache *cache, const struct cache_entry *entry)
{
    return (uint64_t)(entry->payload - cache->first) >> cache->shift;
}

static int entry_holds(const struct cache *cache, const struct shmheap *heap,
                       const struct cache_entry *entry)
{
    uint64_t granule = entry_granule(cache, entry);
    return bits_is_start(heap, granule) &&
           block_load(heap, granule) == entry->header - cache->used + cache->kept;
}

/* Frees the blocks of the entries, neighbours as one span. A death in here leaves the rest in
 * state cached. */
static void entries_free(struct cache *cache, struct shmheap *heap, uint64_t size,
                         struct cache_entry *entries, unsigned count)
{
    if (!entries_are_runs(entries, count, size << cache->shift))
        entries_sort(entries, count);
    for (unsigned i = 0; i < count;) {
        uint64_t first = entry_granule(cache, &entries[i]);
        unsigned blocks = 0;
        while (i < count && entry_granule(cache, &entries[i]) == first + blocks * size &&
               entry_holds(cache, heap, &entries[i])) {
            blocks++;
            i++;
        }
        if (blocks == 0)
            i++; /* a peer has changed the header: the block is not this cache's */
        else
            heap->fit->free_span(heap, first, blocks * size, blocks);
    }
}

void stack_flush(struct cache *cache, struct shmheap *heap, uint64_t size, unsigned count)
{
    struct cache_stack *stack = &cache->stacks[size];
    for (unsigned done = 0; done < count; done += FLUSH_BATCH)
        entries_free(cache, heap, size, stack->bottom + done,
                     count - done < FLUSH_BATCH ? count - done : FLUSH_BATCH);
    unsigned rest = stack_count(cache, size) - count;
    memmove(stack->bottom, stack->bottom + count, rest * sizeof *stack->bottom);
    stack->top = stack->bottom + rest;
    cache->room += count * size;
}

void stacks_flush(struct cache *cache, struct shmheap *heap)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        if (stack_count(cache, size) != 0)
            stack_flush(cache, heap, size, stack_count(cache, size));
}

void stacks_settle_recent(struct cache *cache)
{
    uint64_t added = cache->freed - cache->settled;
    for (uint64_t i = added < CACHE_RECENT ? added : CACHE_RECENT; i > 0; i--) {
        struct cache_entry *recent = &cache->recent[(cache->freed - i) % CACHE_RECENT];
        cache_push(cache, *recent);
        *recent = (struct cache_entry){NULL, 0};
    }
    cache->settled = cache->freed;
}

void stacks_forget(struct cache *cache)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        cache->stacks[size].top = cache->stacks[size].bottom;
    cache->room = 0;
    cache->spare = cache->most;
}

void stacks_format(struct cache *cache, const struct shmheap *heap)
{
    cache->first = block_payload(heap, 0);
    cache->shift = heap->shift;
    cache->used = header_make(0, SHMHEAP_STATE_USED, heap->slot, 1);
    cache->kept = header_make(0, SHMHEAP_STATE_CACHED, heap->slot, 0);
    for (uint64_t size = 0; size < CACHE_SIZES; size++)
        cache->stacks[size].top = cache->stacks[size].bottom;
    memset(cache->recent, 0, sizeof cache->recent);
    cache->settled = cache->freed;
    cache->room = cache->spare = cache->most = 0;
}

/* The top of a stack as a number. Each use changes it, but for a chance of one in thousands. */
static uint64_t stack_mark(const struct cache *cache, uint64_t size)
{
    const struct cache_entry *top = cache->stacks[size].top - 1;
    return top->header ^ (uint64_t)(uintptr_t)top->payload << 8 ^ stack_count(cache, size);
}

/* As a clock's hand: the next size that has not been used since the hand last passed, or that
 * holds more than a share; else the size that holds most. */
static uint64_t room_victim(struct cache *cache)
{
    uint64_t largest = 1;
    for (unsigned i = 1; i < CACHE_SIZES; i++) {
        uint64_t size = cache->hand = cache->hand % (CACHE_SIZES - 1) + 1;
        uint64_t count = stack_count(cache, size), mark = stack_mark(cache, size),
                 before = cache->marks[size];
        cache->marks[size] = mark;
        if (count != 0 && (mark == before || count * size > stack_share(cache)))
            return size;
        if (count * size > stack_count(cache, largest) * largest)
            largest = size;
    }
    return largest;
}

/* Flushes the older half of a stack, or a part: other processes wait for the lock meanwhile. The
 * part is not too small, since the rest of the stack moves down. */
static void room_make(struct cache *cache, struct shmheap *heap)
{
    uint64_t size = room_victim(cache);
    unsigned count = stack_count(cache, size);
    stack_flush(cache, heap, size,
                count <= 2 * FLUSH_BATCH ? (count + 1) / 2 : FLUSH_BATCH + count / FLUSH_SHARE);
}

void stacks_make_room(struct cache *cache, struct shmheap *heap, uint64_t need)
{
    while (cache->room + cache->spare < need && need <= stack_share(cache))
        room_make(cache, heap);
    uint64_t room = cache->room + cache->spare,
             grant = need + (stack_share(cache) > GRANT_LEAST ? stack_share(cache) : GRANT_LEAST);
    cache->room = room < grant ? room : grant;
    cache->spare = room - cache->room;
}

void stacks_shrink(struct cache *cache, struct shmheap *heap, uint64_t most)
{
    if (cache->most - cache->room - cache->spare > most)
        room_make(cache, heap);
    uint64_t held = cache->most - cache->room - cache->spare;
    cache->most = most > held ? most : held;
    cache->room = cache->room < cache->most - held ? cache->room : cache->most - held;
    cache->spare = cache->most - held - cache->room;
}

uint64_t stack_sum(const struct cache *cache, uint64_t size, unsigned count)
{
    uint64_t sum = count;
    for (unsigned i = 0; i < count; i++)
        sum ^= cache->stacks[size].bottom[i].header +
               (uint64_t)(uintptr_t)cache->stacks[size].bottom[i].payload;
    return sum;
}

unsigned stack_batch_next(struct cache *cache, uint64_t size)
{
    unsigned last = cache->batch[size];
    int frees_none = last != 0 && stack_sum(cache, size, last) == cache->sums[size];
    uint64_t most = frees_none ? stack_share(cache) * 4 / size : stack_share(cache) / 4 / size;
    uint64_t least = size <= SMALL_SIZE && size <= stack_share(cache) ? BATCH_FIRST : 1,
             batch = last == 0 ? BATCH_FIRST : 2 * (uint64_t)last;
    batch = batch < most ? batch : most;
    return (unsigned)(batch < least ? least : batch < BATCH_MOST ? batch : BATCH_MOST);
}

int stack_has_enough(const struct cache *cache, uint64_t size)
{
    uint64_t most =
        size <= CIRCULATING_SIZE ? cache->most / CIRCULATING_SHARE : stack_share(cache) / 4;
    return stack_count(cache, size) > (2 * CACHE_RECENT * size <= most ? CACHE_RECENT : 0);
}
