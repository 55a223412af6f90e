/* target.h: a heap whose bytes a test overwrites as a hostile peer would, and then restores.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TARGET_H
#define TESTS_UNIT_TARGET_H

#include "c/src/inspect/check.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum {
    LEN = 256000,
    MAX_LEN = 2 * LEN,
    ARENA = 512
            /* of 249.98 chunks of 64 granules of 16, so that every array of entries has an end */
            << 10,
    OBJECT_LEN = 200,
    LARGE_LEN = 2000,
    OBJECTS = 1000,
    FREED_FROM = 10,
    WRITES_MAX = 16,
    LIST_STEP = 40,
    SLOT_UNUSED = 500,
    STATE_UNKNOWN = 7,
    WAYS_MAX = 10
};

/* struct target is private: a heap as a peer sees it, and what that peer has overwritten.
 *
 *   [ USED ] x 10 [ free of 1 ][ USED ][ free of 3 ][ USED ][ free of 3 ] ...
 *   [ USED ][ free ][ table, records, named ][ top ]
 *
 * in blocks of objects of 200 bytes; the last free one, of 2,000, is large. */
struct target {
    shmheap_memory_handle mem;
    unsigned char *base;
    size_t map_len;
    struct control *control;
    struct layout layout;
    uint64_t granules; /* in the region now */
    unsigned shift;
    int list; /* fewer are free: every tenth, so that they are in the free list */
    uint64_t used, hole, large, top, record, named, table; /* granules of blocks of each kind */
    struct {
        void *at;
        uint64_t was;
        unsigned bytes;
    } writes[WRITES_MAX];
    unsigned count;
};

uint64_t *header_at(const struct target *target, uint64_t granule);

void *payload_at(const struct target *target, uint64_t granule);

uint64_t payload_off(const struct target *target, uint64_t granule);

uint64_t chunk_off(const struct target *target, uint64_t chunk);

uint64_t size_at(const struct target *target, uint64_t granule);

struct chunk_bits *bits_of(const struct target *target, uint64_t granule);

uint32_t *entry_of(const struct target *target, unsigned level, uint64_t entry);

/* The word of a size bin, by group, or by the chunk of a granule on level 0. */
uint64_t *word_of(const struct target *target, unsigned level, uint64_t group, uint64_t size);

uint64_t *row_of(const struct target *target, uint64_t granule, uint64_t size);

uint64_t bit(uint64_t granule);

void poke_u64(struct target *target, uint64_t *at, uint64_t value);

void poke_u32(struct target *target, uint32_t *at, uint32_t value);

void undo(struct target *target);

void target_in_file(struct target *target, size_t alignment);

void target_in_memory(struct target *target, size_t alignment);

void target_end(struct target *target);

#endif
