// What Umpire's page shows, and processes that come, leave and die.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/umpire/umpire.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace
{

// Shared by the processes of a test.
struct meeting {
    struct test_barrier barrier;
    std::atomic<int> count;
};
meeting *meet;

void meeting_begin(unsigned parties)
{
    meet = static_cast<meeting *>(test_shared(sizeof(meeting)));
    test_barrier_begin(&meet->barrier, parties);
}

// What the page's program does, as rank.
void page_as_rank(void *rank)
{
    auto &rm = umpire::ResourceManager::getInstance();
    auto traits{umpire::get_default_resource_traits("SHARED")};
    CHECK_EQ(traits.size, 16 << 20);
    traits.size = 1 * 1024 * 1024;
    traits.scope = umpire::MemoryResourceTraits::shared_scope::node;
    auto node_allocator{rm.makeResource(resource_name, traits)};
    UMPIRE_ASSERT(node_allocator.getAllocationStrategy()->getTraits().resource ==
                  umpire::MemoryResourceTraits::resource_type::shared);
    void *ptr{node_allocator.allocate("allocation_name_2", sizeof(uint64_t))};
    auto data{static_cast<volatile uint64_t *>(ptr)};
    if (rank == nullptr)
        *data = 0xDEADBEEF;
    test_barrier_wait(&meet->barrier);
    UMPIRE_ASSERT(*data == 0xDEADBEEF);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(node_allocator, "allocation_name_2") == ptr);
    node_allocator.deallocate(ptr);
    test_barrier_wait(&meet->barrier);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(node_allocator, "allocation_name_2") == nullptr);
}

void four_ranks_do_what_the_page_does()
{
    name_choose();
    meeting_begin(4);
    pid_t ranks[4];
    for (size_t i = 0; i < 4; i++)
        ranks[i] = start(page_as_rank, i == 0 ? nullptr : &ranks[i]);
    for (pid_t rank : ranks)
        test_join(rank);
    CHECK(!file_is_there());
}

enum { BLOCKS = 1024 };

void take_fill_and_give_back(umpire::Allocator &allocator, bool fills)
{
    std::mt19937 same(BLOCKS), own(static_cast<unsigned>(getpid()));
    std::vector<unsigned char *> blocks;
    std::vector<std::size_t> sizes, order;
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes.push_back(1 + same() % 4000);
        order.push_back(i);
        blocks.push_back(static_cast<unsigned char *>(
            allocator.allocate("block " + std::to_string(i), sizes[i])));
        CHECK(allocator.getSize(blocks[i]) >= sizes[i]);
    }
    test_barrier_wait(&meet->barrier);
    for (size_t i = 0; i < BLOCKS && fills; i++)
        memset(blocks[i], static_cast<int>(i % 251), sizes[i]);
    test_barrier_wait(&meet->barrier);
    for (size_t i = 0; i < BLOCKS; i++)
        CHECK(std::all_of(blocks[i], blocks[i] + sizes[i],
                          [i](unsigned char byte) { return byte == i % 251; }));
    test_barrier_wait(&meet->barrier);
    std::shuffle(order.begin(), order.end(), own);
    for (size_t i : order)
        allocator.deallocate(blocks[i]);
    test_barrier_wait(&meet->barrier);
}

void blocks_as_rank(void *rank)
{
    umpire::Allocator allocator = make(8 << 20);
    std::size_t size = allocator.getCurrentSize(), largest = allocator.getLargestAvailableBlock();
    test_barrier_wait(&meet->barrier);
    take_fill_and_give_back(allocator, rank == nullptr);
    CHECK_EQ(allocator.getCurrentSize(), size);
    CHECK_EQ(allocator.getLargestAvailableBlock(), largest);
    test_barrier_wait(&meet->barrier);
}

void a_thousand_blocks_come_and_go()
{
    name_choose();
    meeting_begin(4);
    pid_t ranks[4];
    for (size_t i = 0; i < 4; i++)
        ranks[i] = start(blocks_as_rank, i == 0 ? nullptr : &ranks[i]);
    for (pid_t rank : ranks)
        test_join(rank);
    CHECK(!file_is_there());
}

// A connection of its own: that of the ResourceManager is its parent's.
void allocates_for_ever(void *)
{
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = 1 << 20;
    shared_resource allocator(umpire::Platform::host, resource_name, 1, traits);
    std::minstd_rand random(static_cast<unsigned>(getpid()));
    for (;;) {
        void *block = allocator.allocate_named("victim " + std::to_string(random() % 8), 100);
        meet->count++;
        if (random() % 2)
            allocator.deallocate(block);
    }
}

void the_others_go_on_after_a_death()
{
    name_choose();
    meeting_begin(1);
    test_in_child(
        [](void *) {
            umpire::Allocator allocator = make(1 << 20);
            void *kept = allocator.allocate("kept", 1000);
            memset(kept, 7, 1000);
            for (size_t round = 0; round < test_rounds(60); round++) {
                int until = meet->count + 1 + static_cast<int>(round % 7);
                pid_t victim = start(allocates_for_ever);
                while (meet->count < until)
                    sched_yield();
                test_kill(victim);
                void *mine = allocator.allocate("victim 3", 100);
                allocator.deallocate(mine);
            }
            // The dead process's blocks are given back when space is short.
            allocator.deallocate(allocator.allocate("large", 900000));
            CHECK(static_cast<unsigned char *>(kept)[999] == 7 &&
                  umpire::detail::shared_resource_of(allocator).heap().check().rule == 0);
        },
        nullptr);
}

void makes_and_dies(void *)
{
    umpire::Allocator allocator = make(1 << 20);
    allocator.allocate("left behind", 100);
    meet->count++;
    for (;;)
        pause();
}

// Several at once, so that none takes the other's look at the stale file for life in it.
void comes_after_a_death(void *)
{
    test_barrier_wait(&meet->barrier);
    umpire::Allocator allocator = make(2 << 20);
    CHECK(umpire::find_pointer_from_name(allocator, "left behind") == nullptr);
    auto sum = static_cast<std::atomic<int> *>(allocator.allocate("sum", sizeof(std::atomic<int>)));
    test_barrier_wait(&meet->barrier);
    if (meet->count++ == 1)
        new (sum) std::atomic<int>(0);
    test_barrier_wait(&meet->barrier);
    ++*sum;
    test_barrier_wait(&meet->barrier);
    CHECK_EQ(*sum, 4); // all of them are on one heap
}

void the_next_to_come_finds_it_empty()
{
    for (size_t round = 0; round < test_rounds(20); round++) {
        name_choose();
        meeting_begin(4);
        pid_t victim = start(makes_and_dies);
        while (meet->count == 0)
            sched_yield();
        test_kill(victim);
        CHECK(file_is_there());
        pid_t ranks[4];
        for (pid_t &rank : ranks)
            rank = start(comes_after_a_death);
        for (pid_t rank : ranks)
            test_join(rank);
        CHECK(!file_is_there());
    }
}

void comes_and_goes(void *)
{
    test_barrier_wait(&meet->barrier);
    for (int i = 0; i < 30; i++) {
        pid_t once = start([](void *) {
            umpire::Allocator allocator = make(1 << 16);
            void *mine = allocator.allocate("used by all", 64);
            // As long as a process is connected, the name stands for the heap of this one.
            struct stat ours, named;
            CHECK(fstat(umpire::detail::shared_resource_of(allocator).heap().fd(), &ours) == 0);
            CHECK(stat(test_shm_path(file_name.c_str()), &named) == 0 &&
                  ours.st_ino == named.st_ino);
            allocator.deallocate(mine);
        });
        test_join(once);
    }
}

void coming_and_leaving_at_the_same_time()
{
    name_choose();
    meeting_begin(4);
    pid_t crew[4];
    for (pid_t &pid : crew)
        pid = start(comes_and_goes);
    for (pid_t pid : crew)
        test_join(pid);
    CHECK(!file_is_there());
}

const struct test tests[] = {
    TEST(four_ranks_do_what_the_page_does),    TEST(a_thousand_blocks_come_and_go),
    TEST(the_others_go_on_after_a_death),      TEST(the_next_to_come_finds_it_empty),
    TEST(coming_and_leaving_at_the_same_time),
};

} // namespace

TEST_MAIN(tests)
