// memory_resource.hpp: a heap for std::pmr.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_MEMORY_RESOURCE_HPP
#define SHMHEAP_CPP_MEMORY_RESOURCE_HPP

#include <memory_resource>

#include "heap.hpp"

namespace shmheap
{

// memory_resource lets containers of std::pmr take their memory from a heap. They keep plain
// pointers, so this process and its forked children can use such a container, and no other process;
// allocator<T> serves those. It must not outlive the heap, nor may the heap be moved. Alignments up
// to the page size.
class memory_resource final : public std::pmr::memory_resource
{
public:
    explicit memory_resource(const heap &from) noexcept : heap_(&from) {}

private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        std::error_code error;
        void *object = heap_->allocate_aligned(alignment, bytes, error);
        if (object == nullptr)
            detail::throw_no_memory(error);
        return object;
    }
    // The heap refuses a pointer that is no object of it, and changes nothing.
    void do_deallocate(void *object, std::size_t, std::size_t) override
    {
        shmheap_free(heap_->c_handle(), object);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        auto same = dynamic_cast<const memory_resource *>(&other);
        return same != nullptr && same->heap_ == heap_;
    }

    const heap *heap_;
};

} // namespace shmheap

#endif
