/* rm_stale.h: removes unused heaps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_RM_STALE_H
#define SHMHEAP_TOOL_RM_STALE_H

#include "tools/shmheap/heaps/stale.h"
#include "tools/shmheap/text/json.h"

/* struct rm_stale holds the options. */
struct rm_stale {
    int dry; /* list what would be removed, remove nothing */
    int json;
    int is_file; /* the names are paths */
};

/* rm_stale removes the unused heaps among the names or, with count 0, among all heaps in shared
 * memory, and prints which. Returns the exit status. */
int rm_stale(const struct rm_stale *how, int count, char **names);

/* rm_outcome is what --json prints about one heap. */
json_t *rm_outcome(const struct heap_ref *ref, const struct stale_report *report, int removed);

#endif
