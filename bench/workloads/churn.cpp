// One process: pairs of an alloc and a free, and random replacement among many objects.
// SPDX-License-Identifier: Apache-2.0
#include "bench/workloads/live_set.h"

namespace bench
{

namespace
{

constexpr std::size_t steps_max = std::size_t{1} << 20;

std::size_t power_of_two(std::size_t least)
{
    std::size_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

// The sizes of holes settle within ten laps. With many objects that takes too long, so it is
// bounded.
std::size_t steps_to_warm(const job &job, std::size_t live)
{
    constexpr std::size_t laps = 10, steps = 1000000;
    return std::max(job.size.warm_laps * live, std::min({laps * live, steps, 4 * job.size.steps}));
}

template <bool checked>
outcome churn(peer &heap, const job &job)
{
    std::size_t live = job.live(), steps = std::max(job.size.steps, live);
    std::vector<step> plan =
        steps_make(std::min(power_of_two(steps), steps_max), live, job.what.sizes, job.seed);
    live_set<checked> set(heap, job, live, job.seed);
    auto replace = [&](std::size_t from, std::size_t count) { set.replace(plan, from, count); };
    heap.open(job.name, job.heap_bytes(live));
    set.fill(job, plan);
    lap warm = timed(steps_to_warm(job, live), job.size.warm_cut_ns, replace);
    // Continues the plan after the warm-up, so that no step repeats on the state that it made
    // before.
    lap measured = measure(heap, job, steps, [&](std::size_t from, std::size_t count) {
        replace(warm.steps + from, count);
    });
    set.end();
    heap.close();
    return {measured.ns / 2, warm.cut || measured.cut};
}

outcome churn_run(peer &heap, const job &job)
{
    return job.size.fill ? churn<true>(heap, job) : churn<false>(heap, job);
}

template <bool checked>
outcome pair(peer &heap, const job &job)
{
    live_set<checked> set(heap, job, 1, job.seed);
    auto alloc_and_free = [&](std::size_t, std::size_t count) {
        for (std::size_t i = 0; i < count; i++) {
            set.put(0, job.what.sizes.low);
            set.take(0);
        }
    };
    heap.open(job.name, job.heap_bytes(1));
    timed(job.size.steps / 10, job.size.cut_ns, alloc_and_free);
    lap measured = measure(heap, job, 4 * job.size.steps, alloc_and_free);
    heap.close();
    return {measured.ns / 2, measured.cut};
}

outcome pair_run(peer &heap, const job &job)
{
    return job.size.fill ? pair<true>(heap, job) : pair<false>(heap, job);
}

constexpr size_range small = {16, 1024}, large = {4 << 10, 1 << 20};

workload churn_of(const char *name, const char *text, std::size_t live, size_range sizes)
{
    return {name, "operation", text, 0, live, sizes, 1, churn_run};
}

} // namespace

const std::vector<workload> churn_workloads = {
    {"pair-64",
     "operation",
     "allocates and frees a 64-byte object; no other object is live",
     0,
     1,
     {64, 64},
     1,
     pair_run},
    churn_of("churn-1", "replaces 1 live object of 16 to 1024 bytes", 1, small),
    churn_of("churn-1e3", "replaces a random one of 1,000 live objects of 16 to 1024 bytes", 1000,
             small),
    churn_of("churn-1e4", "as churn-1e3 with 10,000 objects", 10000, small),
    churn_of("churn-1e5", "as churn-1e3 with 100,000 objects", 100000, small),
    churn_of("churn-1e6", "as churn-1e3 with 1,000,000 objects", 1000000, small),
    churn_of("churn-large", "replaces a random one of 500 live objects of 4 KiB to 1 MiB", 500,
             large),
};

} // namespace bench
