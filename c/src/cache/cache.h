/* cache.h: free blocks that a thread keeps for itself, by size, where the connection has
 * SHMHEAP_CACHED.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The stacks are private memory; each block in them says so in its header (state cached, our slot),
 * so that nothing is lost with a thread or a process. To take a block or to add one costs a store
 * to its header, and no lock: stacks are filled and emptied in batches under the lock of the heap.
 * Who finds no space takes the blocks in the caches of others, also of threads that sleep: struct
 * cache_line is how. */
#ifndef SHMHEAP_CACHE_H
#define SHMHEAP_CACHE_H

#include "../heap/fit.h"

enum {
    CACHE_SIZES = 321, /* blocks of as many granules and more are not kept */
    CACHE_RECENT = 8   /* blocks freed last, which are not on their stacks yet */
};

/* struct cache_entry is private: a block that is kept, and the header that makes it an object. */
struct cache_entry {
    unsigned char *payload;
    uint64_t header;
};

/* struct cache_stack is private: blocks of one size. Below the lowest lies an entry of zeros, above
 * it is room for as many as a cache may keep of this size alone. */
struct cache_stack {
    struct cache_entry *bottom; /* the lowest */
    struct cache_entry *top;    /* above the highest */
};

/* Whose a cache is. Under the mutex of cache.c. */
enum cache_state {
    CACHE_OF_THREAD,
    CACHE_EMPTYING,      /* a thread gives back what is in it; no other may touch it */
    CACHE_WITHOUT_THREAD /* its thread has ended: the next one of the connection gets it */
};

/* struct cache is private to a thread. It lies in memory from process_memory: in a child of fork(),
 * _Fork() or clone() heap is no connection's.
 *   1  heap is the connection only while the thread may use its stacks: not after a disconnect, nor
 *      in a child after fork
 *   2  the granules of the blocks on all stacks and in recent, left and spare add up to most
 *   3  the header of each of these blocks is kept with a size and a stamp, unless others have taken
 *      the blocks since
 *   4  the stack of size 0 is empty, and before heap is set first all are, as is recent, and most
 *      is 0
 *
 * Which stack a freed block belongs on its header says, and that may have to come from memory. If
 * it were put there at once, the processor would have to make the next allocs' loads wait until it
 * knows that they are from another stack. So it is put there when as many others have been freed as
 * a processor can have under way. */
struct cache {
    const struct shmheap *heap;
    struct cache_line *line;
    unsigned char *first; /* the payload of granule 0 */
    uint64_t
        room; /* granules that may be kept besides those on the stacks, until the cache is looked at again */
    uint64_t
        limit; /* blocks that begin before this granule end within the region, whatever size is kept */
    uint64_t used,
        kept; /* headers without size and stamp: used (and one stamp more) or cached, our slot */
    unsigned shift;
    unsigned freed; /* where in recent the oldest is, and the next goes, modulo CACHE_RECENT */
    struct cache_entry recent[CACHE_RECENT]; /* zeros: there are fewer */
    struct cache_stack stacks[CACHE_SIZES];
    /* seldom used */
    struct shmheap *
        connection; /* the connection; NULL once that is closed. With the list below under the mutex of cache.c */
    struct cache *next_of_heap, *next_of_thread;
    uint64_t line_granule;
    uint64_t epoch;            /* the line's, as last seen */
    uint64_t pause, pause_len; /* calls to go, and in all, until the stacks are used again */
    uint64_t held_back;        /* calls that did without a line, since threads waited for space */
    uint64_t resumed;          /* the heap's allocs when they last were */
    uint64_t spare;            /* granules that may be kept besides, after that */
    uint64_t most;             /* granules that may be kept in all */
    size_t bytes;              /* of all of this */
    enum cache_state state;
    uint64_t hand;               /* the size that was looked at last for something to give back */
    uint64_t marks[CACHE_SIZES]; /* what was on top of the stacks then */
    uint64_t sums[CACHE_SIZES];  /* of the entries that were fetched the last time */
    uint16_t batch[CACHE_SIZES]; /* how many they were */
    struct cache_entry
        entries[]; /* of all stacks; pages that none has reached were never touched */
};

/* XXX */
extern const struct shmheap cache_nothing __attribute__((visibility("hidden")));
extern struct cache cache_none __attribute__((visibility("hidden")));

/* The cache that this thread used last; neither it nor its heap is ever NULL. */
extern __thread struct cache *cache_mine
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline int cache_is_of(const struct cache *cache, const struct shmheap *heap)
{
    return SHARED_LOAD(&cache->heap) == heap;
}

static inline int cache_is_idle(const struct cache *cache) { return cache->heap == &cache_nothing; }

/* From begin (if it is 1) to end nobody takes the blocks. The barrier between the store and the
 * load is the others' matter, as in lock.h; where they cannot have it there are no caches. */
static ALWAYS_INLINE int cache_begin(struct cache_line *line)
{
    SHARED_STORE(SHARED_VALUE(&line->active), 1u);
    compiler_barrier();
    return LIKELY(load_acquire_u32(&line->requested) == 0);
}

static ALWAYS_INLINE void cache_end(struct cache_line *line)
{
    SHARED_STORE_RELEASE(SHARED_VALUE(&line->active), 0u);
}

/* Both calls below are short on purpose: where memory is slow, what counts is how many of them the
 * processor can have under way at a time. */

/* cache_take is an object of at least len bytes from the cache; NULL: it must be filled first, or
 * cannot help. A death before the store to the header leaves a block in a dead thread's cache,
 * after it an object. */
static ALWAYS_INLINE void *cache_take(struct cache *cache, size_t len)
{
    /* Of the smallest size of granule 8, which is no block's, the stack is empty. */
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
            /* Loaded as it was stored, in one piece: some processors take longer to find half of it
             * in the store that is under way. */
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

/* Private memory, so the size is that of a stack. */
static ALWAYS_INLINE void cache_push(struct cache *cache, struct cache_entry entry)
{
    struct cache_stack *stack = &cache->stacks[(uint32_t)entry.header];
    *stack->top++ = entry;
}

/* Puts an entry, or one of zeros, in the place of the oldest in recent, which goes on its stack. */
static ALWAYS_INLINE void cache_defer(struct cache *cache, struct cache_entry entry)
{
    struct cache_entry *recent = &cache->recent[cache->freed++ % CACHE_RECENT], oldest = *recent;
    *recent = entry;
    if (LIKELY(oldest.payload != NULL))
        cache_push(cache, oldest);
}

/* cache_add frees the object at ptr into the cache: 1; 0: it cannot, or there is none. A death
 * before the store to the header leaves the object, after it a block in a dead thread's cache. */
static ALWAYS_INLINE int cache_add(struct cache *cache, void *ptr)
{
    uint64_t off = (uint64_t)((uintptr_t)ptr - (uintptr_t)cache->first);
    uint64_t granule =
        rotate_right(off, cache->shift); /* huge if ptr is no multiple of a granule */
    if (UNLIKELY(granule >= cache->limit))
        return 0;
    struct cache_line *line = cache->line;
    int added = 0;
    if (cache_begin(line)) {
        shared_u64 *place = (shared_u64 *)(void *)((unsigned char *)ptr - HEADER_SIZE);
        uint64_t size = load_lower(place);
        uint32_t upper = load_upper(place);
        if (LIKELY(upper_is_live(upper) && size < CACHE_SIZES && size - 1 < cache->room &&
                   index_is_start(cache->heap, granule))) {
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
