/* copy.h: a copy of a heap in a file of its own, of one instant, while other processes use the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_COPY_H
#define SHMHEAP_COPY_H

#include "../segment/connection.h"

/* copy_make does what shmheap_copy says. The connection is open. 0, or -1 with errno. */
int copy_make(struct shmheap *heap, const char *path);

#endif
