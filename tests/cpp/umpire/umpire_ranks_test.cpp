// Several processes as ranks of Umpire's own test of shared memory: they open one resource at the
// same time, and allocate a thousand names.
// SPDX-License-Identifier: Apache-2.0
#include "umpire/Allocator.hpp"
#include "umpire/ResourceManager.hpp"
#include "umpire/util/Exception.hpp"

#include "tests/cpp/umpire/umpire.hpp"

#include <algorithm>
#include <random>
#include <vector>

namespace
{

enum { NAMES = 1024, RANKS = 4, OPENINGS = 100 };

struct meeting {
    struct test_barrier barrier;
    std::size_t sizes[NAMES];
    std::size_t initial, largest;
};
meeting *meet;

// The largest that fits, as Umpire's test looks for it: one byte less until it does.
std::size_t largest_of(umpire::Allocator &allocator, std::size_t size)
{
    for (std::size_t bytes = size - allocator.getActualSize(); bytes > 0; bytes--)
        try {
            allocator.deallocate(allocator.allocate("AllocLargest", bytes));
            return bytes;
        } catch (const umpire::util::Exception &) {
        }
    return 0;
}

void names_as_rank(void *rank_text)
{
    int rank = static_cast<int>(reinterpret_cast<std::uintptr_t>(rank_text));
    const std::size_t size = std::size_t(64) << 20;
    umpire::Allocator allocator = make(size);
    auto stays = static_cast<std::uint64_t *>(allocator.allocate("SharedMemoryState", 1 << 17));
    test_barrier_wait(&meet->barrier);
    if (rank == 0) {
        *stays = 0x5afe;
        meet->initial = allocator.getActualSize();
        meet->largest = largest_of(allocator, size);
        std::mt19937_64 random(test_random_begin(7).state);
        for (std::size_t &bytes : meet->sizes)
            bytes = 1 + random() % (size / NAMES);
    }
    test_barrier_wait(&meet->barrier);
    for (int round = 0; round < 3; round++) {
        std::vector<unsigned char *> blocks;
        for (std::size_t i = 0; i < NAMES; i++)
            blocks.push_back(static_cast<unsigned char *>(
                allocator.allocate("size_" + std::to_string(i), meet->sizes[i])));
        CHECK(allocator.getActualSize() > meet->initial);
        for (std::size_t i = static_cast<std::size_t>(rank); i < NAMES; i += RANKS)
            blocks[i][0] = blocks[i][meet->sizes[i] - 1] = static_cast<unsigned char>(i);
        test_barrier_wait(&meet->barrier);
        for (std::size_t i = 0; i < NAMES; i++)
            CHECK(blocks[i][0] == static_cast<unsigned char>(i) &&
                  blocks[i][meet->sizes[i] - 1] == blocks[i][0]);
        test_barrier_wait(&meet->barrier);
        std::shuffle(blocks.begin(), blocks.end(),
                     std::mt19937(static_cast<unsigned>(rank + 10 * round)));
        for (unsigned char *block : blocks)
            allocator.deallocate(block);
        test_barrier_wait(&meet->barrier);
        CHECK_EQ(allocator.getActualSize(), meet->initial);
        test_barrier_wait(&meet->barrier);
        if (rank == 0) {
            CHECK_EQ(largest_of(allocator, size), meet->largest);
            allocator.deallocate(allocator.allocate("AllocLargest", meet->largest));
        }
        test_barrier_wait(&meet->barrier);
    }
    CHECK_EQ(*stays, 0x5afe);
    allocator.deallocate(stays);
}

void run_ranks(void (*run)(void *))
{
    meet = static_cast<meeting *>(test_shared(sizeof(meeting)));
    test_barrier_begin(&meet->barrier, RANKS);
    pid_t ranks[RANKS];
    for (std::uintptr_t i = 0; i < RANKS; i++)
        ranks[i] = start(run, reinterpret_cast<void *>(i));
    for (pid_t rank : ranks)
        test_join(rank);
}

// Default traits: 16 MiB, scope node.
void open_as_rank(void *rank)
{
    test_barrier_wait(&meet->barrier);
    umpire::Allocator allocator =
        umpire::ResourceManager::getInstance().makeResource(resource_name);
    CHECK_EQ(allocator.getAllocationStrategy()->getTraits().size, 16 << 20);
    auto sum = static_cast<std::uint64_t *>(allocator.allocate("sum", 8));
    if (rank == nullptr)
        *sum = 40;
    test_barrier_wait(&meet->barrier);
    __atomic_add_fetch(sum, 1, __ATOMIC_RELAXED);
    test_barrier_wait(&meet->barrier);
    CHECK_EQ(*sum, 44);
    allocator.deallocate(sum);
}

void a_thousand_names_while_one_stays()
{
    if (!test_shm_has(100))
        return;
    name_choose();
    run_ranks(names_as_rank);
}

void four_ranks_open_at_once_a_hundred_times()
{
    for (std::size_t i = 0; i < test_rounds(OPENINGS); i++) {
        name_choose();
        run_ranks(open_as_rank);
    }
}

const struct test tests[] = {
    TEST(a_thousand_names_while_one_stays),
    TEST(four_ranks_open_at_once_a_hundred_times),
};

} // namespace

TEST_MAIN(tests)
