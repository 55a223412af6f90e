/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fit.h"
#include "slot.h"

enum { LINES_MAX = 1024, BUSY_LIMIT_MS = 50 };

/* struct asked is private: the lines found, and what became of their slots. */
struct asked {
    struct cache_line *lines[LINES_MAX];
    unsigned short slots[LINES_MAX];
    unsigned count;
    unsigned char may_take[HEADER_SLOT_MASK + 1]; /* 1: the blocks that this slot caches are ours to free */
};

int ask_is_line(const struct shmheap *heap, const struct block_step *step)
{
    return header_state(step->header) == SHMHEAP_STATE_INTERNAL &&
           block_payload_len(heap, step->size) >= sizeof(struct cache_line) &&
           load_u64(&((const struct cache_line *)block_payload(heap, step->granule))->kind) == INTERNAL_CACHE;
}

static void line_ask(struct asked *asked, struct cache_line *line, unsigned slot)
{
    if (asked->count == LINES_MAX) {
        asked->may_take[slot] = 0;
        return;
    }
    __atomic_store_n(&line->asked, 1u, __ATOMIC_RELEASE);
    asked->lines[asked->count] = line;
    asked->slots[asked->count++] = (unsigned short)slot;
}

/* Which slots' blocks may be taken: those of the dead at once, those of the living when all their threads stand aside. */
static int lines_ask(struct shmheap *heap, struct asked *asked)
{
    struct block_step step = {0, 0, 0};
    memset(asked->may_take, 1, sizeof asked->may_take);
    for (asked->count = 0; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step))
        if (ask_is_line(heap, &step) && slot_alive(heap, header_slot(step.header)))
            line_ask(asked, block_payload(heap, step.granule), header_slot(step.header));
    if (step.granule == heap->end)
        return 0;
    errno = EBADMSG;
    return -1;
}

/* A thread that has seen asked waits for the lock, which we have; one that has not ends what it does within some instructions. */
static void lines_settle(struct asked *asked)
{
    uint64_t limit = clock_ns(CLOCK_MONOTONIC) + BUSY_LIMIT_MS * UINT64_C(1000000);
    for (unsigned i = 0; i < asked->count; i++) {
        while (load_acquire_u32(&asked->lines[i]->busy) != 0 && clock_ns(CLOCK_MONOTONIC) < limit)
            sched_yield();
        if (load_acquire_u32(&asked->lines[i]->busy) != 0)
            asked->may_take[asked->slots[i]] = 0;
    }
    for (unsigned i = 0; i < asked->count; i++)
        if (asked->may_take[asked->slots[i]])
            store_u64(&asked->lines[i]->taken, load_u64(&asked->lines[i]->taken) + 1);
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

long ask_for_caches(struct shmheap *heap)
{
    struct asked asked;
    long freed = 0;
    if (load_u64(&heap->control->caching) == 0)
        return 0;
    if (lines_ask(heap, &asked) != 0)
        return -1;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0)
        return 0;
    lines_settle(&asked);
    if (take_all(heap, &asked, &freed) != 0)
        return -1;
    /* Those who keep blocks from now on say so again. */
    if (memchr(asked.may_take, 0, sizeof asked.may_take) == NULL)
        store_u64(&heap->control->caching, 0);
    return freed;
}
