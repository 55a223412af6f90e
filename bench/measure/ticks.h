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
        double ticks = static_cast<double>(ticks_end() - ticks_);
        return ticks > 0 ? static_cast<double>(now_ns() - ns_) / ticks : 0;
    }

private:
    std::uint64_t ns_ = now_ns(), ticks_ = ticks_begin();
};

} // namespace bench

#endif
