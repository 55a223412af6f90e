/* calls.h: makes each call of fortran/c/ShmemHeap.h, and compares its result with what is expected.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FORTRAN_CALLS_H
#define FUZZ_FORTRAN_CALLS_H

#include "ShmemHeap.h"
#include "fuzz/world/op.h"
#include "fuzz/world/world.h"

enum { FORTRAN_BLOCKS = 48, FORTRAN_META_MAX = 64 };

enum step {
    STEP_ALLOC,
    STEP_FREE,
    STEP_ARRAY,
    STEP_ARRAY_FREE,
    STEP_ARRAY_FIND,
    STEP_META_SET,
    STEP_META_GET,
    STEP_PLACE,
    STEP_BAD_FREE,
    STEP_NAME,
    STEP_NAME_KEEP,
    STEP_NAME_REMOVE,
    STEP_LOCK,
    STEP_RECONNECT,
    STEP_INSPECT,
    STEPS
};

/* struct block is the expected state of a block. */
struct block {
    heap_element offset;
    uint64_t len, mark; /* bytes with contents */
    int is_array, meta; /* bytes kept; -1: a peer has written into the block */
    unsigned char kept[FORTRAN_META_MAX];
    ShmemHeap_array array;
};

/* struct fortran is the memory, its connections, and the blocks in it. */
extern struct fortran {
    shmem_heap *heap[2];
    struct block blocks[FORTRAN_BLOCKS];
    unsigned count;
    uint64_t marks;
    size_t bytes;
    int locked;
} fortran;

/* The block's address, as a side sees it. */
unsigned char *block_at(unsigned side, const struct block *block);
/* The block that op chooses; NULL: there is none. */
struct block *block_pick(const struct op *op);
void block_forget(struct block *block);
/* Adds a new block with so many bytes for the caller, and fills it. */
struct block *block_remember(unsigned side, void *ptr, uint64_t len);

void fortran_alloc(const struct op *op);
void fortran_free(const struct op *op, struct block *block);
void fortran_meta_set(const struct op *op, struct block *block);
void fortran_meta_get(const struct op *op, const struct block *block);
void fortran_place(const struct op *op, const struct block *block);
void fortran_bad_free(const struct op *op);
void fortran_array(const struct op *op);
void fortran_array_find(const struct op *op, const struct block *block);
void fortran_array_free(const struct op *op, struct block *block);
void fortran_names(const struct op *op, enum step step);
void fortran_lock(const struct op *op);
void fortran_reconnect(const struct op *op);
void fortran_inspect(const struct op *op);

#endif
