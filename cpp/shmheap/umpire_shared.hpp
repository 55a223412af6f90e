// umpire_shared.hpp: shared memory with named allocations.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_UMPIRE_SHARED_HPP
#define SHMHEAP_CPP_UMPIRE_SHARED_HPP

#include <memory>

#include "common_heap.hpp"
#include "umpire_base.hpp"

SHMHEAP_UMPIRE_BEGIN

namespace detail
{

inline bool is_shared_name(const std::string &name)
{
    return name.find("SHARED") != std::string::npos;
}

inline void shared_name_check(const std::string &name)
{
    if (name.find('\0') != std::string::npos)
        throw runtime_error("umpire: the name of a resource must not contain a NUL");
    if (!is_shared_name(name))
        throw runtime_error(
            "umpire: \"" + name +
            "\": the name of a shared memory resource must contain SHARED, as in \"SHARED::" +
            name + "\"");
}

inline bool is_of_socket(const MemoryResourceTraits &traits)
{
    return traits.scope == MemoryResourceTraits::shared_scope::socket;
}

// The name of the heap contains the user, so that users do not meet. It cannot contain '/'.
inline std::string heap_name(const std::string &name)
{
    std::string text = "/umpire." + std::to_string(geteuid()) + ".";
    for (char letter : name)
        text += letter == '/'   ? std::string("%2F")
                : letter == '%' ? std::string("%25")
                                : std::string(1, letter);
    if (text.size() > 240) // of 255, with what a socket adds
        throw runtime_error("umpire: \"" + name + "\": the name is too long; choose a shorter one");
    return text;
}

} // namespace detail

namespace resource
{

// HostSharedMemoryResource: the heap of that name which the processes of a user share.
class HostSharedMemoryResource : public MemoryResource
{
public:
    HostSharedMemoryResource(Platform, const std::string &name, int id,
                             const MemoryResourceTraits &wanted)
        : MemoryResource(name, id, wanted, "HostSharedMemoryResource")
    {
        std::error_code error;
        shmheap::options how;
        how.len = wanted.size;
        how.reap = true;
        how.socket = detail::is_of_socket(wanted);
        how.timeout = std::chrono::seconds(30); // large ones take a while to make
        heap_ = std::make_unique<shmheap::common_heap>(
            shmheap::common_heap::join(detail::heap_name(name), how, error));
        if (error)
            throw_not_made(error);
        traits_.id = id;
        traits_.size = static_cast<std::size_t>(heap().stat().len);
        if (wanted.size > traits_.size)
            throw resource_error("umpire: \"" + name + "\" is there already, with " +
                                 std::to_string(traits_.size) + " bytes; " +
                                 std::to_string(wanted.size) +
                                 " were asked for; ask for as many in all processes");
    }

    const shmheap::heap &heap() const noexcept { return heap_->get(); }

    // Without a name no other process finds the allocation. A NamingShim gives names.
    void *allocate(std::size_t bytes) override
    {
        throw runtime_error(
            "umpire: \"" + getName() + "\": allocate(" + std::to_string(bytes) +
            "): an allocation in shared memory needs a name; "
            "makeAllocator<umpire::strategy::NamingShim> makes an allocator that gives names");
    }

    void *allocate_named(const std::string &name, std::size_t bytes) override
    {
        if (name.empty() || name.find('\0') != std::string::npos || name.size() > 255)
            throw runtime_error(label(name) +
                                ": the name of an allocation has 1 to 255 bytes, none of them NUL");
        void *object = shmheap_alloc_named(heap().c_handle(), name.c_str(), bytes);
        if (object == nullptr)
            throw_not_allocated(name, bytes, shmheap::detail::last_error());
        return object;
    }

    void deallocate(void *object, std::size_t = 0) override
    {
        std::error_code error;
        if (object == nullptr || heap().deallocate(object, error))
            return;
        if (error == std::errc::invalid_argument)
            throw unknown_pointer_error(
                "umpire: \"" + getName() +
                "\": deallocate of a pointer that is not its own, or was deallocated already; "
                "pass what its allocate returned, once");
        if (error == std::errc::operation_not_permitted)
            throw unknown_pointer_error(
                "umpire: \"" + getName() +
                "\": deallocate of what this process has not allocated, or has given back; "
                "each process allocates the name itself, as often as it deallocates");
        throw runtime_error("umpire: \"" + getName() + "\": deallocate: " + error.message());
    }

    void *find_pointer_from_name(const std::string &name) const
    {
        bool possible = name.find('\0') == std::string::npos;
        return possible ? shmheap_find(heap().c_handle(), name.c_str(), nullptr) : nullptr;
    }

    std::size_t getSize(const void *object) const override
    {
        errno = 0;
        std::size_t size = shmheap_usable_size(heap().c_handle(), object);
        if (size == 0)
            throw unknown_pointer_error(
                "umpire: \"" + getName() +
                "\": getSize of a pointer that is not its own; pass what its "
                "allocate returned");
        return size;
    }

    // Bytes of the allocator that are not free: its header, and all blocks with their headers.
    std::size_t getActualSize() const override
    {
        shmheap_stats stats = heap().stat();
        return static_cast<std::size_t>(stats.len - stats.free_bytes);
    }
    std::size_t getCurrentSize() const override
    {
        return static_cast<std::size_t>(heap().stat().used_bytes);
    }
    std::size_t getHighWatermark() const override
    {
        return static_cast<std::size_t>(heap().stat().high_water_bytes);
    }
    std::size_t getLargestAvailableBlock() const override
    {
        return static_cast<std::size_t>(heap().stat().largest_free);
    }

    // All names, of all processes.
    std::size_t getAllocationCount() const override
    {
        std::size_t count = 0;
        auto visit = [](const shmheap_name_info *, void *context) {
            ++*static_cast<std::size_t *>(context);
            return 0;
        };
        shmheap_names(heap().c_handle(), visit, &count);
        return count;
    }

private:
    std::string label(const std::string &name) const
    {
        return "umpire: \"" + getName() + "\": allocate(\"" + name.c_str() + "\")";
    }

    [[noreturn]] void throw_not_made(const std::error_code &error) const
    {
        std::string text = "umpire: \"" + getName() + "\" (" + std::to_string(traits_.size) +
                           " bytes): " + error.message();
        if (error == std::errc::cross_device_link)
            text += "; scope socket, but this process may run on the cores of more than one: bind "
                    "it to one";
        if (error == std::errc::not_supported)
            text +=
                "; scope socket, but the system does not tell which socket this is: use scope node";
        if (error == std::errc::permission_denied)
            text += "; there is a file of that name below /dev/shm that belongs to another user, "
                    "or that others may read: remove it, or choose another name";
        if (error == std::errc::no_space_on_device)
            text +=
                "; there is not that much left below /dev/shm: remove files there, or ask for less";
        throw resource_error(text);
    }

    [[noreturn]] void throw_not_allocated(const std::string &name, std::size_t bytes,
                                          const std::error_code &error) const
    {
        std::size_t has = 0;
        bool there = shmheap_find(heap().c_handle(), name.c_str(), &has) != nullptr;
        if (error == std::errc::invalid_argument && there && has < bytes)
            throw runtime_error(label(name) + ": it is there already, with " + std::to_string(has) +
                                " bytes; " + std::to_string(bytes) +
                                " were asked for; ask for as many, or use another name");
        if (error == std::errc::not_enough_memory)
            throw out_of_memory_error(label(name) + ": no space for " + std::to_string(bytes) +
                                      " bytes; the largest that fits has " +
                                      std::to_string(heap().stat().largest_free) +
                                      "; deallocate some, or make the resource with a larger "
                                      "traits.size");
        throw runtime_error(label(name) + ": " + error.message());
    }

    std::unique_ptr<shmheap::common_heap> heap_;
};

} // namespace resource

SHMHEAP_UMPIRE_END

#endif
