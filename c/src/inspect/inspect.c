/* inspect.c: counts and lists in batches, so that no caller's function runs under the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "check.h"
#include "../base/error.h"
#include "../free_set/index.h"
#include "../names/names.h"
#include "../os/process.h"
#include "../os/pause.h"
#include "../recovery/recover.h"
#include "../segment/segment.h"
#include "../process/slot.h"

static int inspect_fail(int reason)
{
    return error_cause(reason, reason == EAGAIN ? CAUSE_READ_CHANGES : CAUSE_NONE, 0, 0);
}

/* heap_lock or segment_refresh failed. It may have given its cause. Not inspect_fail: EAGAIN of
 * heap_lock says that there is no slot. */
static COLD int inspect_not_entered(void)
{
    return error_state.error == errno ? -1 : error_cause(errno, CAUSE_NONE, 0, 0);
}

enum { INSPECT_TRIES = 200, SETTLE_YIELDS = 2000, SETTLE_MS = 1000 };

/* Waits until the sequence is even: no owner changes the heap. Returns it, or an odd one at the
 * limit. A yield lasts less than a microsecond where other processors are idle, but on a busy
 * machine as long as a hundred slices: so time bounds the wait, too. It does not sleep: a reader
 * of a busy heap would miss each moment at which the sequence is even. */
static uint64_t sequence_settled(const struct shmheap *heap, const struct pause *limit)
{
    uint64_t sequence;
    for (int i = 0; (sequence = load_acquire(&heap->control->sequence)) & 1; i++) {
        if (i == SETTLE_YIELDS || pause_left_ms(limit) == 0)
            break;
        sched_yield();
    }
    return sequence;
}

/* A read-only connection cannot lock: reads, and accepts the result if the heap did not change
 * meanwhile. */
static COLD int inspect_read_only(struct shmheap *heap, int (*run)(struct shmheap *, void *),
                                  void *context)
{
    struct pause limit = pause_begin(SETTLE_MS);
    for (int i = 0; i < INSPECT_TRIES; i++) {
        uint64_t before = sequence_settled(heap, &limit);
        if (before & 1)
            return inspect_fail(EAGAIN);
        if (load_u64(&heap->control->len) != load_u64(&heap->len_known) &&
            segment_refresh(heap) != 0)
            return inspect_not_entered();
        int result = run(heap, context);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (load_u64(&heap->control->sequence) == before)
            return result >= 0 ? result : inspect_fail(-result);
    }
    return inspect_fail(EAGAIN);
}

int inspect_at(struct shmheap *heap, int (*run)(struct shmheap *, void *), void *context)
{
    if (heap->read_only)
        return inspect_read_only(heap, run, context);
    if (heap_lock(heap) != 0)
        return inspect_not_entered();
    int cancel_state = process_cancel_off();
    int result = run(heap, context);
    process_cancel_restore(cancel_state);
    heap_unlock(heap);
    return result >= 0 ? result : inspect_fail(-result);
}

static int run_check(struct shmheap *heap, void *context) { return check_heap(heap, context); }

int inspect_check(struct shmheap *heap, shmheap_report *report)
{
    return inspect_at(heap, run_check, report);
}

static uint64_t largest_free(const struct shmheap *heap)
{
    uint64_t most = index_largest_of_all(heap);
    return most != 0 ? block_payload_len(heap, most) : 0;
}

static void stat_slots(struct shmheap *heap, shmheap_stats *stats)
{
    stats->slots = heap->slot_count - 1;
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_is_taken(heap, slot))
            ++*(slot_dead(heap, slot) ? &stats->dead : &stats->processes);
}

static int run_stat(struct shmheap *heap, void *context)
{
    shmheap_stats *stats = context;
    const struct control *control = heap->control;
    stats->len = load_u64(&heap->len_known);
    stats->max_len = heap->layout.max_len;
    stats->segment_len = heap->layout.region_off + stats->len;
    stats->alignment = UINT64_C(1) << heap->shift;
    stats->id = heap->id;
    stats->used_blocks = load_u64(&control->allocs) - load_u64(&control->frees);
    stats->used_bytes = load_u64(&control->used_granules) << heap->shift;
    stats->free_blocks = load_u64(&control->free_blocks);
    stats->free_bytes = (heap->end << heap->shift) - stats->used_bytes;
    stats->largest_free = largest_free(heap);
    stats->high_water_bytes = load_u64(&control->high_granules) << heap->shift;
    stats->allocs = load_u64(&control->allocs);
    stats->frees = load_u64(&control->frees);
    stats->failed_allocs = load_u64(&control->failed_allocs);
    stats->grows = load_u64(&control->grows);
    stats->recoveries = load_u64(&control->recoveries);
    stats->last_recovery_ns = load_u64(&control->last_recovery_ns);
    stats->created_ns = heap->created_ns;
    stats->alloc_bytes = load_u64(&control->alloc_granules) << heap->shift;
    return 0;
}

int inspect_stat(struct shmheap *heap, shmheap_stats *stats)
{
    int before = errno;
    memset(stats, 0, sizeof *stats);
    stats->lock_slot = lock_owner_slot(heap);
    if (inspect_at(heap, run_stat, stats) != 0)
        return -1;
    int cancel_state = process_cancel_off();
    stat_slots(heap, stats);
    process_cancel_restore(cancel_state);
    errno = before;
    return 0;
}

enum { BATCH_BLOCKS = 128 };

/* struct batch holds consecutive blocks. */
struct batch {
    uint64_t from; /* the first granule not shown yet */
    uint64_t next; /* the first granule of the next batch */
    unsigned count;
    shmheap_block_info blocks[BATCH_BLOCKS];
};

static void block_describe(const struct shmheap *heap, const struct block_step *step,
                           shmheap_block_info *info)
{
    struct block block = header_open(step->header);
    info->offset = block_payload_off(heap, step->granule);
    info->size = block.size << heap->shift;
    info->len = block_payload_len(heap, block.size);
    info->state = (enum shmheap_state)block.state;
    /* A block keeps the slot of a departed process until the slot is needed. */
    info->slot = slot_departed(heap, block.slot) ? SLOT_DEPARTED : block.slot;
    info->generation = block.generation;
}

static int run_batch(struct shmheap *heap, void *context)
{
    struct batch *batch = context;
    /* The block that covers from was shown, or has been made since. */
    struct block_step step = {index_next_start(heap, batch->from), 0, 0};
    for (batch->count = 0; batch->count < BATCH_BLOCKS; block_walk_next(&step)) {
        enum block_walk walk = block_walk_at(heap, &step, heap->end);
        if (walk == BLOCK_WALK_END)
            break;
        if (walk == BLOCK_WALK_BAD || !header_state_known(step.header))
            return -EBADMSG;
        block_describe(heap, &step, &batch->blocks[batch->count++]);
    }
    batch->next = step.granule;
    return 0;
}

int inspect_walk(struct shmheap *heap, int (*visit)(const shmheap_block_info *, void *),
                 void *context)
{
    struct batch batch;
    batch.from = 0;
    do {
        if (inspect_at(heap, run_batch, &batch) != 0)
            return -1;
        for (unsigned i = 0; i < batch.count; i++) {
            int stop = visit(&batch.blocks[i], context);
            if (stop != 0)
                return stop;
        }
        batch.from = batch.next;
    } while (batch.count == BATCH_BLOCKS);
    return 0;
}

enum { PIECE_BLOCKS = 1 << 14 }; /* blocks after which a walk over all blocks unlocks */

enum { BATCH_NAMES = 32 };

/* struct names holds consecutive names. */
struct names {
    uint64_t from, next; /* as in struct batch */
    int is_end;          /* the walk has reached the end of the region */
    unsigned count;
    shmheap_name_info found[BATCH_NAMES];
};

/* Returns 1; 0: no name has this record, and it is not shown. payload_len: of its block,
 * checked. */
static int name_describe(const struct shmheap *heap, const struct name_record *record,
                         uint64_t payload_len, shmheap_name_info *info)
{
    uint64_t words[(NAME_LEN_MAX + 1) / 8], len = load_u64(&record->name_len),
                                            object = load_u64(&record->object) & HEADER_SIZE_MASK;
    uint64_t count = (len + 7) / 8;
    if (len == 0 || len > NAME_LEN_MAX || sizeof *record + count * sizeof *words > payload_len)
        return 0;
    words_load(words, record->name, count);
    memcpy(info->name, words, (size_t)len);
    info->name[len] = 0;
    info->name_len = (size_t)len;
    info->offset = block_payload_off(heap, object);
    info->len = load_u64(&record->object_len);
    info->users = names_users(heap, record);
    info->kept = load_u64(&record->kept) != 0;
    return 1;
}

static int run_names(struct shmheap *heap, void *context)
{
    struct names *names = context;
    struct block_step step = {index_next_start(heap, names->from), 0, 0};
    names->count = 0;
    names->is_end = 0;
    unsigned budget = PIECE_BLOCKS;
    for (; names->count < BATCH_NAMES && budget != 0; budget--, block_walk_next(&step)) {
        enum block_walk walk = block_walk_at(heap, &step, heap->end);
        names->is_end = walk == BLOCK_WALK_END;
        if (names->is_end)
            break;
        if (walk == BLOCK_WALK_BAD)
            return -EBADMSG;
        const struct name_record *record = names_record_at(heap, step.granule);
        if (record != NULL)
            names->count += (unsigned)name_describe(
                heap, record, block_payload_len(heap, step.size), &names->found[names->count]);
    }
    names->next = step.granule;
    return 0;
}

int inspect_names(struct shmheap *heap, int (*visit)(const shmheap_name_info *, void *),
                  void *context)
{
    struct names names;
    names.from = 0;
    do {
        if (inspect_at(heap, run_names, &names) != 0)
            return -1;
        for (unsigned i = 0; i < names.count; i++) {
            int stop = visit(&names.found[i], context);
            if (stop != 0)
                return stop;
        }
        names.from = names.next;
    } while (!names.is_end);
    return 0;
}

enum { BATCH_SLOTS = 128 };

/* struct held counts what some slots own, those in use from one slot on. */
struct held {
    unsigned slot_next, count;                 /* the slot behind them; how many they are */
    unsigned char place[HEADER_SLOT_MASK + 1]; /* index in `by`, plus 1; 0: another slot */
    uint64_t next;                             /* blocks before this granule have been counted */
    int is_end;                                /* all blocks have been counted */
    struct {
        uint64_t blocks, granules, cached_blocks, cached_granules;
    } by[BATCH_SLOTS];
};
STATIC_ASSERT(BATCH_SLOTS <= UCHAR_MAX, a_place_fits_in_a_byte);

static void held_choose(struct shmheap *heap, unsigned from, struct held *held)
{
    memset(held, 0, sizeof *held);
    unsigned slot = from;
    for (unsigned limit = slot_limit(heap); slot < limit && held->count < BATCH_SLOTS; slot++)
        if (slot_is_taken(heap, slot))
            held->place[slot] = (unsigned char)++held->count;
    held->slot_next = slot;
}

static void held_note(struct held *held, const struct block_step *step)
{
    unsigned place = held->place[header_slot(step->header)];
    if (place == 0)
        return;
    held->by[place - 1].blocks++;
    held->by[place - 1].granules += step->size;
    if (header_state(step->header) != SHMHEAP_STATE_CACHED)
        return;
    held->by[place - 1].cached_blocks++;
    held->by[place - 1].cached_granules += step->size;
}

/* Counts some more blocks. Without the lock it counts all of them from the first: the caller
 * repeats it where the heap changed meanwhile. */
static int run_held(struct shmheap *heap, void *context)
{
    struct held *held = context;
    uint64_t budget = heap->read_only ? UINT64_MAX : PIECE_BLOCKS;
    if (heap->read_only) {
        held->next = 0;
        memset(held->by, 0, sizeof held->by);
    }
    struct block_step step = {index_next_start(heap, held->next), 0, 0};
    enum block_walk walk = BLOCK_WALK_BLOCK;
    for (; budget != 0 && (walk = block_walk_at(heap, &step, heap->end)) == BLOCK_WALK_BLOCK;
         budget--) {
        held_note(held, &step);
        block_walk_next(&step);
    }
    held->next = step.granule;
    held->is_end = walk == BLOCK_WALK_END;
    return walk == BLOCK_WALK_BAD ? -EBADMSG : 0;
}

static void process_describe(const struct shmheap *heap, unsigned slot, const struct held *held,
                             shmheap_process_info *info)
{
    const struct slot *entry = slot_entry(heap, slot);
    info->slot = slot;
    info->pid = slot_pid(heap, slot);
    uint64_t name[sizeof entry->name / sizeof(uint64_t)];
    words_load(name, entry->name, sizeof name / sizeof *name);
    memcpy(info->name, name, sizeof info->name);
    info->name[sizeof info->name - 1] = 0;
    info->connected_ns = load_u64(&entry->connected_ns);
    info->alive = !slot_dead(heap, slot); /* a slot vacated since the load above is not dead */
    info->self = slot == heap->slot;
    unsigned i = held->place[slot] - 1u;
    info->blocks = held->by[i].blocks;
    info->bytes = held->by[i].granules << heap->shift;
    info->cached_blocks = held->by[i].cached_blocks;
    info->cached_bytes = held->by[i].cached_granules << heap->shift;
}

/* Shows the slots of one batch. Returns 0, or what visit returned. */
static int held_show(struct shmheap *heap, unsigned from, const struct held *held,
                     int (*visit)(const shmheap_process_info *, void *), void *context)
{
    int before = errno;
    for (unsigned slot = from; slot < held->slot_next; slot++) {
        if (held->place[slot] == 0)
            continue;
        shmheap_process_info info;
        int cancel_state = process_cancel_off(), taken = slot_is_taken(heap, slot);
        if (taken)
            process_describe(heap, slot, held, &info);
        process_cancel_restore(cancel_state);
        errno = before;
        int stop = taken ? visit(&info, context) : 0;
        if (stop != 0)
            return stop;
        if (!heap->open) /* visit disconnected */
            return error_cause(EINVAL, CAUSE_NOT_OPEN, 0, 0);
    }
    return 0;
}

int inspect_processes(struct shmheap *heap, int (*visit)(const shmheap_process_info *, void *),
                      void *context)
{
    struct held held;
    int before = errno, stop = 0;
    for (unsigned from = 1; stop == 0; from = held.slot_next) {
        int cancel_state = process_cancel_off();
        held_choose(heap, from, &held);
        process_cancel_restore(cancel_state);
        errno = before;
        if (held.count == 0 && from != 1)
            break;
        do {
            if (inspect_at(heap, run_held, &held) != 0)
                return -1;
        } while (!held.is_end);
        stop = held_show(heap, from, &held, visit, context);
        if (held.count < BATCH_SLOTS)
            break;
    }
    return stop;
}
