/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

/* XXX */
const struct shmheap cache_nothing;
struct cache cache_none = {.heap = &cache_nothing};
__thread struct cache *cache_mine = &cache_none;
