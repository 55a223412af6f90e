/* huge.h: huge pages for large heaps.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A heap of some size has more pages than a processor remembers the places of, and each look at one that it does not
 * remember costs several loads. Huge pages mend that. All here are hints, which the kernel follows as far as it can, and errno stays. */
#ifndef SHMHEAP_HUGE_H
#define SHMHEAP_HUGE_H

#include "connection.h"

#define HUGE_NEVER UINT64_MAX /* huge_next: no alloc asks */

/* An address for the segment where huge pages of its file can be mapped, which is free now; NULL: any is as good. */
void *huge_address(const struct shmheap *heap);

/* Gives the file memory for the bytes [from, to), which nobody has touched: huge pages, as far as whole ones lie within and the
 * kernel has them. [*filled_from, *filled_to) got them; the rest has to be reserved as usual. The segment is mapped, and is not sparse. */
void huge_fill(struct shmheap *heap, uint64_t from, uint64_t to, uint64_t *filled_from,
               uint64_t *filled_to);

/* After an object at this granule was had and the lock given back. From huge_next on: asks for the huge page that it begins in, and moves
 * huge_next behind that. So what huge_fill had no time for comes when it is used, and takes about as long as the faults of the small pages would. */
void huge_used(struct shmheap *heap, uint64_t granule);
static inline void huge_look(struct shmheap *heap, uint64_t granule)
{
    if (UNLIKELY(granule >= load_u64(&heap->huge_next)))
        huge_used(heap, granule);
}

/* Of a segment that others have made: up to the tail all has been used. */
void huge_connected(struct shmheap *heap);

/* Makes huge pages of those that a mapped segment of len bytes has, in use or not, where they were asked for. Slow: each is copied. */
void huge_ask(const struct shmheap *heap, uint64_t len);

#endif
