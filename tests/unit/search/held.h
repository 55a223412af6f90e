/* held.h: a heap held against the model: each call goes to both, and has to do the same.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HELD_H
#define TESTS_UNIT_HELD_H

#include "tests/support/test.h"
#include "tests/unit/search/model.h"

/* struct held: blocks are named by the granule where they begin, as in the model. */
struct held {
    shmheap_memory_handle mem;
    struct model model;
    uint64_t granule; /* bytes: 8 or 16 */
};

/* Runs run for the first so many cores of test_choose_core and both granules. */
void held_for_all(unsigned cores, void (*run)(uint64_t granule));

/* A heap without a name and of a fixed length, which takes no memory but what is touched. 0: there
 * is no room for one that large in the address space, or files may not get that long. */
int held_begin(struct held *held, uint64_t len, uint64_t granule);
void held_end(struct held *held);

void *held_payload(const struct held *held, uint64_t start);
/* Where the block of need granules is now, or MODEL_NONE. */
uint64_t held_alloc(struct held *held, uint64_t need);
/* The same, which has to succeed. */
uint64_t held_take(struct held *held, uint64_t need);
/* So many of them by one call: how many there are. */
size_t held_alloc_many(struct held *held, uint64_t need, size_t count, uint64_t *starts);
/* The payload at a multiple of alignment, at least 2 granules. */
uint64_t held_alloc_aligned(struct held *held, uint64_t need, uint64_t alignment);
void held_free(struct held *held, uint64_t start);
void held_free_many(struct held *held, const uint64_t *starts, size_t count);
/* Where the block is then; it stays where it was if there is no room for it. */
uint64_t held_resize(struct held *held, uint64_t start, uint64_t need);
/* The list of blocks is that of the model. */
void held_compare(const struct held *held);
void held_compare_blocks(shmheap_memory_handle mem, const struct model *model);

/* Overwrites all that is derived with bytes like that, and lets an owner of the lock die, so that
 * the next call reads it off the headers again; the heap then is sound. */
void held_recover_from(struct held *held, unsigned char byte);

#endif
