/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "reclaim.h"
#include "../process/lock.h"
#include "../os/process.h"
#include "../recovery/recover.h"

enum {
    LIMIT_BYTES = 1 << 20,  /* that a thread keeps at most */
    LIMIT_SHARE = 64,       /* nor more than this part of the heap */
    LIMIT_BYTES_MIN = 1024, /* caches that could keep no more than this are not made */
    BATCH_FEW = 4,          /* blocks that are fetched at first */
    BATCH_MOST = 512,       /* and at most */
    LIST_SIZE = 8, /* granules up to which blocks are never fetched one by one, but a few */
    SHARE =
        64, /* of what may be kept, the part that a size may have; with more it is the first to give back */
    FLUSH_BATCH = 256, /* blocks that are sorted at a time */
    FLUSH_SHARE = 16, /* of a stack that is deeper than two batches, the part that goes at a time */
    INSPECT_LEAST =
        256, /* granules by which the stacks may grow until they are looked at again, at least; else a share */
    ENTRIES_SHARE = 7, /* above the sum of 1 / size over all sizes, 6.35 */
    PADDING =
        4, /* entries, so that the stacks do not all begin in the same set of the processor's cache */
    PAUSE_LEAST = 64,
    PAUSE_MOST =
        1
        << 16, /* calls without the cache, after others had to ask for what was in it; more in a heap */
    PAUSE_BLOCKS = 8,
    PAUSE_BOUND = 1 << 20, /* of many blocks: one for each so many, up to a bound */
    RESUMED_LONG_AGO = 16,
    THREAD_END_MS = 100, /* that a thread waits for a heap's lock when it ends */
    RUN_LEAST =
        8, /* blocks, on the average: when neighbours are freed in such runs they are not sorted */
    SORT_FEW = 24, /* entries: with fewer the sort by digits takes longer than one by comparing */
    DIGIT_FIRST = 3,
    DIGIT_BITS = 6,
    DIGITS = 1 << DIGIT_BITS /* of addresses, to sort by; below the first all are equal */
};

/* A connection that nobody has: no pointer of a caller is equal to it. */
static const struct shmheap nothing;
static struct cache cache_none = {.heap = &nothing};
__thread struct cache *cache_mine = &cache_none;
static __thread struct cache *cache_all; /* of this thread, one for each connection that it used */

/* Guards the lists of caches, for some instructions at a time: no thread waits for a heap's lock
 * with it. What needs both takes a cache off its list first (CACHE_EMPTYING), and whoever else
 * wants the same cache meanwhile waits for cache_emptied, or leaves it alone. */
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cache_emptied = PTHREAD_COND_INITIALIZER;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;
static int cache_key_made;

/* The granules that a cache of a heap of len bytes may hold. */
static uint64_t cache_limit(const struct shmheap *heap, uint64_t len)
{
    uint64_t share = len / LIMIT_SHARE;
    return (share < LIMIT_BYTES ? share : LIMIT_BYTES) >> heap->shift;
}

static unsigned stack_count(const struct cache *cache, uint64_t size)
{
    return (unsigned)(cache->stacks[size].top - cache->stacks[size].bottom);
}

/* Flushing -------------------------------------------------------------- */

/* One pass of a radix sort: from in the order of the digit at shift, into to. */
static void entries_sort_digit(const struct cache_entry *from, struct cache_entry *to,
                               unsigned count, unsigned shift)
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
    struct cache_entry others[FLUSH_BATCH], *from = entries, *to = others;
    uintptr_t differing = 0, disorder = 0;
    for (unsigned i = 1; i < count; i++) {
        differing |= (uintptr_t)entries[i].payload ^ (uintptr_t)entries[i - 1].payload;
        disorder |= entries[i].payload < entries[i - 1].payload;
    }
    for (unsigned shift = DIGIT_FIRST;
         disorder && shift < 8 * sizeof differing && differing >> shift != 0; shift += DIGIT_BITS) {
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

/* By address; at most FLUSH_BATCH, often in order already. */
static void entries_sort(struct cache_entry *entries, unsigned count)
{
    if (count <= SORT_FEW)
        entries_sort_few(entries, count);
    else
        entries_sort_many(entries, count);
}

/* Whether so many follow their neighbours that sorting would save no more than a few frees: what
 * one thread allocated in a batch another frees in the same order. */
static int entries_are_runs(const struct cache_entry *entries, unsigned count, uint64_t block_size)
{
    unsigned gaps = 0;
    for (unsigned i = 1; i < count; i++)
        gaps += entries[i].payload != entries[i - 1].payload + block_size;
    return gaps <= count / RUN_LEAST;
}

static uint64_t entry_granule(const struct cache *cache, const struct cache_entry *entry)
{
    return (uint64_t)(entry->payload - cache->first) >> cache->shift;
}

static int entry_holds(const struct cache *cache, const struct shmheap *heap,
                       const struct cache_entry *entry)
{
    uint64_t granule = entry_granule(cache, entry);
    return index_is_start(heap, granule) &&
           block_load(heap, granule) == entry->header - cache->used + cache->kept;
}

/* Frees what the entries are of, neighbours in one go. A death in here leaves the others in state
 * cached. */
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
            i++; /* a peer has changed it: no block of ours any more */
        else
            heap->fit->free_span(heap, first, blocks * size, blocks);
    }
}

/* Frees the lowest count blocks of a stack, the oldest. */
static void stack_flush(struct cache *cache, struct shmheap *heap, uint64_t size, unsigned count)
{
    struct cache_stack *stack = &cache->stacks[size];
    for (unsigned done = 0; done < count; done += FLUSH_BATCH)
        entries_free(cache, heap, size, stack->bottom + done,
                     count - done < FLUSH_BATCH ? count - done : FLUSH_BATCH);
    unsigned left = stack_count(cache, size) - count;
    memmove(stack->bottom, stack->bottom + count, left * sizeof *stack->bottom);
    stack->top = stack->bottom + left;
    cache->left += count * size;
}

static void stacks_flush(struct cache *cache, struct shmheap *heap)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        if (stack_count(cache, size) != 0)
            stack_flush(cache, heap, size, stack_count(cache, size));
}

static void recent_settle(struct cache *cache)
{
    for (unsigned i = 0; i < CACHE_RECENT; i++)
        cache_defer(cache, (struct cache_entry){NULL, 0});
}

static void stacks_forget(struct cache *cache)
{
    for (uint64_t size = 1; size < CACHE_SIZES; size++)
        cache->stacks[size].top = cache->stacks[size].bottom;
    cache->left = 0;
    cache->spare = cache->most;
}

/* Room ------------------------------------------------------------------ */

static uint64_t share_of(const struct cache *cache) { return cache->most / SHARE; }

/* What lies on top of a stack: another number after each use, but for a chance in thousands. */
static uint64_t stack_mark(const struct cache *cache, uint64_t size)
{
    const struct cache_entry *top = cache->stacks[size].top - 1;
    return top->header ^ (uint64_t)(uintptr_t)top->payload << 8 ^ stack_count(cache, size);
}

/* The next size, as a clock's hand goes round, that was not used since the hand came by, or of
 * which more than a share is kept; else that of which most is kept. */
static uint64_t room_victim(struct cache *cache)
{
    uint64_t largest = 1;
    for (unsigned i = 1; i < CACHE_SIZES; i++) {
        uint64_t size = cache->hand = cache->hand % (CACHE_SIZES - 1) + 1;
        uint64_t count = stack_count(cache, size), mark = stack_mark(cache, size),
                 before = cache->marks[size];
        cache->marks[size] = mark;
        if (count != 0 && (mark == before || count * size > share_of(cache)))
            return size;
        if (count * size > stack_count(cache, largest) * largest)
            largest = size;
    }
    return largest;
}

/* Flushes the older half of a stack, or a part: others wait for the lock meanwhile. But not too
 * small a part, since the rest moves down. */
static void room_make(struct cache *cache, struct shmheap *heap)
{
    uint64_t size = room_victim(cache);
    unsigned count = stack_count(cache, size);
    stack_flush(cache, heap, size,
                count <= 2 * FLUSH_BATCH ? (count + 1) / 2 : FLUSH_BATCH + count / FLUSH_SHARE);
}

/* Lets the stacks grow by so many granules, and by some more until the next look at them. For more
 * than a share nothing else has to go. */
static void room_make_for(struct cache *cache, struct shmheap *heap, uint64_t need)
{
    while (cache->left + cache->spare < need && need <= share_of(cache))
        room_make(cache, heap);
    uint64_t room = cache->left + cache->spare,
             grant = need + (share_of(cache) > INSPECT_LEAST ? share_of(cache) : INSPECT_LEAST);
    cache->left = room < grant ? room : grant;
    cache->spare = room - cache->left;
}

/* Of an empty stack, the entries that were fetched last: where nothing was added since, they still
 * lie there. */
static uint64_t stack_sum(const struct cache *cache, uint64_t size, unsigned count)
{
    uint64_t sum = count;
    for (unsigned i = 0; i < count; i++)
        sum ^= cache->stacks[size].bottom[i].header +
               (uint64_t)(uintptr_t)cache->stacks[size].bottom[i].payload;
    return sum;
}

/* How many blocks of this size to fetch: a few, then twice as many each time, up to a quarter of a
 * share; up to several shares where the thread frees none, since then the lock is all that they
 * cost. In a small heap a quarter may be nothing: then a few of small blocks, else one. */
static unsigned batch_next(struct cache *cache, uint64_t size)
{
    unsigned last = cache->batch[size];
    int free_set_none = last != 0 && stack_sum(cache, size, last) == cache->sums[size];
    uint64_t most = free_set_none ? share_of(cache) * 4 / size : share_of(cache) / 4 / size;
    uint64_t listed = size <= LIST_SIZE && size <= share_of(cache) ? BATCH_FEW : 1,
             batch = last == 0 ? BATCH_FEW : 2 * (uint64_t)last;
    batch = batch < most ? batch : most;
    return (unsigned)(batch < listed ? listed : batch < BATCH_MOST ? batch : BATCH_MOST);
}

/* Whether the stack, settled, has enough for some time: blocks that are freed next come back to it
 * only when as many others have been freed as recent holds. In a small heap or of a large size
 * there are seldom so many. */
static int stack_suffices(const struct cache *cache, uint64_t size)
{
    return stack_count(cache, size) >
           (2 * CACHE_RECENT * size <= share_of(cache) / 4 ? CACHE_RECENT : 0);
}

void *cache_take_settled(struct cache *cache, uint64_t size, size_t len)
{
    recent_settle(cache);
    return stack_suffices(cache, size) ? cache_take(cache, len) : NULL;
}

/* Under the lock -------------------------------------------------------- */

static void stacks_format(struct cache *cache, const struct shmheap *heap)
{
    cache->first = block_payload(heap, 0);
    cache->shift = heap->shift;
    cache->used = header_make(0, SHMHEAP_STATE_USED, heap->slot, 1);
    cache->kept = header_make(0, SHMHEAP_STATE_CACHED, heap->slot, 0);
    for (uint64_t size = 0; size < CACHE_SIZES; size++)
        cache->stacks[size].top = cache->stacks[size].bottom;
    memset(cache->recent, 0, sizeof cache->recent);
    cache->left = cache->spare = cache->most = 0;
}

/* Gets the shared line. A death in here leaves a used block of the dead, or a line of the dead. */
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
    cache->taken = cache->pause = 0;
    cache->pause_len = PAUSE_LEAST;
    cache->resumed = load_u64(&heap->control->allocs);
    stacks_format(cache, heap);
    SHARED_STORE(&cache->heap, heap);
    return 0;
}

/* The next pause: twice as long as the last one if that was not long ago. Asking costs a walk over
 * the blocks, some nanoseconds for each, which as many calls without the cache, at tens of
 * nanoseconds, have to be worth. since: allocs since the last one. */
static uint64_t pause_next(const struct cache *cache, const struct shmheap *heap, uint64_t since)
{
    uint64_t blocks = load_u64(&heap->control->allocs) - load_u64(&heap->control->frees);
    uint64_t least = (blocks < heap->end ? blocks : heap->end) / PAUSE_BLOCKS, most = PAUSE_MOST;
    least = least < PAUSE_LEAST ? PAUSE_LEAST : least < PAUSE_BOUND ? least : PAUSE_BOUND;
    most = most < 4 * least ? 4 * least : most;
    uint64_t pause = since > RESUMED_LONG_AGO * cache->pause_len ? least : 2 * cache->pause_len;
    return pause < least ? least : pause < most ? pause : most;
}

/* A process has asked for the blocks, and perhaps taken them: the thread does without its cache for
 * some time, lest the next alloc that fails, in a heap that is full, has to ask again. */
static int cache_answer(struct cache *cache, struct shmheap *heap)
{
    uint64_t taken = load_u64(&cache->line->taken), allocs = load_u64(&heap->control->allocs);
    if (cache->pause == 0) {
        if (taken != cache->taken)
            stacks_forget(cache);
        else
            stacks_flush(cache, heap);
        cache->pause_len = pause_next(cache, heap, allocs - cache->resumed);
        cache->pause = cache->pause_len;
    }
    if (--cache->pause != 0)
        return -1;
    cache->taken = taken;
    cache->resumed = allocs;
    store_u64(&heap->control->caching, 1);
    __atomic_store_n(SHARED_VALUE(&cache->line->asked), 0u, __ATOMIC_RELEASE);
    return 0;
}

int cache_start_if_room(struct cache *cache, struct shmheap *heap)
{
    if (cache->heap != &nothing || (wait_is_expected(heap) && cache->held_back++ < PAUSE_LEAST))
        return -1;
    return cache_attach(cache, heap);
}

/* 0 when the stacks may be used; all that is kept is on them then. */
static int cache_ready(struct cache *cache, struct shmheap *heap)
{
    if (cache->heap == &nothing && cache_start_if_room(cache, heap) != 0)
        return -1;
    if (cache->pause > 1) {
        cache->pause--; /* nothing is kept, and nothing is to be answered yet */
        return -1;
    }
    recent_settle(cache);
    uint64_t most = cache_limit(heap, load_u64(&heap->len_known));
    cache->spare += most - cache->most;
    cache->most = most;
    cache->limit = heap->end > CACHE_SIZES ? heap->end - CACHE_SIZES : 0;
    return load_u32(&cache->line->asked) == 0 ? 0 : cache_answer(cache, heap);
}

/* Puts a block that is cached already on its stack. The last of a batch may be larger than asked
 * for. */
static void entry_push(struct cache *cache, struct shmheap *heap, uint64_t granule)
{
    uint64_t header = block_load(heap, granule),
             size = block_size_checked(heap, granule, header, heap->end);
    if (size - 1 >= cache->left || size >= CACHE_SIZES || granule >= cache->limit) {
        heap->fit->free_span(heap, granule, size, 1);
        return;
    }
    cache_push(cache, (struct cache_entry){block_payload(heap, granule),
                                           header - cache->kept + cache->used});
    cache->left -= size;
}

/* Puts blocks from alloc_best on the stack of their size, the lowest on top: it is used first. */
static void entries_push(struct cache *cache, struct shmheap *heap, uint64_t size,
                         const uint64_t *granules, int64_t count)
{
    struct cache_stack *stack = &cache->stacks[size];
    struct cache_entry *top = stack->top;
    for (int64_t i = count; i-- > 0;) {
        uint64_t header = block_load(heap, granules[i]);
        if (UNLIKELY(header_size(header) != size || granules[i] >= cache->limit ||
                     size > cache->left)) {
            stack->top = top;
            entry_push(cache, heap, granules[i]);
            top = stack->top;
            continue;
        }
        top->payload = block_payload(heap, granules[i]);
        top->header = header - cache->kept + cache->used;
        top++;
        cache->left -= size;
    }
    stack->top = top;
}

int cache_fill(struct cache *cache, struct shmheap *heap, uint64_t size)
{
    uint64_t granules[BATCH_MOST];
    if (cache_ready(cache, heap) != 0)
        return 0;
    if (stack_suffices(cache, size))
        return 1;
    unsigned wanted = batch_next(cache, size);
    room_make_for(cache, heap, wanted * size);
    wanted = wanted * size <= cache->left ? wanted : (unsigned)(cache->left / size);
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
    /* A thread that has never allocated this size only passes on what others do: where more memory
     * goes round it is slower. */
    if (cache->batch[size] == 0 && stack_count(cache, size) * size >= share_of(cache))
        stack_flush(cache, heap, size, (stack_count(cache, size) + 1) / 2);
    room_make_for(cache, heap, size);
    return 1;
}

/* Beginning and end ----------------------------------------------------- */

/* Empty, with room for the stacks of at most so many granules; NULL: there is no memory. Pages that
 * are never used cost addresses only. */
static struct cache *cache_map(uint64_t most)
{
    uint64_t entries = most * ENTRIES_SHARE + CACHE_SIZES * (1 + PADDING);
    size_t bytes = sizeof(struct cache) + (size_t)entries * sizeof(struct cache_entry);
    struct cache *cache = process_memory(bytes);
    if (cache == NULL)
        return NULL;
    cache->bytes = bytes;
    struct cache_entry *place = cache->entries;
    for (uint64_t size = 0; size < CACHE_SIZES; size++) {
        cache->stacks[size].bottom = cache->stacks[size].top = place + 1;
        place += 1 + PADDING + (size != 0 ? most / size : 0);
    }
    return cache;
}

static void cache_unmap(struct cache *cache) { process_memory_free(cache, cache->bytes); }

/* Gives back what the cache has, its line too. Lock held. */
static void cache_empty(struct cache *cache, struct shmheap *heap)
{
    struct block_step step = {cache->line_granule, 0, 0};
    if (cache->heap == &nothing)
        return;
    recent_settle(cache);
    if (load_u64(&cache->line->taken) == cache->taken)
        stacks_flush(cache, heap);
    if (index_is_start(heap, step.granule) &&
        block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK && reclaim_is_line(heap, &step) &&
        header_slot(step.header) == heap->slot) {
        reclaim_line_drop(heap, step.granule);
        heap->fit->free_span(heap, step.granule, step.size, 1);
    }
    SHARED_STORE(&cache->heap, &nothing);
}

/* Takes the cache off its connection's list. Mutex held. */
static void cache_unlist(struct cache *cache)
{
    for (struct cache **place = &cache->of->caches; *place != NULL; place = &(*place)->next_of_heap)
        if (*place == cache) {
            *place = cache->next_of_heap;
            break;
        }
}

/* The cache has no connection any more. It goes with its thread, or at once when that has ended.
 * Mutex held. */
static void cache_retire(struct cache *cache)
{
    SHARED_STORE(&cache->heap, &nothing);
    SHARED_STORE(&cache->of, NULL);
    if (cache->state == CACHE_WITHOUT_THREAD)
        cache_unmap(cache);
    else
        cache->state = CACHE_OF_THREAD;
}

/* At the end of a thread: empties the cache, or where the lock is not to be had soon leaves it to
 * the connection, for its next thread. What it holds can be had by others meanwhile, as what any
 * cache holds. */
static void cache_of_thread_end(struct cache *cache)
{
    pthread_mutex_lock(&cache_mutex);
    struct shmheap *heap = cache->of;
    if (cache->state ==
        CACHE_EMPTYING) { /* by a thread that closes the connection, which unmaps it then */
        cache->state = CACHE_WITHOUT_THREAD;
        pthread_mutex_unlock(&cache_mutex);
        return;
    }
    if (heap != NULL)
        cache->state = CACHE_EMPTYING;
    pthread_mutex_unlock(&cache_mutex);
    int emptied = heap == NULL || cache->heap == &nothing;
    if (!emptied && heap_lock_within(heap, THREAD_END_MS) == 0) {
        cache_empty(cache, heap);
        heap_unlock_freed(heap);
        emptied = 1;
    }
    pthread_mutex_lock(&cache_mutex);
    cache->state = CACHE_WITHOUT_THREAD;
    if (emptied && heap != NULL)
        cache_unlist(cache);
    if (emptied)
        cache_retire(cache);
    pthread_cond_broadcast(&cache_emptied);
    pthread_mutex_unlock(&cache_mutex);
}

static void caches_of_thread_end(void *list)
{
    int calm = process_cancel_off();
    cache_mine = &cache_none;
    cache_all = NULL;
    for (struct cache *cache = list, *next; cache != NULL; cache = next) {
        next = cache->next_of_thread;
        cache_of_thread_end(cache);
    }
    process_cancel_restore(calm);
}

static void cache_start(void)
{
    cache_key_made = pthread_key_create(&cache_key, caches_of_thread_end) == 0;
}

void cache_end_of_library(void)
{
    if (cache_key_made)
        pthread_key_delete(
            cache_key); /* threads that end from now on would call what is no longer there */
    cache_key_made = 0;
}

/* Takes the caches of closed connections off this thread's list, which begins at cache_all. Mutex
 * held. */
static void caches_of_thread_tidy(void)
{
    for (struct cache **place = &cache_all; *place != NULL;) {
        struct cache *cache = *place;
        if (cache->of != NULL) {
            place = &cache->next_of_thread;
            continue;
        }
        *place = cache->next_of_thread;
        cache_unmap(cache);
    }
}

/* A cache of the connection whose thread has ended, for this thread; NULL: there is none. Mutex
 * held. */
static struct cache *cache_adopt(struct shmheap *heap)
{
    struct cache *cache = heap->caches;
    while (cache != NULL && cache->state != CACHE_WITHOUT_THREAD)
        cache = cache->next_of_heap;
    if (cache != NULL)
        cache->state = CACHE_OF_THREAD;
    return cache;
}

static struct cache *cache_new(struct shmheap *heap)
{
    pthread_once(&cache_once, cache_start);
    if (!cache_key_made)
        return NULL;
    pthread_mutex_lock(&cache_mutex);
    cache_mine = &cache_none;
    caches_of_thread_tidy();
    struct cache *cache = cache_adopt(heap);
    if (cache == NULL && (cache = cache_map(cache_limit(heap, heap->layout.max_len))) != NULL) {
        cache->heap = &nothing;
        SHARED_STORE(&cache->of, heap);
        cache->next_of_heap = heap->caches;
        heap->caches = cache;
    }
    if (cache != NULL) {
        cache->next_of_thread = cache_all;
        cache_all = cache;
    }
    pthread_mutex_unlock(&cache_mutex);
    if (cache != NULL)
        pthread_setspecific(cache_key, cache_all);
    return cache;
}

struct cache *cache_of(struct shmheap *heap)
{
    int before = errno;
    struct cache *cache;
    process_notice_fork();
    if (!lock_barrier_remote ||
        cache_limit(heap, load_u64(&heap->len_known)) << heap->shift < LIMIT_BYTES_MIN)
        return NULL;
    for (cache = cache_all; cache != NULL && SHARED_LOAD(&cache->of) != heap;
         cache = cache->next_of_thread)
        continue;
    if (cache == NULL && (cache = cache_new(heap)) == NULL) {
        errno = before; /* then without */
        return NULL;
    }
    cache_mine = cache;
    return cache;
}

/* A cache of the connection that no thread is emptying, taken off the list to be emptied; waits for
 * those that others are at. NULL: there are none. Mutex held. */
static struct cache *cache_take_over(struct shmheap *heap)
{
    while (heap->caches != NULL) {
        struct cache *cache = heap->caches;
        while (cache != NULL && cache->state == CACHE_EMPTYING)
            cache = cache->next_of_heap;
        if (cache != NULL) {
            cache_unlist(cache);
            return cache;
        }
        pthread_cond_wait(&cache_emptied,
                          &cache_mutex); /* no longer than THREAD_END_MS and an emptying */
    }
    return NULL;
}

void cache_close(struct shmheap *heap)
{
    int entered = 0, asked = 0; /* for the lock: once, since each request may last 30 s */
    struct cache *cache;
    pthread_mutex_lock(&cache_mutex);
    while ((cache = cache_take_over(heap)) != NULL) {
        int had_thread = cache->state == CACHE_OF_THREAD;
        if (had_thread)
            cache->state = CACHE_EMPTYING;
        pthread_mutex_unlock(&cache_mutex);
        if (!asked && cache->heap != &nothing) {
            entered = heap_lock(heap) == 0;
            asked = 1;
        }
        if (entered)
            cache_empty(cache, heap);
        pthread_mutex_lock(&cache_mutex);
        cache_retire(cache);
    }
    pthread_mutex_unlock(&cache_mutex);
    if (entered)
        heap_unlock_freed(heap);
}

void cache_give_back(struct shmheap *heap, unsigned limit_ms)
{
    if (heap->caches == NULL || heap_lock_within(heap, limit_ms) != 0)
        return;
    if (process_is_alone()) {
        for (struct cache *cache = heap->caches; cache != NULL; cache = cache->next_of_heap)
            cache_empty(cache, heap);
        heap->cached = 0;
    } else {
        reclaim_caches_of(heap, heap->slot);
    }
    heap_unlock_freed(heap);
}

void cache_fork_child(void)
{
    pthread_mutex_init(&cache_mutex, NULL);
    pthread_cond_init(&cache_emptied, NULL);
}

/* The blocks are the parent's. What threads that are not here had as caches waits for threads of
 * this process. */
void cache_fork_child_of(struct shmheap *heap)
{
    for (struct cache *cache = heap->caches; cache != NULL; cache = cache->next_of_heap) {
        int mine = 0;
        for (const struct cache *own = cache_all; own != NULL && !mine; own = own->next_of_thread)
            mine = own == cache;
        SHARED_STORE(&cache->heap, &nothing);
        cache->state = mine ? CACHE_OF_THREAD : CACHE_WITHOUT_THREAD;
    }
}
