// shmheap.hpp: the C++17 interface of the heap in shared memory, header only.
// SPDX-License-Identifier: Apache-2.0
//
//     shmheap::options how;
//     how.len = 1 << 20;
//     auto heap = shmheap::heap::open_or_create("/prices", how);
//     using prices = std::vector<double, shmheap::allocator<double>>;
//     prices *today = heap.find_or_construct<prices>("today")(heap.get_allocator<double>()); // the same in every process
//     today->push_back(3.50);                                                                // (under a lock of yours)
//
// Conventions
//   Errors     are std::system_error with the errno of the C call in std::generic_category(), and a text that names
//              call and argument. Where there is an overload with a std::error_code, that one does not throw (but for what
//              constructors of your objects throw) and returns null, false or an invalid heap. Allocators and memory
//              resources throw std::bad_alloc for ENOMEM, as standard containers expect.
//   Threads    as in shmheap.h: all but closing, moving and destroying a heap may be done by any thread at any time.
//   fork       a child may go on with its parent's heaps; after exec they are gone.
//   Trust      The heap does not trust other processes. Containers do: they follow what they find in their own nodes, so
//              who can write the memory can crash those who use a container in it. Share containers with processes that you
//              trust; with others exchange flat objects, whose contents you check.
//
// Include this instead of shmheap.h, or before it.
#ifndef SHMHEAP_HPP
#define SHMHEAP_HPP

#if __cplusplus < 201703L
#error "shmheap.hpp needs C++17: compile with -std=c++17 or later"
#else

#include "shmheap/allocator.hpp"
#include "shmheap/heap.hpp"
#include "shmheap/memory_resource.hpp"
#include "shmheap/offset_ptr.hpp"

#endif // C++17

#endif
