// Many holes, all too small.
// SPDX-License-Identifier: Apache-2.0
#include "bench/workloads/live_set.h"

namespace bench
{

namespace
{

constexpr std::size_t hole_len = 64, object_len = 128;

// Touches all memory that the measured part will use, so that it measures no page fault.
template <bool checked>
void touch_all(peer &heap, const job &job, std::size_t count)
{
    live_set<checked> set(heap, job, 2 * count, job.seed);
    prepare(job, 2 * count, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            set.put(static_cast<std::uint32_t>(i), i < count ? hole_len : object_len);
    });
    // Frees from last to first: peers that search a list in address order then find its place at
    // once.
    prepare(job, 2 * count, [&](std::size_t from, std::size_t n) {
        for (std::size_t i = from; i < from + n; i++)
            set.take(static_cast<std::uint32_t>(2 * count - 1 - i));
    });
}

// [ 64 ][ hole ][ 64 ][ hole ] ... Frees from last to first, too.
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
    std::size_t count = job.live() / 2;
    live_set<checked> small(heap, job, count, job.seed), large(heap, job, count, job.seed + 1);
    heap.open(job.name, job.heap_bytes(2 * count));
    touch_all<checked>(heap, job, count);
    make_holes(small, job, count);
    lap measured = measure(heap, job, count, [&](std::size_t from, std::size_t n) {
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
     "allocates objects of 128 bytes after every second of 200,000 64-byte objects was freed",
     0,
     400000,
     {object_len, object_len},
     1,
     holes_run},
};

} // namespace bench
