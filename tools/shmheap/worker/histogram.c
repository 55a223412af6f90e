/* histogram.c: durations of calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/worker/histogram.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 8)
        return (unsigned)ns;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(ns);
    return (log2 - 2) * 8 + (unsigned)(ns >> (log2 - 3) & 7);
}

/* The middle of a bucket. */
static uint64_t bucket_ns(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned shift = bucket / 8 - 1;
    return ((UINT64_C(8) | (bucket & 7)) << shift) + ((UINT64_C(1) << shift) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->sum += ns;
    histogram->most = ns > histogram->most ? ns : histogram->most;
    histogram->bucket[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    into->most = from->most > into->most ? from->most : into->most;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

uint64_t histogram_at(const struct histogram *histogram, unsigned per_mille)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen && seen * 1000 >= histogram->count * per_mille)
            return bucket_ns(i) < histogram->most ? bucket_ns(i) : histogram->most;
    }
    return 0;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
