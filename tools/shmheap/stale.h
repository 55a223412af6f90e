/* stale.h: whether anybody lives on a heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_STALE_H
#define SHMHEAP_TOOL_STALE_H

#include <shmheap.h>

#include "heap.h"

enum stale {
    STALE_UNUSED,     /* a heap, and no process is connected, readers included */
    STALE_UNFINISHED, /* a heap that was never finished, and whoever was at it is gone */
    STALE_EMPTY, /* nothing but zeros, for a while, open nowhere: so a heap begins, but other files do as well */
    STALE_LIVE,    /* somebody is connected */
    STALE_YOUNG,   /* not finished, and perhaps still being made */
    STALE_NO_HEAP, /* something else, or damaged */
    STALE_ERROR    /* could not be looked at: errno */
};

enum {
    STALE_AGE_S = 60
}; /* seconds: what is not finished after that time, and open nowhere, never will be */

/* struct stale_look is what stale_look found. */
struct stale_look {
    enum stale stale;
    int seen; /* stats are good */
    shmheap_stats stats;
    int counted;         /* the figures below are good; 0: of a heap, it could not be walked */
    uint64_t objects;    /* without what lies in caches, and without the heap's own blocks */
    uint64_t kept_names; /* names that stay until they are removed by name */
    uint64_t file_len;
    char who
        [256]; /* of STALE_LIVE and STALE_YOUNG: processes that have it open, as far as this user may see them */
};

/* stale_look looks at what has that name, without changing it. */
void stale_look(const struct heap_ref *ref, struct stale_look *found);

#endif
