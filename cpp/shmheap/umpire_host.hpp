// umpire_host.hpp: private memory, the allocator "HOST".
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_UMPIRE_HOST_HPP
#define SHMHEAP_CPP_UMPIRE_HOST_HPP

#include <algorithm>
#include <map>
#include <mutex>

#include "umpire_base.hpp"

SHMHEAP_UMPIRE_BEGIN

namespace resource
{

// HostMemoryResource: malloc's memory, aligned to 16. Keeps a list of its allocations.
class HostMemoryResource : public MemoryResource
{
public:
    HostMemoryResource(const std::string &name, int id)
        : MemoryResource(name, id, host_traits(), "HostMemoryResource")
    {
    }

    void *allocate(std::size_t bytes) override
    {
        void *object = std::malloc(bytes != 0 ? bytes : 1);
        if (object == nullptr)
            throw out_of_memory_error("umpire: \"" + getName() + "\": no memory for " +
                                      std::to_string(bytes) + " bytes; free some, or ask for less");
        std::lock_guard<std::mutex> guard(mutex_);
        sizes_.emplace(object, bytes);
        current_ += bytes;
        high_ = std::max(high_, current_);
        return object;
    }

    void deallocate(void *object, std::size_t = 0) override
    {
        if (object == nullptr)
            return;
        {
            std::lock_guard<std::mutex> guard(mutex_);
            auto found = find(object, "deallocate");
            current_ -= found->second;
            sizes_.erase(found);
        }
        std::free(object);
    }

    std::size_t getSize(const void *object) const override
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return find(object, "getSize")->second;
    }
    std::size_t getActualSize() const override { return getCurrentSize(); }
    std::size_t getCurrentSize() const override
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return current_;
    }
    std::size_t getHighWatermark() const override
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return high_;
    }
    std::size_t getAllocationCount() const override
    {
        std::lock_guard<std::mutex> guard(mutex_);
        return sizes_.size();
    }

private:
    using sizes = std::map<const void *, std::size_t>;

    static MemoryResourceTraits host_traits()
    {
        MemoryResourceTraits traits;
        traits.resource = MemoryResourceTraits::resource_type::host;
        return traits;
    }

    sizes::const_iterator find(const void *object, const char *call) const
    {
        auto found = sizes_.find(object);
        if (found == sizes_.end())
            throw unknown_pointer_error(
                "umpire: \"" + getName() + "\": " + call +
                " of a pointer that is not its own; pass what its allocate returned");
        return found;
    }

    mutable std::mutex mutex_;
    sizes sizes_;
    std::size_t current_ = 0, high_ = 0;
};

} // namespace resource

SHMHEAP_UMPIRE_END

#endif
