// The list of all workloads.
// SPDX-License-Identifier: Apache-2.0
#include "bench/workloads/workload.h"

#include <algorithm>

namespace bench
{

namespace
{

std::size_t twice_bytes(size_range sizes, std::size_t objects)
{
    constexpr std::size_t page = 4096;
    double bytes = 2 * size_mean(sizes) * static_cast<double>(objects);
    return (static_cast<std::size_t>(bytes) + page - 1) / page * page;
}

} // namespace

const std::vector<heap_size> &heap_sizes()
{
    static const std::vector<heap_size> all = {
        {"2x", "twice the live bytes, 64 KiB at least", std::size_t{64} << 10},
        {"64M", "64 MiB, or twice the live bytes if they are more", std::size_t{64} << 20},
    };
    return all;
}

std::vector<const heap_size *> heap_sizes_of(const workload &what)
{
    std::size_t twice = twice_bytes(what.sizes, what.live * what.processes);
    std::vector<const heap_size *> list;
    for (const heap_size &it : heap_sizes())
        if (list.empty() || (what.kind == quantity::ns && twice < it.least / 4 * 3))
            list.push_back(&it);
    return list;
}

std::size_t job::heap_bytes(std::size_t objects) const
{
    return std::max(heap.least, twice_bytes(what.sizes, objects));
}

const std::vector<workload> &workloads()
{
    static const std::vector<workload> all = [] {
        std::vector<workload> list;
        for (auto *part :
             {&churn_workloads, &hole_workloads, &process_workloads, &ring_workloads,
              &handle_workloads, &recovery_workloads, &trace_workloads, &fill_workloads})
            list.insert(list.end(), part->begin(), part->end());
        return list;
    }();
    return all;
}

} // namespace bench
