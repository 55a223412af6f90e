// ticks.h: a clock for single calls. Around a call, the processor finishes all earlier work first,
// so no work of one call hides in another.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include "bench/measure/timer.h"

namespace bench
{

#if defined(__x86_64__) || defined(__i386__)
inline std::uint64_t ticks_begin()
{
    __builtin_ia32_lfence();
    std::uint64_t now = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return now;
}

inline std::uint64_t ticks_end()
{
    unsigned processor;
    std::uint64_t now = __builtin_ia32_rdtscp(&processor); // waits for earlier instructions
    __builtin_ia32_lfence();
    return now;
}
#else
inline std::uint64_t ticks_begin() { return now_ns(); }
inline std::uint64_t ticks_end() { return now_ns(); }
#endif

// Nanoseconds a tick, from both clocks at its construction and at the call.
class tick_length
{
public:
    double ns() const
    {
        instant end = now();
        double ticks = static_cast<double>(end.ticks - begin_.ticks);
        return ticks > 0 ? static_cast<double>(end.ns - begin_.ns) / ticks : 0;
    }

private:
    struct instant {
        std::uint64_t ticks, ns;
    };

    // Reads both clocks several times and keeps the closest pair: an interruption between the two
    // readings would count as ticks.
    static instant now()
    {
        instant best = {};
        std::uint64_t apart = UINT64_MAX;
        for (unsigned i = 0; i < 32; i++) {
            std::uint64_t begin = ticks_begin(), ns = now_ns(), end = ticks_end();
            if (end - begin >= apart)
                continue;
            apart = end - begin;
            best = {begin, ns};
        }
        return best;
    }

    instant begin_ = now();
};

} // namespace bench

#endif
