/* huge.h: huge pages for large heaps.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A heap of some size has more pages than a processor remembers the places of, and each look at one that it does not
 * remember costs several loads. Huge pages mend that. All here are hints, which the kernel follows as far as it can, and errno stays. */
#ifndef SHMHEAP_HUGE_H
#define SHMHEAP_HUGE_H

#include "connection.h"

/* An address for the segment where huge pages of its file can be mapped, which is free now; NULL: any is as good. */
void *huge_address(const struct shmheap *heap);

/* Gives the file memory for the bytes [from, to), which nobody has touched: huge pages, as far as whole ones lie within and the
 * kernel has them. What it leaves out has to be reserved as usual. The segment is mapped, and is not sparse. */
void huge_fill(const struct shmheap *heap, uint64_t from, uint64_t to);

/* Makes huge pages of those that a mapped segment has, in use or not, where they were asked for. Slow: each is copied. */
void huge_ask(const struct shmheap *heap);

#endif
