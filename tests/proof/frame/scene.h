/* scene.h: any sound heap of a few granules, a death at any store, and what has to hold afterwards.
 *
 * Each area of the segment is an object of its own, so an access that leaves its area is an error,
 * even where the next area is the heap's too.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROOF_SCENE_H
#define PROOF_SCENE_H

#include "proof.h"

#include "core.h"

#include "c/src/block/bits.h"

#ifndef SHIFT
#define SHIFT 4
#endif
#ifndef GRANULES
#define GRANULES 7 /* of the longest region */
#endif
#ifndef BLOCKS
#define BLOCKS 4 /* in a heap, at most */
#endif

enum {
    BLOCK_MIN = SHIFT == 3 ? 2 : 1,
    CHUNKS = (GRANULES + CHUNK_GRANULES - 1) / CHUNK_GRANULES,
    WORDS = 1 + (GRANULES << SHIFT) / 8, /* of the region */
    MY_SLOT = 5
};

static struct control our_control;
static struct chunk_bits our_bits[CHUNKS + 1];
static uint64_t region[WORDS] __attribute__((aligned(64)));
static struct shmheap our_heap;

/* A process that dies before a store leaves the region of that instant. */
static uint64_t stores, last_store, region_left[WORDS], len_left;
static int died;

static void before_store(void)
{
    if (stores++ != last_store)
        return;
    for (unsigned i = 0; i < WORDS; i++)
        region_left[i] = region[i];
    len_left = our_control.len;
    died = 1;
}
void (*shmheap_store_hook)(void) = before_store;

/* The word of the region that is a block's header. */
static inline uint64_t word_of(uint64_t granule) { return 1 + (granule << (SHIFT - 3)); }

static void scene_connect(uint64_t end)
{
    our_heap.shift = SHIFT;
    our_heap.block_min = BLOCK_MIN;
    our_heap.region = (unsigned char *)region;
    our_heap.control = &our_control;
    our_heap.bits = our_bits;
    our_heap.slot = MY_SLOT;
    our_heap.layout.granules_max = GRANULES;
    our_heap.layout.chunks_max = CHUNKS;
    our_heap.end = end;
}

static void region_fill(uint64_t word)
{
    for (unsigned i = 0; i < WORDS; i++)
        region[i] = word;
}

/* The header of any block of this size that is not free. */
static uint64_t any_used_header(uint64_t size)
{
    return header_make(size, (unsigned)any_in(SHMHEAP_STATE_USED, SHMHEAP_STATE_NAMED),
                       (unsigned)any_in(0, HEADER_SLOT_MASK), (unsigned)any_in(0, GENERATION_MASK));
}

/* Any heap of at most BLOCKS blocks that is sound by FORMAT.md, written without the core's help:
 * headers, start bits, top and counts. The other words of the region all have one value, any. */
static void scene_any(void)
{
    uint64_t end = any_in(BLOCK_MIN, GRANULES), at = 0, used_blocks = 0;
    region_fill(any_u64());
    memset(&our_control, 0, sizeof our_control);
    memset(our_bits, 0, sizeof our_bits);
    scene_connect(end);
    our_control.top = end;
    for (unsigned i = 0, was_free = 0; i < BLOCKS && at < end; i++) {
        uint64_t size = i + 1 < BLOCKS ? any_in(BLOCK_MIN, GRANULES) : end - at;
        size = end - at < size + BLOCK_MIN ? end - at : size;
        unsigned is_free = !was_free && any_bool();
        region[word_of(at)] = is_free ? size : any_used_header(size);
        our_bits[chunk_of(at)].start |= bit_of(at);
        if (is_free && at + size == end)
            our_control.top = at;
        our_control.used_granules += is_free ? 0 : size;
        our_control.free_blocks += is_free;
        used_blocks += !is_free;
        was_free = is_free;
        at += size;
    }
    our_control.listed = NOT_LISTED;
    our_control.generations = any_u64();
    our_control.frees = any_u64();
    our_control.allocs = our_control.frees + used_blocks;
    stores = 0;
    died = 0;
    last_store = any_in(0, 63);
}

/* struct summary is what the headers say. */
struct summary {
    uint64_t top, start[CHUNKS], free_granules, free_blocks, used_blocks;
    uint64_t lowest; /* the first free block of at least `need`; GRANULE_NONE */
};

/* Walks over the headers: they lead to the end, by blocks that may be (rules 3, 4, 5). Two free
 * blocks may be neighbours (rule 7) where a death left them. */
static struct summary headers_read(const uint64_t *words, uint64_t need, int pairs)
{
    struct summary found = {.top = our_heap.end, .lowest = GRANULE_NONE};
    uint64_t at = 0;
    for (int was_free = 0; at < our_heap.end;) {
        uint64_t header = words[word_of(at)], size = header_size(header);
        int is_free = header_is_free(header);
        HOLDS(size >= BLOCK_MIN && size <= our_heap.end - at);
        GIVEN(size >= BLOCK_MIN && size <= our_heap.end - at); /* the walk needs it */
        HOLDS(header_state(header) <= SHMHEAP_STATE_NAMED);
        HOLDS(is_free == (header_state(header) == SHMHEAP_STATE_FREE));
        HOLDS(pairs || !(was_free && is_free));
        was_free = is_free;
        found.start[chunk_of(at)] |= bit_of(at);
        found.used_blocks += !is_free;
        found.free_blocks += (unsigned)is_free;
        found.free_granules += is_free ? size : 0;
        if (is_free && size >= need && found.lowest == GRANULE_NONE)
            found.lowest = at;
        if (is_free && at + size == our_heap.end)
            found.top = at;
        at += size;
    }
    HOLDS(at == our_heap.end);
    return found;
}

/* Start bits, top and counts are those of the headers (rules 3 to 5, 7 to 9, 13). */
static struct summary scene_is_sound(void)
{
    struct summary found = headers_read(region, 0, 0);
    HOLDS(our_control.top == found.top);
    HOLDS(our_control.free_blocks == found.free_blocks);
    HOLDS(our_control.used_granules == our_heap.end - found.free_granules);
    HOLDS(our_control.allocs - our_control.frees == found.used_blocks);
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++)
        HOLDS(our_bits[chunk].start == found.start[chunk]);
    HOLDS(our_bits[CHUNKS].start == 0 && our_bits[CHUNKS].boundary == 0);
    return found;
}

/* Any block of the our_heap. */
static struct block_step any_block(void)
{
    struct block_step block = {0, 0, 0};
    uint64_t steps = any_in(0, BLOCKS - 1);
    for (uint64_t i = 0; i < BLOCKS && i <= steps; i++) {
        block.granule += block.size;
        GIVEN(block.granule < our_heap.end);
        block.header = region[word_of(block.granule)];
        block.size = header_size(block.header);
    }
    return block;
}

#endif
