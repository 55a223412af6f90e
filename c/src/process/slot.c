/* slot.c: the slot table: its entries, and how a locked byte or a pid shows whether a holder lives.
 *
 * The word of an entry decides. A process takes it by one compare-exchange and then fills in the
 * other fields.
 * SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/error.h"
#include "../os/file.h"
#include "../os/process.h"
#include "../segment/reserve.h"
#include "../segment/segment.h"

enum { CHANGE_TRIES = 100 };

/* The table ------------------------------------------------------------- */

/* Returns where the entries end when the table has so many. */
static uint64_t entries_end(const struct shmheap *heap, unsigned entries)
{
    return heap->layout.more_off + (uint64_t)(entries - heap->layout.slots_first) * SLOT_SIZE;
}

/* Counts the entries without a descriptor: a binary search for the last one whose page exists. It
 * also counts entries behind the end of the file in that page. They are zero, thus free. No process
 * takes a slot by this count: that needs a descriptor. */
static unsigned entries_mapped(const struct shmheap *heap)
{
    unsigned there = heap->layout.slots_first, most = heap->slot_count;
    while (there < most) {
        unsigned middle = most - (most - there) / 2;
        if (segment_page_is_there(heap, entries_end(heap, middle)))
            there = middle;
        else
            most = middle - 1;
    }
    return there;
}

/* Returns the entries, of so many that the file is long enough for, whose pages are there: a peer
 * may make a file longer without reserving memory. A page that holds a process's entry is there. */
static unsigned entries_reserved(const struct shmheap *heap, unsigned there)
{
    unsigned in_page = (unsigned)(heap->file_page / SLOT_SIZE), known = heap->layout.slots_first;
    if (heap->file_kind != FILE_IN_MEMORY)
        return there;
    while (known < there) {
        unsigned next = there - known < in_page ? there : known + in_page;
        if (!segment_page_is_there(heap, entries_end(heap, known + 1)) ||
            !segment_page_is_there(heap, entries_end(heap, next)))
            break;
        known = next;
    }
    return known;
}

/* Counts the entries before the index, and those behind the region as far as the file reaches. The
 * file never shrinks. With too low a count, living processes behind it would count as dead: other
 * processes would reap their objects, and seize a lock that one of them holds. */
static unsigned entries_there(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    struct stat status;
    if (layout->slots_first == heap->slot_count)
        return heap->slot_count;
    if (heap->has_file && fstat(connection_fd(heap), &status) != 0)
        return entries_mapped(heap);
    uint64_t len = heap->has_file ? (uint64_t)status.st_size : heap->map_len;
    uint64_t more = len > layout->more_off ? (len - layout->more_off) / SLOT_SIZE : 0;
    unsigned most = heap->slot_count - layout->slots_first,
             there = layout->slots_first + (more < most ? (unsigned)more : most);
    return heap->has_file ? entries_reserved(heap, there) : there;
}

unsigned slot_limit(struct shmheap *heap)
{
    unsigned there = entries_there(heap);
    store_u32(&heap->slots_there, there); /* saves slot_entry a system call */
    return there;
}

int slot_table_extend(struct shmheap *heap)
{
    unsigned there = entries_there(heap),
             wanted = 2 * there < heap->slot_count ? 2 * there : heap->slot_count;
    if (wanted == there || !heap->has_file)
        return error_cause(EAGAIN, CAUSE_SLOTS_TAKEN, there - 1, 0);
    if (reserve_slots(heap, entries_end(heap, wanted)) != 0)
        return -1;
    slot_table_open(heap);
    return 0;
}

unsigned slot_table_open(struct shmheap *heap)
{
    unsigned there = slot_limit(heap);
    store_publish_u32(&connection_hints(heap)->slots_open, there);
    return there;
}

/* Returns where the entries end that may be taken. */
static unsigned slots_open_limit(struct shmheap *heap)
{
    unsigned there = slot_limit(heap), open = load_acquire_u32(&connection_hints(heap)->slots_open);
    if (open < heap->layout.slots_first)
        open = heap->layout.slots_first;
    return open < there ? open : there;
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

/* Returns the word of a slot that this process holds. */
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

uint64_t slot_load(const struct shmheap *heap, unsigned slot)
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

/* This process has taken the slot, so no other process stores to the entry. A death here leaves a
 * dead slot that holds no block. */
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

static int slot_take_word(struct shmheap *heap, unsigned slot, uint64_t taken)
{
    shared_u64 *word = &slot_entry(heap, slot)->word;
    uint64_t seen = load_u64(word);
    return word_state(seen) == SLOT_FREE && compare_exchange(word, seen, taken);
}

void slot_change(struct shmheap *heap, unsigned slot, uint64_t mask, uint64_t bits)
{
    shared_u64 *word = &slot_entry(heap, slot)->word;
    for (unsigned i = 0; i < CHANGE_TRIES; i++) {
        uint64_t seen = load_u64(word);
        if (compare_exchange(word, seen, (seen & ~mask) | bits))
            return;
    }
    store_publish(word, (load_u64(word) & ~mask) | bits);
}

off_t slot_claim_byte(const struct shmheap *heap, unsigned slot)
{
    const struct slot *entry = slot_entry(heap, slot);
    uint64_t hash = load_u64(&entry->connected_ns) ^ (uint64_t)slot_pid(heap, slot) << 40 ^
                    (uint64_t)slot << 54;
    /* Fibonacci hashing (Knuth, TAOCP 3, 6.4) */
    hash = (hash ^ hash >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (off_t)(CLAIM_FIRST + (hash >> 32) % CLAIM_RANGE);
}

static int slot_take_in_file(struct shmheap *heap, unsigned slot)
{
    uint64_t word = slot_word(SLOT_TAKEN);
    int locked = file_lock(heap->life.fd, F_WRLCK, slot, 1);
    int by_reader = locked == 1 && file_locked_by_writer(heap->life.fd, slot, 1) == 0;
    if (locked != 0 && !by_reader)
        return 0;
    /* By pid: a reader's lock excludes the write lock, or the lock needs a descriptor that the
     * program may close. */
    if (by_reader || heap->life.mapping_fails)
        word = slot_word_by_pid(SLOT_TAKEN);
    if (!slot_take_word(heap, slot, word)) {
        if (locked == 0)
            file_unlock(heap->life.fd, slot, 1);
        return 0;
    }
    slot_fill(slot_entry(heap, slot));
    /* Fails where a process that may only read the file has a lock there: slot_fork_prepare. */
    heap->has_claim = file_lock(heap->use.fd, F_WRLCK, slot_claim_byte(heap, slot), 1) == 0;
    return 1;
}

static int slot_take_in_memory(struct shmheap *heap, unsigned slot, enum slot_state state)
{
    if (!slot_take_word(heap, slot,
                        slot_word_by_pid(state) | (uint64_t)heap->heir_of << SLOT_PARENT_SHIFT))
        return 0;
    slot_fill(slot_entry(heap, slot));
    return 1;
}

int slot_take_free(struct shmheap *heap, enum slot_state state)
{
    unsigned limit = slots_open_limit(heap);
    heap->slots_tried = limit;
    for (unsigned slot = 1; slot < limit; slot++)
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
        slot_change(heap, heap->slot_copy, SLOT_STATE_MASK, SLOT_TAKEN); /* was SLOT_HEIR */
    } else if (!slot_take_free(heap, SLOT_TAKEN)) {
        unsigned there = slot_limit(heap);
        return error_cause(EAGAIN,
                           there < heap->slot_count ? CAUSE_SLOTS_MEMORY : CAUSE_SLOTS_TAKEN,
                           there - 1, 0);
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

/* In memory without a file: the slot's children become children of the slot's parent. So a
 * grandchild keeps its claim on its grandparent's objects when its parent's slot is free. A death
 * inside leaves some entries that still name the slot; the next collector repeats this. */
static void slot_reparent(struct shmheap *heap, unsigned slot)
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
        slot_reparent(heap, slot);
    store_u64(&entry->start_ticks, 0);
    store_publish(&entry->word, SLOT_FREE);
}

void slot_leave(struct shmheap *heap)
{
    if (heap->slot_copy != 0)
        slot_change(heap, heap->slot_copy, SLOT_STATE_MASK, SLOT_VACATED);
    heap->slot = heap->slot_copy = 0;
    liveness_drop(&heap->life);
}

void slot_announce_leaving(struct shmheap *heap)
{
    if (heap->slot != 0)
        slot_change(heap, heap->slot, SLOT_STATE_MASK, SLOT_LEAVING);
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

/* Liveness -------------------------------------------------------------- */

/* Returns 0 when the entry's process has surely ended, else 1. */
static int lives_by_pid(const struct slot *entry, uint64_t word)
{
    /* A pid of another or unknown namespace tells nothing. A process that cannot be seen counts as
     * alive. */
    uint64_t namespace_id = word >> SLOT_NAMESPACE_SHIFT & SLOT_NAMESPACE_MASK;
    return namespace_id == 0 || namespace_id != process_namespace() ||
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
    /* Without a descriptor, since the program has closed it, no lock can be queried: use the
     * pid. */
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
    /* A slot vacated between the two loads is not dead. No other process has taken it: the caller
     * has the lock, and a vacated slot becomes free under the lock alone. */
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
