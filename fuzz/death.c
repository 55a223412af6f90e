/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/death.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "c/src/slot.h"
#include "fuzz/arena.h"

#define PID_OF_NOBODY UINT64_C(0x3fffffff) /* more than Linux gives */
#define SLOT_PID_AT 32

void (*shmheap_store_hook)(void);

static unsigned char *shots;
static size_t shot_bytes;
static unsigned stores;

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

static uint64_t *word_at(unsigned char *memory, size_t offset) { return (uint64_t *)(void *)(memory + offset); }

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
    if ((*word & 0xff) == SLOT_TAKEN)
        *word = (uint32_t)*word | PID_OF_NOBODY << SLOT_PID_AT;
}

int death_happen(const struct death *death, unsigned k)
{
    if (k >= death->stores || (k >= SHOTS_FIRST && k + SHOTS_LAST < death->stores))
        return 0;
    unsigned char *memory = arena_memory(0, shot_bytes);
    memcpy(memory, shot(k), shot_bytes);
    bury_owner(memory);
    bury_slot(memory, death->slots[0]);
    bury_slot(memory, death->slots[1]);
    return 1;
}
