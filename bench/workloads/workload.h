// workload.h: the interface of the workloads.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <string>
#include <vector>

#include "bench/peers/peer.h"
#include "bench/measure/steps.h"
#include "bench/measure/timer.h"

namespace bench
{

// How much is measured. The tiny scale is for tests.
struct scale {
    std::size_t fill_heap;     // size of the heaps of full-first and full-kept
    std::size_t replacements;  // replacements of full-kept
    std::size_t trace_events;  // calls replayed of each recorded program, at most
    std::uint64_t row_ns;      // after three rounds, no round of a workload starts later than this
    std::size_t live_max;      // live objects; workloads with more are skipped
    std::size_t steps;         // timed steps, at least
    std::size_t warm_laps;     // laps before: each replaces as many objects as are live
    std::uint64_t warm_cut_ns; // time limit of the laps before; a slow peer makes fewer steps
    std::uint64_t cut_ns;      // time limit of the timed steps
    std::uint64_t limit_ns;    // a round that takes longer is killed; a peer that took longer ends
    std::uint64_t together_ns; // time for which several processes run together
    bool fill; // for tests: fill and verify all bytes; clamp workloads to live_max objects
};

// How large the heap of a timed workload is: twice the live bytes, but at least this.
struct heap_size {
    const char *name;
    const char *text;
    std::size_t least;
};

// Twice the live bytes comes first: most programs choose such a heap.
const std::vector<heap_size> &heap_sizes();

// The unit of a figure. For percent more is better, so its ratios are inverted.
enum class quantity {
    ns,      // nanoseconds; only times are measured in several rounds
    percent, // the share of the segment that objects fill
    times    // the smallest segment as a multiple of the objects' bytes
};

// Of single calls, in ns; 0: not measured.
struct latency {
    double median = 0, most_999 = 0, most = 0; // 99.9 % of the calls took at most most_999
};

// One figure.
struct outcome {
    double value = 0;
    bool cut = false; // the time limit ended the workload: value is a lower bound
    latency calls = {};
};

struct workload {
    const char *name;
    const char *unit; // the operation that takes ns, or what is counted
    const char *text;
    unsigned needs; // enum trait
    std::size_t live;
    size_range sizes;
    unsigned processes;
    // Throws unavailable; or std::runtime_error if the peer fails or an object's contents changed.
    outcome (*run)(peer &heap, const struct job &job);
    quantity kind = quantity::ns;
    // Called once before the first round, in the parent of the measuring processes.
    void (*prepare)(const workload &what) = nullptr;
    bool calls = true; // it measures allocs and frees, whose latency counts too
};

// One measurement: a workload at a scale, in a heap of one size.
struct job {
    const workload &what;
    const scale &size;
    const heap_size &heap;
    std::string name;   // an unused name for the peer's shared memory
    std::uint64_t seed; // of the round, the same for all peers
    unsigned traits;    // of the peer

    std::size_t live() const { return what.live < size.live_max ? what.live : size.live_max; }
    // The size of a heap for that many objects of the workload, the same for all peers.
    std::size_t heap_bytes(std::size_t objects) const;
};

// The heap sizes in which a workload is measured: the second one if it is a third larger.
std::vector<const heap_size *> heap_sizes_of(const workload &what);

// Calls body(from, count) until all steps are made. Throws unavailable if the peer takes too long.
template <class Body>
void prepare(const job &job, std::size_t steps, Body body)
{
    if (timed(steps, job.size.warm_cut_ns, body).cut)
        throw unavailable("too slow: stopped before the measurement began");
}

// Makes all steps, or as many as the time limit allows, as the part that is measured.
template <class Body>
lap measure(peer &heap, const job &job, std::size_t steps, Body body)
{
    heap.measure_begin();
    lap made = timed(steps, job.size.cut_ns, body);
    heap.measure_end();
    return made;
}

const std::vector<workload> &workloads();

// The workloads of each file.
extern const std::vector<workload> churn_workloads, hole_workloads, process_workloads,
    handle_workloads, recovery_workloads, ring_workloads, fill_workloads, trace_workloads;

} // namespace bench

#endif
