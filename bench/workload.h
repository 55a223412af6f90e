// workload.h: what is measured.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <string>
#include <vector>

#include "bench/peer.h"
#include "bench/steps.h"
#include "bench/timer.h"

namespace bench
{

// How much of it: the tiny scale is for tests.
struct scale {
    std::size_t
        heap_least; // no timed workload has a heap of fewer bytes: caches are bounded by parts of it
    std::size_t fill_heap;    // bytes of the heaps that are filled
    std::size_t replacements; // that a heap must bear to count as one that can be kept that full
    std::size_t trace_events; // of each recorded program, at most
    std::uint64_t
        row_ns; // rounds of one workload behind the first three begin no later than so long after these
    std::size_t live_max;      // objects alive at once; workloads with more are left out
    std::size_t steps;         // timed, at least
    std::size_t warm_laps;     // before that, this many times the live objects are replaced
    std::uint64_t warm_cut_ns; // a peer that is slower than this is measured as far as it came
    std::uint64_t cut_ns;
    std::uint64_t
        limit_ns; // a peer that takes longer for one round is killed; one whose rounds took longer has no more
    std::uint64_t together_ns; // how long processes run together
    bool
        fill; // for tests: write and check all bytes of each object, and make do with live_max of them
};

// What a figure is. Where less is worse, ratios go the other way.
enum class quantity {
    ns,      // nanoseconds: time, the only one that is measured more than once
    percent, // of a heap's bytes, that objects fill
    times    // the least heap, as a multiple of the objects' bytes
};

// One figure.
struct outcome {
    double value = 0;
    bool cut = false; // the peer was too slow for the whole workload: it is at least this slow
};

struct workload {
    const char *name;
    const char *unit; // of which ns is the price, or what is counted
    const char *text;
    unsigned needs; // enum trait
    std::size_t live;
    size_range sizes;
    unsigned processes;
    // Throws unavailable, or std::runtime_error when the peer fails or objects lost their contents.
    outcome (*run)(peer &heap, const struct job &job);
    quantity kind = quantity::ns;
    // Called once before the first round, in the process whose children measure.
    void (*prepare)(const workload &what) = nullptr;
};

// What to do: a workload, at a scale, once.
struct job {
    const workload &what;
    const scale &size;
    std::string name;   // free, for the peer's shared memory
    std::uint64_t seed; // of the round, the same for all peers
    unsigned traits;    // of the peer

    std::size_t live() const { return what.live < size.live_max ? what.live : size.live_max; }
    // What a heap for that many objects is opened with, the same for all peers: twice their bytes, for fragmentation.
    std::size_t heap_bytes(std::size_t objects) const;
};

// Makes body(from, count) until steps are made, untimed; gives up on a peer that takes too long.
template <class Body>
void prepare(const job &job, std::size_t steps, Body body)
{
    if (timed(steps, job.size.warm_cut_ns, body).cut)
        throw unavailable("too slow: given up before the measurement could begin");
}

const std::vector<workload> &workloads();

// Each module's part of the list.
extern const std::vector<workload> churn_workloads, hole_workloads, process_workloads,
    handle_workloads, recovery_workloads, ring_workloads, fill_workloads, trace_workloads;

} // namespace bench

#endif
