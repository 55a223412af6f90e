/* handover.h: a ring of parcels passes objects, by handle, to the next process of a replay.
 *
 * One process puts parcels into a ring and one process takes them out; the two counters synchronise
 * them. When the taker has ended or was killed, the parent takes the remaining parcels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HANDOVER_H
#define SHMHEAP_TOOL_HANDOVER_H

#include <shmheap.h>
#include <stdint.h>

enum { HANDOVER_ROOM = 256 };

struct parcel {
    shmheap_object_handle handle;
    uint64_t size, seed; /* of the pattern in the object */
};

/* In memory that the processes share. */
struct handover {
    uint64_t put;   /* parcels put so far; only the sender writes it */
    uint64_t taken; /* parcels taken so far; only the taker writes it */
    struct parcel parcel[HANDOVER_ROOM];
};

/* handover_put returns 1, or 0 if the ring is full. */
int handover_put(struct handover *ring, const struct parcel *parcel);

/* handover_finish takes all parcels, verifies the objects' patterns and frees the objects. Returns
 * the number of parcels, or -1 with *wrong set to the error. */
long handover_finish(struct handover *ring, shmheap_memory_handle mem, const char **wrong);

#endif
