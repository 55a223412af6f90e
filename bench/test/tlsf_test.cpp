// The TLSF heap: random calls keep all objects apart and intact, and free neighbours merge.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "bench/peers/tlsf_heap.h"

namespace
{

using bench::tlsf_heap;

constexpr std::size_t memory_len = 256 << 10;

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : (std::printf("line %d: %s\n", __LINE__, #condition), std::exit(1)))

// The heap in memory of its own, and what it must hold: the bytes of each object, by its place.
class model
{
public:
    model() : memory_(new block[memory_len / sizeof(block)]) { again(); }

    void again()
    {
        std::memset(static_cast<void *>(memory_.get()), 0xee, memory_len);
        heap_ = tlsf_heap::make(memory_.get(), memory_len);
        objects_.clear();
    }

    unsigned char *alloc(std::size_t size)
    {
        auto *at = static_cast<unsigned char *>(heap_->alloc(size));
        if (at != nullptr)
            add(at, size);
        return at;
    }

    void free(unsigned char *at)
    {
        remove(at);
        heap_->free(at);
    }

    void resize(unsigned char *at, std::size_t size)
    {
        std::size_t kept = std::min(objects_.at(at).size, size);
        if (!heap_->resize(at, size))
            return intact(at, objects_.at(at).size);
        intact(at, kept);
        objects_.erase(at);
        add(at, size);
    }

    unsigned char *any(std::uint64_t number) const
    {
        auto it = objects_.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(number % objects_.size()));
        return it->first;
    }

    bool empty() const { return objects_.empty(); }
    std::size_t count() const { return objects_.size(); }

    // The number of free blocks, which both ways to count must find.
    std::size_t free_blocks() const
    {
        CHECK(heap_->free_walked() == heap_->free_listed());
        return heap_->free_walked();
    }

private:
    struct object {
        std::size_t size;
        unsigned char fill;
    };
    struct alignas(16) block {
        unsigned char bytes[16];
    };

    void add(unsigned char *at, std::size_t size)
    {
        auto *begin = reinterpret_cast<unsigned char *>(memory_.get());
        CHECK(reinterpret_cast<std::uintptr_t>(at) % 16 == 0);
        CHECK(at >= begin + sizeof(tlsf_heap) && at + size <= begin + memory_len);
        auto next = objects_.upper_bound(at);
        CHECK(next == objects_.end() || at + size <= next->first);
        if (next != objects_.begin()) {
            auto before = std::prev(next);
            CHECK(before->first + before->second.size <= at);
        }
        objects_[at] = {size, ++fill_};
        std::memset(at, fill_, size);
    }

    void remove(unsigned char *at)
    {
        intact(at, objects_.at(at).size);
        objects_.erase(at);
    }

    void intact(unsigned char *at, std::size_t size) const
    {
        unsigned char fill = objects_.at(at).fill;
        CHECK(std::all_of(at, at + size, [&](unsigned char byte) { return byte == fill; }));
    }

    std::unique_ptr<block[]> memory_;
    tlsf_heap *heap_ = nullptr;
    std::map<unsigned char *, object> objects_;
    unsigned char fill_ = 0;
};

// Most sizes are small; some need a large part of the heap.
std::size_t size_random(std::mt19937_64 &engine)
{
    return engine() >> (64 - 1 - engine() % (engine() % 16 == 0 ? 17 : 11));
}

void random_calls()
{
    std::mt19937_64 engine(1);
    model it;
    unsigned refused = 0;
    for (unsigned i = 0; i < 200000; i++) {
        std::uint64_t choice = engine() % 8;
        if (choice < 4 || it.empty())
            refused += it.alloc(size_random(engine)) == nullptr;
        else if (choice < 7)
            it.free(it.any(engine()));
        else
            it.resize(it.any(engine()), size_random(engine));
        if (i % 500 == 0)
            it.free_blocks();
        if (i % 20000 == 0)
            while (!it.empty())
                it.free(it.any(0));
    }
    CHECK(refused > 0);
    while (!it.empty())
        it.free(it.any(engine()));
    CHECK(it.free_blocks() == 1);
}

// Three neighbours between used blocks become one free block, in each order of frees.
void neighbours_merge()
{
    int order[] = {1, 2, 3};
    do {
        model it;
        unsigned char *at[5];
        for (auto &object : at)
            object = it.alloc(100);
        for (int i : order)
            it.free(at[i]);
        CHECK(it.free_blocks() == 2);
        CHECK(it.alloc(300) == at[1]);
        it.free(at[0]);
        it.free(at[4]);
        it.free(at[1]);
        CHECK(it.free_blocks() == 1);
    } while (std::next_permutation(std::begin(order), std::end(order)));
}

void full_and_empty_again()
{
    model it;
    for (std::size_t size : {1, 24, 25, 500, 512, 5000}) {
        while (it.alloc(size) != nullptr)
            continue;
        CHECK(it.count() > memory_len / 2 / (size + 32));
        for (std::size_t i = 0; !it.empty(); i += 7)
            it.free(it.any(i));
        CHECK(it.free_blocks() == 1);
    }
    CHECK(it.alloc(memory_len) == nullptr);
    CHECK(it.alloc(SIZE_MAX) == nullptr);
    CHECK(it.alloc(memory_len / 2) != nullptr);
}

// An object grows into a free neighbour and gives back its end; it never grows over a used one.
void objects_resize()
{
    model it;
    unsigned char *first = it.alloc(200), *second = it.alloc(200), *third = it.alloc(200);
    it.resize(first, 300);
    it.free(second);
    it.resize(first, 300);
    CHECK(it.alloc(32) > first);
    it.resize(first, 16);
    CHECK(it.alloc(100) < third);
}

} // namespace

int main()
{
    random_calls();
    neighbours_merge();
    full_and_empty_again();
    objects_resize();
    return 0;
}
