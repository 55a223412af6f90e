/* words.c: which words of the heap actors touch, and which of their steps are points.
 *
 * A step is a point, where another actor might go on, only if an actor could tell the difference.
 * That is so at the racy words: two actors touch them, one of them stores, and not always with the
 * heap's lock. At the other words an actor that is preempted inside the lock is as one that is
 * preempted at its last racy word: the other actors meet the same heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/connect/register.h"
#include "tests/schedule/schedule.h"

/* An actor may have several connections, each with a mapping of its own. */
uint64_t heap_offset(const void *word)
{
    for (const struct shmheap *heap = register_first(); heap != NULL; heap = heap->next) {
        uint64_t offset = (uint64_t)((uintptr_t)word - (uintptr_t)heap->base);
        if (heap->base != NULL && offset < heap->map_len && offset < (uint64_t)WORDS_MAX * 8)
            return offset;
    }
    return UINT64_MAX;
}

int words_lock_held(void)
{
    uint64_t word = director_mem.heap->control->lock;
    return lock_self.tid != 0 && ((uint32_t)word & FUTEX_TID_MASK) == lock_self.tid;
}

void words_note(uint64_t word, int stores)
{
    uint8_t bit = (uint8_t)(1u << self);
    stage->by[word] |= bit;
    if (stores)
        stage->stored[word] |= bit;
    if (!words_lock_held())
        stage->unlocked[word] |= bit;
}

static int word_is_racy(unsigned word)
{
    uint8_t by = stage->by[word];
    return (by & (by - 1)) != 0 && stage->stored[word] && stage->unlocked[word];
}

unsigned words_racy(void)
{
    unsigned count = 0;
    for (unsigned word = 0; word < WORDS_MAX; word++)
        count += (unsigned)word_is_racy(word);
    return count;
}

void words_update(void)
{
    for (unsigned word = 0; word < WORDS_MAX; word++)
        stage->racy[word] = (uint8_t)word_is_racy(word);
}
