/* blocks.c: a snapshot of the blocks of a heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/death/blocks.h"

#include "fuzz/world/world.h"

static int add_block(const shmheap_block_info *block, void *context)
{
    struct blocks *blocks = context;
    FUZZ_CHECK(blocks->count < BLOCKS_MAX);
    blocks->all[blocks->count++] = *block;
    return 0;
}

void blocks_take(struct blocks *blocks, shmheap_memory_handle mem)
{
    blocks->count = 0;
    FUZZ_CHECK(shmheap_walk(mem, add_block, blocks) == 0);
}

const shmheap_block_info *blocks_find(const struct blocks *blocks, uint64_t offset)
{
    unsigned low = 0, high = blocks->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (blocks->all[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < blocks->count && blocks->all[low].offset == offset ? &blocks->all[low] : NULL;
}

int block_is_used(const shmheap_block_info *block)
{
    return block->state != SHMHEAP_STATE_FREE && block->state != SHMHEAP_STATE_CACHED;
}

int blocks_have_object(const struct blocks *blocks, uint64_t offset)
{
    const shmheap_block_info *block = blocks_find(blocks, offset);
    return block && block_is_used(block) && block->state != SHMHEAP_STATE_INTERNAL;
}
