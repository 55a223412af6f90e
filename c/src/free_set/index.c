/* index.c: describes the whole index chunk by chunk from the headers, for the checker and recovery.
 *
 * The checker compares the description (struct index_expected) with the index, recovery stores it.
 * So recovery leaves the index that the checker demands.
 * SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <errno.h>
#include <string.h>

#include "free_list.h"
#include "size_bins.h"
#include "large_tree.h"

/* Bytes of region from which on recovery and the checker look for holes, in a heap that is not
 * sparse. The index of a shorter one has less than 256 KiB: a search for holes would cost more than
 * the loads. */
#define HOLES_FROM (UINT64_C(8) << 20)

uint64_t index_start_of(const struct shmheap *heap, uint64_t granule)
{
    uint64_t chunk = chunk_of(granule);
    uint64_t starts = load_u64(&heap->bits[chunk].start) & (bit_of(granule) | bits_below(granule));
    if (starts != 0)
        return chunk * CHUNK_GRANULES + bit_highest(starts);
    /* No start lies in the chunk before the granule: the block is large, and the last large free
     * block to begin. */
    chunk = tree_find_before(heap, chunk);
    if (chunk == CHUNK_NONE || chunk * CHUNK_GRANULES >= heap->end)
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

void index_data_begin(struct index_data *data, const struct shmheap *heap)
{
    int before = errno, searched = heap->has_file && ((heap->format_flags & FORMAT_SPARSE) != 0 ||
                                                      heap->end << heap->shift >= HOLES_FROM);
    memset(data, 0, sizeof *data);
    data->base = heap->base;
    data->fd = searched ? connection_fd(heap) : -1;
    data->part.to = data->fd >= 0 ? 0 : UINT64_MAX; /* without a file all has memory */
    errno = before;
}

int index_data_search(struct index_data *data, uint64_t off, uint64_t len)
{
    data->hole = off;
    data->part = file_data_next(data->fd, off);
    return data->part.from - off < len;
}

void expected_begin(struct index_expected *expected, const struct shmheap *heap, uint64_t end)
{
    memset(expected, 0, sizeof *expected);
    expected->heap = heap;
    index_data_begin(&expected->ahead, heap);
    expected->end = expected->top = end;
    expected->boundary_later = GRANULE_NONE;
    expected->chunk = CHUNK_NONE;
}

/* Enters the free block, which is not the top block, at its size. A chunk is described after those
 * before it, so the first entry stays. */
static void expect_free(struct index_expected *expected, uint64_t size)
{
    uint32_t *first = &expected->first[size < BINS ? size : LARGE_FIRST];
    if (*first == 0)
        *first = first_of_chunk(expected->chunk);
    if (size < BINS)
        expected->bins[size] |= bit_of(expected->chunk);
    else
        expected->large = maximum_of_size(size);
}

/* Adds the block at step to the description of the chunk. */
static void expect_block(struct index_expected *expected, uint64_t chunk_end)
{
    uint64_t granule = expected->step.granule, size = expected->step.size,
             last = granule + size - 1;
    expected->start |= bit_of(granule);
    if (header_state(expected->step.header) != SHMHEAP_STATE_FREE) {
        expected->used_granules += size;
        expected->used_blocks++;
        return;
    }
    expected->free_blocks++;
    expected->boundary |= bit_of(granule);
    if (last < chunk_end)
        expected->boundary |= bit_of(last);
    else
        expected->boundary_later = last;
    if (last + 1 == expected->end)
        expected->top = granule;
    else
        expect_free(expected, size);
}

int expected_next(struct index_expected *expected)
{
    uint64_t chunk_end = (++expected->chunk + 1) * CHUNK_GRANULES;
    if (chunk_end - CHUNK_GRANULES >= expected->end)
        return 0;
    index_fetch_ahead(expected->heap, &expected->ahead, expected->chunk, expected->end);
    expected->start = expected->boundary = expected->large = 0;
    if (expected->chunk % WORD_BITS == 0)
        memset(expected->bins, 0, sizeof expected->bins);
    if (expected->boundary_later < chunk_end) {
        expected->boundary = bit_of(expected->boundary_later);
        expected->boundary_later = GRANULE_NONE;
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

void expected_skip(struct index_expected *expected, struct index_data *bits,
                   struct index_data *tree, struct index_data *bins)
{
    const struct shmheap *heap = expected->heap;
    uint64_t chunk = expected->chunk + 1, granule = expected->step.granule;
    granule = expected->boundary_later < granule ? expected->boundary_later : granule;
    if (chunk % WORD_BITS != 0)
        return;
    while (chunk + WORD_BITS <= chunk_of(granule) &&
           !index_has(bits, &heap->bits[chunk], WORD_BITS * sizeof *heap->bits) &&
           !index_has(tree, heap->level[0] + chunk, WORD_BITS * sizeof *heap->level[0]) &&
           !index_has(bins, heap->bin[0] + chunk, BINS * sizeof *heap->bin[0]))
        chunk += WORD_BITS;
    expected->chunk = chunk - 1;
}

int expected_bins_complete(const struct index_expected *expected)
{
    return expected->chunk % WORD_BITS == WORD_BITS - 1 ||
           (expected->chunk + 1) * CHUNK_GRANULES >= expected->end;
}

void expected_bin_words(const struct shmheap *heap, struct index_data *below, unsigned level,
                        uint64_t group, uint64_t count, uint64_t words[BINS])
{
    uint64_t from = group * WORD_BITS;
    memset(words, 0, BINS * sizeof *words);
    for (uint64_t i = from; i < count && i < from + WORD_BITS; i++) {
        const shared_u64 *row = heap->bin[level - 1] + i * BINS;
        if (!index_has(below, row, BINS * sizeof *row))
            continue;
        for (unsigned size = 0; size < BINS; size++)
            words[size] |= (uint64_t)(index_u64(below, row + size) != 0) << i % WORD_BITS;
    }
}

uint32_t expected_tree_entry(const struct shmheap *heap, struct index_data *below, unsigned level,
                             uint64_t entry)
{
    const shared_u32 *node = heap->level[level - 1] + entry * NODE_CHILDREN;
    return index_has(below, node, NODE_CHILDREN * sizeof *node) ? node_maximum(node) : 0;
}

/* The size of the largest free block but the top block, by the free set. */
static uint64_t largest_in_set(const struct shmheap *heap)
{
    uint64_t listed = list_count(heap);
    if (list_in_use(listed))
        return list_largest(heap, listed);
    uint64_t size = node_maximum(heap->level[heap->layout.levels - 1]);
    if (size != 0)
        return size;
    for (size = BINS - 1; size != 0 && load_u32(&heap->control->first[size]) == 0; size--)
        ;
    return size;
}

uint64_t index_largest_of_all(const struct shmheap *heap)
{
    uint64_t end = connection_end(heap), top = load_u64(&heap->control->top),
             most = largest_in_set(heap);
    if (top <= end && end - top > most)
        most = end - top;
    return most < end ? most : end;
}

/* Writes the higher levels of the bins; level 0 has count words of each bin. The cursors begin anew
 * on each level: the last one has filled holes of the level below. */
static void rebuild_bins(struct shmheap *heap, uint64_t count)
{
    uint64_t words[BINS];
    for (unsigned level = 1; level < heap->layout.bin_levels; level++) {
        uint64_t groups = (count + WORD_BITS - 1) / WORD_BITS;
        struct index_data below, here;
        index_data_begin(&below, heap);
        here = below;
        for (uint64_t group = 0; group < groups; group++) {
            expected_bin_words(heap, &below, level, group, count, words);
            for (unsigned size = 0; size < BINS; size++)
                index_set_u64(&here, heap->bin[level] + group * BINS + size, words[size]);
        }
        count = groups;
    }
}

/* Writes the higher levels of the tree; level 0 has count entries. Entries behind the last one of a
 * level become 0, up to the end of their node. */
static void rebuild_tree(struct shmheap *heap, uint64_t count)
{
    for (unsigned level = 0;; level++) {
        uint64_t filled = round_up(count, NODE_CHILDREN);
        struct index_data below, here;
        index_data_begin(&below, heap);
        here = below;
        for (uint64_t entry = count; entry < filled; entry++)
            index_set_u32(&below, heap->level[level] + entry, 0);
        if (level + 1 == heap->layout.levels)
            return;
        count = filled / NODE_CHILDREN;
        for (uint64_t entry = 0; entry < count; entry++)
            index_set_u32(&here, heap->level[level + 1] + entry,
                          expected_tree_entry(heap, &below, level + 1, entry));
    }
}

void index_rebuild(struct shmheap *heap)
{
    struct control *control = heap->control;
    struct index_expected expected;
    struct index_data bits, tree, bins;
    index_data_begin(&bits, heap);
    tree = bins = bits;
    store_u64(&control->listed, NOT_LISTED);
    expected_begin(&expected, heap, heap->end);
    while (expected_next(&expected)) {
        struct chunk_bits *chunk = &heap->bits[expected.chunk];
        index_set_u64(&bits, &chunk->boundary, expected.boundary);
        if (expected.start != 0 || index_has(&bits, chunk, sizeof *chunk))
            store_publish(&chunk->start, expected.start);
        index_set_u32(&tree, heap->level[0] + expected.chunk, expected.large);
        for (unsigned i = 0; i < BINS && expected_bins_complete(&expected); i++)
            index_set_u64(&bins, heap->bin[0] + (expected.chunk & ~(uint64_t)(WORD_BITS - 1)) + i,
                          expected.bins[i]);
        expected_skip(&expected, &bits, &tree, &bins);
    }
    rebuild_bins(heap, (expected.chunk + WORD_BITS - 1) / WORD_BITS);
    rebuild_tree(heap, expected.chunk);
    for (unsigned place = 0; place < 2 * BINS; place++)
        store_u32(&control->first[place], expected.first[place]);
    store_u64(&control->top, expected.top);
    store_u64(&control->used_granules, expected.used_granules);
    store_u64(&control->frees, load_u64(&control->allocs) - expected.used_blocks);
    store_u64(&control->free_blocks, expected.free_blocks);
    if (expected.used_granules > load_u64(&control->high_granules))
        store_u64(&control->high_granules, expected.used_granules);
}
