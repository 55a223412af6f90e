/* check.h: compares every byte of a heap that obeys a rule with the numbered rules of layout.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CHECK_H
#define SHMHEAP_CHECK_H

#include "../segment/connection.h"
#include "shmheap.h"

/* check_heap reports the first broken rule. Returns 0: sound, 1: not. Lock held; on a read-only
 * connection the caller repeats it until the heap did not change meanwhile. Takes time bounded
 * by the region's size. */
int check_heap(const struct shmheap *heap, shmheap_report *report);

#endif
