// SPDX-License-Identifier: Apache-2.0
#include "bench/measure/steps.h"

#include <cmath>
#include <random>

namespace bench
{

double size_mean(size_range sizes)
{
    double low = static_cast<double>(sizes.low), high = static_cast<double>(sizes.high);
    return (high > low ? (high - low) / std::log(high / low) : low) + 24;
}

std::vector<step> steps_make(std::size_t count, std::size_t live, size_range sizes,
                             std::uint64_t seed)
{
    // The C++ standard fixes the numbers of the engine, but not those of its distributions.
    std::mt19937_64 engine(seed);
    std::vector<step> steps(count);
    double octaves = std::log2(static_cast<double>(sizes.high) / static_cast<double>(sizes.low));
    for (step &it : steps) {
        std::uint64_t bits = engine();
        double position = static_cast<double>(bits & 0xffffffffu) * 0x1p-32;
        it.index = static_cast<std::uint32_t>((bits >> 32) * live >> 32);
        it.size = static_cast<std::uint32_t>(static_cast<double>(sizes.low) *
                                             std::exp2(octaves * position));
    }
    return steps;
}

} // namespace bench
