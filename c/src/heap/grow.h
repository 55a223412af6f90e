/* grow.h: growth of the region while processes use it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_GROW_H
#define SHMHEAP_GROW_H

#include "../segment/connection.h"

/* grow_for makes the region long enough for need free granules at its end, and longer by half where
 * there is memory for it. Needs the lock. Pointers stay valid in every process. Returns 0, or -1:
 *   ENOMEM    max_len or the system's memory does not allow it
 *   EBADMSG   the heap is damaged
 * Call error_forget before: then the cause that a failure leaves (base/error.h) is this call's.
 * A death inside leaves the old length, or the new one and two free neighbours (fit_extend). */
int grow_for(struct shmheap *heap, uint64_t need);

#endif
