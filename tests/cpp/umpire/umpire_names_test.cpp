// Umpire's headers, names and meanings, as recipes and Umpire's own test of shared memory use them.
// SPDX-License-Identifier: Apache-2.0
#include "umpire/Allocator.hpp"
#include "umpire/ResourceManager.hpp"
#include "umpire/Umpire.hpp"
#include "umpire/config.hpp"
#include "umpire/resource/HostSharedMemoryResource.hpp"
#include "umpire/resource/MemoryResource.hpp"
#include "umpire/strategy/AllocationStrategy.hpp"
#include "umpire/strategy/NamedAllocationStrategy.hpp"
#include "umpire/strategy/NamingShim.hpp"
#include "umpire/util/Exception.hpp"
#include "umpire/util/Macros.hpp"
#include "umpire/util/MemoryResourceTraits.hpp"
#include "umpire/util/Platform.hpp"
#include "umpire/util/error.hpp"
#include "umpire/util/shared_memory_helper.hpp"
#include "umpire/util/wrap_allocator.hpp"

#include "tests/cpp/umpire/umpire.hpp"

// AddressSanitizer ends a program whose malloc() has no such memory, unless it is told that this is
// meant.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }

#include <algorithm>
#include <random>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef UMPIRE_ENABLE_IPC_SHARED_MEMORY
#error "umpire/config.hpp does not say that there is shared memory"
#endif

namespace
{

// So that the ResourceManager of the test program makes nothing: each test is a program.
void alone(void (*run)(void *))
{
    name_choose();
    test_join(start(run));
}

void each_name(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    CHECK(rm.getResourceNames() == (std::vector<std::string>{"HOST", "SHARED::POSIX", "SHARED"}));
    CHECK(rm.getSharedAllocatorNames().empty());
    umpire::Allocator allocator = make(1 << 20);
    CHECK(rm.getSharedAllocatorNames() == std::vector<std::string>{resource_name});
    CHECK_EQ(rm.getAllocatorNames().size(), 2);
    auto strategy = allocator.getAllocationStrategy();
    auto shared = dynamic_cast<umpire::resource::HostSharedMemoryResource *>(strategy);
    CHECK(shared != nullptr &&
          dynamic_cast<umpire::resource::MemoryResource *>(strategy) == shared);
    void *data = allocator.allocate("data", 100);
    CHECK(shared->find_pointer_from_name("data") == data &&
          umpire::find_pointer_from_name(allocator, "data") == data);
    CHECK(shared->allocate_named("data", 100) == data);
    shared->deallocate(data, 100);
    CHECK_EQ(shared->getActualSize(), allocator.getActualSize());
    CHECK_EQ(strategy->getActualSize(), allocator.getActualSize());
    CHECK_EQ(strategy->getCurrentSize(), allocator.getCurrentSize());
    CHECK_EQ(strategy->getHighWatermark(), allocator.getHighWatermark());
    CHECK_EQ(allocator.getAllocationCount(), 1);
    CHECK(allocator.getSize(data) >= 100);
    CHECK(strategy->getName() == resource_name && allocator.getName() == resource_name);
    CHECK(allocator.getStrategyName() == "HostSharedMemoryResource" &&
          allocator.getParent() == nullptr);
    CHECK_EQ(allocator.getId(), strategy->getId());
    CHECK_EQ(strategy->getTraits().id, allocator.getId());
    CHECK_EQ(strategy->getTraits().size, 1 << 20);
    CHECK(strategy->getTraits().resource == umpire::MemoryResourceTraits::resource_type::shared);
    CHECK(strategy->getTraits().scope == umpire::MemoryResourceTraits::shared_scope::node);
    CHECK(allocator.getPlatform() == umpire::Platform::host &&
          umpire::Platform::cpu == umpire::Platform::host);
    CHECK(umpire::is_accessible(umpire::Platform::host, allocator));
    CHECK(!umpire::is_accessible(umpire::Platform::cuda, allocator) &&
          !shared->isAccessibleFrom(umpire::Platform::hip));
    allocator.release();
    allocator.deallocate(data);
    CHECK_EQ(allocator.getAllocationCount(), 0);
    CHECK_UMPIRE(allocator.allocate(100), runtime_error, "needs a name");
    CHECK_UMPIRE(allocator.allocate("large", 2 << 20), util::Exception, "no space");
    CHECK_UMPIRE(rm.makeResource(resource_name), runtime_error, "made in this process already");
}

// Header and blocks: it grows with what is allocated, never beyond the size, and is as before in
// the end.
void the_actual_size_grows(void *)
{
    umpire::Allocator allocator = make(1 << 20);
    std::size_t initial = allocator.getActualSize();
    CHECK(initial > 0 && initial < 1024);
    void *first = allocator.allocate("first", 1000);
    std::size_t one = allocator.getActualSize();
    CHECK(one >= initial + 1000);
    void *second = allocator.allocate("second", 500000);
    CHECK(allocator.getActualSize() >= one + 500000 && allocator.getActualSize() <= 1 << 20);
    CHECK(allocator.allocate("second", 500000) == second);
    CHECK(allocator.getLargestAvailableBlock() <= (1 << 20) - allocator.getActualSize());
    allocator.deallocate(second);
    allocator.deallocate(second);
    CHECK_EQ(allocator.getActualSize(), one);
    allocator.deallocate(first);
    CHECK_EQ(allocator.getActualSize(), initial);
}

void private_memory(void *)
{
    umpire::Allocator host = umpire::ResourceManager::getInstance().getAllocator("HOST");
    CHECK(host.getAllocationStrategy()->getTraits().resource ==
          umpire::MemoryResourceTraits::resource_type::host);
    CHECK(umpire::is_accessible(umpire::Platform::host, host));
    auto data = static_cast<char *>(host.allocate(1000));
    memset(data, 1, 1000);
    void *empty = host.allocate(0);
    CHECK(empty != nullptr && reinterpret_cast<std::uintptr_t>(data) % 16 == 0);
    CHECK_EQ(host.getSize(data), 1000);
    CHECK_EQ(host.getCurrentSize(), 1000);
    CHECK_EQ(host.getActualSize(), 1000);
    CHECK_EQ(host.getAllocationCount(), 2);
    host.deallocate(data);
    host.deallocate(empty);
    host.deallocate(nullptr);
    CHECK_EQ(host.getCurrentSize(), 0);
    CHECK_EQ(host.getHighWatermark(), 1000);
    CHECK_UMPIRE(host.deallocate(data), unknown_pointer_error, "not its own");
    CHECK_UMPIRE(host.getSize(&host), unknown_pointer_error, "not its own");
    void *named = host.allocate("a name", 10), *same_name = host.allocate("a name", 20);
    CHECK(named != same_name && host.getSize(named) == 10 && host.getSize(same_name) == 20);
    host.deallocate(named);
    host.deallocate(same_name);
    CHECK_UMPIRE(host.allocate(SIZE_MAX), out_of_memory_error, "no memory");
    CHECK_UMPIRE(umpire::find_pointer_from_name(host, "a name"), runtime_error,
                 "no allocator of shared memory");
}

void names_are_given(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    umpire::Allocator allocator = make(1 << 20);
    auto shim{rm.makeAllocator<umpire::strategy::NamingShim>("shim", allocator)};
    auto first = static_cast<std::size_t *>(shim.allocate(sizeof(std::size_t)));
    auto second = static_cast<std::size_t *>(shim.allocate(1024));
    CHECK(first != second && umpire::find_pointer_from_name(shim, "shim_alloc_1") == second);
    *first = 17;
    *second = 18;
    test_join(start([](void *) {
        // A connection of its own.
        auto traits{umpire::get_default_resource_traits("SHARED")};
        traits.size = 1 << 20;
        umpire::resource::HostSharedMemoryResource same(umpire::Platform::host, resource_name, 9,
                                                        traits);
        CHECK_EQ(*static_cast<std::size_t *>(same.find_pointer_from_name("shim_alloc_0")), 17);
        CHECK_EQ(*static_cast<std::size_t *>(same.find_pointer_from_name("shim_alloc_1")), 18);
    }));
    CHECK(shim.getSize(second) >= 1024 && shim.getActualSize() == allocator.getActualSize());
    CHECK(shim.getParent() == allocator.getAllocationStrategy() &&
          shim.getStrategyName() == "NamingShim");
    CHECK(umpire::is_accessible(umpire::Platform::host, shim) &&
          rm.getAllocator("shim").getId() == shim.getId());
    shim.deallocate(first);
    shim.deallocate(second);
    CHECK_EQ(allocator.getAllocationCount(), 0);
    CHECK_UMPIRE(rm.makeAllocator<umpire::strategy::NamingShim>("shim", allocator), runtime_error,
                 "already");
    auto private_shim{
        rm.makeAllocator<umpire::strategy::NamingShim>("private", rm.getAllocator("HOST"))};
    void *own = private_shim.allocate(10);
    CHECK_EQ(rm.getAllocator("HOST").getAllocationCount(), 1);
    private_shim.deallocate(own);
}

// An allocator over shared memory under another name, found by name and by id, as libraries hand
// allocators around.
void another_name_for_an_allocator(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    umpire::Allocator allocator = make(1 << 20);
    auto named{
        rm.makeAllocator<umpire::strategy::NamedAllocationStrategy>("a library's", allocator)};
    int id = named.getId();
    CHECK(id != allocator.getId() && rm.isAllocator(id) && !rm.isAllocator(id + 1000));
    CHECK(rm.getAllocator(id).getName() == "a library's");
    CHECK_EQ(rm.getAllocator(rm.getAllocator("HOST").getId()).getAllocationCount(), 0);
    CHECK_UMPIRE(rm.getAllocator(id + 1000), runtime_error, "no allocator with the id");
    CHECK(rm.getAllocator(id).getAllocationStrategy()->getTraits().resource ==
          umpire::MemoryResourceTraits::resource_type::shared);
    void *data = named.allocate("data", 100);
    CHECK(umpire::find_pointer_from_name(allocator, "data") == data &&
          umpire::find_pointer_from_name(named, "data") == data);
    CHECK_UMPIRE(named.allocate(100), runtime_error, "needs a name");
    named.deallocate(data);
    CHECK_EQ(allocator.getAllocationCount(), 0);
    CHECK(umpire::util::unwrap_allocator<umpire::strategy::AllocationStrategy>(allocator) ==
          allocator.getAllocationStrategy());
    CHECK(umpire::util::unwrap_allocator<umpire::resource::HostSharedMemoryResource>(allocator) ==
          allocator.getAllocationStrategy());
    CHECK_UMPIRE(umpire::util::unwrap_allocator<umpire::resource::HostSharedMemoryResource>(named),
                 runtime_error, "another strategy");
    auto plain{rm.makeAllocator<umpire::strategy::NamedAllocationStrategy, false>(
        "without introspection", rm.getAllocator("HOST"))};
    plain.deallocate(plain.allocate(10));
    plain.deallocate(plain.allocate("a name", 10));
    CHECK_EQ(rm.getAllocator("HOST").getAllocationCount(), 0);
}

// What getResourceNames lists needs no makeResource: the first getAllocator makes it.
void resources_are_made_when_asked_for(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    CHECK(rm.isAllocator("SHARED") && rm.isAllocator("HOST") && !rm.isAllocator("SHARED::x"));
    CHECK(rm.getSharedAllocatorNames().empty());
    umpire::Allocator shared = rm.getAllocator("SHARED");
    CHECK(rm.getSharedAllocatorNames() == std::vector<std::string>{"SHARED"});
    CHECK_EQ(rm.getAllocator("SHARED").getId(), shared.getId());
    CHECK_EQ(shared.getAllocationStrategy()->getTraits().size, 16 << 20);
    void *data = shared.allocate(resource_name, 10);
    CHECK(umpire::find_pointer_from_name(shared, resource_name) == data);
    shared.deallocate(data);
    CHECK_UMPIRE(rm.makeResource("SHARED"), runtime_error, "made in this process already");
    CHECK(rm.getDefaultAllocator().getName() == "HOST");
    rm.setDefaultAllocator(shared);
    CHECK(rm.getDefaultAllocator().getName() == "SHARED");
}

// Kinds of shared memory are told by their names.
void the_kind_is_posix()
{
    CHECK(umpire::util::matchesSharedMemoryResource("SHARED::POSIX::node_allocator", "POSIX"));
    CHECK(umpire::util::matchesSharedMemoryResource("SHARED::node_allocator", "POSIX"));
    CHECK(umpire::util::matchesSharedMemoryResource("SHARED", "POSIX"));
    CHECK(umpire::util::matchesSharedMemoryResource("SHARED::MPI3::x", "MPI3"));
    CHECK(!umpire::util::matchesSharedMemoryResource("SHARED::node_allocator", "MPI3"));
    CHECK(!umpire::util::matchesSharedMemoryResource("HOST", "POSIX"));
    CHECK(!umpire::util::matchesSharedMemoryResource("x SHARED::POSIX", "POSIX"));
    CHECK(umpire::get_default_resource_traits("SHARED::POSIX").scope ==
          umpire::MemoryResourceTraits::shared_scope::node);
}

// A strategy of the program's own.
class counting : public umpire::strategy::AllocationStrategy
{
public:
    counting(const std::string &name, int id, umpire::Allocator below, std::size_t *count)
        : AllocationStrategy(name, id, below.getAllocationStrategy(), "counting"), below_(below),
          count_(count)
    {
    }
    void *allocate(std::size_t bytes) override { return ++*count_, below_.allocate(bytes); }
    void deallocate(void *object, std::size_t) override { below_.deallocate(object); }

private:
    umpire::Allocator below_;
    std::size_t *count_;
};

void a_strategy_of_ones_own(void *)
{
    auto &rm = umpire::ResourceManager::getInstance();
    std::size_t count = 0;
    auto allocator{rm.makeAllocator<counting>("counting", rm.getAllocator("HOST"), &count)};
    allocator.deallocate(allocator.allocate(10));
    CHECK_EQ(count, 1);
    CHECK(allocator.getPlatform() == umpire::Platform::host);
}

void names_and_headers() { alone(each_name); }
void actual_size() { alone(the_actual_size_grows); }
void host() { alone(private_memory); }
void naming_shim() { alone(names_are_given); }
void another_name() { alone(another_name_for_an_allocator); }

void listed_resources()
{
    name_choose();
    test_name_with(("/umpire." + std::to_string(geteuid()) + ".").c_str(), "SHARED");
    test_join(start(resources_are_made_when_asked_for));
}

void own_strategy() { alone(a_strategy_of_ones_own); }

const struct test tests[] = {
    TEST(names_and_headers), TEST(actual_size),  TEST(host),
    TEST(naming_shim),       TEST(another_name), TEST(listed_resources),
    TEST(the_kind_is_posix), TEST(own_strategy),
};

} // namespace

TEST_MAIN(tests)
