// shmheap_umpire.hpp: named allocations for the processes of a node, by the calls that Umpire documents for its
// shared memory.
// SPDX-License-Identifier: Apache-2.0
//
//     auto &rm = umpire::ResourceManager::getInstance();
//     auto traits{umpire::get_default_resource_traits("SHARED")};
//     auto node_allocator{rm.makeResource("SHARED::node_allocator", traits)};
//     void *data{node_allocator.allocate("a name", 100)};  // the same memory in every process
//     node_allocator.deallocate(data);                     // the last one frees it
//
// What is ours: nothing else of Umpire is needed, and what is not here does not compile. Where a call cannot do what
// it is asked, it throws umpire::runtime_error (a std::runtime_error) or one derived from it, and has changed
// nothing:
//   - makeResource: a name without SHARED, empty, too long, with a NUL in it, or in use in this process already; a size that the others' allocator
//     does not have; scope socket, where the process may run on more than one.
//   - allocate: a bad name, no space (out_of_memory_error), more bytes than the others' allocation of that name has.
//   - deallocate: a pointer that this allocator did not give (unknown_pointer_error).
// The memory is a file below /dev/shm which only its owner can read, a heap each for every user, name and (scope
// socket) socket. The last process to leave removes it; if that one died, the next to come starts anew with an empty
// one. What processes that died had allocated is given back when space is short. Allocations are counted: who has
// allocated a name twice deallocates it twice. Call makeResource in each process, after fork() where there is one.
//
// With MPI: define SHMHEAP_WITH_MPI before including this, and compile by mpicxx; then there is
// get_communicator_for_allocator.
#ifndef SHMHEAP_UMPIRE_HPP
#define SHMHEAP_UMPIRE_HPP

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "shmheap/common_heap.hpp"

// Always on, also with NDEBUG.
#define UMPIRE_ASSERT(condition)                                                                                       \
    ((condition) ? (void)0 : ::umpire::detail::assertion_failed(#condition, __FILE__, __LINE__))

namespace umpire {

namespace detail {
[[noreturn]] inline void assertion_failed(const char *condition, const char *file, int line)
{
    std::fprintf(stderr, "%s:%d: UMPIRE_ASSERT(%s) failed\n", file, line, condition);
    std::abort();
}
} // namespace detail

class runtime_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};
class out_of_memory_error : public runtime_error {
public:
    using runtime_error::runtime_error;
};
class unknown_pointer_error : public runtime_error {
public:
    using runtime_error::runtime_error;
};
class resource_error : public runtime_error {
public:
    using runtime_error::runtime_error;
};

struct MemoryResourceTraits {
    enum class resource_type { unknown, shared };
    enum class shared_scope { unknown, node, socket };

    std::size_t size = 0; // bytes of the allocator, some of which names and headers need
    resource_type resource = resource_type::unknown;
    shared_scope scope = shared_scope::unknown;
};

namespace detail {

inline bool is_shared_name(const std::string &name) { return name.find("SHARED") != std::string::npos; }

inline void shared_name_check(const std::string &name)
{
    if (name.find('\0') != std::string::npos)
        throw runtime_error("umpire: the name of a resource must not contain a NUL");
    if (!is_shared_name(name))
        throw runtime_error("umpire: \"" + name +
                            "\": the name of a shared memory resource must contain SHARED, as in \"SHARED::" + name +
                            "\"");
}

inline bool is_of_socket(const MemoryResourceTraits &traits)
{
    return traits.scope == MemoryResourceTraits::shared_scope::socket;
}

// The name of the heap: of this user, so that users do not meet; '/' cannot be in it.
inline std::string heap_name(const std::string &name)
{
    std::string text = "/umpire." + std::to_string(geteuid()) + ".";
    for (char letter : name)
        text += letter == '/' ? std::string("%2F") : letter == '%' ? std::string("%25") : std::string(1, letter);
    if (text.size() > 240) // of 255, with what a socket adds
        throw runtime_error("umpire: \"" + name + "\": the name is too long");
    return text;
}

} // namespace detail

namespace strategy {

// AllocationStrategy: what all copies of an Allocator share.
class AllocationStrategy {
public:
    AllocationStrategy(const std::string &name, const MemoryResourceTraits &wanted) : name_(name), traits_(wanted)
    {
        std::error_code error;
        shmheap::options how;
        how.len = wanted.size;
        how.reap = true;
        how.socket = detail::is_of_socket(wanted);
        how.timeout = std::chrono::seconds(30); // large ones take a while to make
        heap_ = std::make_unique<shmheap::common_heap>(shmheap::common_heap::join(detail::heap_name(name), how, error));
        if (error)
            throw_not_made(error);
        traits_.size = static_cast<std::size_t>(heap().stat().len);
        if (wanted.size > traits_.size)
            throw resource_error("umpire: \"" + name + "\" is there already, with " + std::to_string(traits_.size) +
                                 " bytes; " + std::to_string(wanted.size) + " were asked for");
    }

    const MemoryResourceTraits &getTraits() const noexcept { return traits_; }
    const std::string &getName() const noexcept { return name_; }
    const shmheap::heap &heap() const noexcept { return heap_->get(); }

    void *allocate(const std::string &name, std::size_t bytes)
    {
        if (name.empty() || name.find('\0') != std::string::npos || name.size() > 255)
            throw runtime_error(label(name) + ": the name of an allocation has 1 to 255 bytes, none of them NUL");
        void *object = shmheap_alloc_named(heap().c_handle(), name.c_str(), bytes);
        if (object == nullptr)
            throw_not_allocated(name, bytes, shmheap::detail::last_error());
        return object;
    }

    void deallocate(void *object)
    {
        std::error_code error;
        if (object == nullptr || heap().deallocate(object, error))
            return;
        if (error == std::errc::invalid_argument)
            throw unknown_pointer_error("umpire: \"" + name_ +
                                        "\": deallocate of a pointer that is not its own, or was deallocated already");
        if (error == std::errc::operation_not_permitted)
            throw unknown_pointer_error("umpire: \"" + name_ +
                                        "\": deallocate of what this process has not allocated, or has given back");
        throw runtime_error("umpire: \"" + name_ + "\": deallocate: " + error.message());
    }

    void *find(const std::string &name) const
    {
        bool possible = name.find('\0') == std::string::npos;
        return possible ? shmheap_find(heap().c_handle(), name.c_str(), nullptr) : nullptr;
    }

    std::size_t size_of(const void *object) const
    {
        errno = 0;
        std::size_t size = shmheap_usable_size(heap().c_handle(), object);
        if (size == 0)
            throw unknown_pointer_error("umpire: \"" + name_ + "\": getSize of a pointer that is not its own");
        return size;
    }

private:
    std::string label(const std::string &name) const
    {
        return "umpire: \"" + name_ + "\": allocate(\"" + name.c_str() + "\")";
    }

    [[noreturn]] void throw_not_made(const std::error_code &error) const
    {
        std::string text = "umpire: \"" + name_ + "\" (" + std::to_string(traits_.size) + " bytes): " + error.message();
        if (error == std::errc::cross_device_link)
            text += "; scope socket, but this process may run on the cores of more than one: bind it to one";
        if (error == std::errc::not_supported)
            text += "; scope socket, but the system does not tell which socket this is";
        if (error == std::errc::permission_denied)
            text +=
                "; there is a file of that name below /dev/shm that belongs to another user, or that others may read";
        if (error == std::errc::no_space_on_device)
            text += "; there is not that much left below /dev/shm";
        throw resource_error(text);
    }

    [[noreturn]] void throw_not_allocated(const std::string &name, std::size_t bytes,
                                          const std::error_code &error) const
    {
        std::size_t has = 0;
        bool there = shmheap_find(heap().c_handle(), name.c_str(), &has) != nullptr;
        if (error == std::errc::invalid_argument && there && has < bytes)
            throw runtime_error(label(name) + ": it is there already, with " + std::to_string(has) + " bytes; " +
                                std::to_string(bytes) + " were asked for");
        if (error == std::errc::not_enough_memory)
            throw out_of_memory_error(label(name) + ": no space for " + std::to_string(bytes) +
                                      " bytes; the largest that fits has " +
                                      std::to_string(heap().stat().largest_free));
        throw runtime_error(label(name) + ": " + error.message());
    }

    std::string name_;
    MemoryResourceTraits traits_;
    std::unique_ptr<shmheap::common_heap> heap_;
};

} // namespace strategy

// Allocator: copies are the same allocator. Its calls may be made by any thread.
class Allocator {
public:
    Allocator() = default; // of no use until another is assigned to it

    // The allocation of that name, made if there is none; its contents are undefined then. Counts this process as a
    // user.
    void *allocate(const std::string &name, std::size_t bytes) { return strategy().allocate(name, bytes); }
    // One use less; the last one frees. null is ignored.
    void deallocate(void *object) { strategy().deallocate(object); }

    std::size_t getActualSize() const { return strategy().getTraits().size; } // all bytes, also those in use
    std::size_t getCurrentSize() const { return static_cast<std::size_t>(strategy().heap().stat().used_bytes); }
    std::size_t getHighWatermark() const { return static_cast<std::size_t>(strategy().heap().stat().high_water_bytes); }
    std::size_t getLargestAvailableBlock() const
    {
        return static_cast<std::size_t>(strategy().heap().stat().largest_free);
    } // fits now
    std::size_t getSize(const void *object) const { return strategy().size_of(object); }
    const std::string &getName() const { return strategy().getName(); }
    strategy::AllocationStrategy *getAllocationStrategy() const { return &strategy(); }

private:
    friend class ResourceManager;
    explicit Allocator(std::shared_ptr<strategy::AllocationStrategy> of) : strategy_(std::move(of)) {}

    strategy::AllocationStrategy &strategy() const
    {
        if (strategy_ == nullptr)
            throw runtime_error("umpire: an Allocator that stands for none was used");
        return *strategy_;
    }

    std::shared_ptr<strategy::AllocationStrategy> strategy_;
};

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

// ResourceManager: the allocators of this process. It leaves them when the process exits.
class ResourceManager {
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
            throw runtime_error("umpire: \"" + name +
                                "\": traits of another kind than get_default_resource_traits(\"SHARED\") gives");
        if (traits.scope == MemoryResourceTraits::shared_scope::unknown)
            traits.scope = MemoryResourceTraits::shared_scope::node;
        if (traits.size < 128)
            throw runtime_error("umpire: \"" + name + "\": traits.size is " + std::to_string(traits.size) +
                                "; at least 128 bytes");
        std::lock_guard<std::mutex> guard(mutex_);
        if (allocators_.count(name) != 0)
            throw runtime_error("umpire: \"" + name + "\" was made in this process already; getAllocator gives it");
        Allocator made(std::make_shared<strategy::AllocationStrategy>(name, traits));
        allocators_.emplace(name, made);
        return made;
    }
    Allocator makeResource(const std::string &name) { return makeResource(name, get_default_resource_traits(name)); }

    bool isAllocator(const std::string &name)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return allocators_.count(name) != 0;
    }
    Allocator getAllocator(const std::string &name)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        auto found = allocators_.find(name);
        if (found == allocators_.end())
            throw runtime_error("umpire: there is no allocator \"" + name +
                                "\" in this process; makeResource makes it");
        return found->second;
    }

private:
    ResourceManager() = default;

    std::mutex mutex_;
    std::map<std::string, Allocator> allocators_;
};

// The allocation of that name, null if there is none. Does not count: somebody else's use has to keep it.
inline void *find_pointer_from_name(Allocator allocator, const std::string &name)
{
    return allocator.getAllocationStrategy()->find(name);
}

} // namespace umpire

#if defined(SHMHEAP_WITH_MPI)
#include "shmheap/umpire_mpi.hpp"
#endif

#endif
