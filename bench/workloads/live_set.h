// live_set.h: the live objects of a workload.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_LIVE_SET_H
#define BENCH_LIVE_SET_H

#include <algorithm>
#include <cstring>
#include <vector>

#include "bench/workloads/workload.h"

namespace bench
{

// Thrown if the heap has no room for an object.
struct full : unavailable {
    full() : unavailable("the heap is full") {}
};

// The first 8 bytes of each object hold its index and the set's mark, for all peers. With checked,
// the set fills all bytes of an object and verifies them before it frees the object.
template <bool checked>
class live_set
{
public:
    // The mark differs between sets in one heap.
    live_set(peer &heap, const job &job, std::size_t count, std::uint64_t mark)
        : heap_(heap), real_(job.traits & trait_objects), mark_(mark << 32),
          objects_(count, nullptr)
    {
        if (checked)
            sizes_.resize(count);
    }

    void put(std::uint32_t index, std::size_t size)
    {
        void *object = heap_.alloc(size);
        if (object == nullptr)
            throw full();
        objects_[index] = object;
        std::uint64_t first = mark_ | index;
        if (checked) {
            sizes_[index] = size;
            std::memset(object, static_cast<int>(first % 251), size);
        }
        std::memcpy(object, &first, sizeof first);
    }

    void take(std::uint32_t index)
    {
        if (checked)
            verify(index);
        heap_.free(objects_[index]);
        objects_[index] = nullptr;
    }

    // As realloc: the object keeps its contents up to the smaller size.
    void resize(std::uint32_t index, std::size_t before, std::size_t size)
    {
        if (checked)
            verify(index);
        void *object = heap_.resize(objects_[index], before, size);
        if (object == nullptr)
            throw full();
        objects_[index] = object;
        if (checked) {
            sizes_[index] = std::min(before, size);
            verify(index);
            sizes_[index] = size;
            std::memset(object, static_cast<int>((mark_ | index) % 251), size);
        }
        std::uint64_t first = mark_ | index;
        std::memcpy(object, &first, sizeof first);
    }

    bool alive(std::size_t index) const { return objects_[index] != nullptr; }

    // The number of steps is a power of two; the steps wrap around. The set prefetches its own
    // array: otherwise a peer that takes a lock would pay for the driver's cache misses, which the
    // column of the driver does not show.
    void replace(const std::vector<step> &steps, std::size_t from, std::size_t count)
    {
        for (std::size_t i = from, mask = steps.size() - 1; i < from + count; i++) {
            const step &it = steps[i & mask];
            __builtin_prefetch(&objects_[steps[(i + steps_ahead) & mask].index], 1);
            if (checked)
                verify(it.index);
            heap_.free(objects_[it.index]);
            put(it.index, it.size);
        }
    }

    void fill(const job &job, const std::vector<step> &steps)
    {
        prepare(job, objects_.size(), [&](std::size_t from, std::size_t count) {
            for (std::size_t i = from; i < from + count; i++)
                put(static_cast<std::uint32_t>(i), steps[i & (steps.size() - 1)].size);
        });
    }

    // Verifies all objects. Only with checked it also frees them: some peers take minutes to free a
    // million objects, and closing the heap removes them anyway.
    void end()
    {
        for (std::uint32_t i = 0; i < objects_.size(); i++) {
            if (objects_[i] == nullptr)
                continue;
            verify(i);
            if (checked)
                heap_.free(objects_[i]);
        }
    }

    void *at(std::size_t index) const { return objects_[index]; }

private:
    static constexpr std::size_t steps_ahead = 16;

    void verify(std::uint32_t index) const
    {
        std::uint64_t first, expected = mark_ | index;
        const unsigned char *object = static_cast<const unsigned char *>(objects_[index]);
        std::memcpy(&first, object, sizeof first);
        bool same = first == expected;
        for (std::size_t i = sizeof first; checked && i < sizes_[index]; i++)
            same = same && object[i] == expected % 251;
        if (real_ && !same)
            throw std::runtime_error("an object's contents changed");
    }

    peer &heap_;
    bool real_;
    std::uint64_t mark_;
    std::vector<void *> objects_;
    std::vector<std::size_t> sizes_;
};

} // namespace bench

#endif
