// runner.h: one figure, measured in a process of its own.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include "bench/workload.h"

namespace bench
{

enum class status { measured, unavailable, failed };

struct result {
    status state = status::failed;
    outcome figure;
    std::string reason; // why there is no figure
};

// Runs the workload on the peer in a child: each starts from the same state, and one that crashes
// or hangs costs its own cell only, and that no more than size.limit_ns. Whatever it leaves in shared memory is removed.
result run_apart(const peer_entry &entry, const workload &what, const scale &size,
                 std::uint64_t seed);

} // namespace bench

#endif
