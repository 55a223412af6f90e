/* table.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_TABLE_H
#define SHMHEAP_TABLE_H

#include "record.h"

/* struct table is private: the table as found now; entries NULL: there is none. */
enum { ENTRY_HASH_SHIFT = HEADER_SIZE_BITS };

struct table {
    shared_u64 *entries;
    uint64_t mask, granule;
};

static inline uint64_t names_table_entry(uint64_t granule, uint64_t hash)
{
    return (granule + 1) | hash >> ENTRY_HASH_SHIFT << ENTRY_HASH_SHIFT;
}

/* XXX */
struct table names_table_now(const struct shmheap *heap);

/* XXX */
uint64_t names_table_find(const struct shmheap *heap, const struct name *name);

/* XXX */
void names_table_enter(struct shmheap *heap, uint64_t granule);

/* XXX */
void names_table_remove(struct shmheap *heap, uint64_t entry);

/* XXX */
uint64_t names_table_need(const struct shmheap *heap, uint64_t entries);

/* XXX */
uint64_t names_table_entries_for(uint64_t names);

/* XXX */
uint64_t names_table_wanted(const struct shmheap *heap);

/* XXX */
int names_table_replace(struct shmheap *heap, uint64_t entries);

/* XXX */
void names_table_settle(struct shmheap *heap, uint64_t freed);

/* XXX */
void names_table_drop(struct shmheap *heap);

#endif
