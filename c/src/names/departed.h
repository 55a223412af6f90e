/* departed.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_DEPARTED_H
#define SHMHEAP_DEPARTED_H

#include "../segment/connection.h"

/* names_relabel gives uses by slots in gone and left (bits) the labels SLOT_GONE and SLOT_LEFT. */
void names_relabel(struct shmheap *heap, const uint64_t *gone, const uint64_t *left);

/* names_reap takes back the uses of the dead slots, given as bits: how many objects that freed, or
 * -1 with errno EBADMSG. */
long names_reap(struct shmheap *heap, const uint64_t *dead);

/* names_recover makes all that is derived anew, after a death, from sound headers and their index.
 * */
void names_recover(struct shmheap *heap);

#endif
