// steps.h: the requests of a workload, generated before the clock starts.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench
{

// Object sizes, log-uniform from low to high: sizes from 16 to 32 are as frequent as from 512 to
// 1024.
struct size_range {
    std::size_t low, high;
};

// The mean of the sizes plus 24 bytes for rounding and header.
double size_mean(size_range sizes);

// Replaces the object at index in the array of live objects by a new object of this size.
struct step {
    std::uint32_t index;
    std::uint32_t size;
};

// The same seed gives the same steps on every machine and for every peer.
std::vector<step> steps_make(std::size_t count, std::size_t live, size_range sizes,
                             std::uint64_t seed);

} // namespace bench

#endif
