// The calls of Umpire's page: what it shows, what may go wrong, and processes that come, leave and die.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shmheap_umpire.hpp>

// The expression throws this umpire error, whose text contains the words.
#define CHECK_UMPIRE(expression, type, words)                                                      \
    do {                                                                                           \
        std::string found_ = "nothing was thrown";                                                 \
        try {                                                                                      \
            (void)(expression);                                                                    \
        } catch (const umpire::type &error_) {                                                     \
            found_ = error_.what();                                                                \
        }                                                                                          \
        if (found_.find(words) == std::string::npos)                                               \
            test_fail(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", #expression,           \
                      found_.c_str(), words);                                                      \
    } while (0)

namespace
{

using shared_resource = umpire::resource::HostSharedMemoryResource;

// Of each test its own; the registered name removes the file whatever happens.
std::string resource_name, file_name;

void name_choose()
{
    resource_name = std::string("SHARED::") + (test_name() + 1);
    file_name = test_name_with(("/umpire." + std::to_string(geteuid()) + ".").c_str(),
                               resource_name.c_str());
}

bool file_is_there()
{
    int fd = shm_open(file_name.c_str(), O_RDONLY, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

umpire::Allocator make(std::size_t size)
{
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = size;
    return umpire::ResourceManager::getInstance().makeResource(resource_name, traits);
}

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

// Runs in a child that leaves as programs do, by exit(), so that the ResourceManager's destructor runs.
pid_t start(void (*run)(void *), void *argument = nullptr)
{
    fflush(nullptr);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    run(argument);
    exit(0);
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
            // What the dead had is given back when space is short.
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
            // As long as anybody is there, the name stands for the heap that this one is on.
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

void a_maker_that_died_half_way_is_replaced()
{
    name_choose();
    // As a creator leaves it that dies before anything else: an empty file. Nobody but us waits for it.
    int fd = shm_open(file_name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    close(fd);
    std::error_code error;
    shmheap::options how = options_of(1 << 16);
    how.timeout = std::chrono::milliseconds(20);
    auto joined = shmheap::common_heap::join(file_name, how, error);
    CHECK(joined && !error && joined.get().allocate(100) != nullptr);
    joined.leave();
    CHECK(!file_is_there());
}

void bad_names_and_sizes_of_resources()
{
    auto &rm = umpire::ResourceManager::getInstance();
    auto traits{umpire::get_default_resource_traits("SHARED")};
    CHECK_UMPIRE(umpire::get_default_resource_traits("HOST"), runtime_error, "must contain SHARED");
    CHECK_UMPIRE(rm.makeResource("node_allocator", traits), runtime_error,
                 "\"SHARED::node_allocator\"");
    CHECK_UMPIRE(rm.makeResource("", traits), runtime_error, "must contain SHARED");
    CHECK_UMPIRE(rm.makeResource(std::string("SHARED\0x", 8), traits), runtime_error, "NUL");
    CHECK_UMPIRE(rm.makeResource("SHARED::" + std::string(250, 'n'), traits), runtime_error,
                 "too long");
    CHECK_UMPIRE(rm.makeResource("SHARED::x", umpire::MemoryResourceTraits()), runtime_error,
                 "traits");
    traits.size = 0;
    CHECK_UMPIRE(rm.makeResource("SHARED::x", traits), runtime_error, "at least 128");
    traits.size = SIZE_MAX;
    CHECK_UMPIRE(rm.makeResource("SHARED::x", traits), resource_error, "SHARED::x");
    CHECK_UMPIRE(rm.getAllocator("SHARED::x"), runtime_error, "makeResource makes it");
    CHECK(!rm.isAllocator("SHARED::x"));
    CHECK_UMPIRE(umpire::Allocator().allocate("x", 1), runtime_error, "stands for none");
}

void bad_calls_change_nothing(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    umpire::Allocator allocator = make(1 << 20);
    CHECK_UMPIRE(make(1 << 20), runtime_error, "made in this process already");
    CHECK(rm.isAllocator(resource_name) &&
          rm.getAllocator(resource_name).getAllocationStrategy()->getTraits().size == 1 << 20);
    void *ten = allocator.allocate("ten", 10);
    std::size_t size = allocator.getCurrentSize();
    CHECK_UMPIRE(allocator.allocate("ten", 11), runtime_error, "with 10 bytes; 11 were asked for");
    CHECK_UMPIRE(allocator.allocate("", 1), runtime_error, "1 to 255 bytes");
    CHECK_UMPIRE(allocator.allocate(std::string(256, 'n'), 1), runtime_error, "1 to 255 bytes");
    CHECK_UMPIRE(allocator.allocate(std::string("a\0b", 3), 1), runtime_error, "1 to 255 bytes");
    CHECK_UMPIRE(allocator.allocate("huge", 1 << 20), out_of_memory_error, "the largest that fits");
    CHECK_UMPIRE(allocator.allocate("huge", SIZE_MAX), out_of_memory_error, "no space for");
    int foreign = 0;
    CHECK_UMPIRE(allocator.deallocate(&foreign), unknown_pointer_error, "not its own");
    CHECK_UMPIRE(allocator.deallocate(static_cast<char *>(ten) + 8), unknown_pointer_error,
                 "not its own");
    CHECK_UMPIRE(allocator.getSize(&foreign), unknown_pointer_error, "not its own");
    allocator.deallocate(nullptr);
    CHECK(umpire::find_pointer_from_name(allocator, std::string("ten\0x", 5)) == nullptr);
    CHECK(umpire::find_pointer_from_name(allocator, "") == nullptr);
    CHECK(allocator.allocate("ten", 10) == ten && allocator.getCurrentSize() == size);
    allocator.deallocate(ten);
    allocator.deallocate(ten);
    CHECK_UMPIRE(allocator.deallocate(ten), unknown_pointer_error, "deallocated already");
    CHECK(allocator.getHighWatermark() >= size && allocator.getName() == resource_name);
    // Who has not allocated cannot deallocate.
    void *kept = allocator.allocate("kept", 10);
    test_join(start(
        [](void *of_parent) {
            umpire::Allocator same =
                umpire::ResourceManager::getInstance().getAllocator(resource_name);
            CHECK_UMPIRE(same.deallocate(of_parent), unknown_pointer_error,
                         "this process has not allocated");
        },
        kept));
    // A second process that wants more than there is.
    test_join(start(
        [](void *) {
            auto traits{umpire::get_default_resource_traits("SHARED")};
            traits.size = 2 << 20;
            CHECK_UMPIRE(shared_resource(umpire::Platform::host, resource_name, 1, traits),
                         resource_error, "1048576 bytes; 2097152 were asked for");
        },
        nullptr));
    CHECK(file_is_there());
    allocator.deallocate(kept);
}

void bad_calls_are_exceptions()
{
    name_choose();
    test_join(start(bad_calls_change_nothing));
    CHECK(!file_is_there());
}

void the_file_is_its_owners()
{
    name_choose();
    umask(0);
    std::error_code error;
    auto joined = shmheap::common_heap::join(file_name, options_of(1 << 16), error);
    struct stat status;
    CHECK(fstat(joined.get().fd(), &status) == 0 && (status.st_mode & 07777) == 0600);
    // One that others may read is not used, and not removed.
    CHECK(fchmod(joined.get().fd(), 0644) == 0);
    auto second = shmheap::common_heap::join(file_name, options_of(1 << 16), error);
    CHECK(!second && error == std::errc::permission_denied && file_is_there());
    joined.leave();
    CHECK(!file_is_there());
    // Something else of that name is left alone.
    int fd = shm_open(file_name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0 && pwrite(fd, "no heap", 7, 0) == 7);
    shmheap::options how = options_of(1 << 16);
    how.timeout = std::chrono::milliseconds(20);
    CHECK(!shmheap::common_heap::join(file_name, how, error) && error == std::errc::bad_message &&
          file_is_there());
    close(fd);
}

void a_heap_for_each_socket()
{
    name_choose();
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.scope = umpire::MemoryResourceTraits::shared_scope::socket;
    int socket = shmheap_socket();
    if (socket < 0) {
        CHECK_UMPIRE(shared_resource(umpire::Platform::host, resource_name, 1, traits),
                     resource_error, "scope socket");
        return;
    }
    std::string of_node = file_name;
    {
        shared_resource allocator(umpire::Platform::host, resource_name, 1, traits);
        CHECK(!file_is_there());
        file_name = of_node + ".socket" + std::to_string(socket);
        CHECK(file_is_there() &&
              allocator.getTraits().scope == umpire::MemoryResourceTraits::shared_scope::socket);
    }
    CHECK(!file_is_there());
}

const struct test tests[] = {
    TEST(four_ranks_do_what_the_page_does),
    TEST(a_thousand_blocks_come_and_go),
    TEST(the_others_go_on_after_a_death),
    TEST(the_next_to_come_finds_it_empty),
    TEST(coming_and_leaving_at_the_same_time),
    TEST(a_maker_that_died_half_way_is_replaced),
    TEST(bad_names_and_sizes_of_resources),
    TEST(bad_calls_are_exceptions),
    TEST(the_file_is_its_owners),
    TEST(a_heap_for_each_socket),
};

} // namespace

TEST_MAIN(tests)
