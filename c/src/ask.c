/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fit.h"
#include "index.h"
#include "slot.h"

enum { BUSY_LIMIT_MS = 50 };

/* struct asked is private. */
struct asked {
    uint64_t limit; /* until when to wait for those who are busy; the monotonic clock, ns */
    unsigned slot;  /* whose caches; 0: all */
    unsigned char may_take[HEADER_SLOT_MASK + 1]; /* 1: the blocks that this slot caches are ours to free */
};

int ask_is_line(const struct shmheap *heap, const struct block_step *step)
{
    return header_state(step->header) == SHMHEAP_STATE_INTERNAL &&
           block_payload_len(heap, step->size) >= sizeof(struct cache_line) &&
           load_u64(&((const struct cache_line *)block_payload(heap, step->granule))->kind) == INTERNAL_CACHE;
}

/* Does visit with the line of each thread whose process lives: 0, or -1 with errno EBADMSG. */
static int lines_each(struct shmheap *heap, struct asked *asked,
                      void (*visit)(struct asked *asked, struct cache_line *line, unsigned slot))
{
    struct block_step step = {0, 0, 0};
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step))
        if (ask_is_line(heap, &step) && (asked->slot == 0 || asked->slot == header_slot(step.header)) &&
            slot_alive(heap, header_slot(step.header)))
            visit(asked, block_payload(heap, step.granule), header_slot(step.header));
    if (step.granule == heap->end)
        return 0;
    errno = EBADMSG;
    return -1;
}

/* Who was busy when it was asked before, and is so still, is stopped there: nobody waits for it again. */
static void line_ask(struct asked *asked, struct cache_line *line, unsigned slot)
{
    if (load_acquire_u32(&line->asked) != 0 && load_acquire_u32(&line->busy) != 0)
        asked->may_take[slot] = 0;
    __atomic_store_n(&line->asked, 1u, __ATOMIC_RELEASE);
}

/* A thread that has seen asked waits for the lock, which we have; one that has not ends what it does within some instructions. */
static void line_settle(struct asked *asked, struct cache_line *line, unsigned slot)
{
    while (asked->may_take[slot] && load_acquire_u32(&line->busy) != 0) {
        if (clock_ns(CLOCK_MONOTONIC) >= asked->limit)
            asked->may_take[slot] = 0;
        sched_yield();
    }
}

static void line_note_taken(struct asked *asked, struct cache_line *line, unsigned slot)
{
    if (asked->may_take[slot])
        store_u64(&line->taken, load_u64(&line->taken) + 1);
}

static int take_all(struct shmheap *heap, const struct asked *asked, long *freed)
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (header_state(step.header) == SHMHEAP_STATE_CACHED && asked->may_take[header_slot(step.header)]) {
            if (!index_is_start(heap, step.granule) || index_size_checked(heap, step.granule, step.header) == 0 ||
                heap->fit->free_span(heap, step.granule, step.size, 1) != 0)
                break;
            ++*freed;
            next = index_next_start(heap, next); /* a free block behind it has become part of it */
        }
        step.granule = next;
    }
    if (step.granule == heap->end)
        return 0;
    errno = EBADMSG;
    return -1;
}

static long ask_for(struct shmheap *heap, struct asked *asked)
{
    long freed = 0;
    if (lines_each(heap, asked, line_ask) != 0)
        return -1;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0)
        return 0;
    asked->limit = clock_ns(CLOCK_MONOTONIC) + BUSY_LIMIT_MS * UINT64_C(1000000);
    if (lines_each(heap, asked, line_settle) != 0 || lines_each(heap, asked, line_note_taken) != 0 ||
        take_all(heap, asked, &freed) != 0)
        return -1;
    return freed;
}

long ask_for_caches(struct shmheap *heap)
{
    struct asked asked;
    if (load_u64(&heap->control->caching) == 0)
        return 0;
    asked.slot = 0;
    memset(asked.may_take, 1, sizeof asked.may_take);
    long freed = ask_for(heap, &asked);
    /* Those who keep blocks from now on say so again. */
    if (freed >= 0 && memchr(asked.may_take, 0, sizeof asked.may_take) == NULL)
        store_u64(&heap->control->caching, 0);
    return freed;
}

long ask_for_caches_of(struct shmheap *heap, unsigned slot)
{
    struct asked asked;
    asked.slot = slot;
    memset(asked.may_take, 0, sizeof asked.may_take);
    asked.may_take[slot & HEADER_SLOT_MASK] = 1;
    return ask_for(heap, &asked);
}
