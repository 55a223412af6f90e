/* inspect.h: what a heap looks like at one instant: figures, blocks, holders.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Under the lock, or on a connection that may not write (and so cannot lock) by reading until nothing changed
 * meanwhile. Results as the public calls of the same names; the connection is open, the arguments are not NULL. */
#ifndef SHMHEAP_INSPECT_H
#define SHMHEAP_INSPECT_H

#include "../segment/connection.h"
#include "shmheap.h"

/* inspect_at calls run, which reads a heap that stands still: under the lock, or again and again until nothing has changed meanwhile. Then run must bear
 * what changes under it. run's result, where that is 0 or above; -1 with errno where it is minus an errno value, or where inspect_at failed. */
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
