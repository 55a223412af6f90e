/* large_tree.c: the searches in the tree that begin at a chunk, backwards and forwards.
 * SPDX-License-Identifier: Apache-2.0 */
#include "large_tree.h"

/* Goes up the tree to a node with an earlier entry that is not 0, then down along the last ones. */
uint64_t tree_find_before(const struct shmheap *heap, uint64_t chunk)
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
        if (!tree_reaches(heap, level, node))
            return CHUNK_NONE;
        entry = node + bit_highest(node_at_least(heap->level[level] + node, 1) | 1u);
    }
    return entry;
}

/* Goes up the tree to a node with a later entry that is large enough, then down along the first
 * ones. Where a peer has written an entry without such a block below it, the search goes on behind
 * it. */
uint64_t tree_find_from(const struct shmheap *heap, uint32_t need, uint64_t chunk)
{
    uint64_t entry = chunk;
    unsigned level = 0;
    while (level < heap->layout.levels && tree_reaches(heap, level, entry)) {
        uint64_t node = entry & ~(uint64_t)(NODE_CHILDREN - 1);
        unsigned mask =
            node_at_least(heap->level[level] + node, need) & ~((1u << entry % NODE_CHILDREN) - 1);
        if (mask == 0) {
            entry = entry / NODE_CHILDREN + 1;
            level++;
            continue;
        }
        entry = node + bit_lowest(mask);
        if (level-- == 0)
            return entry;
        entry *= NODE_CHILDREN;
    }
    return CHUNK_NONE;
}
