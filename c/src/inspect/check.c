/* check.c: the checker: the rules of layout.h in their order, each against the bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "../free_set/free_list.h"
#include "../heap/fit.h"
#include "../free_set/index.h"
#include "../names/names.h"
#include "../process/slot.h"
#include "../free_set/large_tree.h"

enum rule {
    RULE_FIXED = 1,
    RULE_LEN,
    RULE_SIZE,
    RULE_STATE,
    RULE_FREE_HEADER,
    RULE_SLOT,
    RULE_FREE_PAIR,
    RULE_TOP,
    RULE_START_BITS,
    RULE_BOUNDARY_BITS,
    RULE_SIZES,
    RULE_HIGHER,
    RULE_COUNTS,
    RULE_NAMES
};

static const char *const rule_text[] = {
    [0] = "sound",
    [RULE_FIXED] = "the fixed fields of the control have changed",
    [RULE_LEN] = "the region's length is impossible",
    [RULE_SIZE] = "a block's size is impossible",
    [RULE_STATE] = "a block's state is none of the format's",
    [RULE_FREE_HEADER] = "a free block has a slot or a generation",
    [RULE_SLOT] = "a block is owned by a slot that no process has",
    [RULE_FREE_PAIR] = "two free blocks are neighbours",
    [RULE_TOP] = "the top block is not the last free block",
    [RULE_START_BITS] = "the start bits of a chunk do not fit its blocks",
    [RULE_BOUNDARY_BITS] = "the boundary bits of a chunk do not fit its free blocks",
    [RULE_SIZES] = "the free list, or the bins and the tree, do not have the free blocks",
    [RULE_HIGHER] = "the higher levels of the bins or the tree do not fit the lower ones",
    [RULE_COUNTS] = "the counts do not fit the blocks",
    [RULE_NAMES] = "a name, its object and the table of names do not fit each other"};

static int broken(shmheap_report *report, enum rule rule, uint64_t off, uint64_t expected,
                  uint64_t found)
{
    report->rule = rule;
    report->offset = off;
    report->expected = expected;
    report->found = found;
    return 1;
}

static int check_equal(shmheap_report *report, enum rule rule, uint64_t off, uint64_t expected,
                       uint64_t found)
{
    return expected == found ? 0 : broken(report, rule, off, expected, found);
}

static int check_control(const struct shmheap *heap, shmheap_report *report)
{
    const struct control *control = heap->control;
    const uint64_t shape = load_u32(&control->version) | (uint64_t)load_u32(&control->shift) << 32;
    const uint64_t table =
        load_u32(&control->region_align) | (uint64_t)load_u32(&control->slot_count) << 32;
    uint64_t len = load_u64(&control->len);
    if (check_equal(report, RULE_FIXED, 0, FORMAT_MAGIC, load_u64(&control->magic)) ||
        check_equal(report, RULE_FIXED, 0, FORMAT_VERSION | (uint64_t)heap->shift << 32, shape) ||
        check_equal(report, RULE_FIXED, 0, heap->id, load_u64(&control->id)) ||
        check_equal(report, RULE_FIXED, 0, heap->layout.max_len, load_u64(&control->max_len)) ||
        check_equal(report, RULE_FIXED, 0, heap->layout.region_off,
                    load_u64(&control->region_off)) ||
        check_equal(report, RULE_FIXED, 0, heap->region_align | (uint64_t)heap->slot_count << 32,
                    table) ||
        check_equal(report, RULE_FIXED, 0, heap->format_flags, load_u64(&control->flags)) ||
        check_equal(report, RULE_FIXED, 0, heap->created_ns, load_u64(&control->created_ns)))
        return 1;
    return check_equal(report, RULE_LEN, 0, load_u64(&heap->len_known), len);
}

static int check_header(const struct shmheap *heap, const struct block_step *step,
                        shmheap_report *report)
{
    struct block block = header_open(step->header);
    uint64_t off = block_payload_off(heap, step->granule);
    if (!header_state_known(step->header))
        return broken(report, RULE_STATE, off, SHMHEAP_STATE_NAMED, block.state);
    if (block.state == SHMHEAP_STATE_FREE)
        return header_is_free(step->header)
                   ? 0
                   : broken(report, RULE_FREE_HEADER, off, block.size, step->header);
    if (block.slot != SLOT_GONE && block.slot != SLOT_DEPARTED &&
        (block.slot >= heap->slot_count || slot_state_of(heap, block.slot) == SLOT_FREE))
        return broken(report, RULE_SLOT, off, SLOT_TAKEN, block.slot);
    return 0;
}

static int check_blocks(const struct shmheap *heap, shmheap_report *report)
{
    struct block_step step = {0, 0, 0};
    int was_free = 0;
    enum block_walk walk;
    while ((walk = block_walk_at(heap, &step, heap->end)) == BLOCK_WALK_BLOCK) {
        uint64_t bytes = step.size << heap->shift;
        int is_free = header_state(step.header) == SHMHEAP_STATE_FREE;
        if (check_header(heap, &step, report))
            return 1;
        if (was_free && is_free)
            return broken(report, RULE_FREE_PAIR, block_payload_off(heap, step.granule), 0,
                          step.header);
        was_free = is_free;
        report->blocks++;
        *(is_free ? &report->free_bytes : &report->used_bytes) += bytes;
        block_walk_next(&step);
    }
    if (walk == BLOCK_WALK_BAD)
        return broken(report, RULE_SIZE, block_payload_off(heap, step.granule),
                      heap->end - step.granule, header_size(step.header));
    return 0;
}

/* Compares the bins' words for the last 64 chunks. list: the free blocks are in the free list,
 * so the words are 0. */
static int check_bins(const struct shmheap *heap, const struct index_expected *expected,
                      struct index_data *data, int list, shmheap_report *report)
{
    uint64_t chunk = expected->chunk & ~(uint64_t)(WORD_BITS - 1);
    for (unsigned size = 0; size < BINS; size++)
        if (check_equal(
                report, RULE_SIZES, block_payload_off(heap, chunk * CHUNK_GRANULES) - HEADER_SIZE,
                list ? 0 : expected->bins[size], index_u64(data, heap->bin[0] + chunk + size)))
            return 1;
    return 0;
}

/* Compares the free list with the free blocks but the top block, in order of address. */
static int check_list(const struct shmheap *heap, shmheap_report *report)
{
    struct block_step step = {0, 0, 0};
    uint64_t listed = list_count(heap), top = load_u64(&heap->control->top), blocks = 0;
    if (!list_in_use(listed))
        return 0;
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step)) {
        if (!header_is_free(step.header) || step.granule == top)
            continue;
        uint64_t place = blocks++, off = block_payload_off(heap, step.granule);
        if (place >= listed)
            return broken(report, RULE_SIZES, off, blocks, listed);
        if (check_equal(report, RULE_SIZES, off, list_number(step.granule),
                        load_u32(list_entry(heap, place))) ||
            check_equal(report, RULE_SIZES, off, step.size, load_u32(list_size(heap, place))))
            return 1;
    }
    if (check_equal(report, RULE_SIZES, 0, blocks, listed))
        return 1;
    for (uint64_t place = listed; place < LIST_MAX; place++)
        if (check_equal(report, RULE_SIZES, 0, 0,
                        load_u32(list_entry(heap, place)) | load_u32(list_size(heap, place))))
            return 1;
    return 0;
}

/* Compares chunks and counts, and leaves in *expected what the headers say. */
static int check_chunks(const struct shmheap *heap, shmheap_report *report,
                        struct index_expected *expected)
{
    const struct control *control = heap->control;
    struct index_data bits, tree, bins;
    uint64_t listed = list_count(heap);
    int list = list_in_use(listed);
    if (!list && check_equal(report, RULE_SIZES, 0, NOT_LISTED, listed))
        return 1;
    index_data_begin(&bits, heap);
    tree = bins = bits;
    expected_begin(expected, heap, heap->end);
    while (expected_next(expected)) {
        const struct chunk_bits *chunk = &heap->bits[expected->chunk];
        uint64_t off = block_payload_off(heap, expected->chunk * CHUNK_GRANULES) - HEADER_SIZE;
        if (check_equal(report, RULE_START_BITS, off, expected->start,
                        index_u64(&bits, &chunk->start)) ||
            check_equal(report, RULE_BOUNDARY_BITS, off, list ? 0 : expected->boundary,
                        index_u64(&bits, &chunk->boundary)) ||
            check_equal(report, RULE_SIZES, off, list ? 0 : expected->large,
                        index_u32(&tree, heap->level[0] + expected->chunk)) ||
            (expected_bins_complete(expected) && check_bins(heap, expected, &bins, list, report)))
            return 1;
        expected_skip(expected, &bits, &tree, &bins);
    }
    uint64_t top = load_u64(&control->top);
    return check_equal(report, RULE_TOP, block_payload_off(heap, expected->top), expected->top,
                       top) ||
           check_equal(report, RULE_COUNTS, 0, expected->used_granules,
                       load_u64(&control->used_granules)) ||
           check_equal(report, RULE_COUNTS, 0, expected->used_blocks,
                       load_u64(&control->allocs) - load_u64(&control->frees)) ||
           check_equal(report, RULE_COUNTS, 0, expected->free_blocks,
                       load_u64(&control->free_blocks));
}

/* Compares the words of all bins for one group with those wanted. From level 2 on a bit may be set
 * though it need not: any bit of the left_over ones, those for words that the level below has.
 * off: of the first header that the group covers. */
static int check_bin_group(const shared_u64 *found, struct index_data *data, const uint64_t *wanted,
                           uint64_t left_over, uint64_t off, shmheap_report *report)
{
    for (unsigned size = 0; size < BINS; size++) {
        uint64_t word = index_u64(data, found + size);
        if (check_equal(report, RULE_HIGHER, off, wanted[size] | (word & left_over), word))
            return 1;
    }
    return 0;
}

/* Compares the bins' higher levels. */
static int check_bin_levels(const struct shmheap *heap, shmheap_report *report, uint64_t chunks)
{
    uint64_t count = (chunks + WORD_BITS - 1) / WORD_BITS, wanted[BINS],
             span = (uint64_t)CHUNK_GRANULES * WORD_BITS * WORD_BITS;
    struct index_data below, here;
    index_data_begin(&below, heap);
    here = below;
    for (unsigned level = 1; level < heap->layout.bin_levels; level++, span *= WORD_BITS) {
        uint64_t groups = (count + WORD_BITS - 1) / WORD_BITS;
        for (uint64_t group = 0; group < groups; group++) {
            uint64_t words = count - group * WORD_BITS,
                     there = words < WORD_BITS ? (UINT64_C(1) << words) - 1 : UINT64_MAX;
            expected_bin_words(heap, &below, level, group, count, wanted);
            if (check_bin_group(heap->bin[level] + group * BINS, &here, wanted,
                                level == 1 ? 0 : there,
                                block_payload_off(heap, group * span) - HEADER_SIZE, report))
                return 1;
        }
        count = groups;
    }
    return 0;
}

static int check_firsts(const struct shmheap *heap, const struct index_expected *expected,
                        shmheap_report *report)
{
    if (list_in_use(list_count(heap)))
        return 0; /* first holds the free list */
    for (unsigned place = 0; place < 2 * BINS; place++)
        if (check_equal(report, RULE_HIGHER, 0, expected->first[place],
                        load_u32(&heap->control->first[place])))
            return 1;
    return 0;
}

/* Compares the tree's higher levels. Entries above no chunk of the region are 0, also those that
 * pad a node. */
static int check_tree(const struct shmheap *heap, shmheap_report *report, uint64_t count)
{
    struct index_data below, here;
    index_data_begin(&below, heap);
    here = below;
    for (unsigned level = 0; level < heap->layout.levels; level++) {
        const shared_u32 *entries = heap->level[level];
        uint64_t filled = round_up(count, NODE_CHILDREN),
                 span = CHUNK_GRANULES * (UINT64_C(1) << 4 * level);
        for (uint64_t entry = level == 0 ? count : 0; entry < filled; entry++) {
            uint32_t wanted = entry < count ? expected_tree_entry(heap, &below, level, entry) : 0;
            if (check_equal(report, RULE_HIGHER,
                            block_payload_off(heap, entry * span) - HEADER_SIZE, wanted,
                            index_u32(&here, entries + entry)))
                return 1;
        }
        count = filled / NODE_CHILDREN;
    }
    return 0;
}

static int check_names(const struct shmheap *heap, shmheap_report *report)
{
    struct block_step step = {0, 0, 0};
    uint64_t records = 0, objects = 0;
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step)) {
        objects += header_state(step.header) == SHMHEAP_STATE_NAMED;
        if (header_state(step.header) != SHMHEAP_STATE_INTERNAL ||
            names_record_at(heap, step.granule) == NULL)
            continue;
        records++;
        if (!names_sound(heap, step.granule))
            return broken(report, RULE_NAMES, block_payload_off(heap, step.granule), 1, 0);
    }
    return check_equal(report, RULE_NAMES, 0, records, objects) ||
           check_equal(report, RULE_NAMES, 0, records, load_u64(&heap->control->names_count));
}

int check_heap(const struct shmheap *heap, shmheap_report *report)
{
    struct index_expected expected;
    memset(report, 0, sizeof *report);
    int unsound = check_control(heap, report) || check_blocks(heap, report) ||
                  check_chunks(heap, report, &expected) || check_list(heap, report) ||
                  check_bin_levels(heap, report, expected.chunk) ||
                  check_tree(heap, report, expected.chunk) ||
                  check_firsts(heap, &expected, report) || check_names(heap, report);
    snprintf(report->text, sizeof report->text, "%s", rule_text[report->rule]);
    return unsound;
}
