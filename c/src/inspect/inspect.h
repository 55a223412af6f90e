/* inspect.h: what a heap holds at one instant: counts, blocks, names, processes.
 *
 * Under the lock; on a read-only connection, which cannot lock, by reading until the heap did not
 * change meanwhile. Results are those of the public calls of the same names. The connection is
 * open, the arguments are not NULL.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_INSPECT_H
#define SHMHEAP_INSPECT_H

#include "../segment/connection.h"
#include "shmheap.h"

/* inspect_at calls run with a heap that does not change: under the lock, or repeatedly until it
 * did not change meanwhile. In the second case run must tolerate changes. Returns run's result
 * where that is 0 or above; -1 with errno where it is minus an errno value, or where inspect_at
 * failed. */
int inspect_at(struct shmheap *heap, int (*run)(struct shmheap *heap, void *context),
               void *context);

int inspect_check(struct shmheap *heap, shmheap_report *report);
int inspect_stat(struct shmheap *heap, shmheap_stats *stats);
int inspect_walk(struct shmheap *heap, int (*visit)(const shmheap_block_info *, void *),
                 void *context);
int inspect_names(struct shmheap *heap, int (*visit)(const shmheap_name_info *, void *),
                  void *context);
int inspect_processes(struct shmheap *heap, int (*visit)(const shmheap_process_info *, void *),
                      void *context);

#endif
