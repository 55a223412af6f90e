// The list of all workloads.
// SPDX-License-Identifier: Apache-2.0
#include "bench/workloads/workload.h"

#include <algorithm>

namespace bench
{

std::size_t job::heap_bytes(std::size_t objects) const
{
    constexpr std::size_t page = 4096;
    double bytes = 2 * size_mean(what.sizes) * static_cast<double>(objects);
    return std::max(size.heap_least,
                    (static_cast<std::size_t>(bytes) + size.heap_spare) / page * page);
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
