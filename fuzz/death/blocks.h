/* blocks.h: a snapshot of the blocks of a heap, for comparisons.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_BLOCKS_H
#define FUZZ_BLOCKS_H

#include "shmheap.h"

enum { BLOCKS_MAX = 8192 };

struct blocks {
    unsigned count;
    shmheap_block_info all[BLOCKS_MAX];
};

void blocks_take(struct blocks *blocks, shmheap_memory_handle mem);
/* The block whose payload is at offset, or NULL. */
const shmheap_block_info *blocks_find(const struct blocks *blocks, uint64_t offset);
/* The block holds an object or a table of the heap. */
int block_is_used(const shmheap_block_info *block);
/* The block whose payload is at offset exists and holds an object. */
int blocks_have_object(const struct blocks *blocks, uint64_t offset);

#endif
