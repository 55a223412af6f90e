// shmheap_umpire.hpp: named allocations for the processes of a node, by the calls that Umpire
// documents for its shared memory.
//
//     auto &rm = umpire::ResourceManager::getInstance();
//     auto traits{umpire::get_default_resource_traits("SHARED")};
//     auto node_allocator{rm.makeResource("SHARED::node_allocator", traits)};
//     void *data{node_allocator.allocate("a name", 100)};  // the same memory in every process
//     node_allocator.deallocate(data);                     // the last one frees it
//
// These headers replace Umpire; a call that they lack does not compile. With -Icpp/umpire_headers,
// programs that include umpire/Umpire.hpp and the like find them. A file that includes the real
// Umpire as well defines SHMHEAP_UMPIRE_NAMESPACE, the name of a namespace for these calls, before
// it includes this.
//
// Errors. A call that fails throws umpire::runtime_error (a std::runtime_error) or a class derived
// from it, and has changed nothing:
// - makeResource: a name without SHARED, empty, too long, with a NUL in it, or already used in this
//   process; a size larger than that of the existing allocator; scope socket in a process that may
//   run on several sockets.
// - allocate: no name for an allocation in shared memory, a bad name, no space
//   (out_of_memory_error), more bytes than the existing allocation of that name has.
// - deallocate: a pointer that this allocator did not give (unknown_pointer_error).
//
// Memory. Each user, name and (scope socket) socket has a heap: a file below /dev/shm that only its
// owner can read. The last process to leave removes it. If that process died, the next one starts
// with an empty heap. When space is short, allocations of dead processes are freed. Allocations are
// counted: a process that has allocated a name twice deallocates it twice. Call makeResource in
// each process, and after fork().
//
// With MPI: define SHMHEAP_WITH_MPI before including this, and compile by mpicxx. Then there is
// get_communicator_for_allocator.
//
// SPDX-License-Identifier: Apache-2.0
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

// Allocator: copies are the same allocator. Any thread may call it.
class Allocator
{
public:
    Allocator() = default; // must be assigned before its first use

    // In shared memory: returns the allocation of that name, made if there is none, then with
    // undefined contents. Counts this process as a user. Private memory ignores the name.
    void *allocate(const std::string &name, std::size_t bytes)
    {
        return strategy().allocate_named(name, bytes);
    }
    // For private memory, or a strategy that gives names, such as NamingShim.
    void *allocate(std::size_t bytes) { return strategy().allocate(bytes); }
    // Gives back one use; the last one frees. Ignores null.
    void deallocate(void *object) { strategy().deallocate(object); }
    void release() { strategy().release(); } // does nothing: no memory is kept

    // Bytes that the allocator uses now: of shared memory its header and all blocks, with their
    // headers and names. getTraits().size is the most it can have. getLargestAvailableBlock() is
    // the largest allocation that fits now.
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
            throw runtime_error(
                "umpire: an Allocator that stands for none was used: assign one, from "
                "ResourceManager::makeResource or getAllocator");
        return *strategy_;
    }

    std::shared_ptr<strategy::AllocationStrategy> strategy_;
};

namespace strategy
{

// NamingShim gives names to allocations in shared memory. The n-th allocation of a process is the
// same memory as the n-th of another process, so all processes allocate in the same order. Over
// private memory it gives no names.
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

// NamedAllocationStrategy: an allocator under another name.
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

// Whether the allocator of that name is shared memory of that kind. All shared memory here is
// "POSIX".
inline bool matchesSharedMemoryResource(const std::string &name, const std::string &kind)
{
    if (name.rfind("SHARED::" + kind, 0) == 0)
        return true;
    return kind == "POSIX" && (name == "SHARED" || name.rfind("SHARED::", 0) == 0);
}

// Returns the allocator's strategy as a Strategy; throws if it is another one.
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

// For a name that contains SHARED: 16 MiB, scope node.
inline MemoryResourceTraits get_default_resource_traits(const std::string &name)
{
    detail::shared_name_check(name);
    MemoryResourceTraits traits;
    traits.size = std::size_t(16) << 20;
    traits.resource = MemoryResourceTraits::resource_type::shared;
    traits.scope = MemoryResourceTraits::shared_scope::node;
    return traits;
}

// ResourceManager: the allocators of this process. "HOST", private memory, exists from the start.
// The first getAllocator of "SHARED" or "SHARED::POSIX" makes it, with default traits. The process
// leaves all of them when it exits.
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

    // Makes an allocator with the strategy Strategy(name, id, arguments...). introspection is
    // accepted and ignored.
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

    // "HOST", unless setDefaultAllocator set another one.
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

    // Names of memory that needs no makeResource.
    std::vector<std::string> getResourceNames() const
    {
        return {"HOST", "SHARED::POSIX", "SHARED"};
    }
    // Names of the allocators of shared memory that this process made.
    std::vector<std::string> getSharedAllocatorNames()
    {
        return names_where([](Allocator &of) {
            return dynamic_cast<resource::HostSharedMemoryResource *>(of.getAllocationStrategy()) !=
                   nullptr;
        });
    }
    // Names of all allocators.
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

    // made(id) returns the strategy. If it throws, nothing changes.
    template <class Made>
    Allocator make(const std::string &name, Made made)
    {
        std::lock_guard<std::recursive_mutex> guard(mutex_);
        if (allocators_.count(name) != 0)
            throw runtime_error("umpire: \"" + name +
                                "\" was made in this process already; getAllocator returns it");
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

    std::recursive_mutex mutex_; // a strategy may look up allocators while it is made
    int next_id_ = 0;
    std::map<std::string, Allocator> allocators_;
    Allocator default_;
};

namespace detail
{

// Returns the memory below an allocator.
inline resource::MemoryResource *resource_of(Allocator allocator)
{
    strategy::AllocationStrategy *root = allocator.getAllocationStrategy();
    while (root->getParent() != nullptr)
        root = root->getParent();
    return dynamic_cast<resource::MemoryResource *>(root);
}

inline resource::HostSharedMemoryResource &shared_resource_of(const Allocator &allocator)
{
    auto shared = dynamic_cast<resource::HostSharedMemoryResource *>(resource_of(allocator));
    if (shared == nullptr)
        throw runtime_error("umpire: \"" + allocator.getName() +
                            "\" is no allocator of shared memory; makeResource makes one");
    return *shared;
}

} // namespace detail

// Returns the allocation of that name, or null. Does not count as a use: another process's use must
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
