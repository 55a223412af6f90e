/* live.h: the heaps of this machine as they change: figures, rates, and how busy their locks are.
 *
 * The reader connects read-only for each sample and disconnects at once: a connection that stays
 * would keep a heap in use, and `shmheap rm` would refuse it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_LIVE_H
#define SHMHEAP_TOOL_LIVE_H

#include <shmheap.h>
#include <stddef.h>

#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/text/json.h"

/* struct probes counts inspections of a heap's lock. */
struct probes {
    unsigned count;
    unsigned held;        /* a process held the lock */
    unsigned lock_waits;  /* a thread may have slept for the lock */
    unsigned space_waits; /* threads slept until a large enough block is freed */
};

/* struct live_heap is a heap at the last sample. */
struct live_heap {
    struct heap_ref ref; /* ref.text is name */
    char *name;
    int is_seen; /* stats are valid; else the heap could not be read */
    shmheap_stats stats;
    uint64_t taken_ns;                 /* monotonic */
    uint64_t time_ns;                  /* since 1970 */
    int has_rates;                     /* the heap was also in the sample before */
    double allocs, frees, alloc_bytes; /* a second */
    struct probes probes;              /* between the sample before and this one */
    struct probes probing;             /* since this sample */
};

/* struct live is a list of heaps: those that were named, or all heaps in shared memory. */
struct live {
    char **names; /* NULL: all */
    int name_count, is_file;
    int is_running; /* a named heap that is not there is not an error any more */
    struct live_heap *heaps;
    size_t count;
};

/* live_update takes a sample of every heap. Rates are those since the sample before. Returns 0, or
 * STATUS_FAILED after printing the error. */
int live_update(struct live *live);

/* live_probe inspects the lock of every heap once, for the shares below. */
void live_probe(struct live *live);

/* live_wait sleeps ms milliseconds, with a probe every 50 ms. */
void live_wait(struct live *live, unsigned ms);

void live_free(struct live *live);

/* Figures of a heap: 0 to 100 percent. live_fragmentation is the part of the free bytes outside the
 * largest object that fits. live_held is the part of the probes in which a process held the lock;
 * live_waits, in which a thread waited for the lock or for space. */
double live_fill(const struct live_heap *heap);
double live_fragmentation(const struct live_heap *heap);
double live_held(const struct live_heap *heap);
double live_waits(const struct live_heap *heap);

/* live_json is what shmheap watch --json prints: the figures of shmheap stat and those above. */
json_t *live_json(const struct live_heap *heap);

#endif
