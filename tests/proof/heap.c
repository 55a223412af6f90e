/* heap.c: alloc, free, aligned alloc, several blocks and resizing, on any sound small heap.
 *
 * Each proof begins with any sound heap and ends with a sound one. So the calls keep every heap of
 * that size sound, in any number and order. After a death before any store the headers lead to the
 * end, and blocks of other callers are as they were.
 * SPDX-License-Identifier: Apache-2.0 */
#include "frame/scene.h"

#include "frame/free_set_model.h"

#include "c/src/block/bits.c"
#include "c/src/heap/fit_portable.c"

/* Any live block that the call must leave alone: its header, and a word of its payload. */
static struct {
    uint64_t header_at, header, word_at, word;
} other;

static void other_any(uint64_t besides)
{
    struct block_step block = any_block();
    GIVEN(block.granule != besides && !header_is_free(block.header));
    other.header_at = word_of(block.granule);
    other.word_at = any_in(other.header_at, word_of(block.granule + block.size) - 1);
    other.header = block.header;
    other.word = region[other.word_at];
}

static void other_is_untouched(const uint64_t *words)
{
    HOLDS(words[other.header_at] == other.header);
    HOLDS(words[other.word_at] == other.word);
}

/* A death leaves the free granules of before, or those of after. */
static void death_leaves(uint64_t before, uint64_t after)
{
    if (!died)
        return;
    uint64_t free = headers_read(region_left, 0, 0).free_granules;
    HOLDS(free == before || free == after);
}

PROOF(scene)
{
    scene_any();
    scene_is_sound();
}

PROOF(format)
{
    region_fill(any_u64());
    memset(&our_control, 0, sizeof our_control);
    memset(our_bits, 0, sizeof our_bits);
    scene_connect(any_in(BLOCK_MIN, GRANULES));
    our_control.listed = NOT_LISTED;
    fit_format(&our_heap);
    scene_is_sound();
}

PROOF(alloc)
{
    scene_any();
    uint64_t need = any_in(BLOCK_MIN, GRANULES + 1);
    struct summary before = headers_read(region, need, 0);
    int64_t got = fit_calls_portable.alloc(&our_heap, need);
    struct summary after = scene_is_sound();
    HOLDS(got == (before.lowest == GRANULE_NONE ? FIT_NONE : (int64_t)before.lowest));
    if (got >= 0) {
        uint64_t header = region[word_of((uint64_t)got)], size = header_size(header);
        HOLDS(size >= need && size < need + BLOCK_MIN);
        HOLDS(header_state(header) == SHMHEAP_STATE_USED && header_slot(header) == MY_SLOT);
        HOLDS(after.free_granules + size == before.free_granules);
    }
    death_leaves(before.free_granules, after.free_granules);
}

PROOF(alloc_leaves_others)
{
    scene_any();
    other_any(GRANULE_NONE);
    fit_calls_portable.alloc(&our_heap, any_in(BLOCK_MIN, GRANULES + 1));
    other_is_untouched(region);
    if (died)
        other_is_untouched(region_left);
}

PROOF(free)
{
    scene_any();
    uint64_t granule = any_in(0, GRANULES - 1);
    GIVEN(granule < our_heap.end);
    struct summary before = headers_read(region, 0, 0);
    uint64_t header = region[word_of(granule)];
    int is_start = (before.start[chunk_of(granule)] & bit_of(granule)) != 0;
    int result = fit_calls_portable.free(&our_heap, granule);
    struct summary after = scene_is_sound();
    HOLDS(result == (is_start && header_is_live(header) ? 0 : FIT_UNKNOWN));
    HOLDS(after.free_granules == before.free_granules + (result == 0 ? header_size(header) : 0));
    death_leaves(before.free_granules, after.free_granules);
}

PROOF(free_leaves_others)
{
    scene_any();
    uint64_t granule = any_block().granule;
    other_any(granule);
    fit_calls_portable.free(&our_heap, granule);
    other_is_untouched(region);
    if (died)
        other_is_untouched(region_left);
}

PROOF(resize)
{
    scene_any();
    struct block_step block = any_block();
    uint64_t need = any_in(BLOCK_MIN, GRANULES + 1);
    struct summary before = headers_read(region, 0, 0);
    int result = fit_calls_portable.resize(&our_heap, block.granule, need);
    struct summary after = scene_is_sound();
    uint64_t header = region[word_of(block.granule)], size = header_size(header);
    HOLDS((result == FIT_UNKNOWN) == !header_is_live(block.header));
    HOLDS(result == 0 || result == FIT_UNKNOWN || result == FIT_NONE);
    if (result == 0)
        HOLDS(size >= need && size < need + BLOCK_MIN);
    else
        HOLDS(header == block.header);
    HOLDS(after.free_granules + size == before.free_granules + block.size);
    death_leaves(before.free_granules, after.free_granules);
}

PROOF(aligned)
{
    scene_any();
    uint64_t need = any_in(BLOCK_MIN, GRANULES), alignment = UINT64_C(2) << SHIFT << any_in(0, 1);
    struct summary before = headers_read(region, 0, 0);
    int64_t got = fit_calls_portable.alloc_aligned(&our_heap, need, alignment, any_bool());
    struct summary after = scene_is_sound();
    HOLDS(got >= 0 || got == FIT_NONE);
    if (got >= 0) {
        uint64_t size = header_size(region[word_of((uint64_t)got)]);
        HOLDS((word_of((uint64_t)got) + 1) * 8 % alignment == 0);
        HOLDS(size >= need && size < need + BLOCK_MIN);
        HOLDS(after.free_granules + size == before.free_granules);
    }
    death_leaves(before.free_granules, after.free_granules);
}

PROOF(many)
{
    uint64_t granules[3];
    scene_any();
    uint64_t need = any_in(BLOCK_MIN, GRANULES);
    unsigned count = (unsigned)any_in(1, 3);
    struct summary before = headers_read(region, need, 0);
    int64_t got = carve_one(&our_heap, need, SHMHEAP_STATE_CACHED, count, granules, 0);
    struct summary after = scene_is_sound();
    HOLDS((got == FIT_NONE) == (before.lowest == GRANULE_NONE));
    HOLDS(got == FIT_NONE || (got >= 1 && got <= (int64_t)count));
    if (got >= 1)
        HOLDS(granules[0] == before.lowest);
    for (int64_t i = 0; i < got; i++) {
        uint64_t header = region[word_of(granules[i])];
        HOLDS(header_state(header) == SHMHEAP_STATE_CACHED && header_size(header) >= need);
        HOLDS(i == 0 || granules[i] == granules[i - 1] + need);
    }
    death_leaves(before.free_granules, after.free_granules);
}

/* Growth publishes a length first, and a free block with it. Two free neighbours may be left. */
PROOF(extend)
{
    scene_any();
    uint64_t end = our_heap.end, new_end = any_in(BLOCK_MIN, GRANULES);
    GIVEN(new_end >= end + BLOCK_MIN);
    struct summary before = headers_read(region, 0, 0);
    HOLDS(fit_extend(&our_heap, REGION_LEAD + (new_end << SHIFT), new_end) == 0);
    struct summary after = scene_is_sound();
    HOLDS(after.free_granules == before.free_granules + new_end - end);
    if (died && len_left != 0) /* the new length is published */
        HOLDS(headers_read(region_left, 0, 1).free_granules == after.free_granules);
    our_heap.end = end;
    if (died && len_left == 0)
        HOLDS(headers_read(region_left, 0, 0).free_granules == before.free_granules);
}
