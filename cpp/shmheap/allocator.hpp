// allocator.hpp: an allocator for containers that live in a heap.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_ALLOCATOR_HPP
#define SHMHEAP_CPP_ALLOCATOR_HPP

#include <limits>
#include <new>
#include <type_traits>

#include "connections.hpp"
#include "error.hpp"
#include "heap.hpp"
#include "offset_ptr.hpp"
#include "shareable.hpp"

namespace shmheap
{

// allocator<T> takes memory from a heap, for containers that may lie in that heap and that several
// processes use. It holds the distance from itself to the heap's region (8 bytes). So it means the
// same heap in each process, also on the stack. It looks the connection up in the process's own
// list. It refuses a region that is not in that list (EINVAL): a process overwrote the distance, or
// the heap was closed.
//
// Objects count as shared. They stay when the process that allocated them dies, and shmheap_reap
// leaves them alone. With SHMHEAP_REAP_SHARED it frees what dead processes put into containers,
// also into containers that live processes use.
//
// Containers that work (tested): of libstdc++ 12 vector (but not vector<bool>), deque and
// basic_string; of Boost 1.74 container::vector, string, list, map, set, flat_map, deque,
// stable_vector, and boost::unordered_map and _set. Containers of libstdc++ that keep plain
// pointers inside do not compile with this allocator.
template <class T>
class allocator
{
    static_assert(
        !std::is_pointer_v<T> && !detail::is_plain_node<T>,
        "this container (or its element) keeps plain pointers, which mean nothing in another "
        "process: use "
        "std::vector, std::basic_string, or the containers of Boost.Container and Boost.Unordered");

public:
    using value_type = T;
    using pointer = offset_ptr<T>;
    using const_pointer = offset_ptr<const T>;
    using void_pointer = offset_ptr<void>;
    using const_void_pointer = offset_ptr<const void>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using is_always_equal = std::false_type;
    template <class U>
    struct rebind {
        static_assert(!std::is_same_v<T, bool> || !std::is_same_v<U, unsigned long>,
                      "std::vector<bool> keeps plain pointers: use std::vector<char>");
        using other = allocator<U>;
    };

    explicit allocator(const heap &from) noexcept
        : begin_(static_cast<char *>(shmheap_underlying(from.c_handle())))
    {
    }
    allocator(const allocator &) noexcept = default;
    allocator &operator=(const allocator &) noexcept = default;
    template <class U>
    allocator(const allocator<U> &other) noexcept : begin_(other.begin_)
    {
    }

    // Throws std::bad_alloc when there is no space; std::system_error for EINVAL, EACCES and the
    // other errors of shmheap_alloc.
    pointer allocate(size_type count)
    {
        static_assert(!detail::has_plain_pointers<T>,
                      "these elements keep plain pointers, which mean nothing in another process: "
                      "give them shmheap::allocator, too");
        if (count > max_size())
            throw std::bad_array_new_length();
        const detail::connection_entry *entry = detail::connection_at(begin_.get());
        if (entry == nullptr)
            throw std::system_error(
                detail::error_of(EINVAL),
                "shmheap: allocate: the allocator's heap is not open here: open it "
                "in this process, and keep it open");
        void *object = alignof(T) <= entry->alignment
                           ? shmheap_alloc(entry->mem, count * sizeof(T))
                           : shmheap_aligned_alloc(entry->mem, alignof(T), count * sizeof(T));
        if (object == nullptr)
            detail::throw_no_memory(detail::last_error());
        shmheap_ptr_to_handle(entry->mem, object); // marks it as shared
        return pointer(static_cast<T *>(object));
    }

    // The heap refuses a pointer that is no object of it, and changes nothing.
    void deallocate(const pointer &object, size_type) noexcept
    {
        const detail::connection_entry *entry = detail::connection_at(begin_.get());
        if (entry != nullptr)
            shmheap_free(entry->mem, const_cast<std::remove_cv_t<T> *>(object.get()));
    }

    static constexpr size_type max_size() noexcept
    {
        return std::numeric_limits<difference_type>::max() / sizeof(T);
    }

    // Equal: of one connection. One frees what the other allocated.
    template <class U>
    bool operator==(const allocator<U> &other) const noexcept
    {
        return begin_ == other.begin_;
    }
    template <class U>
    bool operator!=(const allocator<U> &other) const noexcept
    {
        return begin_ != other.begin_;
    }

private:
    template <class U>
    friend class allocator;

    offset_ptr<char> begin_;
};

template <class T>
allocator<T> heap::get_allocator() const noexcept
{
    static_assert(is_shareable<T>, "these elements keep plain pointers, or are not known to be "
                                   "free of them: see shmheap::is_shareable");
    return allocator<T>(*this);
}

} // namespace shmheap

#endif
