/* cache.h: a thread's cache of free blocks, and the two calls that use it without the lock.
 *
 * A connection with SHMHEAP_CACHED has a cache for each of its threads: one stack of free blocks
 * for each size. The stacks lie in private memory. The header of each block in them says state
 * cached and names this process's slot, so a death of the thread or the process loses nothing.
 * Taking or adding a block costs one store to its header. Stacks are filled and emptied in batches,
 * under the heap's lock.
 *
 *  alloc <-- cache_take <-- [ stack of the size ] <-- recent <-- cache_add <-- free
 *                              ^ refill.h, under the lock
 *
 * An allocation that finds no space reclaims the blocks of all caches, also of sleeping threads:
 * struct cache_line and reclaim.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CACHE_H
#define SHMHEAP_CACHE_H

#include "../heap/fit.h"

enum {
    CACHE_LEN_MIN = 1 << 16, /* bytes of the smallest heap in which threads cache */
    CACHE_SIZES = 321,       /* blocks of as many granules and more are not cached */
    CACHE_RECENT = 8         /* blocks freed last, not on their stacks yet */
};

/* struct cache_entry is a cached block, and the header that turns it into an object. */
struct cache_entry {
    unsigned char *payload;
    uint64_t header;
};

/* struct cache_stack holds the cached blocks of one size. An entry of zeros lies below the
 * lowest. The stack has room for as many blocks as a cache may hold of this size alone. */
struct cache_stack {
    struct cache_entry *bottom; /* the lowest */
    struct cache_entry *top;    /* above the highest */
};

/* Whose a cache is. Guarded by the mutex of threads.c. */
enum cache_state {
    CACHE_OF_THREAD,
    CACHE_EMPTYING,      /* a thread gives its blocks back; no other thread may touch it */
    CACHE_WITHOUT_THREAD /* its thread has ended; the next thread of the connection takes it */
};

/* struct cache is private to a thread. It lies in memory from process_memory: in a child of fork(),
 * _Fork() or clone() heap is no connection's.
 * 1  heap is the connection only while the thread may use its stacks: not after a disconnect, nor
 *    in a child after fork
 * 2  the granules of all blocks on stacks and in recent, room and spare add up to most
 * 3  the header of each such block has the entry's size and generation, in state cached, unless a
 *    peer has reclaimed the block since
 * 4  the stack of size 0 is empty; before heap is first set, all stacks and recent are, and most is
 *    0
 *
 * The size in a freed block's header chooses its stack, and the header may have to come from
 * memory. A block that went to its stack at once would make the processor hold back the loads of
 * the next allocations until it knows that they use another stack. So a freed block first waits
 * in recent while CACHE_RECENT more are freed, about as many as a processor has in flight. */
struct cache {
    const struct shmheap *heap;
    struct cache_line *line;
    unsigned char *first; /* the payload of granule 0 */
    uint64_t
        room; /* granules that may still be cached, until the cache grants itself more from spare */
    /* a block that begins before this granule ends within the region, whatever cached size it
     * has */
    uint64_t limit;
    /* headers without size and generation, for this slot: used (generation 1 more) and cached */
    uint64_t used, kept;
    unsigned shift;
    uint64_t freed; /* blocks ever added; modulo CACHE_RECENT the index of the oldest in recent */
    struct cache_entry recent[CACHE_RECENT]; /* zeros where there are fewer */
    struct cache_stack stacks[CACHE_SIZES];
    /* Seldom used. */
    uint64_t settled; /* freed, when recent was last empty */
    /* NULL once it is closed. Guarded by the mutex of threads.c, as the list below. */
    struct shmheap *connection;
    struct cache *next_of_heap, *next_of_thread;
    uint64_t line_granule;
    uint64_t epoch; /* of the line, as last seen */
    /* calls until the stacks are used again: how many remain, how many there were */
    uint64_t pause, pause_len;
    uint64_t held_back;   /* calls that did without a line while threads waited for space */
    uint64_t resumed;     /* the heap's allocs when the stacks were last resumed */
    uint64_t spare;       /* granules that may be cached beyond room */
    uint64_t sharers;     /* threads that cache in this heap, as last counted */
    uint64_t count_pause; /* fills and flushes until the next count */
    uint64_t most;        /* granules that may be cached in all */
    size_t bytes;         /* of the whole struct */
    enum cache_state state;
    uint64_t hand;                /* the size that room_victim examined last */
    uint64_t marks[CACHE_SIZES];  /* the tops of the stacks at that time */
    uint64_t sums[CACHE_SIZES];   /* of the entries that the last batch fetched */
    uint16_t batch[CACHE_SIZES];  /* how many the last batch fetched */
    struct cache_entry entries[]; /* of all stacks; pages that no stack has reached are untouched */
};

/* For a thread that has used no cache: cache_none, of the connection cache_nothing, which no
 * caller has. */
extern const struct shmheap cache_nothing __attribute__((visibility("hidden")));
extern struct cache cache_none __attribute__((visibility("hidden")));

/* The cache that this thread used last. Neither it nor its heap is ever NULL. */
extern __thread struct cache *cache_mine PER_THREAD __attribute__((visibility("hidden")));

static inline int cache_is_of(const struct cache *cache, const struct shmheap *heap)
{
    return SHARED_LOAD(&cache->heap) == heap;
}

static inline int cache_is_idle(const struct cache *cache) { return cache->heap == &cache_nothing; }

/* Between cache_begin, if it returns 1, and cache_end no peer reclaims the blocks. The process
 * that reclaims supplies the barrier between the store and the load, as in lock.h. Where the
 * kernel offers none, there are no caches. */
static ALWAYS_INLINE int cache_begin(struct cache_line *line)
{
    ACCESS_HOOK(&line->active);
    SHARED_STORE(SHARED_VALUE(&line->active), 1u);
    compiler_barrier();
    return LIKELY(load_acquire_u32(&line->requested) == 0);
}

static ALWAYS_INLINE void cache_end(struct cache_line *line)
{
    ACCESS_HOOK(&line->active);
    SHARED_STORE_RELEASE(SHARED_VALUE(&line->active), 0u);
}

/* cache_take and cache_add are short: where memory is slow, the number of calls that a processor
 * has in flight decides. */

/* cache_take returns an object of at least len bytes. NULL: the cache must be filled first, or
 * cannot serve the size. A death before the store to the header leaves a cached block of a dead
 * process, after it an object. */
static ALWAYS_INLINE void *cache_take(struct cache *cache, size_t len)
{
    /* Granules of 8 bytes: size 1 is no block's, so its stack is empty. */
    uint64_t size = (len + HEADER_SIZE + (UINT64_C(1) << cache->shift) - 1) >> cache->shift;
    if (UNLIKELY(size >= CACHE_SIZES || len >= (size_t)CACHE_SIZES << 4))
        return NULL;
    struct cache_stack *stack = &cache->stacks[size];
    struct cache_line *line = cache->line;
    unsigned char *payload = NULL;
    if (cache_begin(line)) {
        struct cache_entry *entry = stack->top - 1;
        payload = entry->payload;
        if (LIKELY(payload != NULL)) {
            /* Loaded as it was stored, in one piece: some processors are slower to forward a
             * part of a store in flight. */
            uint64_t header = opaque_copy(entry->header);
            store_publish_upper((shared_u64 *)(void *)(payload - HEADER_SIZE),
                                header_upper(header));
            stack->top = entry;
            cache->room += size;
        }
    }
    cache_end(line);
    return payload;
}

/* The header is private memory, so its size is that of a stack. */
static ALWAYS_INLINE void cache_push(struct cache *cache, struct cache_entry entry)
{
    struct cache_stack *stack = &cache->stacks[(uint32_t)entry.header];
    *stack->top++ = entry;
}

/* Puts an entry, or one of zeros, in the place of the oldest in recent, and the oldest on its
 * stack. */
static ALWAYS_INLINE void cache_defer(struct cache *cache, struct cache_entry entry)
{
    struct cache_entry *recent = &cache->recent[cache->freed++ % CACHE_RECENT], oldest = *recent;
    *recent = entry;
    if (LIKELY(oldest.payload != NULL))
        cache_push(cache, oldest);
}

/* cache_add frees the object at ptr into the cache. Returns 1, or 0: it cannot, or there is no
 * object. A death before the store to the header leaves the object, after it a cached block of a
 * dead process. */
static ALWAYS_INLINE int cache_add(struct cache *cache, void *ptr)
{
    uint64_t off = (uint64_t)((uintptr_t)ptr - (uintptr_t)cache->first);
    uint64_t granule = rotate_right(off, cache->shift); /* huge if ptr is not aligned */
    if (UNLIKELY(granule >= cache->limit))
        return 0;
    struct cache_line *line = cache->line;
    int added = 0;
    if (cache_begin(line)) {
        shared_u64 *place = (shared_u64 *)(void *)((unsigned char *)ptr - HEADER_SIZE);
        uint64_t size = load_lower(place);
        uint32_t upper = load_upper(place);
        if (LIKELY(upper_is_live(upper) && size < CACHE_SIZES && size - 1 < cache->room &&
                   bits_is_start(cache->heap, granule))) {
            uint32_t generation = upper >> UPPER_GENERATION_SHIFT << UPPER_GENERATION_SHIFT;
            store_publish_upper(place, generation | header_upper(cache->kept));
            cache_defer(cache,
                        (struct cache_entry){
                            ptr, (uint64_t)(generation + header_upper(cache->used)) << 32 | size});
            cache->room -= size;
            added = 1;
        }
    }
    cache_end(line);
    return added;
}

#endif
