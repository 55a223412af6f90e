/* table.c: the hash table of names: linear probing; a deletion moves entries up.
 * SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <string.h>

/* TABLE_SPARSE: with fewer names than one in so many entries the table becomes smaller.
 * TABLE_RUN: no search passes more entries. At most half of them are filled; k filled ones in a row
 * at a given place have a chance below (e / 4)^(k / 2), and 256 anywhere in a table of 2^27 below
 * 10^-12. So only a peer makes such a run; without the limit it would make a call quadratic. */
enum { TABLE_LEAST = 64, TABLE_SPARSE = 8, TABLE_RUN = 256 };

struct table names_table_now(const struct shmheap *heap)
{
    struct table table = {NULL, 0, load_u64(&heap->control->names_table) - 1};
    uint64_t header = names_header_in_state(heap, table.granule, SHMHEAP_STATE_INTERNAL);
    uint64_t len = header != 0 ? block_payload_len(heap, header_size(header)) : 0;
    if (len < sizeof(struct name_table) + sizeof(uint64_t))
        return table;
    struct name_table *found = block_payload(heap, table.granule);
    if (load_u64(&found->kind) == INTERNAL_TABLE) {
        table.entries = found->entries;
        table.mask = (UINT64_C(1) << bit_highest((len - sizeof *found) / sizeof(uint64_t))) - 1;
    }
    return table;
}

static uint64_t entry_home(const struct table *table, uint64_t entry)
{
    return (entry >> ENTRY_HASH_SHIFT) & table->mask;
}

static uint64_t run_most(const struct table *table)
{
    return table->mask < TABLE_RUN ? table->mask + 1 : TABLE_RUN;
}

static uint64_t object_of_entry(uint64_t entry) { return (entry & HEADER_SIZE_MASK) - 1; }

/* For a heap that had no space for a table: examines one record after the other. */
static uint64_t record_walk(const struct shmheap *heap, const struct name *name)
{
    struct block_step step = {0, 0, 0};
    uint64_t end = connection_end(heap);
    for (; block_walk_at(heap, &step, end) == BLOCK_WALK_BLOCK; block_walk_next(&step))
        if (names_record_is(heap, step.granule, name))
            return step.granule;
    return GRANULE_NONE;
}

uint64_t names_table_find(const struct shmheap *heap, const struct name *name)
{
    struct table table = names_table_now(heap);
    if (table.entries == NULL)
        return load_u64(&heap->control->names_count) != 0 ? record_walk(heap, name) : GRANULE_NONE;
    uint64_t at = entry_home(&table, name->hash);
    for (uint64_t probes = 0; probes < run_most(&table); probes++, at = (at + 1) & table.mask) {
        uint64_t entry = load_acquire(&table.entries[at]);
        if (entry == 0)
            break;
        if (entry >> ENTRY_HASH_SHIFT == name->hash >> ENTRY_HASH_SHIFT &&
            names_record_is(heap, object_of_entry(entry), name))
            return object_of_entry(entry);
    }
    return GRANULE_NONE;
}

/* 0, or -1: there is no place for it near its home. */
static int table_insert(const struct table *table, uint64_t entry)
{
    uint64_t at = entry_home(table, entry);
    for (uint64_t probes = 0; probes < run_most(table); probes++, at = (at + 1) & table->mask)
        if (load_u64(&table->entries[at]) == 0) {
            store_publish(&table->entries[at], entry);
            return 0;
        }
    return -1;
}

/* Moves up entries behind the gap that may not lie beyond it, so that no search ends too early.
 * Returns 0, or -1: this would take too long, and some searches may end too early. */
static int gap_close(const struct table *table, uint64_t gap)
{
    uint64_t at = (gap + 1) & table->mask, other = 0;
    for (uint64_t probes = 1; probes < run_most(table); probes++, at = (at + 1) & table->mask) {
        other = load_u64(&table->entries[at]);
        if (other == 0)
            break;
        if (((at - entry_home(table, other)) & table->mask) >= ((at - gap) & table->mask)) {
            store_publish(&table->entries[gap], other);
            gap = at;
        }
    }
    store_publish(&table->entries[gap], 0);
    return other == 0 ? 0 : -1;
}

void names_table_remove(struct shmheap *heap, uint64_t entry)
{
    struct table table = names_table_now(heap);
    uint64_t at = entry_home(&table, entry), most = table.entries != NULL ? run_most(&table) : 0;
    for (uint64_t probes = 0; probes < most; probes++, at = (at + 1) & table.mask)
        if (load_u64(&table.entries[at]) == entry) {
            if (gap_close(&table, at) != 0)
                names_table_drop(heap);
            return;
        }
}

static uint64_t table_len(uint64_t entries)
{
    return sizeof(struct name_table) + entries * sizeof(uint64_t);
}

/* A peer may forge the number of names, so the bytes may exceed a size_t. The result then
 * exceeds any heap. */
uint64_t names_table_need(const struct shmheap *heap, uint64_t entries)
{
    uint64_t len = table_len(entries),
             need = len <= heap->layout.max_len ? block_granules(heap, (size_t)len) : 0;
    return need != 0 ? need : HEADER_SIZE_MASK;
}

uint64_t names_table_entries_for(uint64_t names)
{
    uint64_t entries = TABLE_LEAST;
    while (entries < 2 * names)
        entries *= 2;
    return entries;
}

void names_table_enter(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = names_record_at(heap, granule);
    struct table table = names_table_now(heap);
    if (record != NULL && table.entries != NULL &&
        table_insert(&table, names_table_entry(granule, load_u64(&record->hash))) != 0) {
        heap->names_spoiled = load_u64(&heap->control->names_count) & HEADER_SIZE_MASK;
        names_table_drop(heap);
    }
}

/* Returns 0, or -1: the old table is not one that this library makes. */
static int entries_move(const struct table *from, const struct table *to)
{
    for (uint64_t i = 0; i <= from->mask; i++) {
        uint64_t entry = load_u64(&from->entries[i]);
        if (entry != 0 && table_insert(to, entry) != 0)
            return -1;
    }
    return 0;
}

/* A death in here leaves a used block of a dead process, or two tables, of which recovery makes
 * one. */
int names_table_replace(struct shmheap *heap, uint64_t entries)
{
    int64_t granule = heap->fit->alloc(heap, names_table_need(heap, entries));
    if (granule < 0)
        return -1;
    struct name_table *fresh = block_payload(heap, (uint64_t)granule);
    struct table old = names_table_now(heap),
                 table = {fresh->entries, entries - 1, (uint64_t)granule};
    memset(fresh, 0, (size_t)table_len(entries));
    store_u64(&fresh->kind, INTERNAL_TABLE);
    int moved = old.entries != NULL && entries_move(&old, &table) == 0;
    if (!moved)
        memset(fresh->entries, 0, (size_t)(entries * sizeof(uint64_t)));
    names_block_publish(heap, (uint64_t)granule, SHMHEAP_STATE_INTERNAL);
    store_publish(&heap->control->names_table, (uint64_t)granule + 1);
    if (old.entries != NULL)
        names_internal_free(heap, old.granule);
    if (!moved && load_u64(&heap->control->names_count) != 0)
        names_internals_each(heap, names_table_enter);
    return 0;
}

void names_table_settle(struct shmheap *heap, uint64_t freed)
{
    struct table table = names_table_now(heap);
    uint64_t names = load_u64(&heap->control->names_count) & HEADER_SIZE_MASK,
             entries = table.mask + 1;
    if (table.entries == NULL && heap->names_spoiled != 0 && names > heap->names_spoiled / 2)
        return; /* a walk over all records for each one that goes would take quadratic time */
    heap->names_spoiled = 0;
    if (table.entries == NULL)
        names_table_replace(heap, names_table_entries_for(names)); /* there was no space for one */
    else if (entries > TABLE_LEAST && names <= entries / TABLE_SPARSE)
        names_table_replace(heap, names_table_entries_for(2 * names));
    else if (entries <= TABLE_LEAST && freed < table.granule &&
             fit_place(heap, names_table_need(heap, TABLE_LEAST)) < table.granule)
        names_table_replace(heap, TABLE_LEAST);
}

/* A death in here leaves a table that nothing refers to, which recovery frees. */
void names_table_drop(struct shmheap *heap)
{
    struct table table = names_table_now(heap);
    store_publish(&heap->control->names_table, 0);
    if (table.entries != NULL)
        names_internal_free(heap, table.granule);
}

uint64_t names_table_wanted(const struct shmheap *heap)
{
    struct table table = names_table_now(heap);
    uint64_t names = load_u64(&heap->control->names_count) & HEADER_SIZE_MASK;
    return table.entries != NULL && names + 1 <= (table.mask + 1) / 2
               ? 0
               : names_table_entries_for(names + 1);
}
