// histogram.h: how often each duration occurred, exact to 3 %, and the longest duration.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace bench
{

// Each power of two has 32 bins. Adding takes no memory and no system call.
class histogram
{
public:
    void add(std::uint64_t value)
    {
        counts_[bin_of(value)]++;
        most_ = std::max(most_, value);
    }

    void merge(const histogram &other)
    {
        for (std::size_t i = 0; i < bins; i++)
            counts_[i] += other.counts_[i];
        most_ = std::max(most_, other.most_);
    }

    std::uint64_t count() const
    {
        std::uint64_t sum = 0;
        for (std::uint64_t count : counts_)
            sum += count;
        return sum;
    }

    // The least value that this share of all values does not exceed: the upper end of its bin, but
    // not more than most(). 0 without values.
    std::uint64_t quantile(double share) const
    {
        double wanted = share * static_cast<double>(count());
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < bins; i++) {
            sum += counts_[i];
            if (sum > 0 && static_cast<double>(sum) >= wanted)
                return std::min(bin_end(i), most_);
        }
        return most_;
    }

    std::uint64_t most() const { return most_; }

private:
    static constexpr unsigned part_log2 = 5, parts = 1 << part_log2;
    static constexpr std::size_t bins = (64 - part_log2 + 1) * parts;

    static std::size_t bin_of(std::uint64_t value)
    {
        if (value < parts)
            return static_cast<std::size_t>(value);
        unsigned shift = 63 - static_cast<unsigned>(__builtin_clzll(value)) - part_log2;
        return static_cast<std::size_t>((value >> shift) + shift * parts);
    }

    // The largest value of a bin.
    static std::uint64_t bin_end(std::size_t bin)
    {
        if (bin < parts)
            return bin;
        unsigned shift = static_cast<unsigned>(bin / parts) - 1;
        return ((bin % parts + parts + std::uint64_t{1}) << shift) - 1;
    }

    std::uint64_t counts_[bins] = {};
    std::uint64_t most_ = 0;
};

} // namespace bench

#endif
