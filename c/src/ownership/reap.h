/* reap.h: frees what dead and departed processes have left.
 *
 * All calls need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REAP_H
#define SHMHEAP_REAP_H

#include "../segment/connection.h"

/* reap_objects frees the objects that only dead slots can know; with shared also those that they
 * had shared. Then it frees the slots. Returns the number of blocks freed, or -1 with errno
 * EBADMSG. A death in here leaves the rest to the next call. */
long reap_objects(struct shmheap *heap, int shared);

/* reap_is_due: reap_objects may find something, since a process has died after its last run.
 * Costs a system call for each process, and no walk. With more than 16 processes it probes at
 * most once in n * n * 64 ns. */
int reap_is_due(struct shmheap *heap);

/* reap_cache_lines frees the struct cache_line of dead and departed processes. Returns how many.
 * Costs a system call for each process that has one. Inspections that find nothing become rarer:
 * after the 1st, 3rd and 7th failing allocation, up to every 64th and 64 more for each such
 * process. at_once: inspects in any case. */
long reap_cache_lines(struct shmheap *heap, int at_once);

#endif
