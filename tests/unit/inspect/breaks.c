/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inspect/breaks.h"

#include <unistd.h>

/* Each breaks its rule alone, in one of several ways, and returns the offset that the report has to
 * name. */
const uint64_t no_such_way = UINT64_MAX;

static uint64_t break_fixed(struct target *target, unsigned way)
{
    struct control *control = target->control;
    uint32_t *words[] = {&control->version, &control->shift, &control->region_align,
                         &control->slot_count};
    uint64_t *longs[] = {&control->magic,      &control->id,    &control->max_len,
                         &control->region_off, &control->flags, &control->created_ns};
    if (way < 4)
        poke_u32(target, words[way], *words[way] + 1);
    else if (way < 10)
        poke_u64(target, longs[way - 4], *longs[way - 4] + 1);
    return way < 10 ? 0 : no_such_way;
}

/* No walk can pass such a block, so that no later rule is checked. */
static uint64_t break_size(struct target *target, unsigned way)
{
    const uint64_t at = way == 0 ? target->top : target->used,
                   header = *header_at(target, at) & ~HEADER_SIZE_MASK;
    const uint64_t sizes[] = {size_at(target, at) + 1, 0, layout_block_min(target->shift) - 1,
                              HEADER_SIZE_MASK, target->granules - at + 1};
    if (way >= 5)
        return no_such_way;
    poke_u64(target, header_at(target, at), header | sizes[way]);
    return payload_off(target, at);
}

static uint64_t break_state(struct target *target, unsigned way)
{
    if (way > 0)
        return no_such_way;
    poke_u64(target, header_at(target, target->used),
             *header_at(target, target->used) | (uint64_t)STATE_UNKNOWN << HEADER_STATE_SHIFT);
    return payload_off(target, target->used);
}

static uint64_t break_free_header(struct target *target, unsigned way)
{
    const unsigned shifts[] = {HEADER_SLOT_SHIFT, HEADER_GENERATION_SHIFT,
                               HEADER_GENERATION_SHIFT + 14};
    if (way >= 3)
        return no_such_way;
    poke_u64(target, header_at(target, target->hole),
             *header_at(target, target->hole) | UINT64_C(1) << shifts[way]);
    return payload_off(target, target->hole);
}

/* A slot that no process has, one that the table does not have (in files it has all), and the slot
 * of all used blocks made free. */
static uint64_t break_slot(struct target *target, unsigned way)
{
    const uint64_t mask = (uint64_t)HEADER_SLOT_MASK << HEADER_SLOT_SHIFT,
                   header = *header_at(target, target->used);
    const uint64_t own = (header & mask) >> HEADER_SLOT_SHIFT,
                   slots[] = {SLOT_UNUSED, target->control->slot_count};
    if (way == 2) {
        poke_u64(target,
                 &((struct slot *)(void *)(target->base + target->layout.slots_off))[own].word,
                 SLOT_FREE);
        return payload_off(target, 0);
    }
    if (way > 2 || (way == 1 && slots[1] == SLOT_DEPARTED))
        return no_such_way;
    poke_u64(target, header_at(target, target->used),
             (header & ~mask) | slots[way] << HEADER_SLOT_SHIFT);
    return payload_off(target, target->used);
}

/* [ hole ] => [ front ][ rest ]
 * Everything that follows from the headers is written as well; the chunk has a larger
 * free block. */
static uint64_t break_free_pair(struct target *target, unsigned way)
{
    const uint64_t front = 5, rest = target->hole + front;
    struct chunk_bits *bits = bits_of(target, target->hole);
    if (way > 0)
        return no_such_way;
    CHECK(bits == bits_of(target, rest) && size_at(target, target->hole) > 2 * front);
    poke_u64(target, header_at(target, rest), size_at(target, target->hole) - front);
    poke_u64(target, header_at(target, target->hole), front);
    poke_u64(target, &bits->start, bits->start | bit(rest));
    if (!target->list)
        poke_u64(target, &bits->boundary, bits->boundary | bit(rest - 1) | bit(rest));
    poke_u64(target, &target->control->free_blocks, target->control->free_blocks + 1);
    return payload_off(target, rest);
}

static uint64_t break_top(struct target *target, unsigned way)
{
    const uint64_t tops[] = {target->granules, target->top + 1, target->used, 0, UINT64_MAX};
    if (way >= 5)
        return no_such_way;
    poke_u64(target, &target->control->top, tops[way]);
    return payload_off(target, target->top);
}

/* One too few, one too many, one behind the end. */
static uint64_t break_start(struct target *target, unsigned way)
{
    const uint64_t at[] = {target->used, target->used + 1, target->hole + 1, target->granules};
    if (way >= 4)
        return no_such_way;
    poke_u64(target, &bits_of(target, at[way])->start,
             bits_of(target, at[way])->start ^ bit(at[way]));
    return chunk_off(target, at[way] / CHUNK_GRANULES);
}

/* One too few, one too many; where there is a list all are too many. */
static uint64_t break_boundary(struct target *target, unsigned way)
{
    const uint64_t last = target->hole + size_at(target, target->hole) - 1;
    const uint64_t at[] = {target->hole,    last,        target->hole + 1,
                           target->used,    target->top, target->granules - 1,
                           target->granules};
    if (way >= 7)
        return no_such_way;
    poke_u64(target, &bits_of(target, at[way])->boundary,
             bits_of(target, at[way])->boundary ^ bit(at[way]));
    return chunk_off(target, at[way] / CHUNK_GRANULES);
}

/* Size bins: a size that is missing, one too many, in the bin of no size; with the levels above
 * made to fit. The tree: too small, none, the top block counted, with all levels above made to fit.
 * Where there is a free list every entry is one too many, and "none" breaks nothing. */
static uint64_t break_sizes(struct target *target, unsigned way)
{
    const uint64_t size = size_at(target, target->hole), chunk = target->hole / CHUNK_GRANULES;
    const uint64_t sizes[] = {size, BINS - 1, 0}, mine = UINT64_C(1) << chunk % WORD_BITS;
    if (way < 3) {
        uint64_t *word = row_of(target, target->hole, sizes[way]), changed = *word ^ mine;
        poke_u64(target, word, changed);
        for (unsigned level = 1; level < target->layout.bin_levels; level++)
            poke_u64(target, word_of(target, level, 0, sizes[way]), changed != 0);
        return chunk_off(target, chunk & ~(uint64_t)(WORD_BITS - 1));
    }
    const uint64_t at = (way < 5 ? target->large : target->top) / CHUNK_GRANULES;
    const uint64_t values[] = {size_at(target, target->large) - 1, 0,
                               target->granules - target->top};
    if (way >= 6 || (way == 4 && target->list))
        return no_such_way;
    for (unsigned level = 0; level < target->layout.levels; level++)
        poke_u32(target, entry_of(target, level, at >> 4 * level), (uint32_t)values[way - 3]);
    return chunk_off(target, at);
}

/* An entry of each level of the tree; and behind the last one of the lowest and of the highest. */
static uint64_t break_tree(struct target *target, unsigned way)
{
    const unsigned top = target->layout.levels - 1;
    const uint64_t chunks = (target->granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES,
                   behind = (chunks + 255) / 256;
    const struct {
        unsigned level;
        uint64_t entry;
    } at[] = {{1, 0}, {1, 3}, {top, 0}, {0, chunks}, {top, behind}};
    if (way >= 5)
        return no_such_way;
    CHECK(top == 2 && chunks % NODE_CHILDREN != 0 && behind < NODE_CHILDREN);
    uint32_t *entry = entry_of(target, at[way].level, at[way].entry);
    poke_u32(target, entry, *entry == 0 ? 1 : *entry - 1);
    return chunk_off(target, at[way].entry << 4 * at[way].level);
}

/* Level 1 of the size bins: a bit missing, one too many, one where no word is. */
static uint64_t break_row_levels(struct target *target, unsigned way)
{
    const uint64_t groups =
        ((target->granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES + WORD_BITS - 1) / WORD_BITS;
    const uint64_t size = size_at(target, target->hole),
                   bits[] = {1, UINT64_C(1) << (groups - 1), UINT64_C(1) << groups};
    if (way >= 3 || target->layout.bin_levels < 2)
        return no_such_way;
    CHECK(target->layout.bin_levels == 2 && groups > 1 && groups < WORD_BITS &&
          *word_of(target, 0, groups - 1, size) == 0);
    uint64_t *word = word_of(target, 1, 0, size);
    poke_u64(target, word, *word ^ bits[way]);
    return chunk_off(target, 0);
}

uint64_t break_firsts(struct target *target, unsigned way)
{
    const uint64_t size = size_at(target, target->hole);
    const unsigned places[] = {(unsigned)size, (unsigned)size, BINS - 1, 0, BINS, BINS + 1};
    if (way >= 6 || target->list)
        return no_such_way;
    uint32_t *first = &target->control->first[places[way]];
    poke_u32(target, first, way == 1 ? 0 : *first == 0 ? 1 : *first - 1);
    return 0;
}

/* The list: of no possible length, which says that there is none; too short, too long, a block of
 * another size, another block, two in the wrong order, something behind the last. */
static uint64_t break_list(struct target *target, unsigned way)
{
    struct control *control = target->control;
    const uint64_t listed = control->listed;
    if (way == 0) {
        poke_u64(target, &control->listed, LIST_MAX + 1);
        return 0;
    }
    if (way >= 8 || !target->list)
        return no_such_way;
    uint32_t *hole = control->first, *sizes = hole + LIST_MAX; /* which is the first of all */
    CHECK_EQ(*hole - 1, target->hole);
    const uint64_t last = hole[listed - 1] - 1;
    if (way <= 2)
        poke_u64(target, &control->listed, way == 1 ? listed - 1 : listed + 1);
    else if (way <= 4)
        poke_u32(target, way == 3 ? sizes : hole, (way == 3 ? *sizes : *hole) + 1);
    else if (way <= 6)
        poke_u32(target, way == 5 ? hole + listed : sizes + listed, 1);
    if (way == 7) {
        uint32_t first = *hole, second = hole[1], first_size = *sizes, second_size = sizes[1];
        poke_u32(target, hole, second);
        poke_u32(target, hole + 1, first);
        poke_u32(target, sizes, second_size);
        poke_u32(target, sizes + 1, first_size);
    }
    return way == 1                           ? payload_off(target, last)
           : way == 3 || way == 4 || way == 7 ? payload_off(target, target->hole)
                                              : 0;
}

static uint64_t break_counts(struct target *target, unsigned way)
{
    struct control *control = target->control;
    uint64_t *counts[] = {&control->used_granules, &control->free_blocks, &control->allocs,
                          &control->frees};
    if (way >= 4)
        return no_such_way;
    poke_u64(target, counts[way], *counts[way] - 1);
    return 0;
}

static uint64_t *table_entry(const struct target *target)
{
    struct name_table *table = payload_at(target, target->table);
    uint64_t *entry = table->entries;
    while ((*entry & HEADER_SIZE_MASK) != target->record + 1)
        entry++;
    return entry;
}

/* The record itself: without users, with an impossible length, another name, hash, object, or
 * length of the object. */
static uint64_t break_record(struct target *target, unsigned way)
{
    struct name_record *record = payload_at(target, target->record);
    uint64_t *fields[] = {
        &record->users[0], &record->name_len, &record->name_len,  (uint64_t *)(void *)record->name,
        &record->hash,     &record->object,   &record->object_len};
    const uint64_t values[] = {0,
                               0,
                               NAME_LEN_MAX + 1,
                               'x',
                               record->hash + 1,
                               record->object + (UINT64_C(1) << HEADER_GENERATION_SHIFT),
                               LEN};
    if (way >= 7)
        return no_such_way;
    poke_u64(target, fields[way], values[way]);
    return payload_off(target, target->record);
}

/* What belongs to it: no entry in the table, an object that does not point back, one that is not in
 * state named. (A heap without any table is sound: where there is no space for one, names are found
 * by walking.) */
static uint64_t break_named(struct target *target, unsigned way)
{
    const uint64_t state = (uint64_t)HEADER_STATE_MASK << HEADER_STATE_SHIFT,
                   header = *header_at(target, target->named);
    if (way == 0)
        poke_u64(target, table_entry(target), 0);
    else if (way == 1)
        poke_u64(target, header_at(target, target->named + size_at(target, target->named)) - 1, 0);
    else if (way == 2)
        poke_u64(target, header_at(target, target->named),
                 (header & ~state) | (uint64_t)SHMHEAP_STATE_SHARED << HEADER_STATE_SHIFT);
    return way < 3 ? payload_off(target, target->record) : no_such_way;
}

/* Their number, and an object in state named that no record knows. */
static uint64_t break_names_count(struct target *target, unsigned way)
{
    const uint64_t header =
        *header_at(target, target->used) - ((uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT);
    if (way == 0)
        poke_u64(target, &target->control->names_count, 2);
    else if (way == 1)
        poke_u64(target, header_at(target, target->used),
                 header + ((uint64_t)SHMHEAP_STATE_NAMED << HEADER_STATE_SHIFT));
    return way < 2 ? 0 : no_such_way;
}

const struct rule_break breaks[BREAKS] = {
    {1, break_fixed},       {3, break_size},        {4, break_state},   {5, break_free_header},
    {6, break_slot},        {7, break_free_pair},   {8, break_top},     {9, break_start},
    {10, break_boundary},   {11, break_sizes},      {11, break_list},   {12, break_tree},
    {12, break_row_levels}, {12, break_firsts},     {13, break_counts}, {14, break_record},
    {14, break_named},      {14, break_names_count}};
