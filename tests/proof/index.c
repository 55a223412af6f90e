/* index.c: size bins and the large tree: what is put in is found, what is taken out is not.
 *
 * Each proof begins with any bin, or any tree, that is as FORMAT.md says, and ends with such a one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "frame/proof.h"

#include "frame/core.h"

#include "c/src/block/bits.c"
#include "c/src/free_set/large_tree.c"
#include "c/src/free_set/size_bins.c"

void (*shmheap_store_hook)(void);

/* The bins of all sizes are alike. CBMC takes one of them: any size is too much for it. */
#ifdef __CPROVER__
#define ANY_SIZE 5
#else
#define ANY_SIZE any_in(1, BINS - 1)
#endif

enum {
    GROUPS = 2, /* of 64 chunks */
    CHUNKS = GROUPS * 64,
    TREE_CHUNKS = 32, /* two nodes of level 0 */
    SIZE_MOST = 7     /* of a block in the tree */
};

static struct control our_control;
static struct shmheap our_heap;

static void connect(void)
{
    our_heap.control = &our_control;
    our_heap.end = CHUNKS * CHUNK_GRANULES;
}

/* The bins ------------------------------------------------------------------------------------- */

static shared_u64 bin_0[GROUPS * BINS], bin_1[BINS], spare[BINS];

/* Where the bin of this size begins, by the words of level 0. */
static uint32_t first_by_words(uint64_t size)
{
    for (unsigned group = 0; group < GROUPS; group++)
        if (bin_0[group * BINS + size] != 0)
            return first_of_chunk(group * 64 + bit_lowest(bin_0[group * BINS + size]));
    return 0;
}

static uint64_t level_1_by_words(uint64_t size)
{
    uint64_t word = 0;
    for (unsigned group = 0; group < GROUPS; group++)
        word |= (uint64_t)(bin_0[group * BINS + size] != 0) << group;
    return word;
}

static int bin_has(uint64_t size, uint64_t chunk)
{
    return bin_0[chunk / 64 * BINS + size] >> chunk % 64 & 1;
}

/* The first chunk is one of the bin, and no chunk of the bin is lower. */
static void bin_is_sound(uint64_t size)
{
    uint32_t first = our_control.first[size];
    uint64_t any = any_in(0, CHUNKS - 1), level_1 = level_1_by_words(size);
    HOLDS(bin_1[size] == level_1);
    HOLDS((first != 0) == (level_1 != 0));
    if (first != 0)
        HOLDS(chunk_of_first(first) < CHUNKS && bin_has(size, chunk_of_first(first)));
    HOLDS(!bin_has(size, any) || chunk_of_first(first) <= any);
}

/* The bin of this size has any chunks. A connection to a heap of two levels writes level 2, which
 * the heap lacks, into spare. */
static void bin_any(uint64_t size)
{
    connect();
    our_heap.bin[0] = bin_0;
    our_heap.bin[1] = bin_1;
    for (unsigned level = 2; level < BIN_LEVELS_MAX; level++)
        our_heap.bin[level] = spare;
    our_heap.layout.bin_levels = 2;
    for (unsigned group = 0; group < GROUPS; group++)
        bin_0[group * BINS + size] = any_bool() ? any_u64() : 0;
    bin_1[size] = level_1_by_words(size);
    our_control.first[size] = first_by_words(size);
    spare[size] = any_bool();
}

PROOF(bins_put)
{
    uint64_t size = ANY_SIZE, chunk = any_in(0, CHUNKS - 1), any = any_in(0, CHUNKS - 1);
    bin_any(size);
    int had = bin_has(size, any);
    bins_put(&our_heap, chunk, size);
    bin_is_sound(size);
    HOLDS(bin_has(size, any) == (any == chunk ? 1 : had));
}

PROOF(bins_take)
{
    uint64_t size = ANY_SIZE, chunk = any_in(0, CHUNKS - 1), any = any_in(0, CHUNKS - 1),
             another = any_in(0, 1);
    bin_any(size);
    GIVEN(bin_has(size, chunk));
    int had = bin_has(size, any);
    if (any_bool() && our_control.first[size] == first_of_chunk(chunk))
        bins_take_first(&our_heap, chunk, size, another);
    else
        bins_take(&our_heap, chunk, size, another);
    bin_is_sound(size);
    HOLDS(bin_has(size, any) == (any == chunk ? (int)another : had));
}

/* The search among the sizes: the lowest chunk of any bin from need on. */
PROOF(bins_first)
{
    uint64_t need = ANY_SIZE, any = any_in(0, BINS - 1), which;
    connect();
    for (unsigned size = 1; size < BINS; size++)
        our_control.first[size] = (uint32_t)any_in(0, 15); /* they are compared, no more */
    uint32_t first = bins_first(&our_heap, need, &which);
    int is_one = 0;
    for (unsigned size = 1; size < BINS; size++)
        is_one |= size >= need && our_control.first[size] == first;
    HOLDS(any < need || our_control.first[any] <= first);
    HOLDS(first == 0 || is_one);
}

/* The tree ------------------------------------------------------------------------------------- */

static shared_u32 tree_0[TREE_CHUNKS], tree_1[NODE_CHILDREN], tree_2[NODE_CHILDREN];

static uint32_t greatest(const uint32_t *node)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < NODE_CHILDREN; i++)
        most = node[i] > most ? node[i] : most;
    return most;
}

/* A tree of any sizes, and the maxima above them. The tree only compares sizes, so a few are
 * enough. */
static void tree_any(void)
{
    connect();
    our_heap.level[0] = tree_0;
    our_heap.level[1] = tree_1;
    our_heap.level[2] = tree_2;
    our_heap.layout.levels = LEVELS_MIN;
    our_heap.end = TREE_CHUNKS * CHUNK_GRANULES;
    for (unsigned chunk = 0; chunk < TREE_CHUNKS; chunk++)
        tree_0[chunk] = any_bool() ? (uint32_t)any_in(1, SIZE_MOST) : 0;
    for (unsigned node = 0; node < NODE_CHILDREN; node++)
        tree_1[node] =
            node < TREE_CHUNKS / NODE_CHILDREN ? greatest(tree_0 + node * NODE_CHILDREN) : 0;
    for (unsigned node = 0; node < NODE_CHILDREN; node++)
        tree_2[node] = node == 0 ? greatest(tree_1) : 0;
}

PROOF(tree_put)
{
    uint64_t chunk = any_in(0, TREE_CHUNKS - 1), size = any_bool() ? any_in(1, SIZE_MOST) : 0,
             any = any_in(0, TREE_CHUNKS - 1), node = any_in(0, TREE_CHUNKS / NODE_CHILDREN - 1);
    tree_any();
    uint32_t was = tree_0[any];
    tree_put(&our_heap, chunk, size);
    HOLDS(tree_0[any] == (any == chunk ? size : was));
    HOLDS(tree_1[node] == greatest(tree_0 + node * NODE_CHILDREN));
    HOLDS(tree_2[0] == greatest(tree_1));
}

PROOF(tree_find)
{
    uint32_t need = (uint32_t)any_in(1, SIZE_MOST);
    uint64_t any = any_in(0, TREE_CHUNKS - 1), from = any_in(0, TREE_CHUNKS - 1);
    tree_any();
    uint64_t lowest = tree_find(&our_heap, need, our_heap.end - 1);
    uint64_t next = tree_find_from(&our_heap, need, from), last = tree_find_before(&our_heap, from);
    HOLDS(lowest == CHUNK_NONE || (lowest < TREE_CHUNKS && tree_0[lowest] >= need));
    HOLDS(next == CHUNK_NONE || (next >= from && next < TREE_CHUNKS && tree_0[next] >= need));
    HOLDS(last == CHUNK_NONE || (last < from && tree_0[last] != 0));
    if (tree_0[any] >= need) {
        HOLDS(lowest <= any);
        HOLDS(any < from || next <= any);
    }
    if (tree_0[any] != 0 && any < from)
        HOLDS(last != CHUNK_NONE && last >= any);
}
