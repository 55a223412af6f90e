/* table.h: the table that finds a name's record: open addressing, in one internal block.
 *
 * The table is derived. All calls but names_table_now and names_table_find need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_TABLE_H
#define SHMHEAP_TABLE_H

#include "record.h"

enum { ENTRY_HASH_SHIFT = HEADER_SIZE_BITS };

/* struct table is the table as it is now. entries NULL: there is none. */
struct table {
    shared_u64 *entries;
    uint64_t mask, granule;
};

/* The entry of the record at granule. */
static inline uint64_t names_table_entry(uint64_t granule, uint64_t hash)
{
    return (granule + 1) | hash >> ENTRY_HASH_SHIFT << ENTRY_HASH_SHIFT;
}

/* names_table_now reads where the table is. */
struct table names_table_now(const struct shmheap *heap);

/* names_table_find is the granule of the name's record; GRANULE_NONE: there is none. */
uint64_t names_table_find(const struct shmheap *heap, const struct name *name);

/* names_table_enter adds the record at granule. Where it finds no place, which a peer alone brings
 * about, it drops the table: names are found without, more slowly. */
void names_table_enter(struct shmheap *heap, uint64_t granule);

/* names_table_remove removes an entry, or the table, as names_table_enter. */
void names_table_remove(struct shmheap *heap, uint64_t entry);

/* names_table_need is the granules of a table with so many entries, or more than any heap has. */
uint64_t names_table_need(const struct shmheap *heap, uint64_t entries);

/* names_table_entries_for is the entries for so many names: twice as many at least, for short
 * searches. */
uint64_t names_table_entries_for(uint64_t names);

/* names_table_wanted is the entries that the table needs before another name comes; 0: it has
 * enough. */
uint64_t names_table_wanted(const struct shmheap *heap);

/* names_table_replace moves all entries to a new table of so many and frees the old one; where a
 * peer has spoiled that, it reads the records. 0; -1: there is no space. */
int names_table_replace(struct shmheap *heap, uint64_t entries);

/* names_table_settle follows the removal of a name whose lowest block began at freed. A table
 * that is much too large becomes smaller. The smallest one moves to where it would be made now.
 * So the heap is as if the removed names had never existed. */
void names_table_settle(struct shmheap *heap, uint64_t freed);

/* names_table_drop removes the table of a heap without names: the heap is as before its first
 * name. */
void names_table_drop(struct shmheap *heap);

#endif
