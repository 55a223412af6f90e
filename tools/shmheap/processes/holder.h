/* holder.h: the process that keeps a heap's lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HOLDER_H
#define SHMHEAP_TOOL_HOLDER_H

#include "tools/shmheap/heaps/heap.h"

struct holder {
    long long pid;
    char name[32]; /* of its program; empty: unknown */
    char state;    /* as /proc says: T is stopped */
};

/* holder_find returns the holder where one connection holds the heap's lock for a tenth of a second
 * without a change; valid until the next call. A call that finds the lock as the last call left it
 * does not sample it again. It opens the heap read-only, takes no lock and no slot. NULL: no such
 * holder, or it is in another PID namespace. Keeps errno. */
const struct holder *holder_find(const struct heap_ref *ref);

#endif
