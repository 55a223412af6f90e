/* departed.h: names after deaths and departures.
 *
 * All calls need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_DEPARTED_H
#define SHMHEAP_DEPARTED_H

#include "../segment/connection.h"

/* names_relabel gives uses by the slots in dead and departed (bits) the labels SLOT_GONE and
 * SLOT_DEPARTED. */
void names_relabel(struct shmheap *heap, const uint64_t *dead, const uint64_t *departed);

/* names_reap takes back the uses of dead slots (bits). Returns how many objects that freed, or
 * -1 with errno EBADMSG. */
long names_reap(struct shmheap *heap, const uint64_t *dead);

/* names_recover rebuilds all that is derived, after a death, from sound headers and their index. */
void names_recover(struct shmheap *heap);

#endif
