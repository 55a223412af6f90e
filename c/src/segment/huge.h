/* huge.h: huge pages for large heaps.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A large heap has more pages than a processor's TLB holds, and each TLB miss costs several loads.
 * Huge pages reduce the misses. All functions here give hints that the kernel may ignore. errno
 * stays. */
#ifndef SHMHEAP_HUGE_H
#define SHMHEAP_HUGE_H

#include "connection.h"

#define HUGE_NEVER UINT64_MAX /* huge_next: no allocation requests a huge page */

/* huge_address returns a free address for the segment at which the kernel can map huge pages of its
 * file; NULL: the kernel chooses. */
void *huge_address(const struct shmheap *heap);

/* huge_fill reserves huge pages for the bytes [from, to) of the file, which no process has touched,
 * as far as whole huge pages lie within them and the kernel has any. It stores the range that got
 * them in [*filled_from, *filled_to); the caller reserves the rest. The segment is mapped and not
 * sparse. errno may change. */
void huge_fill(struct shmheap *heap, uint64_t from, uint64_t to, uint64_t *filled_from,
               uint64_t *filled_to);

/* huge_touch is called after an allocation at this granule, without the lock. The first allocation
 * that this process makes in a 2 MiB range from huge_next on requests a huge page for the range and
 * moves huge_next behind it. So a range that huge_fill had no time for gets its huge page when it
 * is used, in about the time that the faults of the small pages take. */
void huge_touch_first(struct shmheap *heap, uint64_t granule);
static inline void huge_touch(struct shmheap *heap, uint64_t granule)
{
    if (UNLIKELY(granule >= load_u64(&heap->huge_next)))
        huge_touch_first(heap, granule);
}

/* huge_connected sets huge_next in a heap that another process made: memory below the top block has
 * been used. */
void huge_connected(struct shmheap *heap);

/* huge_request makes huge pages of all pages of a mapped segment of len bytes, where the options
 * request them. Slow: the kernel copies each page. */
void huge_request(const struct shmheap *heap, uint64_t len);

#endif
