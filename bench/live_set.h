// live_set.h: the objects that are alive, one after the other replaced.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_LIVE_SET_H
#define BENCH_LIVE_SET_H

#include <algorithm>
#include <cstring>
#include <vector>

#include "bench/workload.h"

namespace bench
{

// Thrown where there is no room for an object.
struct full : std::runtime_error {
    full() : std::runtime_error("the heap is full") {}
};

// Each object's first 8 bytes hold its index and the set's mark, written when it is allocated, for all peers alike.
// Where checked is set all its bytes are filled, and looked at before it is freed.
template <bool checked>
class live_set
{
public:
    // The mark tells sets that live in one heap apart.
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
            look(index);
        heap_.free(objects_[index]);
        objects_[index] = nullptr;
    }

    // As realloc: the object keeps what it held, as far as it goes.
    void resize(std::uint32_t index, std::size_t before, std::size_t size)
    {
        if (checked)
            look(index);
        void *object = heap_.resize(objects_[index], before, size);
        if (object == nullptr)
            throw full();
        objects_[index] = object;
        if (checked) {
            sizes_[index] = std::min(before, size);
            look(index);
            sizes_[index] = size;
            std::memset(object, static_cast<int>((mark_ | index) % 251), size);
        }
        std::uint64_t first = mark_ | index;
        std::memcpy(object, &first, sizeof first);
    }

    bool alive(std::size_t index) const { return objects_[index] != nullptr; }

    // The steps are as many as a power of two says, and begin again after the last. The entries of this set's own array are fetched
    // ahead: else a peer that takes a lock would pay for the driver's misses too, which the driver's own column cannot show.
    void replace(const std::vector<step> &steps, std::size_t from, std::size_t count)
    {
        for (std::size_t i = from, mask = steps.size() - 1; i < from + count; i++) {
            const step &it = steps[i & mask];
            __builtin_prefetch(&objects_[steps[(i + steps_ahead) & mask].index], 1);
            if (checked)
                look(it.index);
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

    // Every object still holds what was written into it. They go with the heap, since some peers would take
    // minutes to free a million one by one; where all is checked that is done as well.
    void end()
    {
        for (std::uint32_t i = 0; i < objects_.size(); i++) {
            if (objects_[i] == nullptr)
                continue;
            look(i);
            if (checked)
                heap_.free(objects_[i]);
        }
    }

    void *at(std::size_t index) const { return objects_[index]; }

private:
    static constexpr std::size_t steps_ahead = 16;

    void look(std::uint32_t index) const
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
