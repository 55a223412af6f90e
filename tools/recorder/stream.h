/* stream.h: the recorder's file of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RECORDER_STREAM_H
#define SHMHEAP_RECORDER_STREAM_H

#include "raw.h"

/* These functions do not allocate, keep errno and report no errors. If the file cannot be written,
 * the program continues unrecorded. */

/* stream_lock excludes other threads from recording until stream_unlock, and returns 1. It returns
 * 0, without the lock, if this process does not record, or inside the recorder itself (a signal
 * handler that allocates). */
int stream_lock(void);
void stream_unlock(void);

/* stream_put adds an event. The caller holds the lock. */
void stream_put(enum raw_op op, unsigned align_log2, const void *address, uint64_t size,
                const void *moved);

#endif
