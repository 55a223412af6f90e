// steps.h: what a workload asks of an allocator, made up before the clock starts.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench
{

// Object sizes, log-uniform from low to high: as many between 16 and 32 as between 512 and 1024.
struct size_range {
    std::size_t low, high;
};

// The mean of such sizes, rounded up to what allocators make of them, with a header.
double size_mean(size_range sizes);

// The object at index in the array of live ones goes, and one of size takes its place.
struct step {
    std::uint32_t index;
    std::uint32_t size;
};

// The same seed gives the same steps, on every machine and for every peer.
std::vector<step> steps_make(std::size_t count, std::size_t live, size_range sizes,
                             std::uint64_t seed);

} // namespace bench

#endif
