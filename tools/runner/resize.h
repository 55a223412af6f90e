/* resize.h: resizes a block in its place, or not at all; the public interface has no such call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RUNNER_RESIZE_H
#define SHMHEAP_RUNNER_RESIZE_H

#include <shmheap.h>

/* resize_in_place does what shmheap_realloc does for a block whose neighbour leaves it room: 0.
 * Where shmheap_realloc would move the block, it returns -1 with errno ENOMEM and changes nothing:
 * shmheap_realloc would copy bytes of the region, where the program has none. Other errors as
 * shmheap_realloc. */
int resize_in_place(shmheap_memory_handle mem, void *payload, size_t size);

#endif
