/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "process.h"

#define SLOT_STATE_MASK 0x7fu
#define SLOT_BY_PID 0x80u
#define SLOT_SPACE_SHIFT 8
#define SLOT_SPACE_MASK 0xffffffu
#define SLOT_PID_SHIFT 32

/* The table ------------------------------------------------------------- */

/* Entries before the index, and behind the region as far as the file reaches. It becomes no shorter. */
static unsigned entries_there(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    struct stat status;
    if (layout->slots_first == heap->slot_count)
        return heap->slot_count;
    uint64_t len = !heap->has_file ? heap->map_len : fstat(connection_fd(heap), &status) == 0 ? (uint64_t)status.st_size : 0;
    uint64_t more = len > layout->more_off ? (len - layout->more_off) / SLOT_SIZE : 0;
    return more < heap->slot_count - layout->slots_first ? layout->slots_first + (unsigned)more : heap->slot_count;
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
    unsigned there = entries_there(heap), wanted = 2 * there < heap->slot_count ? 2 * there : heap->slot_count;
    if (wanted == there || !heap->has_file) {
        errno = EAGAIN;
        return -1;
    }
    int fd = connection_fd(heap);
    uint64_t from = layout->more_off, to = from + (uint64_t)(wanted - layout->slots_first) * SLOT_SIZE;
    return heap->format_flags & FORMAT_SPARSE ? file_extend(fd, to) : file_reserve(fd, from, to);
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
static uint64_t slot_word(enum slot_state state) { return state | (uint64_t)(uint32_t)getpid() << SLOT_PID_SHIFT; }

static uint64_t slot_word_by_pid(enum slot_state state)
{
    return slot_word(state) | SLOT_BY_PID | (uint64_t)process_space() << SLOT_SPACE_SHIFT;
}

static enum slot_state word_state(uint64_t word) { return (enum slot_state)(word & SLOT_STATE_MASK); }

static uint64_t slot_load(const struct shmheap *heap, unsigned slot) { return load_acquire(&slot_entry(heap, slot)->word); }

enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot) { return word_state(slot_load(heap, slot)); }

int64_t slot_pid(const struct shmheap *heap, unsigned slot) { return (int32_t)(slot_load(heap, slot) >> SLOT_PID_SHIFT); }

/* Taking ---------------------------------------------------------------- */

/* The entry is ours alone since word was swapped. A death before word leaves the slot free, after it a dead one that holds nothing. */
static void slot_fill(struct slot *entry, uint64_t claim)
{
    char name[sizeof entry->name] = "";
    strncpy(name, program_invocation_short_name, sizeof name - 1);
    memcpy(entry->name, name, sizeof name);
    store_u64(&entry->connected_ns, clock_ns(CLOCK_REALTIME));
    store_u64(&entry->claim, claim);
    store_u64(&entry->start_ticks, process_start());
}

static int slot_swap(struct shmheap *heap, unsigned slot, uint64_t taken)
{
    uint64_t *word = &slot_entry(heap, slot)->word, seen = load_u64(word);
    return word_state(seen) == SLOT_FREE && swap_if(word, seen, taken);
}

/* A byte that no other process has drawn, locked for us and for the children that we shall have. CLAIM_UNKNOWN where that cannot be had. */
static uint64_t claim_make(struct shmheap *heap)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = clock_ns(CLOCK_REALTIME) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)getpid();
    uint64_t byte = CLAIM_FIRST + number % CLAIM_RANGE;
    if (sizeof(off_t) < sizeof byte)
        byte = CLAIM_FIRST + byte % INT32_MAX / 2;
    return file_lock(heap->use.fd, F_WRLCK, (off_t)byte, 1) == 0 ? byte : CLAIM_UNKNOWN;
}

static int slot_take_in_file(struct shmheap *heap, unsigned slot)
{
    uint64_t word = slot_word(SLOT_TAKEN);
    int locked = file_lock(heap->life.fd, F_WRLCK, slot, 1);
    if (locked == 1 && file_locked_by_writer(heap->life.fd, slot, 1) == 0)
        word = slot_word_by_pid(SLOT_TAKEN); /* a process that may only read the file is in the way */
    else if (locked != 0)
        return 0;
    if (!slot_swap(heap, slot, word)) {
        if (locked == 0)
            file_unlock(heap->life.fd, slot, 1);
        return 0;
    }
    slot_fill(slot_entry(heap, slot), claim_make(heap));
    return 1;
}

static int slot_take_in_memory(struct shmheap *heap, unsigned slot)
{
    if (!slot_swap(heap, slot, slot_word_by_pid(SLOT_TAKEN)))
        return 0;
    slot_fill(slot_entry(heap, slot), heap->heir_of);
    return 1;
}

int slot_take(struct shmheap *heap)
{
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++) {
        if (slot_state_of(heap, slot) != SLOT_FREE)
            continue;
        if (heap->has_file ? slot_take_in_file(heap, slot) : slot_take_in_memory(heap, slot)) {
            heap->slot = heap->slot_copy = slot;
            return 0;
        }
    }
    errno = EAGAIN;
    return -1;
}

int slot_collector_begin(struct shmheap *heap)
{
    int locked = heap->has_file ? file_lock_wait(heap->life.fd, F_WRLCK, COLLECTOR_BYTE, heap->lock_limit_ms) : 0;
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

void slot_clear(struct shmheap *heap, unsigned slot)
{
    struct slot *entry = slot_entry(heap, slot);
    store_u64(&entry->start_ticks, 0);
    store_u64(&entry->claim, 0);
    store_publish(&entry->word, SLOT_FREE);
}

/* What is known of the holder besides its state stays. */
static void slot_turn(struct shmheap *heap, unsigned slot, enum slot_state state)
{
    uint64_t *word = &slot_entry(heap, slot)->word;
    store_publish(word, (load_u64(word) & ~(uint64_t)SLOT_STATE_MASK) | state);
}

void slot_leave(struct shmheap *heap)
{
    unsigned slot = heap->slot;
    if (slot != 0)
        slot_turn(heap, slot, SLOT_VACATED);
    heap->slot = heap->slot_copy = 0;
    anchor_drop(&heap->life);
}

void slot_announce_leaving(struct shmheap *heap)
{
    if (heap->slot != 0)
        slot_turn(heap, heap->slot, SLOT_LEAVING);
}

/* Looking --------------------------------------------------------------- */

/* As a living process's entry says it: its pid in this space, not ended. */
static int lives_by_pid(const struct slot *entry, uint64_t word)
{
    /* A pid of another space says nothing here: a process that cannot be seen is not called dead. */
    return (word >> SLOT_SPACE_SHIFT & SLOT_SPACE_MASK) != process_space() ||
           process_lives((int32_t)(word >> SLOT_PID_SHIFT), load_u64(&entry->start_ticks));
}

int slot_alive(const struct shmheap *heap, unsigned slot)
{
    if (slot == heap->slot && slot != 0)
        return 1;
    if (slot == SLOT_COLLECTOR)
        return !heap->has_file || file_locked_by_writer(connection_fd(heap), COLLECTOR_BYTE, 1) != 0;
    if (slot == 0 || slot >= heap->slot_count)
        return 0;
    const struct slot *entry = slot_entry(heap, slot);
    uint64_t word = load_acquire(&entry->word);
    if (heap->has_file && !(word & SLOT_BY_PID))
        return file_locked_by_writer(connection_fd(heap), slot, 1) != 0;
    return (word_state(word) == SLOT_TAKEN || word_state(word) == SLOT_LEAVING) && lives_by_pid(entry, word);
}

int slot_dead(const struct shmheap *heap, unsigned slot)
{
    uint64_t seen = slot_load(heap, slot);
    enum slot_state state = word_state(seen);
    /* A slot vacated between the two loads is not dead; no other process has it then, since a vacated one is not given before the lock is
     * ours. */
    return state != SLOT_FREE && state != SLOT_VACATED && state != SLOT_LEAVING && !slot_alive(heap, slot) &&
           slot_load(heap, slot) == seen;
}

int slot_departed(const struct shmheap *heap, unsigned slot)
{
    if (slot == 0 || slot >= heap->slot_count)
        return 0;
    enum slot_state state = slot_state_of(heap, slot);
    return state == SLOT_VACATED || (state == SLOT_LEAVING && !slot_alive(heap, slot));
}

int slot_is_taken(const struct shmheap *heap, unsigned slot)
{
    enum slot_state state = slot_state_of(heap, slot);
    return state == SLOT_TAKEN || (state == SLOT_LEAVING && slot_alive(heap, slot));
}

/* Claims ---------------------------------------------------------------- */

static uint64_t claim_of(const struct shmheap *heap, unsigned slot) { return load_u64(&slot_entry(heap, slot)->claim); }

/* Whether the process of one slot descends from that of another, by the entries. Bounded: a peer may have written a circle. */
static int descends(const struct shmheap *heap, unsigned slot, unsigned from)
{
    for (unsigned steps = 0; steps < heap->slot_count; steps++) {
        uint64_t parent = claim_of(heap, slot);
        if (parent == from)
            return 1;
        if (parent == 0 || parent >= heap->slot_count)
            return 0;
        slot = (unsigned)parent;
    }
    return 0;
}

static int heir_lives(struct shmheap *heap, unsigned slot)
{
    for (unsigned heir = 1, limit = slot_limit(heap); heir < limit; heir++)
        if (heir != slot && slot_is_taken(heap, heir) && descends(heap, heir, slot) && slot_alive(heap, heir))
            return 1;
    return 0;
}

int slot_claimed(struct shmheap *heap, unsigned slot)
{
    uint64_t claim = claim_of(heap, slot);
    if (claim == CLAIM_UNKNOWN)
        return 1;
    if (!heap->has_file)
        return heir_lives(heap, slot);
    /* Our own claims are on a description that no descriptor here is of, so they are seen as others' are. */
    return claim >= CLAIM_FIRST && claim < CLAIM_FIRST + CLAIM_RANGE &&
           file_locked_by_writer(connection_fd(heap), (off_t)claim, 1) != 0;
}

void slot_inherit(struct shmheap *heap)
{
    unsigned parents = heap->slot_copy;
    heap->slot_copy = 0;
    if (parents == 0)
        return;
    heap->heir_of = parents;
    if (slot_take(heap) != 0)
        store_u64(&slot_entry(heap, parents)->claim, CLAIM_UNKNOWN);
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
