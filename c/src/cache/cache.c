/* cache.c: the cache of a thread that has used none.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

/* No caller's handle is equal to cache_nothing, so cache_none never serves a call. */
const struct shmheap cache_nothing;
struct cache cache_none = {.heap = &cache_nothing};
__thread struct cache *cache_mine PER_THREAD = &cache_none;
