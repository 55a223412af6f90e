// runner.h: measures one figure in a process of its own.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include "bench/workloads/workload.h"

namespace bench
{

enum class status { measured, unavailable, failed };

struct result {
    status state = status::failed;
    outcome figure;
    std::string reason;  // why there is no figure
    std::string version; // of the peer's library
};

// Times come from two passes, so that the clock around each call does not lengthen the mean.
enum class pass {
    whole, // many calls, divided by their number
    calls  // each call by itself
};

// Runs the workload on the peer, in a heap of the given size. It does so in a child process: each
// run starts from the same state, and one that crashes or hangs costs only its own cell, and at
// most size.limit_ns. Removes the run's shared memory.
result run_apart(const peer_entry &entry, const workload &what, const scale &size,
                 const heap_size &heap, std::uint64_t seed, pass how = pass::whole);

} // namespace bench

#endif
