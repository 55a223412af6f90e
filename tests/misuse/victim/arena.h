/* arena.h: heaps in memory that a hostile peer writes to, between two pages without access.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MISUSE_ARENA_H
#define TESTS_MISUSE_ARENA_H

#include "c/src/segment/connection.h"
#include "tests/misuse/victim/victim.h"

/* struct arena is shared between the victim and its watcher. */
struct arena {
    struct victim victim;
    unsigned char *memory;
    size_t bytes;
    uint32_t turn;             /* odd: the peer writes. A futex, as the next one */
    uint32_t seen;             /* the last turn in which the peer wrote, or began to rest */
    volatile uint64_t writes;  /* of the peer */
    shmheap_memory_handle mem; /* of the process that built it last */
    struct layout layout;      /* of that heap; the peer reads it, too */
};

enum { ARENA_PAGES = 21 }; /* the least with room for a heap that has caches */
struct arena *arena_begin(size_t pages);
void arena_end(struct arena *arena);

/* A new heap with some objects, two of them with names, of either alignment, growing or not, with
 * caches where it is large enough. */
void arena_build(struct arena *arena, struct test_random *random);

/* A new heap with caches, empty. */
void arena_build_cached(struct arena *arena);

/* Where a word of what kind lies: control, slots, index, first headers, anything. */
size_t arena_place(const struct arena *arena, struct test_random *random);

/* Values that are more probable than others to pass a check by mistake, instead of old. */
uint64_t arena_word(const struct arena *arena, struct test_random *random, uint64_t old);

/* A second connection to what is there now, and calls through it. */
void arena_attach_again(struct arena *arena, struct test_random *random, unsigned calls);

#endif
