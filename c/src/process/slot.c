/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../os/file.h"
#include "../os/process.h"
#include "../segment/reserve.h"

#define SLOT_PARENT_SHIFT 54

enum { CHANGE_TRIES = 100 };

/* The table ------------------------------------------------------------- */

/* Entries before the index, and behind the region as far as the file reaches. It becomes no
 * shorter. */
static unsigned entries_there(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    struct stat status;
    if (layout->slots_first == heap->slot_count)
        return heap->slot_count;
    uint64_t len = !heap->has_file                            ? heap->map_len
                   : fstat(connection_fd(heap), &status) == 0 ? (uint64_t)status.st_size
                                                              : 0;
    uint64_t more = len > layout->more_off ? (len - layout->more_off) / SLOT_SIZE : 0;
    return more < heap->slot_count - layout->slots_first ? layout->slots_first + (unsigned)more
                                                         : heap->slot_count;
}

unsigned slot_limit(struct shmheap *heap)
{
    unsigned there = entries_there(heap);
    store_u32(&heap->slots_there, there); /* so that slot_entry need not ask */
    return there;
}

int slot_table_extend(struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    unsigned there = entries_there(heap),
             wanted = 2 * there < heap->slot_count ? 2 * there : heap->slot_count;
    if (wanted == there || !heap->has_file) {
        errno = EAGAIN;
        return -1;
    }
    return reserve_slots(heap,
                         layout->more_off + (uint64_t)(wanted - layout->slots_first) * SLOT_SIZE);
}

struct slot *slot_entry(const struct shmheap *heap, unsigned slot)
{
    static struct slot none;
    unsigned first = heap->layout.slots_first;
    if (slot < first)
        return (struct slot *)(void *)(heap->base + heap->layout.slots_off) + slot;
    if (slot >= load_u32(&heap->slots_there) && slot >= entries_there(heap))
        return &none;
    return (struct slot *)(void *)(heap->base + heap->layout.more_off) + (slot - first);
}

/* This process, as the holder of a slot. */
static uint64_t slot_word(enum slot_state state)
{
    return state | (uint64_t)process_namespace() << SLOT_NAMESPACE_SHIFT |
           ((uint64_t)(uint32_t)getpid() & SLOT_PID_MASK) << SLOT_PID_SHIFT;
}

static uint64_t slot_word_by_pid(enum slot_state state) { return slot_word(state) | SLOT_BY_PID; }

static enum slot_state word_state(uint64_t word)
{
    return (enum slot_state)(word & SLOT_STATE_MASK);
}

static uint64_t slot_load(const struct shmheap *heap, unsigned slot)
{
    return load_acquire(&slot_entry(heap, slot)->word);
}

enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot)
{
    return word_state(slot_load(heap, slot));
}

static int64_t word_pid(uint64_t word) { return (int64_t)(word >> SLOT_PID_SHIFT & SLOT_PID_MASK); }

int64_t slot_pid(const struct shmheap *heap, unsigned slot)
{
    return word_pid(slot_load(heap, slot));
}

/* Taking ---------------------------------------------------------------- */

/* The entry is ours alone since word was swapped. A death before word leaves the slot free, after
 * it a dead one that holds nothing. */
static void slot_fill(struct slot *entry)
{
    char name[sizeof entry->name] = "";
    uint64_t words[sizeof name / sizeof(uint64_t)];
    strncpy(name, program_invocation_short_name, sizeof name - 1);
    memcpy(words, name, sizeof name);
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        store_u64(&entry->name[i], words[i]);
    store_u64(&entry->connected_ns, clock_ns(CLOCK_REALTIME));
    store_u64(&entry->start_ticks, process_start());
}

static int slot_swap(struct shmheap *heap, unsigned slot, uint64_t taken)
{
    shared_u64 *word = &slot_entry(heap, slot)->word;
    uint64_t seen = load_u64(word);
    return word_state(seen) == SLOT_FREE && compare_exchange(word, seen, taken);
}

/* The word of a slot with other bits in place of those in mask. The holder and its children change
 * it alone, but a peer may write it for ever. */
static void slot_change(struct shmheap *heap, unsigned slot, uint64_t mask, uint64_t bits)
{
    shared_u64 *word = &slot_entry(heap, slot)->word;
    for (unsigned i = 0; i < CHANGE_TRIES; i++) {
        uint64_t seen = load_u64(word);
        if (compare_exchange(word, seen, (seen & ~mask) | bits))
            return;
    }
    store_publish(word, (load_u64(word) & ~mask) | bits);
}

/* Children may know what the holder holds, and no claim shows it. */
static void slot_note_heirs(struct shmheap *heap, unsigned slot)
{
    slot_change(heap, slot, SLOT_HAS_HEIRS, SLOT_HAS_HEIRS);
}

static off_t claim_byte(const struct shmheap *heap, unsigned slot)
{
    const struct slot *entry = slot_entry(heap, slot);
    uint64_t hash = load_u64(&entry->connected_ns) ^ (uint64_t)slot_pid(heap, slot) << 40 ^
                    (uint64_t)slot << 54;
    hash = (hash ^ hash >> 31) * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing (Knuth, TAOCP
                                                                  3, 6.4) */
    return (off_t)(CLAIM_FIRST + (hash >> 32) % CLAIM_RANGE);
}

static int slot_take_in_file(struct shmheap *heap, unsigned slot)
{
    uint64_t word = slot_word(SLOT_TAKEN);
    int locked = file_lock(heap->life.fd, F_WRLCK, slot, 1);
    int by_reader = locked == 1 && file_locked_by_writer(heap->life.fd, slot, 1) == 0;
    if (locked != 0 && !by_reader)
        return 0;
    /* Where a process that may only read the file is in the way, or the lock hangs on a descriptor
     * that the program may close. */
    if (by_reader || heap->life.mapping_fails)
        word = slot_word_by_pid(SLOT_TAKEN);
    if (!slot_swap(heap, slot, word)) {
        if (locked == 0)
            file_unlock(heap->life.fd, slot, 1);
        return 0;
    }
    slot_fill(slot_entry(heap, slot));
    /* Not to be had where a process that may only read the file has a lock there:
     * slot_fork_prepare. */
    heap->has_claim = file_lock(heap->use.fd, F_WRLCK, claim_byte(heap, slot), 1) == 0;
    return 1;
}

static int slot_take_in_memory(struct shmheap *heap, unsigned slot, enum slot_state state)
{
    if (!slot_swap(heap, slot,
                   slot_word_by_pid(state) | (uint64_t)heap->heir_of << SLOT_PARENT_SHIFT))
        return 0;
    slot_fill(slot_entry(heap, slot));
    return 1;
}

/* The first that is free, for this process, in that state: 1, or 0. */
static int slot_take_free(struct shmheap *heap, enum slot_state state)
{
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_state_of(heap, slot) == SLOT_FREE &&
            (heap->has_file ? slot_take_in_file(heap, slot)
                            : slot_take_in_memory(heap, slot, state))) {
            heap->slot_copy = slot;
            return 1;
        }
    return 0;
}

int slot_take(struct shmheap *heap)
{
    if (heap->slot_copy != 0) {
        slot_change(heap, heap->slot_copy, SLOT_STATE_MASK, SLOT_TAKEN); /* it was an heir's */
    } else if (!slot_take_free(heap, SLOT_TAKEN)) {
        errno = EAGAIN;
        return -1;
    }
    heap->slot = heap->slot_copy;
    return 0;
}

int slot_collector_begin(struct shmheap *heap)
{
    int locked = heap->has_file
                     ? file_lock_wait(heap->life.fd, F_WRLCK, COLLECTOR_BYTE, heap->lock_limit_ms)
                     : 0;
    if (locked == 1)
        errno = ETIMEDOUT;
    if (locked != 0)
        return -1;
    heap->slot = SLOT_COLLECTOR;
    return 0;
}

void slot_collector_end(struct shmheap *heap)
{
    heap->slot = 0;
    if (heap->has_file)
        file_unlock(heap->life.fd, COLLECTOR_BYTE, 1);
}

/* Giving up ------------------------------------------------------------- */

/* In memory without a file: entries that name this slot as their parent's name the slot's own parent
 * from then on. So a grandchild keeps its claim on what its grandparent held when the process
 * between them is gone. A death in here leaves some entries that still name the slot. */
static void slot_bequeath(struct shmheap *heap, unsigned slot)
{
    const uint64_t mask = ~UINT64_C(0) << SLOT_PARENT_SHIFT, parent = slot_load(heap, slot) & mask;
    for (unsigned heir = 1, limit = slot_limit(heap); heir < limit; heir++)
        if (slot_load(heap, heir) >> SLOT_PARENT_SHIFT == slot)
            slot_change(heap, heir, mask, parent);
}

void slot_clear(struct shmheap *heap, unsigned slot)
{
    struct slot *entry = slot_entry(heap, slot);
    if (!heap->has_file)
        slot_bequeath(heap, slot);
    store_u64(&entry->start_ticks, 0);
    store_publish(&entry->word, SLOT_FREE);
}

void slot_leave(struct shmheap *heap)
{
    if (heap->slot_copy != 0)
        slot_change(heap, heap->slot_copy, SLOT_STATE_MASK, SLOT_VACATED);
    heap->slot = heap->slot_copy = 0;
    anchor_drop(&heap->life);
}

void slot_announce_leaving(struct shmheap *heap)
{
    if (heap->slot != 0)
        slot_change(heap, heap->slot, SLOT_STATE_MASK, SLOT_LEAVING);
}

/* Looking --------------------------------------------------------------- */

/* As a living process's entry says it: its pid in this space, not ended. */
static int lives_by_pid(const struct slot *entry, uint64_t word)
{
    /* A pid of another space, or of an unknown one, says nothing here: a process that cannot be seen
     * is not called dead. */
    uint64_t space = word >> SLOT_NAMESPACE_SHIFT & SLOT_NAMESPACE_MASK;
    return space == 0 || space != process_namespace() ||
           process_lives(word_pid(word), load_u64(&entry->start_ticks));
}

int slot_alive(const struct shmheap *heap, unsigned slot)
{
    if (slot == heap->slot && slot != 0)
        return 1;
    if (slot == SLOT_COLLECTOR)
        return !heap->has_file ||
               file_locked_by_writer(connection_fd(heap), COLLECTOR_BYTE, 1) != 0;
    if (slot == 0 || slot >= heap->slot_count)
        return 0;
    const struct slot *entry = slot_entry(heap, slot);
    uint64_t word = load_acquire(&entry->word);
    /* Where the program has closed all that leads to the file, no lock can be asked for. */
    int fd = heap->has_file && !(word & SLOT_BY_PID) ? connection_fd(heap) : -1;
    if (fd >= 0)
        return file_locked_by_writer(fd, slot, 1) != 0;
    enum slot_state state = word_state(word);
    return (state == SLOT_TAKEN || state == SLOT_LEAVING || state == SLOT_HEIR) &&
           lives_by_pid(entry, word);
}

int slot_dead(const struct shmheap *heap, unsigned slot)
{
    uint64_t seen = slot_load(heap, slot);
    enum slot_state state = word_state(seen);
    /* A slot vacated between the two loads is not dead; no other process has it then, since a
     * vacated one is not given before the lock is ours. */
    return state != SLOT_FREE && state != SLOT_VACATED && state != SLOT_LEAVING &&
           state != SLOT_HEIR && !slot_alive(heap, slot) && slot_load(heap, slot) == seen;
}

int slot_departed(const struct shmheap *heap, unsigned slot)
{
    if (slot == 0 || slot >= heap->slot_count)
        return 0;
    enum slot_state state = slot_state_of(heap, slot);
    return state == SLOT_VACATED ||
           ((state == SLOT_LEAVING || state == SLOT_HEIR) && !slot_alive(heap, slot));
}

int slot_is_taken(const struct shmheap *heap, unsigned slot)
{
    enum slot_state state = slot_state_of(heap, slot);
    return state == SLOT_TAKEN || (state == SLOT_LEAVING && slot_alive(heap, slot));
}

/* Claims ---------------------------------------------------------------- */

static unsigned slot_parent(const struct shmheap *heap, unsigned slot)
{
    return (unsigned)(slot_load(heap, slot) >> SLOT_PARENT_SHIFT);
}

/* In memory without a file: adds the slots whose processes have living descendants. A chain of
 * parents ends at a slot that was added before, so the walk is bounded by the table even where a
 * peer has written a circle. */
static void slots_with_heirs(struct shmheap *heap, uint64_t *slots)
{
    for (unsigned heir = 1, limit = slot_limit(heap); heir < limit; heir++) {
        unsigned slot = slot_parent(heap, heir);
        if (slot == 0 || slot_set_has(slots, slot) || !slot_alive(heap, heir))
            continue;
        for (; slot != 0 && slot < limit && !slot_set_has(slots, slot);
             slot = slot_parent(heap, slot))
            slot_set_add(slots, slot);
    }
}

/* Whether the byte of the slot's claim is locked. A claim of our own is on another description than
 * that of connection_fd, so it is seen as those of other processes are. Without a descriptor there
 * may be claims. */
static int claim_is_locked(struct shmheap *heap, unsigned slot)
{
    return file_locked_by_writer(connection_fd(heap), claim_byte(heap, slot), 1) != 0;
}

void slot_reapable(struct shmheap *heap, uint64_t *slots)
{
    uint64_t claimed[SLOT_SET_WORDS] = {0};
    memset(slots, 0, sizeof claimed);
    if (!heap->has_file)
        slots_with_heirs(heap, claimed);
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_dead(heap, slot) && !(slot_load(heap, slot) & SLOT_HAS_HEIRS) &&
            !slot_set_has(claimed, slot) && !(heap->has_file && claim_is_locked(heap, slot)))
            slot_set_add(slots, slot);
}

void slot_fork_prepare(struct shmheap *heap)
{
    if (heap->has_file && heap->slot != 0 && !heap->has_claim)
        slot_note_heirs(heap, heap->slot);
}

void slot_inherit(struct shmheap *heap)
{
    unsigned parents = heap->slot_copy;
    heap->slot_copy = 0;
    if (parents == 0)
        return;
    heap->heir_of = parents;
    if (!slot_take_free(heap, SLOT_HEIR))
        slot_note_heirs(heap, parents);
}

void slot_take_over(struct shmheap *heap)
{
    unsigned slot = heap->slot_copy;
    if (slot == 0)
        return;
    store_publish(&slot_entry(heap, slot)->word, slot_word_by_pid(SLOT_TAKEN));
    store_u64(&slot_entry(heap, slot)->start_ticks, process_start());
    heap->slot = slot;
}
