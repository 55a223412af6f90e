// Recovery after a process was killed while it held the heap's lock.
// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include "bench/workloads/live_set.h"

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
        throw std::runtime_error("the child did not die with the lock held");
}

// Measures the first alloc after the death, which recovers the heap.
outcome recovery_run(peer &heap, const job &job)
{
    std::size_t live = job.live();
    std::vector<step> plan = steps_make(std::size_t{1} << 20, live, job.what.sizes, job.seed);
    live_set<false> set(heap, job, live, job.seed);
    heap.open(job.name, job.heap_bytes(live));
    set.fill(job, plan);
    // Frees every fourth object: the heap keeps its number of blocks, used and free.
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
     "the first alloc after a process died with the lock of a heap of 1,000,000 blocks",
     trait_recovers,
     1000000,
     {16, 1024},
     1,
     recovery_run,
     quantity::ns,
     nullptr,
     false},
};

} // namespace bench
