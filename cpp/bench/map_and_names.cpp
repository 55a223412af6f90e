// map_and_names: containers and named objects in shared memory, ours beside Boost.Interprocess.
//
// Prints nanoseconds of processor time an operation and, in brackets, how many times as fast as
// Boost's managed_shared_memory. Medians of ROUNDS rounds, in which all take turns. The first
// argument divides all counts, for a quick run.
//
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <shmheap.hpp>

#if __has_include(                                                                                 \
    <boost/interprocess/managed_shared_memory.hpp>) && __has_include(<boost/unordered_map.hpp>)
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/unordered_map.hpp>

namespace
{

namespace bip = boost::interprocess;

enum { ROUNDS = 3 };
constexpr std::size_t segment_bytes = std::size_t(1) << 30;

// Rows by columns: all rounds of each.
using figures = std::map<std::string, std::map<std::string, std::vector<double>>>;

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// The time of this thread, in user and kernel: the measured code does not wait, and other load on
// the machine counts less.
std::uint64_t processor_ns()
{
    timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return static_cast<std::uint64_t>(spent.tv_sec) * 1000000000u +
           static_cast<std::uint64_t>(spent.tv_nsec);
}

double each_ns(std::size_t count, const std::function<void()> &body)
{
    std::uint64_t begin = processor_ns();
    body();
    return static_cast<double>(processor_ns() - begin) / static_cast<double>(count);
}

std::vector<std::uint64_t> shuffled_keys(std::size_t count)
{
    std::vector<std::uint64_t> keys(count);
    std::iota(keys.begin(), keys.end(), 1);
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(count));
    return keys;
}

std::string random_name() { return "/shmheap-cpp-bench-" + std::to_string(std::random_device()()); }

struct boost_segment {
    std::string name = random_name();
    bip::managed_shared_memory memory{bip::create_only, name.c_str(), segment_bytes};
    ~boost_segment() { bip::shared_memory_object::remove(name.c_str()); }
};

// Like Boost's, which does not reserve either.
shmheap::heap own_heap(bool cached)
{
    shmheap::options how;
    how.len = segment_bytes;
    how.sparse = true;
    how.cached = cached;
    return shmheap::heap::anonymous(how);
}

// Maps ------------------------------------------------------------------

using entry = std::pair<const std::uint64_t, std::uint64_t>;
template <class Allocator>
using map_with = boost::unordered_map<std::uint64_t, std::uint64_t, boost::hash<std::uint64_t>,
                                      std::equal_to<std::uint64_t>, Allocator>;

template <class Allocator>
void measure_map(figures &found, const std::string &column, std::size_t count,
                 const Allocator &allocator)
{
    auto keys = shuffled_keys(count), order = shuffled_keys(count);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
    auto map = std::make_unique<map_with<Allocator>>(allocator);
    std::string label = "unordered_map of " + std::to_string(count) + ": ";
    found[label + "insert"][column].push_back(each_ns(count, [&] {
        for (std::uint64_t key : keys)
            map->emplace(key, key);
    }));
    std::uint64_t sum = 0;
    found[label + "find"][column].push_back(each_ns(count, [&] {
        for (std::uint64_t key : order)
            sum += map->find(key)->second;
    }));
    if (sum != count * (count + 1) / 2)
        std::abort();
    found[label + "clear"][column].push_back(each_ns(count, [&] { map.reset(); }));
}

void measure_maps(figures &found, std::size_t count)
{
    {
        boost_segment segment;
        measure_map(found, "Boost", count,
                    bip::allocator<entry, bip::managed_shared_memory::segment_manager>(
                        segment.memory.get_segment_manager()));
    }
    for (bool cached : {false, true}) {
        shmheap::heap heap = own_heap(cached);
        measure_map(found, cached ? "shmheap, cached" : "shmheap", count,
                    heap.get_allocator<entry>());
    }
    measure_map(found, "malloc", count, std::allocator<entry>());
}

// Names -----------------------------------------------------------------

struct object {
    char bytes[64];
};

// make, find and drop by name.
struct naming {
    std::function<void(const std::string &)> make, drop;
    std::function<void *(const std::string &)> find;
};

// With count names there: how long one more takes to make, and to drop, and finding any of them.
void measure_naming(figures &found, const std::string &column, std::size_t count, const naming &by)
{
    constexpr std::size_t more = 20000;
    std::vector<std::string> there, others;
    for (std::size_t i = 0; i < count; i++)
        there.push_back("object number " + std::to_string(i));
    for (std::size_t i = 0; i < more; i++)
        others.push_back("another " + std::to_string(i));
    for (const std::string &name : there)
        by.make(name);
    std::string label = std::to_string(count) + " names: ";
    found[label + "make and drop"][column].push_back(each_ns(more, [&] {
        for (const std::string &name : others) {
            by.make(name);
            by.drop(name);
        }
    }));
    std::mt19937_64 random(count);
    found[label + "find"][column].push_back(each_ns(10 * more, [&] {
        for (std::size_t i = 0; i < 10 * more; i++)
            if (by.find(there[random() % count]) == nullptr)
                std::abort();
    }));
}

void measure_names(figures &found, std::size_t count)
{
    {
        boost_segment segment;
        auto &memory = segment.memory;
        measure_naming(found, "Boost", count,
                       {[&](const std::string &name) { memory.construct<object>(name.c_str())(); },
                        [&](const std::string &name) { memory.destroy<object>(name.c_str()); },
                        [&](const std::string &name) -> void * {
                            return memory.find<object>(name.c_str()).first;
                        }});
    }
    {
        shmheap::heap heap = own_heap(false);
        shmheap_memory_handle mem = heap.c_handle();
        measure_naming(
            found, "shmheap_alloc_named", count,
            {[&](const std::string &name) {
                 shmheap_alloc_named(mem, name.c_str(), sizeof(object));
             },
             [&](const std::string &name) {
                 shmheap_free(mem, shmheap_find(mem, name.c_str(), nullptr));
             },
             [&](const std::string &name) { return shmheap_find(mem, name.c_str(), nullptr); }});
    }
    {
        shmheap::heap heap = own_heap(false);
        measure_naming(
            found, "construct<T>", count,
            {[&](const std::string &name) { heap.construct<object>(name)(); },
             [&](const std::string &name) { heap.destroy<object>(name); },
             [&](const std::string &name) -> void * { return heap.find<object>(name); }});
    }
}

void print(const figures &found, const std::vector<std::string> &columns)
{
    std::printf("%-36s", "ns an operation");
    for (const std::string &column : columns)
        std::printf("%22s", column.c_str());
    std::printf("\n");
    for (const auto &row : found) {
        double boost = median(row.second.at("Boost"));
        std::printf("%-36s", row.first.c_str());
        for (const std::string &column : columns) {
            double ns = median(row.second.at(column));
            std::printf("%13.0f (%6.2f)", ns, boost / ns);
        }
        std::printf("\n");
    }
}

} // namespace

int main(int argc, char **argv)
{
    std::size_t divisor = argc > 1 ? std::max(1ul, std::strtoul(argv[1], nullptr, 10)) : 1;
    figures maps, names;
    for (int round = 0; round < ROUNDS; round++) {
        measure_maps(maps, 1000000 / divisor);
        for (std::size_t count : {std::size_t(1), std::size_t(1000), 1000000 / divisor})
            measure_names(names, count);
    }
    print(maps, {"Boost", "shmheap", "shmheap, cached", "malloc"});
    std::printf("\n");
    print(names, {"Boost", "shmheap_alloc_named", "construct<T>"});
}

#else

int main()
{
    std::fprintf(stderr,
                 "map_and_names: Boost is not installed (libboost-dev): nothing to compare with\n");
    return 1;
}

#endif
