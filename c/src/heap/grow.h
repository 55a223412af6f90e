/* grow.h: a region that grows under its users.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_GROW_H
#define SHMHEAP_GROW_H

#include "../segment/connection.h"

/* grow_for makes the region long enough for need free granules at its end, and by half if it can. Lock held. 0; -1 with errno
 * ENOMEM (max_len or the system's memory does not allow it) or EBADMSG. Old pointers stay good in every process. */
int grow_for(struct shmheap *heap, uint64_t need);

#endif
