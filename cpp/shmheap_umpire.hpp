// shmheap_umpire.hpp: named allocations for the processes of a node, by the calls that Umpire
// documents for its shared memory. SPDX-License-Identifier: Apache-2.0
//
//     auto &rm = umpire::ResourceManager::getInstance();
//     auto traits{umpire::get_default_resource_traits("SHARED")};
//     auto node_allocator{rm.makeResource("SHARED::node_allocator", traits)};
//     void *data{node_allocator.allocate("a name", 100)};  // the same memory in every process
//     node_allocator.deallocate(data);                     // the last one frees it
//
// What is ours: nothing else of Umpire is needed, and what is not here does not compile. Programs
// that include umpire/Umpire.hpp and the like find these calls there with -Icpp/umpire_headers. A
// file that includes the real Umpire as well defines SHMHEAP_UMPIRE_NAMESPACE, the name of a
// namespace, before including this: the calls are in it then. Where a call cannot do what it is
// asked, it throws umpire::runtime_error (a std::runtime_error) or one derived from it, and has
// changed nothing:
//   - makeResource: a name without SHARED, empty, too long, with a NUL in it, or in use in this
//   process already; a size that the others' allocator
//     does not have; scope socket, where the process may run on more than one.
//   - allocate: no name for an allocation in shared memory, a bad name, no space
//   (out_of_memory_error), more bytes than the others' allocation of that name has.
//   - deallocate: a pointer that this allocator did not give (unknown_pointer_error).
// The memory is a file below /dev/shm which only its owner can read, a heap each for every user,
// name and (scope socket) socket. The last process to leave removes it; if that one died, the next
// to come starts anew with an empty one. What processes that died had allocated is given back when
// space is short. Allocations are counted: who has allocated a name twice deallocates it twice.
// Call makeResource in each process, after fork() where there is one.
//
// With MPI: define SHMHEAP_WITH_MPI before including this, and compile by mpicxx; then there is
// get_communicator_for_allocator.
#ifndef SHMHEAP_UMPIRE_HPP
#define SHMHEAP_UMPIRE_HPP

#if __cplusplus < 201703L
#error "shmheap_umpire.hpp needs C++17: compile with -std=c++17 or later"
#else

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "shmheap/umpire_base.hpp"
#include "shmheap/umpire_host.hpp"
#include "shmheap/umpire_shared.hpp"

SHMHEAP_UMPIRE_BEGIN

// Allocator: copies are the same allocator. Its calls may be made by any thread.
class Allocator
{
public:
    Allocator() = default; // of no use until another is assigned to it

    // In shared memory: the allocation of that name, made if there is none; its contents are
    // undefined then. Counts this process as a user. Private memory ignores the name.
    void *allocate(const std::string &name, std::size_t bytes)
    {
        return strategy().allocate_named(name, bytes);
    }
    // Private memory, or what a strategy such as NamingShim makes of it.
    void *allocate(std::size_t bytes) { return strategy().allocate(bytes); }
    // One use less; the last one frees. null is ignored.
    void deallocate(void *object) { strategy().deallocate(object); }
    void release() { strategy().release(); } // nothing is kept for later: does nothing

    // Bytes that the allocator takes now: of shared memory its header and all blocks, with their
    // headers and names. It grows and shrinks. getTraits().size is all it can have;
    // getLargestAvailableBlock() what fits now.
    std::size_t getActualSize() const { return strategy().getActualSize(); }
    std::size_t getCurrentSize() const { return strategy().getCurrentSize(); } // of blocks alone
    std::size_t getHighWatermark() const { return strategy().getHighWatermark(); }
    std::size_t getLargestAvailableBlock() const { return strategy().getLargestAvailableBlock(); }
    std::size_t getAllocationCount() const { return strategy().getAllocationCount(); }
    std::size_t getSize(const void *object) const { return strategy().getSize(object); }
    const std::string &getName() const { return strategy().getName(); }
    const std::string &getStrategyName() const { return strategy().getStrategyName(); }
    int getId() const { return strategy().getId(); }
    Platform getPlatform() const { return strategy().getPlatform(); }
    strategy::AllocationStrategy *getParent() const { return strategy().getParent(); }
    strategy::AllocationStrategy *getAllocationStrategy() const { return &strategy(); }

private:
    friend class ResourceManager;
    explicit Allocator(std::shared_ptr<strategy::AllocationStrategy> of) : strategy_(std::move(of))
    {
    }

    strategy::AllocationStrategy &strategy() const
    {
        if (strategy_ == nullptr)
            throw runtime_error("umpire: an Allocator that stands for none was used");
        return *strategy_;
    }

    std::shared_ptr<strategy::AllocationStrategy> strategy_;
};

namespace strategy
{

// NamingShim: names for allocations in shared memory that are made without. The n-th allocation of
// a process is the same memory as the n-th of another process: all processes allocate in the same
// order. Over private memory it gives no names.
class NamingShim : public AllocationStrategy
{
public:
    NamingShim(const std::string &name, int id, Allocator allocator)
        : AllocationStrategy(name, id, allocator.getAllocationStrategy(), "NamingShim"),
          allocator_(allocator)
    {
    }
    void *allocate(std::size_t bytes) override
    {
        if (getTraits().resource != MemoryResourceTraits::resource_type::shared)
            return allocator_.allocate(bytes);
        return allocator_.allocate(getName() + "_alloc_" + std::to_string(count_++), bytes);
    }
    void deallocate(void *object, std::size_t = 0) override { allocator_.deallocate(object); }

private:
    Allocator allocator_; // lives as long as this
    std::atomic<std::size_t> count_{0};
};

// NamedAllocationStrategy: another allocator under a name of its own.
class NamedAllocationStrategy : public AllocationStrategy
{
public:
    NamedAllocationStrategy(const std::string &name, int id, Allocator allocator)
        : AllocationStrategy(name, id, allocator.getAllocationStrategy(),
                             "NamedAllocationStrategy"),
          allocator_(allocator)
    {
    }
    void *allocate(std::size_t bytes) override { return allocator_.allocate(bytes); }
    void *allocate_named(const std::string &name, std::size_t bytes) override
    {
        return allocator_.allocate(name, bytes);
    }
    void deallocate(void *object, std::size_t = 0) override { allocator_.deallocate(object); }

private:
    Allocator allocator_; // lives as long as this
};

} // namespace strategy

namespace util
{

// Whether an allocator of that name is of that kind of shared memory. All that is here is "POSIX".
inline bool matchesSharedMemoryResource(const std::string &name, const std::string &kind)
{
    if (name.rfind("SHARED::" + kind, 0) == 0)
        return true;
    return kind == "POSIX" && (name == "SHARED" || name.rfind("SHARED::", 0) == 0);
}

// The allocator's strategy as a Strategy.
template <class Strategy>
Strategy *unwrap_allocator(Allocator allocator)
{
    auto found = dynamic_cast<Strategy *>(allocator.getAllocationStrategy());
    if (found == nullptr)
        throw runtime_error("umpire: \"" + allocator.getName() +
                            "\" has another strategy than unwrap_allocator was asked for");
    return found;
}

} // namespace util

// Where the name contains SHARED: 16 MiB, scope node.
inline MemoryResourceTraits get_default_resource_traits(const std::string &name)
{
    detail::shared_name_check(name);
    MemoryResourceTraits traits;
    traits.size = std::size_t(16) << 20;
    traits.resource = MemoryResourceTraits::resource_type::shared;
    traits.scope = MemoryResourceTraits::shared_scope::node;
    return traits;
}

// ResourceManager: the allocators of this process. "HOST", private memory, is there from the start;
// "SHARED" and "SHARED::POSIX", with default traits, are made by the first getAllocator that asks for
// them. It leaves all of them when the process exits.
class ResourceManager
{
public:
    static ResourceManager &getInstance()
    {
        static ResourceManager manager;
        return manager;
    }
    ResourceManager(const ResourceManager &) = delete;
    ResourceManager &operator=(const ResourceManager &) = delete;

    Allocator makeResource(const std::string &name, MemoryResourceTraits traits)
    {
        detail::shared_name_check(name);
        if (traits.resource != MemoryResourceTraits::resource_type::shared)
            throw runtime_error(
                "umpire: \"" + name +
                "\": traits of another kind than get_default_resource_traits(\"SHARED\") gives");
        if (traits.scope == MemoryResourceTraits::shared_scope::unknown)
            traits.scope = MemoryResourceTraits::shared_scope::node;
        if (traits.size < 128)
            throw runtime_error("umpire: \"" + name + "\": traits.size is " +
                                std::to_string(traits.size) + "; at least 128 bytes");
        return make(name, [&](int id) {
            return std::make_shared<resource::HostSharedMemoryResource>(Platform::host, name, id,
                                                                        traits);
        });
    }
    Allocator makeResource(const std::string &name)
    {
        return makeResource(name, get_default_resource_traits(name));
    }

    // An allocator of that name with the strategy Strategy(name, id, arguments...). introspection
    // is there for programs that say it.
    template <class Strategy, bool introspection = true, class... Arguments>
    Allocator makeAllocator(const std::string &name, Arguments &&...arguments)
    {
        return make(name, [&](int id) {
            return std::make_shared<Strategy>(name, id, std::forward<Arguments>(arguments)...);
        });
    }

    bool isAllocator(const std::string &name)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        return allocators_.count(name) != 0 || is_resource(name);
    }
    bool isAllocator(int id)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        return find(id) != allocators_.end();
    }
    Allocator getAllocator(int id)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        auto found = find(id);
        if (found == allocators_.end())
            throw runtime_error("umpire: there is no allocator with the id " + std::to_string(id) +
                                " in this process; Allocator::getId gives ids");
        return found->second;
    }
    Allocator getAllocator(const std::string &name)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        auto found = allocators_.find(name);
        if (found == allocators_.end() && is_resource(name))
            return makeResource(name);
        if (found == allocators_.end())
            throw runtime_error("umpire: there is no allocator \"" + name +
                                "\" in this process; makeResource makes it");
        return found->second;
    }

    // "HOST", unless setDefaultAllocator gave another one.
    Allocator getDefaultAllocator()
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        return default_;
    }
    void setDefaultAllocator(Allocator allocator)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        default_ = allocator;
    }

    // Of memory that needs no makeResource.
    std::vector<std::string> getResourceNames() const
    {
        return {"HOST", "SHARED::POSIX", "SHARED"};
    }
    // Of those allocators of shared memory that were made in this process.
    std::vector<std::string> getSharedAllocatorNames()
    {
        return names_where([](Allocator &of) {
            return dynamic_cast<resource::HostSharedMemoryResource *>(of.getAllocationStrategy()) !=
                   nullptr;
        });
    }
    // All.
    std::vector<std::string> getAllocatorNames()
    {
        return names_where([](Allocator &) { return true; });
    }

private:
    ResourceManager()
    {
        Allocator host(std::make_shared<resource::HostMemoryResource>("HOST", next_id_++));
        allocators_.emplace("HOST", host);
        default_ = host;
    }

    bool is_resource(const std::string &name) const
    {
        std::vector<std::string> names = getResourceNames();
        return std::find(names.begin(), names.end(), name) != names.end();
    }

    // made(id) gives the strategy. Nothing is kept if it throws.
    template <class Made>
    Allocator make(const std::string &name, Made made)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        if (allocators_.count(name) != 0)
            throw runtime_error("umpire: \"" + name +
                                "\" was made in this process already; getAllocator gives it");
        Allocator allocator(made(next_id_++));
        allocators_.emplace(name, allocator);
        return allocator;
    }

    std::map<std::string, Allocator>::iterator find(int id)
    {
        return std::find_if(allocators_.begin(), allocators_.end(),
                            [id](auto &entry) { return entry.second.getId() == id; });
    }

    template <class Predicate>
    std::vector<std::string> names_where(Predicate predicate)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        std::vector<std::string> names;
        for (auto &entry : allocators_)
            if (predicate(entry.second))
                names.push_back(entry.first);
        return names;
    }

    std::recursive_mutex mutex_; // a strategy may ask for allocators while it is made
    int next_id_ = 0;
    std::map<std::string, Allocator> allocators_;
    Allocator default_;
};

namespace detail
{

// The memory below an allocator.
inline resource::MemoryResource *resource_of(Allocator allocator)
{
    strategy::AllocationStrategy *root = allocator.getAllocationStrategy();
    while (root->getParent() != nullptr)
        root = root->getParent();
    return dynamic_cast<resource::MemoryResource *>(root);
}

inline resource::HostSharedMemoryResource &shared_resource_of(Allocator allocator)
{
    auto shared = dynamic_cast<resource::HostSharedMemoryResource *>(resource_of(allocator));
    if (shared == nullptr)
        throw runtime_error("umpire: \"" + allocator.getName() +
                            "\" is no allocator of shared memory");
    return *shared;
}

} // namespace detail

// The allocation of that name, null if there is none. Does not count: another process's use has to
// keep it.
inline void *find_pointer_from_name(Allocator allocator, const std::string &name)
{
    return detail::shared_resource_of(allocator).find_pointer_from_name(name);
}

// Whether code on that platform can use the allocator's memory.
inline bool is_accessible(Platform platform, Allocator allocator)
{
    resource::MemoryResource *memory = detail::resource_of(allocator);
    return memory != nullptr && memory->isAccessibleFrom(platform);
}

SHMHEAP_UMPIRE_END

#if defined(SHMHEAP_WITH_MPI)
#include "shmheap/umpire_mpi.hpp"
#endif

#endif // C++17

#endif
