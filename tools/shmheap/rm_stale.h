/* rm_stale.h: removing the heaps that nobody lives on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_RM_STALE_H
#define SHMHEAP_TOOL_RM_STALE_H

/* struct rm_stale says how. */
struct rm_stale {
    int dry; /* only say what would be removed */
    int json;
    int is_file; /* the names are paths */
};

/* rm_stale removes those of the heaps named that nobody lives on, or, with count 0, of all in shared memory, and says
 * which. The exit status. */
int rm_stale(const struct rm_stale *how, int count, char **names);

#endif
