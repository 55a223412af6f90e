/* blocks.h: the blocks of a heap at one instant, to be compared with those of another.
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
/* The block whose payload is at offset; NULL: none begins there. */
const shmheap_block_info *blocks_find(const struct blocks *blocks, uint64_t offset);
/* It holds an object, or a table of the heap. */
int block_is_used(const shmheap_block_info *block);
/* A block that holds an object begins at offset. */
int blocks_have_object(const struct blocks *blocks, uint64_t offset);

#endif
