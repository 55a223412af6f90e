// Connecting to a heap, and converting pointers to handles and back.
// SPDX-License-Identifier: Apache-2.0
#include "bench/workloads/live_set.h"

namespace bench
{

namespace
{

outcome connect_run(peer &heap, const job &job)
{
    std::size_t steps = std::max<std::size_t>(job.size.steps / 200, 1);
    heap.open(job.name, job.heap_bytes(job.live()));
    auto reconnect = [&](std::size_t, std::size_t count) {
        for (std::size_t i = 0; i < count; i++)
            heap.reconnect();
    };
    timed(std::max<std::size_t>(steps / 10, 1), job.size.cut_ns, reconnect);
    lap measured = measure(heap, job, steps, reconnect);
    heap.close();
    return {measured.ns, measured.cut};
}

outcome handle_run(peer &heap, const job &job)
{
    std::size_t live = job.live(), there_and_back = 0;
    std::vector<step> plan = steps_make(1 << 14, live, job.what.sizes, job.seed);
    live_set<false> set(heap, job, live, job.seed);
    heap.open(job.name, job.heap_bytes(live));
    set.fill(job, plan);
    lap measured = measure(heap, job, 4 * job.size.steps, [&](std::size_t from, std::size_t count) {
        for (std::size_t i = from; i < from + count; i++) {
            void *object = set.at(plan[i & (plan.size() - 1)].index);
            there_and_back += heap.object_of(heap.handle_of(object)) == object;
        }
    });
    set.end();
    heap.close();
    if (there_and_back != measured.steps)
        throw std::runtime_error("a handle gave another pointer");
    return {measured.ns / 2, measured.cut};
}

} // namespace

const std::vector<workload> handle_workloads = {
    {"handle",
     "operation",
     "converts a pointer to a handle and back; 10,000 objects",
     trait_handles,
     10000,
     {16, 1024},
     1,
     handle_run,
     quantity::ns,
     nullptr,
     false},
    {"connect",
     "connection",
     "connects to an open heap and disconnects",
     trait_connects,
     1000,
     {256, 256},
     1,
     connect_run,
     quantity::ns,
     nullptr,
     false},
};

} // namespace bench
