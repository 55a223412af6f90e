/* recover.c: the slow path to the lock: a slot, the lock, recovery after a death, the length.
 *
 * Recovery trusts the headers and computes all other data from them. A slot becomes free in two
 * steps: its blocks get a label in place of the slot, then the entry is cleared. So no block names
 * a free slot.
 * SPDX-License-Identifier: Apache-2.0 */
#include "recover.h"

#include <errno.h>
#include <string.h>

#include "../base/error.h"
#include "../heap/fit.h"
#include "../free_set/index.h"
#include "../names/departed.h"
#include "../os/pause.h"
#include "../os/process.h"
#include "../process/slot_claim.h"

/* Returns 1 when the headers lead to the end and each header is valid, else 0. *free_pairs is 1
 * when two free blocks are neighbours. */
static int headers_sound(const struct shmheap *heap, int *free_pairs)
{
    struct block_step step = {0, 0, 0};
    struct index_data bits;
    uint64_t ahead = 0;
    int was_free = 0;
    *free_pairs = 0;
    index_data_begin(&bits, heap);
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        for (; ahead <= chunk_of(step.granule); ahead++)
            index_fetch_ahead(heap, &bits, ahead, heap->end);
        int is_free = header_is_free(step.header);
        if (!header_state_known(step.header) ||
            (!is_free && header_state(step.header) == SHMHEAP_STATE_FREE))
            return 0;
        *free_pairs |= was_free & is_free;
        was_free = is_free;
        block_walk_next(&step);
    }
    return step.granule == heap->end;
}

/* [ free ][ free ] => [ ---- ]   Left by a death in fit_extend. No header is read twice: a peer
 * that goes on to write them cannot make the walk longer. */
static void merge_neighbours(struct shmheap *heap)
{
    struct block_step step = {0, 0, 0};
    enum block_walk walk = block_walk_at(heap, &step, heap->end);
    while (walk == BLOCK_WALK_BLOCK) {
        const uint64_t first = step.granule, alone = step.granule + step.size;
        const int is_free = header_is_free(step.header);
        do {
            block_walk_next(&step);
            walk = block_walk_at(heap, &step, heap->end);
        } while (is_free && walk == BLOCK_WALK_BLOCK && header_is_free(step.header));
        if (step.granule != alone)
            block_publish(heap, first, header_free(step.granule - first));
    }
}

/* Computes all derived data from the headers: 0, or -1 with errno. Lock held. A death inside leaves
 * the headers true: the next owner recovers again. */
static int recover_heap(struct shmheap *heap)
{
    struct control *control = heap->control;
    uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    int free_pairs;
    if (segment_refresh(heap) != 0)
        return -1;
    if (!headers_sound(heap, &free_pairs)) {
        errno = EBADMSG;
        return -1;
    }
    if (free_pairs)
        merge_neighbours(heap);
    index_rebuild(heap);
    names_recover(heap);
    store_u64(&control->recoveries, load_u64(&control->recoveries) + 1);
    store_u64(&control->last_recovery_ns, clock_ns(CLOCK_MONOTONIC) - begin);
    return 0;
}

/* Returns 1 when the headers lead to the end, else 0. */
static int headers_walkable(const struct shmheap *heap)
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK)
        block_walk_next(&step);
    return step.granule == heap->end;
}

/* Gives one block its label. Meanwhile its holder may turn it from used to shared, once, or free it
 * into a cache, whose slot then holds it. */
static void slot_relabel(const struct shmheap *heap, uint64_t granule, uint64_t header,
                         uint64_t label)
{
    const uint64_t mask = (uint64_t)HEADER_SLOT_MASK << HEADER_SLOT_SHIFT;
    const unsigned slot = header_slot(header);
    for (int i = 0; i < 2 && header_slot(header) == slot; i++, header = block_load(heap, granule))
        if (block_republish(heap, granule, header, (header & ~mask) | label << HEADER_SLOT_SHIFT))
            return;
}

/* Labels the blocks of slots in the sets gone and departed. A death inside leaves some blocks
 * labelled; their slots are not free yet, so the next collector labels the rest. */
static void slots_relabel(const struct shmheap *heap, const uint64_t *gone,
                          const uint64_t *departed)
{
    struct block_step step = {0, 0, 0};
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step)) {
        unsigned slot = header_slot(step.header);
        if (slot_set_has(gone, slot))
            slot_relabel(heap, step.granule, step.header, SLOT_GONE);
        else if (slot_set_has(departed, slot))
            slot_relabel(heap, step.granule, step.header, SLOT_DEPARTED);
    }
}

/* Frees the slots in the set gone, and all departed slots. Returns as recover_slots. */
static int slots_free(struct shmheap *heap, const uint64_t *gone)
{
    uint64_t departed[SLOT_SET_WORDS] = {0};
    int freed = 0;
    if (!headers_walkable(heap)) {
        errno = EBADMSG;
        return -1;
    }
    const unsigned limit = slot_limit(heap);
    for (unsigned slot = 1; slot < limit; slot++)
        if (!slot_set_has(gone, slot) && slot_departed(heap, slot))
            slot_set_add(departed, slot);
    slots_relabel(heap, gone, departed);
    names_relabel(heap, gone, departed);
    for (unsigned slot = 1; slot < limit; slot++)
        if (slot_set_has(gone, slot) || slot_set_has(departed, slot)) {
            slot_clear(heap, slot);
            freed++;
        }
    return freed;
}

int recover_slots(struct shmheap *heap, int and_dead)
{
    uint64_t gone[SLOT_SET_WORDS] = {0};
    if (and_dead)
        slot_reapable(heap, gone);
    for (unsigned word = 0; word < SLOT_SET_WORDS; word++)
        if (gone[word] != 0) /* no slot names these blocks any more */
            store_u32(&connection_hints(heap)->reap_wanted, 1);
    return slots_free(heap, gone);
}

int recover_slots_reaped(struct shmheap *heap, const uint64_t *reaped)
{
    uint64_t gone[SLOT_SET_WORDS];
    memcpy(gone, reaped, sizeof gone);
    gone[0] &= ~(UINT64_C(1) << SLOT_GONE); /* a label, no slot */
    return slots_free(heap, gone);
}

void recover_wake_waiter(struct shmheap *heap) { wait_wake(heap, index_largest_of_all(heap)); }

/* Takes the lock: LOCK_TAKEN, LOCK_DIED, or LOCK_SUSPECT with errno. It waits in slices for a
 * living owner, limit_ms milliseconds at most. */
static enum lock_result lock_take(struct shmheap *heap, unsigned limit_ms)
{
    uint64_t seen, waited_ms = 0;
    for (;;) {
        enum lock_result result = lock_wait(heap, waited_ms, &seen);
        if (result != LOCK_SUSPECT)
            return result;
        if (seen != 0 && seen != LOCK_HANDOFF && !slot_alive(heap, lock_word_slot(seen)) &&
            lock_seize(heap, seen) == LOCK_DIED)
            return LOCK_DIED;
        waited_ms += lock_slice_ms(heap);
        if (waited_ms > limit_ms) {
            error_cause(ETIMEDOUT, CAUSE_LOCK_HELD, lock_word_slot(seen), waited_ms);
            return LOCK_SUSPECT;
        }
    }
}

/* Takes the lock, recovers the heap if the last owner died, and refreshes its length. */
static int enter_locked(struct shmheap *heap, unsigned limit_ms)
{
    enum lock_result result = lock_take(heap, limit_ms);
    if (result == LOCK_SUSPECT)
        return -1;
    if (result == LOCK_DIED && recover_heap(heap) != 0) {
        int reason = errno;
        lock_release_broken(heap); /* the next owner tries again */
        errno = reason;
        return -1;
    }
    return load_u64(&heap->control->len) == load_acquire(&heap->len_known) ? 0
                                                                           : heap_lock_grown(heap);
}

int heap_lock_grown(struct shmheap *heap)
{
    if (segment_refresh(heap) == 0)
        return 0;
    lock_release(heap);
    errno = EBADMSG;
    return -1;
}

/* All entries of the table are taken. Makes some free: departed slots first, then new entries. A
 * dead process's slot names its blocks, so the slot becomes free only when the table cannot grow.
 * Returns more than 0 when a slot may be free, 0, or -1 with errno. Lock held. */
static int slots_find(struct shmheap *heap)
{
    unsigned there = slot_table_open(heap);
    if (there > heap->slots_tried)
        return 1; /* another process has extended the table */
    int whole = there == heap->slot_count, freed = recover_slots(heap, whole);
    if (freed != 0 || whole)
        return freed;
    return slot_table_extend(heap) == 0 ? 1 : recover_slots(heap, 1);
}

/* The same without the lock, which the process takes as SLOT_COLLECTOR. */
static int slots_collect(struct shmheap *heap)
{
    int found = -1;
    if (slot_collector_begin(heap) != 0)
        return -1;
    if (enter_locked(heap, heap->lock_limit_ms) == 0) {
        found = slots_find(heap);
        lock_release(heap);
    }
    slot_collector_end(heap);
    return found;
}

/* Other processes may take the slots that this process made free: so it tries again. A hostile peer
 * may take them for ever, so a time limit ends it. */
static int slot_take_or_make(struct shmheap *heap)
{
    struct pause limit = pause_begin(heap->lock_limit_ms);
    int taken = slot_take(heap), found = 1;
    while (taken != 0 && found > 0 && pause_left_ms(&limit) != 0)
        if ((found = slots_collect(heap)) >= 0)
            taken = slot_take(heap);
    return taken;
}

int recover_take_slot(struct shmheap *heap)
{
    process_notice_fork(); /* in a child of _Fork() the descriptions are the parent's until then */
    int cancel = process_cancel_off();
    pthread_mutex_lock(&heap->slot_mutex); /* during the waits below, which lock_limit_ms bounds */
    int taken = heap->slot != 0 ? 0 : connection_lockable(heap);
    if (taken == 0 && heap->slot == 0)
        taken = slot_take_or_make(heap);
    if (heap->open)
        connection_settle(heap);
    if (taken == 0)
        __atomic_store_n(SHARED_VALUE(&heap->ready), 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&heap->slot_mutex);
    process_cancel_restore(cancel);
    return taken;
}

int heap_lock_within(struct shmheap *heap, unsigned limit_ms)
{
    error_forget();
    if (heap == NULL || !heap->open)
        return error_cause(EINVAL, CAUSE_NOT_OPEN, 0, 0);
    if (heap->read_only)
        return error_cause(EACCES, CAUSE_READ_ONLY, 0, 0);
    process_notice_fork();
    int before = errno, cancel = process_cancel_off();
    int entered = (load_acquire_u32(&heap->ready) || recover_take_slot(heap) == 0) &&
                  enter_locked(heap, limit_ms) == 0;
    process_cancel_restore(cancel);
    if (!entered)
        return -1;
    errno = before; /* failed system calls of a wait are no errors of the call */
    return 0;
}

int heap_lock_slow(struct shmheap *heap)
{
    return heap_lock_within(heap, heap != NULL ? heap->lock_limit_ms : 0);
}
