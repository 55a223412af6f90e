// A process is killed while it holds the heap's lock.
// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include "bench/live_set.h"

namespace bench
{

namespace
{

void child_dies_inside(peer &heap)
{
    pid_t child = fork();
    if (child == 0) {
        heap.die_inside();
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
        throw std::runtime_error("the child did not die holding the lock");
}

// What the next caller waits for: one alloc that finds the heap abandoned.
outcome recovery_run(peer &heap, const job &job)
{
    std::size_t live = job.live();
    std::vector<step> plan = steps_make(std::size_t{1} << 20, live, job.what.sizes, job.seed);
    live_set<false> set(heap, job, live, job.seed);
    heap.open(job.name, job.heap_bytes(live));
    set.fill(job, plan);
    // Every fourth is a hole: blocks of both kinds, and still as many.
    for (std::uint32_t i = 0; i < live; i += 4)
        set.take(i);
    std::uint64_t before = heap.recoveries();
    child_dies_inside(heap);
    std::uint64_t begin = now_ns();
    void *object = heap.alloc(job.what.sizes.low);
    std::uint64_t end = now_ns();
    if (object == nullptr || heap.recoveries() != before + 1)
        throw std::runtime_error("the heap did not recover");
    heap.free(object);
    set.end();
    heap.close();
    return {static_cast<double>(end - begin), false};
}

} // namespace

const std::vector<workload> recovery_workloads = {
    {"recovery",
     "recovery",
     "the first alloc after a process died holding the lock of a heap of 1,000,000 blocks",
     trait_recovers,
     1000000,
     {16, 1024},
     1,
     recovery_run},
};

} // namespace bench
