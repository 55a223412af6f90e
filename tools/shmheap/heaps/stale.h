/* stale.h: whether a heap is in use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_STALE_H
#define SHMHEAP_TOOL_STALE_H

#include <shmheap.h>

#include "tools/shmheap/heaps/file_kind.h"
#include "tools/shmheap/heaps/heap.h"

enum stale {
    STALE_UNUSED,     /* a heap to which no process is connected, not even read-only */
    STALE_UNFINISHED, /* an unfinished heap whose creator is gone */
    STALE_EMPTY,      /* zeros, old and not open: an unfinished heap, or another program's file */
    STALE_LIVE,       /* a process is connected */
    STALE_YOUNG,      /* unfinished; its creator may be at work */
    STALE_NO_HEAP,    /* no heap, or a damaged heap */
    STALE_ERROR       /* it could not be inspected: errno */
};

/* Seconds after which an unfinished heap that no process has open counts as abandoned. */
enum { STALE_AGE_S = 60 };

/* struct stale_report is the result of stale_inspect. */
struct stale_report {
    enum stale stale;
    enum file_contents kind; /* when the inspection began */
    int seen;                /* stats are valid */
    shmheap_stats stats;
    int counted;         /* objects and kept_names are valid; 0: the heap could not be walked */
    uint64_t objects;    /* without free blocks in caches and the heap's internal blocks */
    uint64_t kept_names; /* names that stay until they are removed */
    uint64_t file_len;
    char users[256]; /* the processes that have the file open and that this user may inspect */
};

/* stale_inspect inspects the file that ref names. It recovers a heap in which a process died, and
 * changes nothing else. */
void stale_inspect(const struct heap_ref *ref, struct stale_report *found);

#endif
