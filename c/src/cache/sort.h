/* sort.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SORT_H
#define SHMHEAP_SORT_H

#include "cache.h"

enum { SORT_MOST = 256 };

/* XXX */
void entries_sort(struct cache_entry *entries, unsigned count);

/* XXX */
int entries_are_runs(const struct cache_entry *entries, unsigned count, uint64_t block_size);

#endif
