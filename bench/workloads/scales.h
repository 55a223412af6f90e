// scales.h: the scales: how much is measured.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_SCALES_H
#define BENCH_SCALES_H

#include "bench/workloads/workload.h"

namespace bench
{

constexpr std::uint64_t ms = 1000000;
constexpr std::size_t mib = 1 << 20;

constexpr scale tiny_scale = {mib, 1000,      300,       1000 * ms,  50,      200,
                              1,   1000 * ms, 1000 * ms, 60000 * ms, 10 * ms, true};
constexpr scale quick_scale = {16 * mib, 100000,   100000,   3000 * ms,  400000,   50000,
                               1,        500 * ms, 250 * ms, 10000 * ms, 100 * ms, false};
constexpr scale default_scale = {64 * mib, 300000,    1000000,   6000 * ms,  1000000,  200000,
                                 2,        3000 * ms, 2000 * ms, 30000 * ms, 200 * ms, false};
constexpr scale full_scale = {64 * mib, 1000000,   10000000,  20000 * ms, 1000000,   1000000,
                              2,        4000 * ms, 4000 * ms, 60000 * ms, 1000 * ms, false};

} // namespace bench

#endif
