// Many holes, none of which is large enough.
// SPDX-License-Identifier: Apache-2.0
#include "bench/live_set.h"

namespace bench
{

namespace
{

constexpr std::size_t hole_len = 64, object_len = 128;

// All memory that the measured part will use was touched before, so that no page fault is measured.
template <bool checked>
void touch_all(peer &heap, const job &job, std::size_t count)
{
    live_set<checked> set(heap, job, 2 * count, job.seed);
    prepare(job, 2 * count, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            set.put(static_cast<std::uint32_t>(i), i < count ? hole_len : object_len);
    });
    // The last goes first: lists of free blocks in the order of addresses stay short.
    prepare(job, 2 * count, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            set.take(static_cast<std::uint32_t>(2 * count - 1 - i));
    });
}

// [ 64 ][ hole ][ 64 ][ hole ] ... The last goes first here too.
template <bool checked>
void make_holes(live_set<checked> &small, const job &job, std::size_t count)
{
    prepare(job, count, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            small.put(static_cast<std::uint32_t>(i), hole_len);
    });
    prepare(job, count / 2, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            small.take(static_cast<std::uint32_t>(count / 2 * 2 - 1 - 2 * i));
    });
}

template <bool checked>
outcome holes(peer &heap, const job &job)
{
    std::size_t count = job.live();
    live_set<checked> small(heap, job, count, job.seed), large(heap, job, count, job.seed + 1);
    heap.open(job.name, job.heap_bytes(2 * count));
    touch_all<checked>(heap, job, count);
    make_holes(small, job, count);
    lap measured = timed(count, job.size.cut_ns, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            large.put(static_cast<std::uint32_t>(i), object_len);
    });
    small.end();
    large.end();
    heap.close();
    return {measured.ns, measured.cut};
}

outcome holes_run(peer &heap, const job &job)
{
    return job.size.fill ? holes<true>(heap, job) : holes<false>(heap, job);
}

} // namespace

const std::vector<workload> hole_workloads = {
    {"holes",
     "alloc",
     "200,000 objects of 64 bytes, each second one freed; then objects of 128 bytes are allocated",
     0,
     200000,
     {object_len, object_len},
     1,
     holes_run},
};

} // namespace bench
