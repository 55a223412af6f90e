/* reap.c: reaping: one walk over the blocks frees what dead slots own; hints decide when it is due.
 * SPDX-License-Identifier: Apache-2.0 */
#include "reap.h"

#include <errno.h>

#include "../cache/reclaim.h"
#include "../heap/fit.h"
#include "../free_set/index.h"
#include "../names/departed.h"
#include "../recovery/recover.h"
#include "../process/slot_claim.h"

/* A probe whether the owner of a slot lives is a system call: half a microsecond, and five where
 * there are a thousand processes. With up to PROBE_ALWAYS processes each allocation that fails
 * probes all. With n > PROBE_ALWAYS processes at least n * n * PROBE_PACE_NS pass between two
 * probes: 64 ms for a thousand. */
enum { PROBE_ALWAYS = 16, PROBE_PACE_NS = 64 };

/* The most failing allocations between two inspections of the cache lines: LINES_PACE_MOST,
 * LINES_PACE_OWNER for each living process that has lines, and one for each line. So each
 * allocation pays less for the inspections than for its own work. */
enum { LINES_PACE_MOST = 63, LINES_PACE_OWNER = 64 };

/* struct dead holds the slots to reap. */
struct dead {
    uint64_t slots[SLOT_SET_WORDS]; /* slot_reapable, and SLOT_GONE */
    /* Of processes that departed in order. Blocks that their threads cached even then are to be
     * freed too. */
    uint64_t departed[SLOT_SET_WORDS];
};

static struct dead dead_slots(struct shmheap *heap)
{
    struct dead dead = {{0}, {0}};
    slot_reapable(heap, dead.slots);
    slot_set_add(dead.slots, SLOT_GONE); /* the label of processes that died earlier */
    slot_set_add(dead.departed, SLOT_DEPARTED);
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_departed(heap, slot))
            slot_set_add(dead.departed, slot);
    return dead;
}

static int block_is_reapable(const struct shmheap *heap, const struct block_step *step,
                             const struct dead *dead, int shared)
{
    unsigned slot = header_slot(step->header), state = header_state(step->header);
    int is_dead = slot_set_has(dead->slots, slot);
    if (!is_dead && !slot_set_has(dead->departed, slot))
        return 0;
    return state == SHMHEAP_STATE_CACHED || reclaim_is_line(heap, step) ||
           (is_dead && (state == SHMHEAP_STATE_USED || (shared && state == SHMHEAP_STATE_SHARED)));
}

long reap_objects(struct shmheap *heap, int shared)
{
    struct dead dead = dead_slots(heap);
    struct block_step step = {0, 0, 0};
    long freed = reclaim_lines_free(heap, dead.slots);
    reclaim_lines_free(heap, dead.departed);
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (block_is_reapable(heap, &step, &dead, shared)) {
            if (!bits_is_start(heap, step.granule) ||
                bits_size_checked(heap, step.granule, step.header) == 0 ||
                heap->fit->free_span(heap, step.granule, step.size, 1) != 0)
                break;
            /* Not the lines of a departed process, which left in order. */
            freed += slot_set_has(dead.slots, header_slot(step.header)) ||
                     header_state(step.header) == SHMHEAP_STATE_CACHED;
            /* The free block behind it has been merged: continue at the next start. */
            next = index_next_start(heap, next);
        }
        step.granule = next;
    }
    if (step.granule != heap->end) {
        errno = EBADMSG;
        return -1;
    }
    long named = names_reap(heap, dead.slots);
    if (named < 0 || recover_slots_reaped(heap, dead.slots) < 0)
        return -1;
    store_u32(&connection_hints(heap)->reap_wanted, 0);
    return freed + named;
}

/* Notes when the next probe is due, after a probe of so many processes. */
static void probe_pace(struct shmheap *heap, uint64_t taken)
{
    if (taken > PROBE_ALWAYS)
        store_u64(&connection_hints(heap)->reap_after_ns,
                  clock_ns(CLOCK_MONOTONIC) + taken * taken * PROBE_PACE_NS);
}

/* A time further away than the longest pause was forged by a peer, or stems from an earlier
 * boot. */
static int probe_is_early(const struct shmheap *heap)
{
    const uint64_t longest = (uint64_t)SLOTS_MAX * SLOTS_MAX * PROBE_PACE_NS;
    uint64_t after = load_u64(&connection_hints(heap)->reap_after_ns);
    return after != 0 && after - clock_ns(CLOCK_MONOTONIC) <= longest;
}

/* The inspection found nothing: the next one comes after more failing allocations. */
static void lines_pace(struct shmheap *heap, unsigned owners, unsigned lines)
{
    unsigned most = LINES_PACE_MOST + LINES_PACE_OWNER * owners + lines;
    unsigned pace = 2 * heap->lines_pace + 1;
    heap->lines_pace = pace < most ? pace : most;
    heap->lines_wait = heap->lines_pace;
}

long reap_cache_lines(struct shmheap *heap, int at_once)
{
    struct reclaim_owners owners;
    uint64_t departed[SLOT_SET_WORDS] = {0};
    unsigned living = 0;
    if (load_u64(&heap->control->cache_lines) == 0)
        return 0;
    if (!at_once && heap->lines_wait != 0) {
        heap->lines_wait--;
        return 0;
    }
    reclaim_lines_owners(heap, &owners);
    for (unsigned slot = 0; slot <= SLOTS_MAX; slot++) {
        if (!slot_set_has(owners.slots, slot))
            continue;
        if (slot != SLOT_GONE && slot != SLOT_DEPARTED && slot_alive(heap, slot))
            living++;
        else
            slot_set_add(departed, slot);
    }
    long freed = reclaim_lines_free(heap, departed);
    if (freed == 0)
        lines_pace(heap, living, owners.lines);
    else
        heap->lines_pace = heap->lines_wait = 0;
    return freed;
}

/* Probes all slots. 1: a slot's owner is dead and its objects can be reaped; else 0. */
static int slots_probe(struct shmheap *heap)
{
    uint64_t reapable[SLOT_SET_WORDS], taken = 0, found = 0;
    slot_reapable(heap, reapable);
    for (unsigned word = 0; word < SLOT_SET_WORDS; word++)
        found |= reapable[word];
    if (found != 0)
        return 1;
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++) {
        enum slot_state state = slot_state_of(heap, slot);
        taken += state != SLOT_FREE && state != SLOT_VACATED;
    }
    probe_pace(heap, taken);
    return 0;
}

int reap_is_due(struct shmheap *heap)
{
    if (load_u32(&connection_hints(heap)->reap_wanted) != 0)
        return 1;
    return !probe_is_early(heap) && slots_probe(heap);
}
