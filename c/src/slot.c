/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "reserve.h"

#define SLOT_STATE_MASK 0xffu
#define SLOT_SPACE_SHIFT 8
#define SLOT_SPACE_MASK 0xffffffu
#define SLOT_PID_SHIFT 32

/* Entries before the index, and behind the region as far as the file reaches. It becomes no shorter. */
static unsigned entries_there(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    struct stat status;
    if (layout->slots_first == heap->slot_count)
        return heap->slot_count;
    uint64_t len = heap->fd < 0 ? heap->map_len : fstat(heap->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
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
    if (wanted == there || heap->fd < 0) {
        errno = EAGAIN;
        return -1;
    }
    return reserve_slots(heap, layout->more_off + (uint64_t)(wanted - layout->slots_first) * SLOT_SIZE);
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

static uint64_t slot_word(enum slot_state state, pid_t pid) { return state | (uint64_t)(uint32_t)pid << SLOT_PID_SHIFT; }

enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot)
{
    return (enum slot_state)(load_acquire(&slot_entry(heap, slot)->word) & SLOT_STATE_MASK);
}

int64_t slot_pid(const struct shmheap *heap, unsigned slot)
{
    return (int32_t)(load_u64(&slot_entry(heap, slot)->word) >> SLOT_PID_SHIFT);
}

/* When the process started, in ticks since boot, and whether it is a zombie; 0: unknown. By its first thread, which began with it:
 * qemu-user invents /proc/PID/stat where PID is the asking process, and others would read another time there. */
static uint64_t process_start(int64_t pid, int *zombie)
{
    char path[60], text[512];
    snprintf(path, sizeof path, "/proc/%lld/task/%lld/stat", (long long)pid, (long long)pid);
    *zombie = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return 0;
    text[got] = 0;
    char *field = strrchr(text, ')'); /* field 2 may hold anything, blanks too */
    if (field == NULL || field[1] == 0)
        return 0;
    *zombie = field[2] == 'Z' || field[2] == 'X';
    for (int i = 2; i < 22 && field != NULL; i++)
        field = strchr(field + 1, ' ');
    return field != NULL ? strtoull(field + 1, NULL, 10) : 0;
}

static uint64_t own_start; /* of this process, read once */

static uint64_t own_start_ticks(void)
{
    int zombie;
    uint64_t start = load_u64(&own_start);
    if (start == 0) {
        start = process_start(getpid(), &zombie);
        __atomic_store_n(&own_start, start, __ATOMIC_RELAXED);
    }
    return start;
}

/* The PID namespace of this process, folded to 24 bits, in place in a slot's word; 0: unknown. */
static uint64_t own_pid_space(void)
{
    struct stat status;
    uint64_t number = stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
    return ((number ^ number >> 24) & SLOT_SPACE_MASK) << SLOT_SPACE_SHIFT;
}

static pthread_mutex_t slot_mutex = PTHREAD_MUTEX_INITIALIZER;

void slot_mutex_lock(void) { pthread_mutex_lock(&slot_mutex); }
void slot_mutex_unlock(void) { pthread_mutex_unlock(&slot_mutex); }

void slot_forget_process(void)
{
    __atomic_store_n(&own_start, 0, __ATOMIC_RELAXED);
    pthread_mutex_init(&slot_mutex, NULL); /* whoever held it is not here */
}

/* The entry is ours alone: in a file by the byte's lock, else since word was swapped. */
static void slot_fill(struct slot *entry)
{
    char name[sizeof entry->name] = "";
    strncpy(name, program_invocation_short_name, sizeof name - 1);
    memcpy(entry->name, name, sizeof name);
    store_u64(&entry->connected_ns, clock_ns(CLOCK_REALTIME));
    store_u64(&entry->start_ticks, own_start_ticks());
}

/* A death before the entry's word says so leaves the slot free, after it a dead one that holds nothing. */
static int slot_take_in_file(struct shmheap *heap, unsigned slot)
{
    struct slot *entry = slot_entry(heap, slot);
    if (file_lock(heap->fd, F_OFD_SETLK, F_WRLCK, slot, 1) < 0)
        return 0;
    if (slot_state_of(heap, slot) != SLOT_FREE) {
        file_lock(heap->fd, F_OFD_SETLK, F_UNLCK, slot, 1);
        return 0;
    }
    slot_fill(entry);
    store_publish(&entry->word, slot_word(SLOT_TAKEN, getpid()));
    return 1;
}

/* The word says all by which others find a death from here on. */
static int slot_take_in_memory(struct shmheap *heap, unsigned slot)
{
    struct slot *entry = slot_entry(heap, slot);
    uint64_t word = load_u64(&entry->word), mine = slot_word(SLOT_TAKEN, getpid()) | own_pid_space();
    if ((word & SLOT_STATE_MASK) != SLOT_FREE || !swap_if(&entry->word, word, mine))
        return 0;
    slot_fill(entry);
    return 1;
}

int slot_take(struct shmheap *heap)
{
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++) {
        if (slot_state_of(heap, slot) != SLOT_FREE)
            continue;
        if (heap->fd >= 0 ? slot_take_in_file(heap, slot) : slot_take_in_memory(heap, slot)) {
            heap->slot = slot;
            return 0;
        }
    }
    errno = EAGAIN;
    return -1;
}

void slot_clear(struct shmheap *heap, unsigned slot)
{
    struct slot *entry = slot_entry(heap, slot);
    store_u64(&entry->start_ticks, 0);
    store_publish(&entry->word, slot_word(SLOT_FREE, 0));
}

void slot_leave(struct shmheap *heap)
{
    unsigned slot = heap->slot;
    if (slot == 0)
        return;
    heap->slot = 0;
    store_publish(&slot_entry(heap, slot)->word, slot_word(SLOT_VACATED, getpid()));
    if (heap->fd >= 0)
        file_lock(heap->fd, F_OFD_SETLK, F_UNLCK, slot, 1);
}

int slot_collector_begin(struct shmheap *heap)
{
    while (heap->fd >= 0 && file_lock(heap->fd, F_OFD_SETLKW, F_WRLCK, COLLECTOR_BYTE, 1) < 0)
        if (errno != EINTR)
            return -1;
    heap->slot = SLOT_COLLECTOR;
    return 0;
}

void slot_collector_end(struct shmheap *heap)
{
    int reason = errno;
    heap->slot = 0;
    if (heap->fd >= 0)
        file_lock(heap->fd, F_OFD_SETLK, F_UNLCK, COLLECTOR_BYTE, 1);
    errno = reason;
}

static int process_alive(int64_t pid, uint64_t start)
{
    int zombie;
    if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return 0;
    uint64_t now = process_start(pid, &zombie);
    return !zombie && (start == 0 || now == 0 || now == start);
}

int slot_alive(const struct shmheap *heap, unsigned slot)
{
    if (slot == heap->slot && slot != 0)
        return 1;
    if (slot == SLOT_COLLECTOR)
        return heap->fd < 0 || file_lock(heap->fd, F_OFD_GETLK, F_WRLCK, COLLECTOR_BYTE, 1) != 0;
    if (slot == 0 || slot >= heap->slot_count)
        return 0;
    if (heap->fd >= 0)
        return file_lock(heap->fd, F_OFD_GETLK, F_WRLCK, slot, 1) != 0;
    const struct slot *entry = slot_entry(heap, slot);
    if (slot_state_of(heap, slot) != SLOT_TAKEN)
        return 0;
    /* A number of another namespace says nothing here: who cannot be seen is not called dead. */
    uint64_t space = load_u64(&entry->word) & (uint64_t)SLOT_SPACE_MASK << SLOT_SPACE_SHIFT;
    return space != own_pid_space() || process_alive(slot_pid(heap, slot), load_u64(&entry->start_ticks));
}

int slot_dead(const struct shmheap *heap, unsigned slot)
{
    const uint64_t *word = &slot_entry(heap, slot)->word;
    uint64_t seen = load_acquire(word), state = seen & SLOT_STATE_MASK;
    /* Who left between both looks is not dead; nobody else has the slot then, since a vacated one is not given before the lock is ours. */
    return state != SLOT_FREE && state != SLOT_VACATED && !slot_alive(heap, slot) && load_acquire(word) == seen;
}
