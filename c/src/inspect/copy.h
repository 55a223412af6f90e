/* copy.h: copies a heap, as it is at one instant, to a file, while processes use the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_COPY_H
#define SHMHEAP_COPY_H

#include "../segment/connection.h"

/* copy_make does what shmheap_copy says, with an open connection. 0, or -1 with errno. */
int copy_make(struct shmheap *heap, const char *path);

#endif
