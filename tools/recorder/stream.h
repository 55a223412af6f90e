/* stream.h: the file of this process, and the one way events get into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RECORDER_STREAM_H
#define SHMHEAP_RECORDER_STREAM_H

#include "raw.h"

/* Everything here allocates nothing, leaves errno alone and never fails towards its caller: when the file cannot
 * be written, the program goes on unrecorded. */

/* stream_lock keeps other threads from recording until stream_unlock: 1. It gives 0, nothing locked, when this
 * process does not record, or inside the recorder itself (a signal handler that allocates). */
int stream_lock(void);
void stream_unlock(void);

/* stream_put adds an event; the lock is held. */
void stream_put(enum raw_op op, unsigned align_log2, const void *address, uint64_t size,
                const void *moved);

#endif
