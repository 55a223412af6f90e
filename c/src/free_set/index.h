/* index.h: the whole index: searches in it, what it has to be by the headers, and rebuilding it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The index is everything that is derived from the headers: start and boundary bits (bits.h), free
 * list (free_list.h), size bins (size_bins.h), large tree (large_tree.h), top and counts. */
#ifndef SHMHEAP_INDEX_H
#define SHMHEAP_INDEX_H

#include "../block/bits.h"
#include "../os/file.h"

/* struct index_data is a cursor over a part of the index. It tells which places have memory
 * (file_data_next). Recovery and the checker pass over the whole index. From a hole they load
 * nothing, and into one they store no 0: a sparse heap stays sparse.
 * [hole, part.from) has no memory, part has, both as last seen; offsets in the file. */
struct index_data {
    int fd;
    const unsigned char *base;
    uint64_t hole;
    struct file_data part;
};

/* index_data_begin begins a cursor. Each part of the index needs one of its own. */
void index_data_begin(struct index_data *data, const struct shmheap *heap);

/* index_has returns 0 where none of the len bytes at place has memory, else 1. A call costs a
 * comparison, or two system calls where it leaves the part that the cursor knows. errno stays. */
int index_data_search(struct index_data *data, uint64_t off, uint64_t len);
static inline int index_has(struct index_data *data, const void *place, uint64_t len)
{
    uint64_t off = (uint64_t)((const unsigned char *)place - data->base);
    if (off >= data->part.from && off < data->part.to)
        return 1;
    if (off >= data->hole && off < data->part.from && len <= data->part.from - off)
        return 0;
    return index_data_search(data, off, len);
}

/* Loads of a word, and stores to it, by way of a cursor. */
static inline uint64_t index_u64(struct index_data *data, const shared_u64 *word)
{
    return index_has(data, word, sizeof *word) ? load_u64(word) : 0;
}
static inline uint32_t index_u32(struct index_data *data, const shared_u32 *word)
{
    return index_has(data, word, sizeof *word) ? load_u32(word) : 0;
}
static inline void index_set_u64(struct index_data *data, shared_u64 *word, uint64_t value)
{
    if (value != 0 || index_has(data, word, sizeof *word))
        store_u64(word, value);
}
static inline void index_set_u32(struct index_data *data, shared_u32 *word, uint32_t value)
{
    if (value != 0 || index_has(data, word, sizeof *word))
        store_u32(word, value);
}

/* Prefetches the headers that the start bits name in a chunk some chunks ahead of a walk. Without
 * that the walk waits for each header before it knows where the next one lies. Wrong bits cost time
 * only. bits: a cursor over the start bits. */
static inline void index_fetch_ahead(const struct shmheap *heap, struct index_data *bits,
                                     uint64_t chunk, uint64_t end)
{
    chunk += 8;
    if (chunk * CHUNK_GRANULES < end && index_has(bits, &heap->bits[chunk], sizeof *heap->bits))
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
    struct index_data ahead; /* of index_fetch_ahead */
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
    uint32_t first[2 * BINS]; /* control->first, by the chunks so far */
};

/* expected_begin begins the walk. */
void expected_begin(struct index_expected *expected, const struct shmheap *heap, uint64_t end);

/* expected_next describes the next chunk. 1, or 0: after the last one, or where a header is
 * bad. */
int expected_next(struct index_expected *expected);

/* expected_skip passes over the next groups of 64 chunks inside a block, as far as the index has no
 * memory for them: their words have to be 0, and are. The cursors are over the bits, level 0 of
 * the tree and level 0 of the bins. */
void expected_skip(struct index_expected *expected, struct index_data *bits,
                   struct index_data *tree, struct index_data *bins);

/* expected_bins_complete: 1 where the chunk described completes the bins' words. */
int expected_bins_complete(const struct index_expected *expected);

/* What the words of all bins for this group have to be on a level from 1 on: bit i of words[size]
 * says whether word 64 group + i of the bin is not 0 on the level below, which has count words of
 * each bin. below: a cursor over that level. */
void expected_bin_words(const struct shmheap *heap, struct index_data *below, unsigned level,
                        uint64_t group, uint64_t count, uint64_t words[BINS]);

/* What an entry of the tree has to be, from level 1 on: the maximum of its node on the level
 * below. */
uint32_t expected_tree_entry(const struct shmheap *heap, struct index_data *below, unsigned level,
                             uint64_t entry);

/* index_rebuild writes the whole index from headers that were checked, in the binned form. A death
 * inside is the next lock owner's to mend, by another rebuild. It replaces each word of start bits
 * by one store, so that threads that resolve handles meanwhile find all objects. */
void index_rebuild(struct shmheap *heap);

#endif
