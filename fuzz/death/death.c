/* death.c: simulates a death before each store of a call.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/death/death.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "c/src/process/slot.h"
#include "fuzz/world/arena.h"

/* The largest pid that Linux can be configured to give: no process has it. */
#define PID_UNUSED UINT64_C(0x3fffff)
#define SLOT_PID_AT 32
#define SLOT_PID_BITS UINT64_C(0x3fffff)

void (*shmheap_store_hook)(void);

static unsigned char *shots;
static size_t shot_bytes;
static unsigned stores;
static unsigned char *only_shot; /* the memory before store `only` */
static unsigned only;

static unsigned char *shot(unsigned k)
{
    return shots + (size_t)ARENA_LEN * (k < SHOTS_FIRST ? k : SHOTS_FIRST + k % SHOTS_LAST);
}

static void take_shot(void)
{
    memcpy(shot(stores), arena_memory(0, shot_bytes), shot_bytes);
    stores++;
}

void death_watch_begin(size_t bytes)
{
    if (!shots && !(shots = malloc((size_t)ARENA_LEN * SHOTS_MAX)))
        exit(1);
    shot_bytes = bytes;
    stores = 0;
    shmheap_store_hook = take_shot;
}

unsigned death_watch_end(void)
{
    shmheap_store_hook = NULL;
    return stores;
}

static uint64_t *word_at(unsigned char *memory, size_t offset)
{
    return (uint64_t *)(void *)(memory + offset);
}

/* Does what the kernel does to a robust futex. There is one thread, so the dead process holds the
 * lock. */
static void lock_mark_dead(unsigned char *memory)
{
    uint64_t *lock = word_at(memory, offsetof(struct control, lock));
    if ((uint32_t)*lock & FUTEX_TID_MASK)
        *lock = (*lock & ~(uint64_t)FUTEX_TID_MASK) | FUTEX_OWNER_DIED;
}

static void slot_mark_dead(unsigned char *memory, unsigned slot)
{
    uint64_t *word = word_at(memory, CONTROL_SIZE + (size_t)slot * SLOT_SIZE);
    if ((*word & 0xff & ~(SLOT_BY_PID | SLOT_HAS_HEIRS)) == SLOT_TAKEN)
        *word = (*word & ~(SLOT_PID_BITS << SLOT_PID_AT)) | PID_UNUSED << SLOT_PID_AT;
}

static void mark_dead(const struct death *death, unsigned char *memory)
{
    lock_mark_dead(memory);
    for (unsigned i = 0; i < sizeof death->slots / sizeof *death->slots; i++)
        if (death->slots[i])
            slot_mark_dead(memory, death->slots[i]);
}

int death_happen(const struct death *death, unsigned k)
{
    if (k >= death->stores || (k >= SHOTS_FIRST && k + SHOTS_LAST < death->stores))
        return 0;
    unsigned char *memory = arena_memory(0, shot_bytes);
    memcpy(memory, shot(k), shot_bytes);
    mark_dead(death, memory);
    return 1;
}

static void take_only_shot(void)
{
    if (stores++ == only)
        memcpy(only_shot, arena_memory(0, shot_bytes), shot_bytes);
}

int death_happen_again(struct death *death, unsigned k)
{
    unsigned char *memory = arena_memory(0, shot_bytes);
    shmheap_memory_handle mem;
    if (!only_shot && !(only_shot = malloc(2 * (size_t)ARENA_LEN)))
        exit(1);
    unsigned char *first = only_shot + ARENA_LEN;
    memcpy(first, memory, shot_bytes);
    FUZZ_CHECK(shmheap_attach_at(&mem, arena_memory(1, shot_bytes), shot_bytes) == 0);
    mem.heap->lock_limit_ms = 0;
    death->slots[2] = mem.heap->slot;
    stores = 0;
    only = k;
    shmheap_store_hook = take_only_shot;
    world_check_sound(mem);
    shmheap_store_hook = NULL;
    int died = stores > k;
    shmheap_disconnect(mem);
    memcpy(memory, died ? only_shot : first, shot_bytes);
    if (!died)
        death->slots[2] = 0;
    else
        mark_dead(death, memory);
    return died;
}
