/* snapshot.h: what a picture of a heap shows: segments, owners, names, and histograms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SNAPSHOT_H
#define SHMHEAP_TOOL_SNAPSHOT_H

#include <shmheap.h>

#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/map/segments.h"

enum {
    SIZE_CLASSES = 48, /* class n: blocks of 2^n to 2^(n+1) - 1 bytes */
    OWNER_COLORS = 10, /* owners with a colour of their own: those that hold the most bytes */
    MOST_NAMES = 2000, /* names in a picture */
    COLOR_OTHERS = 10, /* the other processes */
    COLOR_DEPARTED = 11,
    COLOR_DIED = 12,
    COLOR_NONE = 13,
    COLORS = 14
};

struct owner {
    uint64_t blocks, bytes;
    unsigned color; /* an index to colours of owners */
    int is_known;   /* process is valid */
    shmheap_process_info process;
};

struct tally {
    uint64_t blocks, bytes;
};

struct snapshot {
    shmheap_stats stats;
    struct segments segments;
    struct tally states[SEGMENT_STATES];
    struct tally used[SIZE_CLASSES], holes[SIZE_CLASSES];
    struct owner owners[OWNERS];
    unsigned ranked[OWNER_COLORS]; /* slots of the owners with colours, most bytes first */
    unsigned ranked_count;
    shmheap_name_info *names; /* in the order of offsets */
    size_t name_count;
    uint64_t names_in_heap;
    uint64_t used_end; /* where the last block that is not free ends */
};

/* snapshot_read reads the heap into *snapshot, with at most `most` segments. snapshot_read_from
 * reads it by a connection of the caller's. Both return 0, or -1 with errno; then, too, the caller
 * calls snapshot_free. */
int snapshot_read(const struct heap_ref *ref, size_t most, struct snapshot *snapshot);
int snapshot_read_from(shmheap_memory_handle mem, size_t most, struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);

/* owner_text is a text for people, such as "pid 12 (python3)". It lies in one static buffer. */
const char *owner_text(const struct snapshot *snapshot, unsigned owner);

#endif
