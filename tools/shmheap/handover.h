/* handover.h: objects on their way from one process of a replay to the next, as handles in a ring of parcels.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One process puts parcels into a ring and one takes them out, so the two counters are all that keeps them apart.
 * What is in a ring when its taker has ended, or was killed, the parent takes out.
 */
#ifndef SHMHEAP_TOOL_HANDOVER_H
#define SHMHEAP_TOOL_HANDOVER_H

#include <shmheap.h>
#include <stdint.h>

enum { HANDOVER_ROOM = 256 };

struct parcel {
    shmheap_object_handle handle;
    uint64_t size, seed; /* of the pattern that its owner filled it with */
};

/* In memory that the processes share. */
struct handover {
    uint64_t put, taken; /* parcels, ever; written by the one who puts, by the one who takes */
    struct parcel parcel[HANDOVER_ROOM];
};

/* handover_put: 1, or 0 when the ring is full. */
int handover_put(struct handover *ring, const struct parcel *parcel);

/* handover_finish takes all parcels out of the ring, checks the objects against their patterns and frees them: how
 * many, or -1 with *wrong set to what is wrong with one. */
long handover_finish(struct handover *ring, shmheap_memory_handle mem, const char **wrong);

#endif
