/* refill.c: the way between heap and cache: it attaches a cache to its line, answers requests,
 * decides how much a cache holds, and moves blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "refill.h"

#include <string.h>

#include "../process/wait.h"
#include "reclaim.h"
#include "stacks.h"

enum {
    /* The most that a cache holds: so many bytes, the part LIMIT_SHARE of the heap, its share of
     * what is free. A cache may hold the part LEAST_SHARE of the heap in any case. */
    LIMIT_BYTES = 1 << 21,
    LIMIT_SHARE = 2,
    LEAST_SHARE = 64,
    /* Fills and flushes between two counts of the threads that cache: counting costs a load for
     * each. */
    COUNT_PAUSE = 64,
    COUNT_PAUSE_LINE = 16,
    /* A request may get a block larger by this part where the cache has less room than this part
     * of what it may hold, or than so many granules. */
    NEAR_SHARE = 8,
    NEAR_ROOM_SHARE = 4,
    NEAR_ROOM = 1024,
    /* Calls without the cache after a request. In a heap of many blocks at least one for each
     * PAUSE_BLOCKS of them, up to PAUSE_BOUND. */
    PAUSE_LEAST = 64,
    PAUSE_MOST = 1 << 16,
    PAUSE_BLOCKS = 8,
    PAUSE_BOUND = 1 << 20,
    RESUMED_LONG_AGO = 16 /* pauses */
};

/* Granules. */
static uint64_t heap_part(const struct shmheap *heap, uint64_t len, unsigned share)
{
    uint64_t part = len / share;
    return (part < LIMIT_BYTES ? part : LIMIT_BYTES) >> heap->shift;
}

uint64_t cache_limit(const struct shmheap *heap, uint64_t len)
{
    return heap_part(heap, len, LIMIT_SHARE);
}

/* The threads that cache in this heap, as last counted. */
static uint64_t cache_sharers(struct cache *cache, const struct shmheap *heap)
{
    if (cache->count_pause-- == 0) {
        struct reclaim_owners owners;
        reclaim_lines_owners(heap, &owners);
        cache->sharers = owners.lines != 0 ? owners.lines : 1;
        cache->count_pause = COUNT_PAUSE + COUNT_PAUSE_LINE * cache->sharers;
    }
    return cache->sharers;
}

/* How many granules the cache may hold now. All caches together hold about as much as stays free:
 * a cache has its speed from what it holds, and an allocation that finds no space has to reclaim
 * it. */
static uint64_t cache_most(struct cache *cache, const struct shmheap *heap)
{
    uint64_t len = load_u64(&heap->len_known), used = load_u64(&heap->control->used_granules);
    uint64_t most = cache_limit(heap, len), least = heap_part(heap, len, LEAST_SHARE);
    uint64_t free = used < heap->end ? heap->end - used : 0;
    uint64_t share = free / cache_sharers(cache, heap);
    return share < least ? least : share < most ? share : most;
}

/* Follows cache_most, down only where it has become an eighth less: else each batch would flush
 * another stack. */
static void cache_resize(struct cache *cache, struct shmheap *heap)
{
    uint64_t most = cache_most(cache, heap);
    if (most < cache->most - cache->most / 8) {
        stacks_shrink(cache, heap, most);
    } else if (most > cache->most) {
        cache->spare += most - cache->most;
        cache->most = most;
    }
}

/* Allocates the line and publishes it. A death in here leaves a used block or a line of a dead
 * process. */
static int cache_attach(struct cache *cache, struct shmheap *heap)
{
    uint64_t need = block_granules(heap, sizeof(struct cache_line));
    int64_t granule = (uintptr_t)heap->base % 64 == 0 ? heap->fit->alloc_aligned(heap, need, 64, 0)
                                                      : heap->fit->alloc(heap, need);
    if (granule < 0)
        return -1;
    cache->line = block_payload(heap, (uint64_t)granule);
    cache->line_granule = (uint64_t)granule;
    memset(cache->line, 0, sizeof *cache->line);
    store_u64(&cache->line->kind, INTERNAL_CACHE);
    uint64_t header = block_load(heap, (uint64_t)granule);
    block_publish(heap, (uint64_t)granule,
                  header_make(header_size(header), SHMHEAP_STATE_INTERNAL, heap->slot,
                              header_generation(header)));
    reclaim_line_add(heap, (uint64_t)granule);
    store_u64(&heap->control->caching, 1);
    cache->epoch = cache->pause = cache->count_pause = 0;
    cache->pause_len = PAUSE_LEAST;
    cache->resumed = load_u64(&heap->control->allocs);
    stacks_format(cache, heap);
    SHARED_STORE(&cache->heap, heap);
    return 0;
}

/* The next pause: twice the last one if that ended not long ago. A request costs a walk over the
 * blocks, some nanoseconds each. As many calls without the cache, at tens of nanoseconds each,
 * have to pay for it. since: allocations since the last pause. */
static uint64_t pause_next(const struct cache *cache, const struct shmheap *heap, uint64_t since)
{
    uint64_t blocks = load_u64(&heap->control->allocs) - load_u64(&heap->control->frees);
    uint64_t least = (blocks < heap->end ? blocks : heap->end) / PAUSE_BLOCKS, most = PAUSE_MOST;
    least = least < PAUSE_LEAST ? PAUSE_LEAST : least < PAUSE_BOUND ? least : PAUSE_BOUND;
    most = most < 4 * least ? 4 * least : most;
    uint64_t pause = since > RESUMED_LONG_AGO * cache->pause_len ? least : 2 * cache->pause_len;
    return pause < least ? least : pause < most ? pause : most;
}

/* A process has posted a request, and perhaps freed the blocks. The thread stops using its cache
 * for some time: else the next allocation that fails in a full heap would have to post another
 * request. */
static int cache_answer(struct cache *cache, struct shmheap *heap)
{
    uint64_t epoch = load_u64(&cache->line->epoch), allocs = load_u64(&heap->control->allocs);
    if (cache->pause == 0) {
        if (epoch != cache->epoch)
            stacks_forget(cache);
        else
            stacks_flush(cache, heap);
        cache->pause_len = pause_next(cache, heap, allocs - cache->resumed);
        cache->pause = cache->pause_len;
    }
    if (--cache->pause != 0 || !connection_caches(heap))
        return -1;
    cache->epoch = epoch;
    cache->resumed = allocs;
    store_u64(&heap->control->caching, 1);
    ACCESS_HOOK(&cache->line->requested);
    __atomic_store_n(SHARED_VALUE(&cache->line->requested), 0u, __ATOMIC_RELEASE);
    return 0;
}

int cache_start_if_room(struct cache *cache, struct shmheap *heap)
{
    if (!cache_is_idle(cache) || !connection_caches(heap) ||
        (wait_is_expected(heap) && cache->held_back++ < PAUSE_LEAST))
        return -1;
    return cache_attach(cache, heap);
}

/* Returns 0 when the stacks may be used. All cached blocks are on them then. */
static int cache_ready(struct cache *cache, struct shmheap *heap)
{
    if (cache_is_idle(cache) && cache_start_if_room(cache, heap) != 0)
        return -1;
    if (cache->pause > 1) {
        cache->pause--; /* nothing is cached, and there is nothing to answer yet */
        return -1;
    }
    stacks_settle_recent(cache);
    cache->limit = heap->end > CACHE_SIZES ? heap->end - CACHE_SIZES : 0;
    if (load_u32(&cache->line->requested) != 0 && cache_answer(cache, heap) != 0)
        return -1;
    cache_resize(cache, heap);
    return 0;
}

void *cache_take_settled(struct cache *cache, uint64_t size, size_t len)
{
    stacks_settle_recent(cache);
    return stack_has_enough(cache, size) ? cache_take(cache, len) : NULL;
}

void *cache_take_near(struct cache *cache, uint64_t size)
{
    uint64_t room = cache->most / NEAR_ROOM_SHARE;
    if (cache->room + cache->spare >= (room < NEAR_ROOM ? room : NEAR_ROOM))
        return NULL;
    for (uint64_t near = size; near <= size + size / NEAR_SHARE && near < CACHE_SIZES; near++)
        if (stack_count(cache, near) != 0)
            return cache_take(cache, (size_t)(near << cache->shift) - HEADER_SIZE);
    return NULL;
}

/* Puts a cached block on its stack. The last block of a batch may be larger than the batch's
 * size. */
static void entry_push(struct cache *cache, struct shmheap *heap, uint64_t granule)
{
    uint64_t header = block_load(heap, granule),
             size = block_size_checked(heap, granule, header, heap->end);
    if (size - 1 >= cache->room || size >= CACHE_SIZES || granule >= cache->limit) {
        heap->fit->free_span(heap, granule, size, 1);
        return;
    }
    cache_push(cache, (struct cache_entry){block_payload(heap, granule),
                                           header - cache->kept + cache->used});
    cache->room -= size;
}

/* Puts blocks from alloc_best on the stack of their size. The lowest goes on top and is used
 * first. */
static void entries_push(struct cache *cache, struct shmheap *heap, uint64_t size,
                         const uint64_t *granules, int64_t count)
{
    struct cache_stack *stack = &cache->stacks[size];
    struct cache_entry *top = stack->top;
    for (int64_t i = count; i-- > 0;) {
        uint64_t header = block_load(heap, granules[i]);
        if (UNLIKELY(header_size(header) != size || granules[i] >= cache->limit ||
                     size > cache->room)) {
            stack->top = top;
            entry_push(cache, heap, granules[i]);
            top = stack->top;
            continue;
        }
        top->payload = block_payload(heap, granules[i]);
        top->header = header - cache->kept + cache->used;
        top++;
        cache->room -= size;
    }
    stack->top = top;
}

int cache_fill(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    uint64_t granules[BATCH_MOST];
    if (cache_ready(cache, heap) != 0)
        return 0;
    if (stack_has_enough(cache, size))
        return 1;
    unsigned wanted = stack_batch_next(cache, size);
    stacks_make_room(cache, heap, wanted * size);
    wanted = wanted * size <= cache->room ? wanted : (unsigned)(cache->room / size);
    int64_t got =
        wanted != 0 ? heap->fit->alloc_best(heap, size, SHMHEAP_STATE_CACHED, wanted, granules) : 0;
    entries_push(cache, heap, size, granules, got);
    cache->batch[size] = (uint16_t)stack_count(cache, size);
    cache->sums[size] = stack_sum(cache, size, stack_count(cache, size));
    return 1;
}

int cache_flush(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    if (cache_ready(cache, heap) != 0)
        return 0;
    /* A thread that has never allocated this size only passes blocks on. With fewer in
     * circulation it is faster. */
    if (cache->batch[size] == 0 && stack_count(cache, size) * size >= stack_share(cache))
        stack_flush(cache, heap, size, (stack_count(cache, size) + 1) / 2);
    stacks_make_room(cache, heap, size);
    return 1;
}

void cache_empty(struct cache *cache, struct shmheap *heap)
{
    struct block_step step = {cache->line_granule, 0, 0};
    if (cache_is_idle(cache))
        return;
    stacks_settle_recent(cache);
    if (load_u64(&cache->line->epoch) == cache->epoch)
        stacks_flush(cache, heap);
    if (bits_is_start(heap, step.granule) &&
        block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK && reclaim_is_line(heap, &step) &&
        header_slot(step.header) == heap->slot) {
        reclaim_line_drop(heap, step.granule);
        heap->fit->free_span(heap, step.granule, step.size, 1);
    }
    SHARED_STORE(&cache->heap, &cache_nothing);
}
