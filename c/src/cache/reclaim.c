/* reclaim.c: the reclaim of cached blocks: it posts a request in each line, waits for active
 * threads and frees the blocks in state cached.
 * SPDX-License-Identifier: Apache-2.0 */
#include "reclaim.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../heap/fit.h"
#include "../free_set/index.h"
#include "../base/kernel.h"

enum {
    /* how long to wait for active threads */
    ACTIVE_LIMIT_MS = 50,
    PACE_MS = 100,      /* between two requests of threads that wait for space */
    LINES_MAX = 1 << 16 /* a longer list is a ring that a peer made */
};

/* struct reclaim_request is one call of this file: what it shall reclaim, and until when. */
struct reclaim_request {
    const struct shmheap *heap;
    uint64_t limit; /* until when to wait for active threads; monotonic clock, ns */
    unsigned slot;  /* whose caches; 0: all */
    unsigned char
        may_free[HEADER_SLOT_MASK + 1]; /* 1: the blocks that this slot caches may be freed */
};

int reclaim_is_line(const struct shmheap *heap, const struct block_step *step)
{
    return header_state(step->header) == SHMHEAP_STATE_INTERNAL &&
           block_payload_len(heap, step->size) >= sizeof(struct cache_line) &&
           load_u64(&((const struct cache_line *)block_payload(heap, step->granule))->kind) ==
               INTERNAL_CACHE;
}

/* The line in the block at granule, any number; NULL: there is none. */
static struct cache_line *line_at(const struct shmheap *heap, uint64_t granule, unsigned *slot)
{
    struct block_step step = {granule, 0, 0};
    if (granule >= heap->end || !bits_is_start(heap, granule) ||
        block_walk_at(heap, &step, heap->end) != BLOCK_WALK_BLOCK || !reclaim_is_line(heap, &step))
        return NULL;
    *slot = header_slot(step.header);
    return block_payload(heap, granule);
}

void reclaim_line_add(struct shmheap *heap, uint64_t granule)
{
    unsigned slot;
    struct cache_line *line = line_at(heap, granule, &slot);
    if (line == NULL)
        return;
    store_u64(&line->next, load_u64(&heap->control->cache_lines));
    store_publish(&heap->control->cache_lines, granule + 1);
}

void reclaim_line_drop(struct shmheap *heap, uint64_t granule)
{
    shared_u64 *place = &heap->control->cache_lines;
    struct cache_line *line;
    unsigned slot;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        uint64_t at = load_u64(place) - 1;
        if ((line = line_at(heap, at, &slot)) == NULL)
            return;
        if (at == granule) {
            store_publish(place, load_u64(&line->next));
            return;
        }
        place = &line->next;
    }
}

void reclaim_lines_owners(const struct shmheap *heap, struct reclaim_owners *owners)
{
    uint64_t next = load_u64(&heap->control->cache_lines);
    memset(owners, 0, sizeof *owners);
    for (; next != 0 && owners->lines < LINES_MAX; owners->lines++) {
        unsigned slot;
        const struct cache_line *line = line_at(heap, next - 1, &slot);
        if (line == NULL)
            return;
        slot_set_add(owners->slots, slot);
        next = load_u64(&line->next);
    }
}

long reclaim_lines_free(struct shmheap *heap, const uint64_t *slots)
{
    shared_u64 *place = &heap->control->cache_lines;
    long freed = 0;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        unsigned slot;
        uint64_t at = load_u64(place) - 1;
        struct cache_line *line = line_at(heap, at, &slot);
        if (line == NULL)
            break;
        if (!slot_set_has(slots, slot)) {
            place = &line->next;
            continue;
        }
        store_publish(place, load_u64(&line->next));
        uint64_t size = bits_size_checked(heap, at, block_load(heap, at));
        if (size == 0 || heap->fit->free_span(heap, at, size, 1) != 0)
            break;
        freed++;
    }
    return freed;
}

/* Rebuilds a list that a peer has damaged, from a walk over the blocks. 0, or -1 with errno
 * EBADMSG. */
static COLD int lines_relink(struct shmheap *heap)
{
    struct block_step step = {0, 0, 0};
    store_u64(&heap->control->cache_lines, 0);
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step))
        if (reclaim_is_line(heap, &step))
            reclaim_line_add(heap, step.granule);
    if (step.granule == heap->end)
        return 0;
    errno = EBADMSG;
    return -1;
}

/* Calls visit with each line in the list, once each. Returns 0; -1: the list is damaged. */
static int lines_each(struct shmheap *heap, struct reclaim_request *request,
                      void (*visit)(struct reclaim_request *request, struct cache_line *line,
                                    unsigned slot))
{
    uint64_t next = load_u64(&heap->control->cache_lines);
    for (unsigned i = 0; next != 0; i++) {
        unsigned slot;
        struct cache_line *line = i < LINES_MAX ? line_at(heap, next - 1, &slot) : NULL;
        if (line == NULL)
            return -1;
        if (request->slot == 0 || request->slot == slot)
            visit(request, line, slot);
        next = load_u64(&line->next);
    }
    return 0;
}

/* The line of a dead process may say active for ever. */
static int line_is_active(const struct reclaim_request *request, const struct cache_line *line,
                          unsigned slot)
{
    return load_acquire_u32(&line->active) != 0 && slot_alive(request->heap, slot);
}

/* A thread that was active at the last request, and still is, has been stopped there: its blocks
 * stay, without another wait. */
static void line_post_request(struct reclaim_request *request, struct cache_line *line,
                              unsigned slot)
{
    if (load_acquire_u32(&line->requested) != 0 && line_is_active(request, line, slot))
        request->may_free[slot] = 0;
    ACCESS_HOOK(&line->requested);
    __atomic_store_n(SHARED_VALUE(&line->requested), 1u, __ATOMIC_RELEASE);
}

/* A thread that has seen the request waits for the lock, which the caller holds. A thread that
 * has not seen it leaves its cache within some instructions. */
static void line_await(struct reclaim_request *request, struct cache_line *line, unsigned slot)
{
    while (request->may_free[slot] && line_is_active(request, line, slot)) {
        if (clock_ns(CLOCK_MONOTONIC) >= request->limit)
            request->may_free[slot] = 0;
        sched_yield();
    }
}

static void line_advance_epoch(struct reclaim_request *request, struct cache_line *line,
                               unsigned slot)
{
    if (request->may_free[slot])
        store_u64(&line->epoch, load_u64(&line->epoch) + 1);
}

static int blocks_free(struct shmheap *heap, const struct reclaim_request *request, long *freed)
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (header_state(step.header) == SHMHEAP_STATE_CACHED &&
            request->may_free[header_slot(step.header)]) {
            if (!bits_is_start(heap, step.granule) ||
                bits_size_checked(heap, step.granule, step.header) == 0 ||
                heap->fit->free_span(heap, step.granule, step.size, 1) != 0)
                break;
            ++*freed;
            next = index_next_start(heap, next); /* the free block behind it has been merged */
        }
        step.granule = next;
    }
    if (step.granule == heap->end)
        return 0;
    errno = EBADMSG;
    return -1;
}

static long bad(void)
{
    errno = EBADMSG;
    return -1;
}

static long reclaim_for(struct shmheap *heap, struct reclaim_request *request)
{
    long freed = 0;
    request->heap = heap;
    if ((load_u64(&heap->control->cache_lines) == 0 ||
         lines_each(heap, request, line_post_request) != 0) &&
        (lines_relink(heap) != 0 || lines_each(heap, request, line_post_request) != 0))
        return bad();
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0)
        return 0;
    request->limit = clock_ns(CLOCK_MONOTONIC) + ACTIVE_LIMIT_MS * UINT64_C(1000000);
    if (lines_each(heap, request, line_await) != 0 ||
        lines_each(heap, request, line_advance_epoch) != 0)
        return bad(); /* a peer has damaged the list since */
    if (blocks_free(heap, request, &freed) != 0)
        return -1;
    return freed;
}

int reclaim_is_paced(struct shmheap *heap)
{
    shared_u64 *after = &connection_hints(heap)->reclaim_after_ns;
    uint64_t now = clock_ns(CLOCK_MONOTONIC), pace = PACE_MS * UINT64_C(1000000);
    if (load_u64(&heap->control->caching) == 0)
        return 0;                      /* a request costs nothing */
    if (load_u64(after) - now <= pace) /* else it has passed, or a peer forged it */
        return 1;
    store_u64(after, now + pace);
    return 0;
}

long reclaim_caches(struct shmheap *heap)
{
    struct reclaim_request request;
    if (load_u64(&heap->control->caching) == 0)
        return 0;
    request.slot = 0;
    memset(request.may_free, 1, sizeof request.may_free);
    long freed = reclaim_for(heap, &request);
    /* A thread that caches blocks from now on sets caching again. */
    if (freed >= 0 && memchr(request.may_free, 0, sizeof request.may_free) == NULL)
        store_u64(&heap->control->caching, 0);
    return freed;
}

long reclaim_caches_of(struct shmheap *heap, unsigned slot)
{
    struct reclaim_request request;
    request.slot = slot;
    memset(request.may_free, 0, sizeof request.may_free);
    request.may_free[slot & HEADER_SLOT_MASK] = 1;
    return reclaim_for(heap, &request);
}
