/* ShmemHeap_lock: one thread at a time. SPDX-License-Identifier: Apache-2.0
 *
 * The lock is a word in an object with a name, 0 or the thread that has it:
 *
 *     [ start of the thread, clock ticks: 26 bits ][ its PID namespace: 16 ][ its thread id: 22 ]
 *
 * A thread that waits checks with the kernel whether the holder lives, and takes the word of a dead
 * holder by compare-and-swap: a holder may die anywhere. A hostile process can keep the lock from
 * others, and nothing else.
 *
 * The first contents of the object are undefined: an earlier object's. So a second word says
 * whether the lock's word counts: it is the object's handle then, which no earlier contents have.
 * Any process makes the word count, and completes what a process that died began. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ShmemHeap.h"
#include "table.h"

enum { TID_BITS = 22, SPACE_BITS = 16, START_BITS = 26, WAIT_MS = 30000, LOOK_MS = 10 };
static const char lock_name[] = "ShmemHeap_lock";

/* Lives in shared memory. */
struct cell {
    uint64_t word;
    uint64_t state; /* the object's handle: word counts. Its complement: word becomes 0 */
};

static uint64_t low_bits(uint64_t value, int bits) { return value & (((uint64_t)1 << bits) - 1); }

/* Returns when the thread started, as field 22 of its stat says. -1: there is no such thread, or it
 * has ended and its parent has not collected its status. */
static int64_t thread_start(long tid)
{
    char path[64], text[1024], state;
    long long start = -1;
    snprintf(path, sizeof path, "/proc/%ld/stat", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    /* The name, in parentheses, may hold anything. */
    char *rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lld",
               &state, &start) != 2)
        return -1;
    return state != 'Z' && state != 'X' ? start : -1;
}

static uint64_t namespace_id(void)
{
    struct stat file;
    return stat("/proc/self/ns/pid", &file) == 0
               ? low_bits(file.st_ino ^ file.st_ino >> SPACE_BITS, SPACE_BITS)
               : 0;
}

static uint64_t word_of(long tid, uint64_t space, int64_t start)
{
    return low_bits((uint64_t)tid, TID_BITS) | space << TID_BITS |
           low_bits((uint64_t)start, START_BITS) << (TID_BITS + SPACE_BITS);
}

static uint64_t word_of_self(void)
{
    long tid = syscall(SYS_gettid);
    return word_of(tid, namespace_id(), thread_start(tid));
}

/* A holder in another PID namespace cannot be checked, and counts as alive. */
static int holder_lives(uint64_t word, uint64_t self)
{
    long tid = (long)low_bits(word, TID_BITS);
    uint64_t space = low_bits(word >> TID_BITS, SPACE_BITS);
    if (space != low_bits(self >> TID_BITS, SPACE_BITS))
        return 1;
    int64_t start = thread_start(tid);
    return start >= 0 && word_of(tid, space, start) == word;
}

/* Makes the word count, if it does not yet: to "being made", word to 0, to "ready". The thread may
 * be late: meanwhile the cell is ready, and another thread has the lock. So it reads word before it
 * looks whether the cell is still being made, and 0 replaces just what it read. */
static void cell_make_ready(struct cell *cell, uint64_t ready)
{
    uint64_t state = __atomic_load_n(&cell->state, __ATOMIC_ACQUIRE);
    if (state != ready && state != ~ready)
        __atomic_compare_exchange_n(&cell->state, &state, ~ready, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
    uint64_t word = __atomic_load_n(&cell->word, __ATOMIC_ACQUIRE);
    state = ~ready;
    if (__atomic_load_n(&cell->state, __ATOMIC_ACQUIRE) != state)
        return;
    __atomic_compare_exchange_n(&cell->word, &word, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    __atomic_compare_exchange_n(&cell->state, &state, ready, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Returns the word, or NULL with errno. Each connection that locks keeps one use of the object, so
 * that reaping does not free it with its dead maker. */
static uint64_t *lock_word(shmem_heap *heap)
{
    uint64_t *none = NULL;
    if (!table_valid(heap))
        return NULL;
    uint64_t *word = __atomic_load_n(&entry_of(heap)->lock, __ATOMIC_ACQUIRE);
    if (word != NULL)
        return word;
    struct cell *cell = shmheap_alloc_named(mem_of(heap), lock_name, sizeof *cell);
    uint64_t handle = cell != NULL ? shmheap_ptr_to_handle(mem_of(heap), cell).bits : 0;
    if (handle == 0)
        return NULL;
    cell_make_ready(cell, handle);
    word = &cell->word;
    if (__atomic_compare_exchange_n(&entry_of(heap)->lock, &none, word, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return word;
    shmheap_free(mem_of(heap), cell);
    return none;
}

static void sleep_ms(void)
{
    struct timespec one = {0, 1000000};
    nanosleep(&one, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1: the word was seen, 0 or a dead thread's, and is self now. */
static int word_take(uint64_t *word, uint64_t seen, uint64_t self)
{
    return __atomic_compare_exchange_n(word, &seen, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

int ShmemHeap_lock(shmem_heap *heap)
{
    uint64_t *word = lock_word(heap), self = word_of_self();
    if (word == NULL)
        return -1;
    int64_t end = now_ms() + WAIT_MS, look = 0;
    for (;;) {
        uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
        int64_t now = now_ms();
        if (seen == self) {
            errno = EDEADLK;
            return -1;
        }
        if (seen == 0 || (now >= look && !holder_lives(seen, self))) {
            if (word_take(word, seen, self))
                return 0;
            continue;
        }
        if (now >= look)
            look = now + LOOK_MS;
        if (now >= end) {
            errno = ETIMEDOUT;
            return -1;
        }
        sleep_ms();
    }
}

int ShmemHeap_unlock(shmem_heap *heap)
{
    if (!table_valid(heap)) {
        errno = EINVAL;
        return -1;
    }
    uint64_t *word = __atomic_load_n(&entry_of(heap)->lock, __ATOMIC_ACQUIRE),
             self = word_of_self();
    if (word == NULL ||
        !__atomic_compare_exchange_n(word, &self, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

void ShmemHeap_lock_f(shmem_heap *heap) { (void)ShmemHeap_lock(heap); }

void ShmemHeap_unlock_f(shmem_heap *heap) { (void)ShmemHeap_unlock(heap); }

void *Pointer_add_offset(void *ref, intptr_t offset, uint32_t szeof)
{
    return (void *)((uintptr_t)ref + (uintptr_t)offset * (szeof != 0 ? szeof : 1));
}

intptr_t Pointer_offset(void *ref, void *to, uint32_t szeof)
{
    intptr_t bytes = (intptr_t)((uintptr_t)to - (uintptr_t)ref), unit = szeof > 1 ? szeof : 1;
    return bytes / unit - (bytes % unit < 0);
}
