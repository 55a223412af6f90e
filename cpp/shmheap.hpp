// shmheap.hpp: the C++17 interface of the heap in shared memory, header only.
//
//     shmheap::options how;
//     how.len = 1 << 20;
//     auto heap = shmheap::heap::open_or_create("/prices", how);
//     using prices = std::vector<double, shmheap::allocator<double>>;
//     auto in = heap.get_allocator<double>();
//     prices *today = heap.find_or_construct<prices>("today")(in); // the same in every process
//     today->push_back(3.50);                                      // under a lock of the program
//
// Conventions
//   Errors     A call throws std::system_error with the errno of the C call in
//              std::generic_category(). The text names call and argument and says what to do. An
//              overload with a std::error_code does not throw, except what constructors of the
//              program's objects throw. It returns null, false or an invalid heap. Allocators and
//              memory resources throw std::bad_alloc for ENOMEM, as standard containers expect.
//   Threads    as in shmheap.h. Any thread may do anything at any time, except close, move or
//              destroy a heap that another thread uses.
//   fork       A child may use its parent's heaps. After exec they are gone.
//   Trust      The heap does not trust other processes. Containers do: they follow what they find
//              in their own nodes. A process that can write the memory can crash each process that
//              uses a container in it. Share containers with processes that you trust. Exchange
//              flat objects with others, and check their contents.
//
// SPDX-License-Identifier: Apache-2.0
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
