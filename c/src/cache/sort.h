/* sort.h: sorts cached blocks by address before they are freed, so that neighbours are freed as
 * one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SORT_H
#define SHMHEAP_SORT_H

#include "cache.h"

enum { SORT_MOST = 256 };

/* entries_sort sorts at most SORT_MOST entries by address. */
void entries_sort(struct cache_entry *entries, unsigned count);

/* entries_are_runs: 1 where so many entries follow their neighbours that sorting would save few
 * frees. It is so where one thread frees in the order in which another allocated a batch. */
int entries_are_runs(const struct cache_entry *entries, unsigned count, uint64_t block_size);

#endif
