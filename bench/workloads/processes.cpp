// Several processes on one heap.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <csignal>
#include <cstdio>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/workloads/live_set.h"

namespace bench
{

namespace
{

constexpr unsigned processes_max = 64;
constexpr std::size_t plan_len = std::size_t{1} << 16, batch = 128;

// Lies in shared memory, outside the measured heap.
struct meeting {
    std::atomic<unsigned> ready, begin, end;
    double rate[processes_max]; // operations per nanosecond; 0: the process failed
    bool gave_up[processes_max];
    char reason[processes_max][80]; // why the process failed
};

class meeting_place
{
public:
    meeting_place()
    {
        void *memory = mmap(nullptr, sizeof(meeting), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::runtime_error("mmap failed");
        all_ = new (memory) meeting();
    }
    meeting_place(const meeting_place &) = delete;
    meeting_place &operator=(const meeting_place &) = delete;
    ~meeting_place() { munmap(all_, sizeof(meeting)); }
    meeting *operator->() const { return all_; }

private:
    meeting *all_;
};

template <bool checked>
void work(peer &heap, const job &job, meeting_place &all, unsigned self)
{
    std::vector<step> plan =
        steps_make(plan_len, job.live(), job.what.sizes, job.seed * processes_max + self);
    live_set<checked> set(heap, job, job.live(), self + 1);
    set.fill(job, plan);
    lap warm = timed(job.size.warm_laps * job.live(), job.size.warm_cut_ns,
                     [&](std::size_t from, std::size_t count) { set.replace(plan, from, count); });
    all->ready++;
    while (all->begin == 0)
        sched_yield();
    std::size_t steps = 0;
    heap.measure_begin();
    std::uint64_t begin = now_ns();
    do {
        set.replace(plan, warm.steps + steps, batch);
        steps += batch;
    } while (all->end == 0);
    std::uint64_t end = now_ns();
    heap.measure_end();
    set.end();
    all->rate[self] = 2 * static_cast<double>(steps) / static_cast<double>(end - begin);
}

[[noreturn]] void child_main(peer &heap, const job &job, meeting_place &all, unsigned self)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto fail = [&](const char *reason) {
        std::snprintf(all->reason[self], sizeof all->reason[self], "%s", reason);
        _exit(1);
    };
    try {
        job.size.fill ? work<true>(heap, job, all, self) : work<false>(heap, job, all, self);
    } catch (const unavailable &e) {
        all->gave_up[self] = true;
        fail(e.what());
    } catch (const std::exception &e) {
        fail(e.what());
    }
    _exit(0);
}

// Also returns if a child ends early.
void children_wait_ready(meeting_place &all, unsigned count)
{
    while (all->ready < count && waitpid(-1, nullptr, WNOHANG) <= 0)
        usleep(1000);
}

double rate_sum(meeting_place &all, unsigned count)
{
    double sum = 0;
    for (unsigned i = 0; i < count; sum += all->rate[i++]) {
        if (all->gave_up[i])
            throw unavailable(all->reason[i]);
        if (all->rate[i] <= 0)
            throw std::runtime_error(all->reason[i][0] != '\0' ? all->reason[i] : "a process died");
    }
    return sum;
}

outcome processes_run(peer &heap, const job &job)
{
    meeting_place all;
    unsigned count = job.what.processes;
    heap.open(job.name, job.heap_bytes(job.live() * count));
    for (unsigned i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            child_main(heap, job, all, i);
        if (child < 0)
            throw std::runtime_error("fork failed");
    }
    children_wait_ready(all, count);
    all->begin = 1;
    usleep(static_cast<useconds_t>(job.size.together_ns / 1000));
    all->end = 1;
    while (waitpid(-1, nullptr, 0) > 0)
        continue;
    double rate = rate_sum(all, count);
    heap.close();
    return {1 / rate, false};
}

workload processes_of(const char *name, const char *text, unsigned processes)
{
    return {name, "operation", text, trait_shared, 10000, {16, 1024}, processes, processes_run};
}

} // namespace

const std::vector<workload> process_workloads = {
    processes_of("processes-1", "as churn-1e4, measured as processes-2", 1),
    processes_of("processes-2", "two processes on one heap, each as churn-1e4; operations of both",
                 2),
    processes_of("processes-4", "as processes-2 with four processes", 4),
};

} // namespace bench
