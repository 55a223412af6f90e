/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "lock.h"
#include "recover.h"

enum {
    LIMIT_BYTES = 1 << 20,  /* that a thread keeps at most */
    LIMIT_SHARE = 64,       /* nor more than this part of the heap */
    LIMIT_BYTES_MIN = 1024, /* caches that could keep no more than this are not made */
    ROOM_FIRST = 8, ROOM_MIN = 2,
    PAUSE_LEAST = 64, PAUSE_MOST = 1 << 16, /* calls without the cache, after others had to ask for what was in it */
    RESUMED_LONG_AGO = 16,
    SORT_FEW = 24, /* entries: with fewer the sort by digits takes longer than one by comparing */
    DIGIT_FIRST = 3, DIGIT_BITS = 6, DIGITS = 1 << DIGIT_BITS, /* of addresses, to sort by; below the first all are equal */
    IDLE_AFTER = 4 * 64     /* fillings and flushes of other sizes, until a size counts as no longer used */
};

/* A connection that nobody has: no pointer of a caller is equal to it. */
static const struct shmheap nothing;
static struct cache cache_none = {.heap = &nothing};
__thread struct cache *cache_mine = &cache_none;
static __thread struct cache *cache_all; /* of this thread, one for each connection that it used */

/* Guards the lists of caches. Taken before the lock of a heap, never while holding one. */
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;
static int cache_key_made;

/* The granules that a cache may hold now. */
static uint64_t cache_limit(const struct shmheap *heap)
{
    uint64_t share = load_u64(&heap->len_known) / LIMIT_SHARE;
    return (share < LIMIT_BYTES ? share : LIMIT_BYTES) >> heap->shift;
}

static struct cache_entry *stack_bottom(struct cache *cache, uint64_t size) { return cache->entries + size * CACHE_STRIDE + 1; }

static unsigned stack_count(struct cache *cache, uint64_t size)
{
    return (unsigned)(cache->stacks[size].top - stack_bottom(cache, size));
}

static unsigned stack_room(struct cache *cache, uint64_t size)
{
    return (unsigned)(cache->stacks[size].limit - stack_bottom(cache, size));
}

/* Flushing -------------------------------------------------------------- */

/* One pass of a radix sort: from in the order of the digit at shift, into to. */
static void entries_sort_digit(const struct cache_entry *from, struct cache_entry *to, unsigned count, unsigned shift)
{
    unsigned place[DIGITS + 1] = {0};
    for (unsigned i = 0; i < count; i++)
        place[((uintptr_t)from[i].payload >> shift) % DIGITS + 1]++;
    for (unsigned digit = 1; digit < DIGITS; digit++)
        place[digit] += place[digit - 1];
    for (unsigned i = 0; i < count; i++)
        to[place[((uintptr_t)from[i].payload >> shift) % DIGITS]++] = from[i];
}

static void entries_sort_few(struct cache_entry *entries, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct cache_entry entry = entries[i];
        unsigned k = i;
        for (; k > 0 && entry.payload < entries[k - 1].payload; k--)
            entries[k] = entries[k - 1];
        entries[k] = entry;
    }
}

/* No branch depends on the addresses. */
static void entries_sort_many(struct cache_entry *entries, unsigned count)
{
    struct cache_entry others[CACHE_DEPTH], *from = entries, *to = others;
    uintptr_t differing = 0, disorder = 0;
    for (unsigned i = 1; i < count; i++) {
        differing |= (uintptr_t)entries[i].payload ^ (uintptr_t)entries[i - 1].payload;
        disorder |= entries[i].payload < entries[i - 1].payload;
    }
    for (unsigned shift = DIGIT_FIRST; disorder && shift < 8 * sizeof differing && differing >> shift != 0; shift += DIGIT_BITS) {
        if ((differing >> shift) % DIGITS == 0)
            continue;
        entries_sort_digit(from, to, count, shift);
        struct cache_entry *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
}

/* By address; at most CACHE_DEPTH, often in order already. */
static void entries_sort(struct cache_entry *entries, unsigned count)
{
    if (count <= SORT_FEW)
        entries_sort_few(entries, count);
    else
        entries_sort_many(entries, count);
}

static uint64_t entry_granule(const struct cache *cache, const struct cache_entry *entry)
{
    return (uint64_t)(entry->payload - cache->first) >> cache->shift;
}

static int entry_holds(const struct cache *cache, const struct shmheap *heap, const struct cache_entry *entry, uint64_t size)
{
    const struct cache_stack *stack = &cache->stacks[size];
    uint64_t granule = entry_granule(cache, entry);
    return index_is_start(heap, granule) && block_load(heap, granule) == entry->header - stack->used + stack->kept;
}

/* Frees the lowest count blocks of a stack, the oldest, neighbours in one go. A death in here leaves the others in state cached. */
static void stack_flush(struct cache *cache, struct shmheap *heap, uint64_t size, unsigned count)
{
    struct cache_stack *stack = &cache->stacks[size];
    struct cache_entry *entries = stack_bottom(cache, size);
    entries_sort(entries, count);
    for (unsigned i = 0; i < count;) {
        uint64_t first = entry_granule(cache, &entries[i]);
        unsigned blocks = 0;
        while (i < count && entry_granule(cache, &entries[i]) == first + blocks * size &&
               entry_holds(cache, heap, &entries[i], size)) {
            blocks++;
            i++;
        }
        if (blocks == 0)
            i++; /* a peer has changed it: no block of ours any more */
        else
            heap->fit->free_span(heap, first, blocks * size, blocks);
    }
    unsigned left = stack_count(cache, size) - count;
    memmove(entries, entries + count, left * sizeof *entries);
    stack->top = entries + left;
}

static void stacks_flush(struct cache *cache, struct shmheap *heap)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        if (stack_count(cache, size) != 0)
            stack_flush(cache, heap, size, stack_count(cache, size));
}

static void stacks_forget(struct cache *cache)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        cache->stacks[size].top = stack_bottom(cache, size);
}

/* Room ------------------------------------------------------------------ */

static void room_drop(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    stack_flush(cache, heap, size, stack_count(cache, size));
    cache->reserved -= stack_room(cache, size) * size;
    cache->stacks[size].limit = stack_bottom(cache, size);
}

/* Takes the room of the size that was used longest ago, if that is long: 1, or 0. Where all is in use it looks but seldom. */
static int room_regain(struct cache *cache, struct shmheap *heap)
{
    uint64_t oldest = 0;
    if (cache->clock < cache->regain_from)
        return 0;
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        if (stack_room(cache, size) != 0 && (oldest == 0 || cache->last[size] < cache->last[oldest]))
            oldest = size;
    if (oldest == 0 || cache->clock - cache->last[oldest] < IDLE_AFTER) {
        cache->regain_from = cache->clock + IDLE_AFTER / 4;
        return 0;
    }
    room_drop(cache, heap, oldest);
    return 1;
}

/* A size that runs empty or full gets twice the room, up to its share of the limit. */
static void room_grow(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    uint64_t limit = cache_limit(heap), most = limit / LIMIT_SHARE / size, had = stack_room(cache, size);
    most = most > CACHE_DEPTH ? CACHE_DEPTH : most < ROOM_MIN ? ROOM_MIN : most;
    uint64_t room = had == 0 ? ROOM_FIRST : had * 2;
    room = room > most ? most : room;
    while (room > had && cache->reserved + (room - had) * size > limit && room_regain(cache, heap))
        continue;
    uint64_t left = limit > cache->reserved ? (limit - cache->reserved) / size : 0;
    room = room > had + left ? had + left : room;
    if (room > had) {
        cache->reserved += (room - had) * size;
        cache->stacks[size].limit += room - had;
    }
}

/* Under the lock -------------------------------------------------------- */

static void stacks_format(struct cache *cache, const struct shmheap *heap)
{
    cache->first = block_payload(heap, 0);
    cache->shift = heap->shift;
    for (uint64_t size = 0; size < CACHE_SIZES; size++) {
        struct cache_stack *stack = &cache->stacks[size];
        stack->top = stack->limit = stack_bottom(cache, size);
        stack->used = header_make(size, SHMHEAP_STATE_USED, heap->slot, 1);
        stack->kept = header_make(size, SHMHEAP_STATE_CACHED, heap->slot, 0);
    }
    cache->reserved = cache->clock = cache->regain_from = 0;
}

/* Gets the shared line. A death in here leaves a used block of the dead, or a line of the dead. */
static int cache_attach(struct cache *cache, struct shmheap *heap)
{
    uint64_t need = block_granules(heap, sizeof(struct cache_line));
    int64_t granule = (uintptr_t)heap->base % 64 == 0 ? heap->fit->alloc_aligned(heap, need, 64, 0) : heap->fit->alloc(heap, need);
    if (granule < 0)
        return -1;
    cache->line = block_payload(heap, (uint64_t)granule);
    cache->line_granule = (uint64_t)granule;
    memset(cache->line, 0, sizeof *cache->line);
    store_u64(&cache->line->kind, INTERNAL_CACHE);
    uint64_t header = block_load(heap, (uint64_t)granule);
    block_publish(heap, (uint64_t)granule,
                  header_make(header_size(header), SHMHEAP_STATE_INTERNAL, heap->slot, header_stamp(header)));
    store_u64(&heap->control->caching, 1);
    cache->taken = cache->pause = 0;
    cache->pause_len = PAUSE_LEAST;
    cache->resumed = load_u64(&heap->control->allocs);
    stacks_format(cache, heap);
    SHARED_STORE(&cache->heap, heap);
    return 0;
}

/* Somebody has asked for the blocks, and perhaps taken them: the thread does without its cache for some time, lest the next alloc that
 * fails, in a heap that is full, has to ask again; twice as long as last time if that was not long ago. As long as others wait for
 * space, nothing is kept at all. */
static int cache_answer(struct cache *cache, struct shmheap *heap)
{
    uint64_t taken = load_u64(&cache->line->taken), allocs = load_u64(&heap->control->allocs);
    if (cache->pause == 0) {
        if (taken != cache->taken)
            stacks_forget(cache);
        else
            stacks_flush(cache, heap);
        cache->pause_len = allocs - cache->resumed > RESUMED_LONG_AGO * cache->pause_len ? PAUSE_LEAST
                           : cache->pause_len < PAUSE_MOST                               ? 2 * cache->pause_len
                                                                                         : PAUSE_MOST;
        cache->pause = cache->pause_len;
    }
    if (space_is_awaited(heap) || --cache->pause != 0)
        return -1;
    cache->taken = taken;
    cache->resumed = allocs;
    store_u64(&heap->control->caching, 1);
    __atomic_store_n(&cache->line->asked, 0u, __ATOMIC_RELEASE);
    return 0;
}

int cache_start_if_room(struct cache *cache, struct shmheap *heap)
{
    return cache->heap == &nothing && !space_is_awaited(heap) ? cache_attach(cache, heap) : -1;
}

/* 0 when the stacks may be used. */
static int cache_ready(struct cache *cache, struct shmheap *heap)
{
    if (cache->heap == &nothing && cache_start_if_room(cache, heap) != 0)
        return -1;
    cache->limit = heap->end > CACHE_SIZES ? heap->end - CACHE_SIZES : 0;
    return load_u32(&cache->line->asked) == 0 ? 0 : cache_answer(cache, heap);
}

/* Puts a block that is cached already on its stack. The last of a batch may be larger than asked for. */
static void entry_push(struct cache *cache, struct shmheap *heap, uint64_t granule)
{
    uint64_t header = block_load(heap, granule), size = block_size_checked(heap, granule, header, heap->end);
    struct cache_stack *stack = &cache->stacks[size < CACHE_SIZES ? size : 0];
    if (stack->top == stack->limit || granule >= cache->limit) {
        heap->fit->free_span(heap, granule, size, 1);
        return;
    }
    stack->top->payload = block_payload(heap, granule);
    stack->top->header = header - stack->kept + stack->used;
    stack->top++;
}

/* Puts blocks from alloc_best on the stack of their size, the lowest on top: it is used first. */
static void entries_push(struct cache *cache, struct shmheap *heap, uint64_t size, const uint64_t *granules, int64_t count)
{
    struct cache_stack *stack = &cache->stacks[size];
    struct cache_entry *top = stack->top;
    for (int64_t i = count; i-- > 0;) {
        uint64_t header = block_load(heap, granules[i]);
        if (UNLIKELY(header_size(header) != size || granules[i] >= cache->limit || top == stack->limit)) {
            stack->top = top;
            entry_push(cache, heap, granules[i]);
            top = stack->top;
            continue;
        }
        top->payload = block_payload(heap, granules[i]);
        top->header = header - stack->kept + stack->used;
        top++;
    }
    stack->top = top;
}

int cache_fill(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    uint64_t granules[CACHE_DEPTH];
    if (cache_ready(cache, heap) != 0)
        return 0;
    if (stack_count(cache, size) != 0)
        return 1;
    cache->last[size] = ++cache->clock;
    room_grow(cache, heap, size);
    unsigned wanted = (stack_room(cache, size) + 1) / 2;
    int64_t got = wanted != 0 ? heap->fit->alloc_best(heap, size, SHMHEAP_STATE_CACHED, wanted, granules) : 0;
    entries_push(cache, heap, size, granules, got);
    return 1;
}

int cache_flush(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    if (cache_ready(cache, heap) != 0)
        return 0;
    if (stack_count(cache, size) < stack_room(cache, size))
        return 1;
    cache->last[size] = ++cache->clock;
    room_grow(cache, heap, size);
    unsigned count = stack_count(cache, size);
    if (count != 0 && count == stack_room(cache, size))
        stack_flush(cache, heap, size, (count + 1) / 2);
    return 1;
}

/* Beginning and end ----------------------------------------------------- */

/* Gives back what the cache has, its line too. Lock held. */
static void cache_empty(struct cache *cache, struct shmheap *heap)
{
    struct block_step step = {cache->line_granule, 0, 0};
    if (cache->heap == &nothing)
        return;
    if (load_u64(&cache->line->taken) == cache->taken)
        stacks_flush(cache, heap);
    if (index_is_start(heap, step.granule) && block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK &&
        ask_is_line(heap, &step) && header_slot(step.header) == heap->slot)
        heap->fit->free_span(heap, step.granule, step.size, 1);
}

/* Takes the cache off its connection's list. Mutex held. */
static void cache_unlist(struct cache *cache)
{
    for (struct cache **place = &cache->of->caches; *place != NULL; place = &(*place)->next_of_heap)
        if (*place == cache) {
            *place = cache->next_of_heap;
            break;
        }
    SHARED_STORE(&cache->heap, &nothing);
    SHARED_STORE(&cache->of, NULL);
}

/* At the end of a thread. */
static void caches_of_thread_end(void *list)
{
    cache_mine = &cache_none;
    cache_all = NULL;
    pthread_mutex_lock(&cache_mutex);
    for (struct cache *cache = list, *next; cache != NULL; cache = next) {
        struct shmheap *heap = cache->of;
        next = cache->next_of_thread;
        if (heap != NULL) {
            if (cache->heap != &nothing && recover_enter(heap) == 0) {
                cache_empty(cache, heap);
                recover_leave_freed(heap);
            }
            cache_unlist(cache);
        }
        free(cache);
    }
    pthread_mutex_unlock(&cache_mutex);
}

static void cache_start(void) { cache_key_made = pthread_key_create(&cache_key, caches_of_thread_end) == 0; }

/* Takes the caches of closed connections off this thread's list, which begins at cache_all. Mutex held. */
static void caches_of_thread_tidy(void)
{
    for (struct cache **place = &cache_all; *place != NULL;) {
        struct cache *cache = *place;
        if (cache->of != NULL) {
            place = &cache->next_of_thread;
            continue;
        }
        *place = cache->next_of_thread;
        free(cache);
    }
}

static struct cache *cache_new(struct shmheap *heap)
{
    pthread_once(&cache_once, cache_start);
    struct cache *cache = cache_key_made ? calloc(1, sizeof *cache + CACHE_SIZES * CACHE_STRIDE * sizeof(struct cache_entry)) : NULL;
    if (cache == NULL)
        return NULL;
    pthread_mutex_lock(&cache_mutex);
    cache_mine = &cache_none;
    caches_of_thread_tidy();
    cache->heap = &nothing;
    SHARED_STORE(&cache->of, heap);
    cache->next_of_heap = heap->caches;
    heap->caches = cache;
    cache->next_of_thread = cache_all;
    cache_all = cache;
    pthread_mutex_unlock(&cache_mutex);
    pthread_setspecific(cache_key, cache_all);
    return cache;
}

struct cache *cache_of(struct shmheap *heap)
{
    int before = errno;
    struct cache *cache;
    if (!lock_barrier_remote || cache_limit(heap) << heap->shift < LIMIT_BYTES_MIN)
        return NULL;
    for (cache = cache_all; cache != NULL && SHARED_LOAD(&cache->of) != heap; cache = cache->next_of_thread)
        continue;
    if (cache == NULL && (cache = cache_new(heap)) == NULL) {
        errno = before; /* then without */
        return NULL;
    }
    cache_mine = cache;
    return cache;
}

void cache_close(struct shmheap *heap)
{
    pthread_mutex_lock(&cache_mutex);
    int entered = 0;
    while (heap->caches != NULL) {
        struct cache *cache = heap->caches;
        entered = entered || (cache->heap != &nothing && recover_enter(heap) == 0);
        if (entered)
            cache_empty(cache, heap);
        cache_unlist(cache);
    }
    if (entered)
        recover_leave_freed(heap);
    pthread_mutex_unlock(&cache_mutex);
}

void cache_fork_prepare(void) { pthread_mutex_lock(&cache_mutex); }
void cache_fork_parent(void) { pthread_mutex_unlock(&cache_mutex); }

void cache_fork_child(void) { pthread_mutex_unlock(&cache_mutex); }

/* The blocks are the parent's. What threads that are not here had as caches stays on the list, empty, until the end. */
void cache_fork_child_of(struct shmheap *heap)
{
    for (struct cache *cache = heap->caches; cache != NULL; cache = cache->next_of_heap)
        SHARED_STORE(&cache->heap, &nothing);
}
