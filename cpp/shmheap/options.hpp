// options.hpp: how to open or make a heap.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_OPTIONS_HPP
#define SHMHEAP_CPP_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include "c.hpp"

namespace shmheap
{

// options become shmheap_options and shmheap_flags, which see. Zero and false mean the default.
struct options {
    std::size_t len = 0;       // bytes of the region at creation (0: 1 MiB)
    std::size_t max_len = 0;   // bytes to which it may grow by itself (0: it never grows)
    std::size_t alignment = 0; // of every object, 8 or 16 (0: 16)
    unsigned mode = 0;         // permission bits of a new heap (0: 0600)
    std::chrono::milliseconds timeout{0}; // for a heap that is still being created (0: 2 s)
    bool cached = false;                  // much faster, but not first fit; see SHMHEAP_CACHED
    bool read_only = false;
    bool reap = false; // in this heap, an allocation reaps before it fails; see SHMHEAP_REAP
    bool sparse = false;
    bool huge_pages = false;
    bool file = false;      // the name is the path of a file
    bool take_over = false; // when creating: replace a heap that no process uses
    bool socket = false;    // the heap of the caller's CPU package; see SHMHEAP_SOCKET
};

namespace detail
{

inline unsigned flag_if(bool wanted, shmheap_flags flag) noexcept
{
    return wanted ? static_cast<unsigned>(flag) : 0;
}

inline shmheap_options options_in_c(const options &from, unsigned flags) noexcept
{
    shmheap_options to{};
    to.len = from.len;
    to.max_len = from.max_len;
    to.alignment = from.alignment;
    to.mode = from.mode;
    auto limit = from.timeout.count();
    to.timeout_ms = limit < 0 ? 1 : limit > 0x7fffffff ? 0x7fffffffu : static_cast<unsigned>(limit);
    to.flags = flags | flag_if(from.cached, SHMHEAP_CACHED) |
               flag_if(from.read_only, SHMHEAP_READ_ONLY) | flag_if(from.reap, SHMHEAP_REAP) |
               flag_if(from.sparse, SHMHEAP_SPARSE) | flag_if(from.huge_pages, SHMHEAP_HUGE_PAGES) |
               flag_if(from.file, SHMHEAP_FILE) | flag_if(from.take_over, SHMHEAP_TAKE_OVER) |
               flag_if(from.socket, SHMHEAP_SOCKET);
    return to;
}

} // namespace detail

} // namespace shmheap

#endif
