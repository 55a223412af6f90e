/* histogram.h: durations of calls. Each power of two has eight buckets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HISTOGRAM_H
#define SHMHEAP_TOOL_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 8 };

struct histogram {
    uint64_t count, sum, most;
    uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* histogram_at is the duration that per_mille of the calls did not exceed, within an eighth. */
uint64_t histogram_at(const struct histogram *histogram, unsigned per_mille);
double histogram_mean(const struct histogram *histogram);

#endif
