/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/death.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "c/src/process/slot.h"
#include "fuzz/arena.h"

#define PID_OF_NOBODY                                                                              \
    UINT64_C(0x3fffff) /* the last that Linux can give, if it is told to give so many */
#define SLOT_PID_AT 32
#define SLOT_PID_BITS UINT64_C(0x3fffff)

void (*shmheap_store_hook)(void);

static unsigned char *shots;
static size_t shot_bytes;
static unsigned stores;
static unsigned char *only_shot; /* before store number only */
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

/* What the kernel does to a robust futex; there is one thread, so whoever has the lock is who dies. */
static void bury_owner(unsigned char *memory)
{
    uint64_t *lock = word_at(memory, offsetof(struct control, lock));
    if ((uint32_t)*lock & FUTEX_TID_MASK)
        *lock = (*lock & ~(uint64_t)FUTEX_TID_MASK) | FUTEX_OWNER_DIED;
}

static void bury_slot(unsigned char *memory, unsigned slot)
{
    uint64_t *word = word_at(memory, CONTROL_SIZE + (size_t)slot * SLOT_SIZE);
    if ((*word & 0xff & ~(SLOT_BY_PID | SLOT_HAS_HEIRS)) == SLOT_TAKEN)
        *word = (*word & ~(SLOT_PID_BITS << SLOT_PID_AT)) | PID_OF_NOBODY << SLOT_PID_AT;
}

static void bury(const struct death *death, unsigned char *memory)
{
    bury_owner(memory);
    for (unsigned i = 0; i < sizeof death->slots / sizeof *death->slots; i++)
        if (death->slots[i])
            bury_slot(memory, death->slots[i]);
}

int death_happen(const struct death *death, unsigned k)
{
    if (k >= death->stores || (k >= SHOTS_FIRST && k + SHOTS_LAST < death->stores))
        return 0;
    unsigned char *memory = arena_memory(0, shot_bytes);
    memcpy(memory, shot(k), shot_bytes);
    bury(death, memory);
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
        bury(death, memory);
    return died;
}
