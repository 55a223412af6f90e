// Calls of the Umpire layer that fail: wrong names, sizes and pointers, files of other users and
// makers that died.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/umpire/umpire.hpp"

#include <chrono>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

void a_maker_that_died_half_way_is_replaced()
{
    name_choose();
    // As a maker leaves it that dies before anything else: an empty file. Only this process waits
    // for it.
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
    // A process that has not allocated cannot deallocate.
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
    TEST(a_maker_that_died_half_way_is_replaced),
    TEST(bad_names_and_sizes_of_resources),
    TEST(bad_calls_are_exceptions),
    TEST(the_file_is_its_owners),
    TEST(a_heap_for_each_socket),
};

} // namespace

TEST_MAIN(tests)
