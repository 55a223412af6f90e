/* outcome.h: the result of a replay: the heap's figures, the sums of the workers, the errors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_OUTCOME_H
#define SHMHEAP_TOOL_OUTCOME_H

#include "tools/shmheap/replay/crew.h"

struct outcome {
    uint64_t calls, objects, bytes, frees, checked_bytes, handed, left;
    unsigned finished, failed; /* workers; the victim of --kill-one counts as neither */
    uint64_t ns;
    struct histogram times[TIMED_KINDS];
    shmheap_stats stats;
    shmheap_report report;
};

/* outcome_gather adds up the boards after all workers have ended, checks the heap and prints a line
 * for each error. Returns 0 or STATUS_FAILED. */
int outcome_gather(struct outcome *outcome, const struct plan *plan, const struct crew *crew);

/* outcome_show prints the figures. Returns 0, or STATUS_FAILED if they cannot be written. */
int outcome_show(const struct outcome *outcome, const struct plan *plan, const struct crew *crew);

#endif
