// timer.h: the time per step of a repeated operation.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace bench
{

inline std::uint64_t now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

struct lap {
    double ns = 0;         // per step
    std::size_t steps = 0; // steps made
    bool cut = false;      // the time limit ended the lap early
};

// Calls body(from, count) until all steps are made or cut_ns have passed. Batches grow while they
// are short, so that reading the clock costs a fast peer little. They shrink when a peer becomes
// slow, so that the limit ends the lap soon.
template <class Body>
lap timed(std::size_t steps, std::uint64_t cut_ns, Body body)
{
    constexpr std::size_t batch_max = 4096;
    constexpr std::uint64_t batch_ns = 1000000;
    lap result;
    std::uint64_t begin = now_ns(), before = begin, now = begin;
    for (std::size_t batch = 1; result.steps < steps && now - begin < cut_ns; before = now) {
        std::size_t count = std::min(batch, steps - result.steps);
        body(result.steps, count);
        result.steps += count;
        now = now_ns();
        if (now - before < batch_ns)
            batch = std::min(2 * batch, batch_max);
        else if (now - before > 4 * batch_ns)
            batch = std::max<std::size_t>(batch / 4, 1);
    }
    result.cut = result.steps < steps;
    result.ns = static_cast<double>(now - begin) /
                static_cast<double>(std::max<std::size_t>(result.steps, 1));
    return result;
}

} // namespace bench

#endif
