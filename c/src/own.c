/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <errno.h>

#include "ask.h"
#include "fit.h"
#include "index.h"
#include "names.h"
#include "recover.h"
#include "slot.h"

/* The stamp of one more step in an object's life: handles from before it are stale. */
static unsigned stamp_next(uint64_t header) { return (header_stamp(header) + 1) & STAMP_MASK; }

uint64_t own_send(const struct shmheap *heap, uint64_t granule)
{
    /* Others may turn it from used to shared once meanwhile. */
    for (int i = 0; i < 2; i++) {
        uint64_t header = index_live(heap, granule);
        if (header == 0)
            break;
        if (header_slot(header) != heap->slot || heap->slot == 0) {
            errno = EPERM;
            return 0;
        }
        uint64_t sent = header_make(header_size(header), SHMHEAP_STATE_SENT, SLOT_GONE, stamp_next(header));
        if (block_republish(heap, granule, header, sent))
            return sent;
    }
    errno = EINVAL;
    return 0;
}

uint64_t own_receive(struct shmheap *heap, uint64_t granule, unsigned stamp)
{
    uint64_t header = index_is_start(heap, granule) ? block_load(heap, granule) : 0;
    if (header_state(header) == SHMHEAP_STATE_SENT && header_stamp(header) == stamp) {
        uint64_t used = header_make(header_size(header), SHMHEAP_STATE_USED, heap->slot, stamp_next(header));
        if (block_republish(heap, granule, header, used))
            return used;
    }
    errno = ESTALE;
    return 0;
}

/* struct dead is private. slots: a bit a slot whose process died, and what it held no living process can know by having been forked from it. left: a bit
 * a slot whose process left in order. A process that exits cannot free the lines of its threads' caches, since the threads may go on until it is gone. */
struct dead {
    uint64_t slots[SLOTS_MAX / 64 + 1], left[SLOTS_MAX / 64 + 1];
};

static struct dead dead_slots(struct shmheap *heap)
{
    struct dead dead = {{0}, {0}};
    dead.slots[0] = UINT64_C(1) << SLOT_GONE; /* labels of processes that died before */
    dead.left[SLOT_LEFT / 64] = UINT64_C(1) << SLOT_LEFT % 64;
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_dead(heap, slot) && !slot_claimed(heap, slot))
            dead.slots[slot / 64] |= UINT64_C(1) << slot % 64;
        else if (slot_departed(heap, slot))
            dead.left[slot / 64] |= UINT64_C(1) << slot % 64;
    return dead;
}

/* What the caches of processes that left in order still have: no object. */
static int is_left_over(const struct shmheap *heap, const struct block_step *step, const struct dead *dead)
{
    unsigned slot = header_slot(step->header);
    return ((dead->left[slot / 64] >> slot % 64) & 1) != 0 &&
           (header_state(step->header) == SHMHEAP_STATE_CACHED || ask_is_line(heap, step));
}

static int to_reap(const struct shmheap *heap, const struct block_step *step, const struct dead *dead, int shared)
{
    unsigned slot = header_slot(step->header), state = header_state(step->header);
    if (((dead->slots[slot / 64] >> slot % 64) & 1) == 0)
        return 0;
    return state == SHMHEAP_STATE_USED || state == SHMHEAP_STATE_CACHED || (shared && state == SHMHEAP_STATE_SHARED) ||
           ask_is_line(heap, step);
}

long own_reap(struct shmheap *heap, int shared)
{
    struct dead dead = dead_slots(heap);
    struct block_step step = {0, 0, 0};
    long freed = 0;
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        int reaped = to_reap(heap, &step, &dead, shared);
        if (reaped || is_left_over(heap, &step, &dead)) {
            if (!index_is_start(heap, step.granule) || index_size_checked(heap, step.granule, step.header) == 0 ||
                heap->fit->free_span(heap, step.granule, step.size, 1) != 0)
                break;
            freed += reaped;
            /* A free block behind it has become part of it: go on where the next block begins. */
            next = index_next_start(heap, next);
        }
        step.granule = next;
    }
    if (step.granule != heap->end) {
        errno = EBADMSG;
        return -1;
    }
    long named = names_reap(heap, dead.slots);
    return named >= 0 && recover_slots(heap, 1) >= 0 ? freed + named : -1;
}
