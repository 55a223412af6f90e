/* reap.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REAP_H
#define SHMHEAP_REAP_H

#include "../segment/connection.h"

/* reap_objects frees what only dead slots can know, and with shared what they had shared too; then
 * frees the slots. Lock held. The number of blocks freed, or -1 with errno EBADMSG. A death in here
 * leaves the rest to the next. */
long reap_objects(struct shmheap *heap, int shared);

/* reap_is_due: reap_objects may find something, since a process has died after the last one. Costs
 * a system call for each process, and no walk; with more than 16 processes it asks after them at
 * most every n * n * 64 ns. Lock held. */
int reap_is_due(struct shmheap *heap);

/* reap_cache_lines frees what processes that are gone, by death or in order, had for their caches
 * besides the blocks in them: how many blocks. It asks after each process that has such a line, a
 * system call. Looks that find nothing become fewer: after the 1st, the 3rd and the 7th alloc that
 * fails, and so on up to every 64th and 64 more for each such process. at_once: it looks in any
 * case. Lock held. */
long reap_cache_lines(struct shmheap *heap, int at_once);

#endif
