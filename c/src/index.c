/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

/* The last chunk before this one in which a free block begins: up the tree until a node has such a child, then
 * down along the last ones. Between that chunk and the end of a free block no block begins. */
static uint64_t index_chunk_before(const struct shmheap *heap, uint64_t chunk)
{
    uint64_t entry = chunk;
    unsigned mask = 0, level = 0;
    for (;; level++, entry /= NODE_CHILDREN) {
        if (level == heap->layout.levels)
            return CHUNK_NONE;
        uint64_t node = entry & ~(uint64_t)(NODE_CHILDREN - 1);
        mask = node_at_least(heap->level[level] + node, 1) & ((1u << entry % NODE_CHILDREN) - 1);
        if (mask != 0) {
            entry = node + bit_highest(mask);
            break;
        }
    }
    while (level-- > 0) {
        uint64_t node = entry * NODE_CHILDREN;
        if (node >= heap->layout.level_len[level])
            return CHUNK_NONE;
        entry = node + bit_highest(node_at_least(heap->level[level] + node, 1) | 1u);
    }
    return entry;
}

uint64_t index_start_far(const struct shmheap *heap, uint64_t granule)
{
    uint64_t chunk = chunk_of(granule);
    if (chunk == 0)
        return GRANULE_NONE;
    uint64_t starts = load_u64(&heap->bits[chunk - 1].start);
    if (starts != 0)
        return (chunk - 1) * CHUNK_GRANULES + bit_highest(starts);
    chunk = index_chunk_before(heap, chunk - 1);
    if (chunk == CHUNK_NONE || chunk >= heap->layout.chunks_max)
        return GRANULE_NONE;
    starts = load_u64(&heap->bits[chunk].start);
    return starts != 0 ? chunk * CHUNK_GRANULES + bit_highest(starts) : GRANULE_NONE;
}

uint64_t index_next_start(const struct shmheap *heap, uint64_t from)
{
    for (uint64_t chunk = chunk_of(from); chunk * CHUNK_GRANULES < heap->end; chunk++) {
        uint64_t starts = load_u64(&heap->bits[chunk].start);
        if (chunk == chunk_of(from))
            starts &= ~bits_below(from);
        if (starts != 0)
            return chunk * CHUNK_GRANULES + bit_lowest(starts);
    }
    return heap->end;
}

void index_expect(struct index_expected *expected, const struct shmheap *heap, uint64_t end)
{
    struct index_expected begin = {heap, end, {0, 0, 0}, GRANULE_NONE, CHUNK_NONE, 0, 0, 0, end, 0, 0, 0, 0};
    *expected = begin;
}

/* The chunk so far, with the block at step in it. */
static void expect_block(struct index_expected *expected, uint64_t chunk_end)
{
    uint64_t granule = expected->step.granule, size = expected->step.size, last = granule + size - 1;
    expected->start |= bit_of(granule);
    if (header_state(expected->step.header) != SHMHEAP_STATE_FREE) {
        expected->used_granules += size;
        expected->used_blocks++;
        return;
    }
    expected->free_blocks++;
    expected->edge |= bit_of(granule);
    if (last < chunk_end)
        expected->edge |= bit_of(last);
    else
        expected->edge_later = last;
    if (last + 1 == expected->end)
        expected->tail = granule;
    else if (maximum_of_size(size) > expected->maximum)
        expected->maximum = maximum_of_size(size);
}

int index_expect_next(struct index_expected *expected)
{
    uint64_t chunk_end = (++expected->chunk + 1) * CHUNK_GRANULES;
    if (chunk_end - CHUNK_GRANULES >= expected->end)
        return 0;
    index_fetch_ahead(expected->heap, expected->chunk, expected->end);
    expected->start = expected->edge = expected->maximum = 0;
    if (expected->edge_later < chunk_end) {
        expected->edge = bit_of(expected->edge_later);
        expected->edge_later = GRANULE_NONE;
    }
    while (expected->step.granule < chunk_end) {
        enum block_walk walk = block_walk_at(expected->heap, &expected->step, expected->end);
        if (walk == BLOCK_WALK_END)
            break;
        if (walk == BLOCK_WALK_BAD) {
            expected->bad = 1;
            return 0;
        }
        expect_block(expected, chunk_end);
        block_walk_next(&expected->step);
    }
    return 1;
}

/* Level 0 has count entries; all higher levels follow, what is behind them in their nodes is 0. */
static void rebuild_levels(struct shmheap *heap, uint64_t count)
{
    for (unsigned level = 0;; level++) {
        uint64_t filled = round_up(count, NODE_CHILDREN);
        for (uint64_t entry = count; entry < filled; entry++)
            store_u32(heap->level[level] + entry, 0);
        if (level + 1 == heap->layout.levels)
            return;
        count = filled / NODE_CHILDREN;
        for (uint64_t entry = 0; entry < count; entry++)
            store_u32(heap->level[level + 1] + entry, node_maximum(heap->level[level] + entry * NODE_CHILDREN));
    }
}

void index_rebuild(struct shmheap *heap)
{
    struct control *control = heap->control;
    struct index_expected expected;
    index_expect(&expected, heap, heap->end);
    while (index_expect_next(&expected)) {
        store_u64(&heap->bits[expected.chunk].edge, expected.edge);
        store_publish(&heap->bits[expected.chunk].start, expected.start);
        store_u32(heap->level[0] + expected.chunk, expected.maximum);
    }
    rebuild_levels(heap, expected.chunk);
    store_u64(&control->tail, expected.tail);
    store_u64(&control->used_granules, expected.used_granules);
    store_u64(&control->frees, load_u64(&control->allocs) - expected.used_blocks);
    store_u64(&control->free_blocks, expected.free_blocks);
    if (expected.used_granules > load_u64(&control->high_granules))
        store_u64(&control->high_granules, expected.used_granules);
}
