/* check.h: every numbered rule, held against every byte that has to obey it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CHECK_H
#define SHMHEAP_CHECK_H

#include "../segment/connection.h"
#include "shmheap.h"

/* check_heap reports the first broken rule: 0 sound, 1 not. Lock held (or, on a read-only connection, repeated until
 * nothing has changed meanwhile). Bounded by the region's size. */
int check_heap(const struct shmheap *heap, shmheap_report *report);

#endif
