/* index.h: what is derived from the headers: the bits, the rows of small free blocks, the tree of large ones; reading it off the
 * headers, and looking around in it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_INDEX_H
#define SHMHEAP_INDEX_H

#include "../block/bits.h"

/* Fetches the headers that the bits of a chunk name, some chunks ahead of a walk, which else would wait for each
 * header to learn where the next one is. The bits may be wrong: then it is slow, no more. */
static inline void index_fetch_ahead(const struct shmheap *heap, uint64_t chunk, uint64_t end)
{
    chunk += 8;
    if (chunk * CHUNK_GRANULES < end)
        for (uint64_t starts = load_u64(&heap->bits[chunk].start); starts != 0;
             starts &= starts - 1)
            prefetch(block_header(heap, chunk * CHUNK_GRANULES + bit_lowest(starts)));
}

/* The first block that begins at from or behind it; the end if none does. */
uint64_t index_next_start(const struct shmheap *heap, uint64_t from);

/* The start of the free block whose last granule is given; GRANULE_NONE: the bits hold none. */
uint64_t index_start_of(const struct shmheap *heap, uint64_t granule);

/* The size of the largest free block but the tail, as far as the rows and the tree tell. */
uint64_t index_largest(const struct shmheap *heap);

/* The size of the largest free block, the tail too, as far as the index tells; at most the region's. */
uint64_t index_largest_of_all(const struct shmheap *heap);

/* struct index_expected is private: what the index has to say of one chunk after another, read off the headers. */
struct index_expected {
    const struct shmheap *heap;
    uint64_t end;
    struct block_step step;
    uint64_t boundary_later; /* the last granule of a free block that ends in a later chunk */
    uint64_t chunk;          /* the one described */
    uint64_t start, boundary;
    uint32_t large; /* its entry in the tree */
    uint64_t top, used_granules, used_blocks,
        free_blocks; /* so far; tail is the end unless the last block is free */
    int bad;         /* step.granule holds no header that can be there */
    uint64_t bins
        [BINS]; /* words of level 0, so far: complete with the last chunk that they cover, and with the last of all */
};

void index_expect(struct index_expected *expected, const struct shmheap *heap, uint64_t end);

/* index_expect_next describes the next chunk: 1; 0 after the last one, or where a header is bad. */
int index_expect_next(struct index_expected *expected);

/* index_expect_bins: the chunk described completes the rows' words. */
int index_expect_bins(const struct index_expected *expected);

/* What a word of a row, from level 1 on, has to be: bit i says whether word 64 group + i of the level below is not 0. Of those the region
 * has count. */
uint64_t index_expect_bin(const struct shmheap *heap, unsigned level, uint64_t group, uint64_t size,
                          uint64_t count);

/* What control->first[place] has to be. */
uint32_t index_expect_first(const struct shmheap *heap, unsigned place);

/* index_rebuild writes the whole index and its figures anew from headers that were checked. Each word of the start bits is
 * replaced by one store, so that who resolves handles meanwhile finds all objects. */
void index_rebuild(struct shmheap *heap);

#endif
