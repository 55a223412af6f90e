/* outcome.h: what a replay came to: the heap's figures, the processes' sums, what went wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_OUTCOME_H
#define SHMHEAP_TOOL_OUTCOME_H

#include "crew.h"

struct outcome {
    uint64_t calls, objects, bytes, frees, checked_bytes, handed, left;
    unsigned finished, failed; /* workers; the victim of --kill-one is neither */
    uint64_t ns;
    struct histogram times[TIMED_KINDS];
    shmheap_stats stats;
    shmheap_report report;
};

/* outcome_gather sums up when all processes have ended, checks the heap, and says what went wrong, a line each. 0, or
 * STATUS_FAILED. */
int outcome_gather(struct outcome *outcome, const struct plan *plan, const struct crew *crew);

/* outcome_show prints the figures. 0, or STATUS_FAILED when they could not be written. */
int outcome_show(const struct outcome *outcome, const struct plan *plan, const struct crew *crew);

#endif
