/* index.h: the whole index: searches in it, what it has to be by the headers, and rebuilding it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The index is everything that is derived from the headers: start and boundary bits (bits.h), free
 * list (free_list.h), size bins (size_bins.h), large tree (large_tree.h), top and counts. */
#ifndef SHMHEAP_INDEX_H
#define SHMHEAP_INDEX_H

#include "../block/bits.h"

/* Prefetches the headers that the start bits name in a chunk some chunks ahead of a walk. Without
 * that the walk waits for each header before it knows where the next one lies. Wrong bits cost time
 * only. */
static inline void index_fetch_ahead(const struct shmheap *heap, uint64_t chunk, uint64_t end)
{
    chunk += 8;
    if (chunk * CHUNK_GRANULES < end)
        for (uint64_t starts = load_u64(&heap->bits[chunk].start); starts != 0;
             starts &= starts - 1)
            prefetch(block_header(heap, chunk * CHUNK_GRANULES + bit_lowest(starts)));
}

/* The granule of the first block that begins at from or behind it; the end: there is none. */
uint64_t index_next_start(const struct shmheap *heap, uint64_t from);

/* The first granule of the free block whose last granule is given; GRANULE_NONE: the bits hold
 * none. */
uint64_t index_start_of(const struct shmheap *heap, uint64_t granule);

/* The size of the largest free block, top block included, by the index; at most the region's. */
uint64_t index_largest_of_all(const struct shmheap *heap);

/* struct index_expected is a walk over the headers, chunk after chunk, and what the index
 * has to say about each, in the binned form of the free set. */
struct index_expected {
    const struct shmheap *heap;
    uint64_t end;
    struct block_step step;
    uint64_t boundary_later; /* the last granule of a free block that ends in a later chunk */
    uint64_t chunk;          /* the chunk described */
    uint64_t start, boundary;
    uint32_t large;                                   /* its entry in the tree */
    uint64_t top;                                     /* the end, unless the last block is free */
    uint64_t used_granules, used_blocks, free_blocks; /* so far */
    int bad; /* the header at step.granule cannot lie there */
    /* The bins' words of level 0 so far: complete with the last chunk that they cover, and with the
     * last chunk of the region. */
    uint64_t bins[BINS];
};

/* expected_begin begins the walk. */
void expected_begin(struct index_expected *expected, const struct shmheap *heap, uint64_t end);

/* expected_next describes the next chunk. 1, or 0: after the last one, or where a header is
 * bad. */
int expected_next(struct index_expected *expected);

/* expected_bins_complete: 1 where the chunk described completes the bins' words. */
int expected_bins_complete(const struct index_expected *expected);

/* What a word of the bin of this size has to be, from level 1 on: bit i says whether word
 * 64 group + i of the level below, which has count words, is not 0. */
uint64_t expected_bin_word(const struct shmheap *heap, unsigned level, uint64_t group,
                           uint64_t size, uint64_t count);

/* What control->first[place] has to be. */
uint32_t expected_first_word(const struct shmheap *heap, unsigned place);

/* index_rebuild writes the whole index from headers that were checked, in the binned form. A death
 * inside is the next lock owner's to mend, by another rebuild. It replaces each word of start bits
 * by one store, so that threads that resolve handles meanwhile find all objects. */
void index_rebuild(struct shmheap *heap);

#endif
