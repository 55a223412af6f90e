// connections.hpp: the heaps that this process has open, by their first address.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_CONNECTIONS_HPP
#define SHMHEAP_CPP_CONNECTIONS_HPP

#include <atomic>
#include <cstddef>

#include "c.hpp"

namespace shmheap::detail
{

// connection_entry is private to the process. Invariants: (1) begin, if not null, is
// shmheap_underlying of mem, an open connection; (2) mem and alignment do not change while begin is
// not null; (3) entries are never freed.
struct connection_entry {
    std::atomic<const void *> begin{nullptr};
    std::atomic<bool> taken{true};
    shmheap_memory_handle mem{};
    std::size_t alignment = 0;
    connection_entry *next = nullptr;
};

inline std::atomic<connection_entry *> connections{nullptr};

inline connection_entry *connection_vacancy() noexcept
{
    for (connection_entry *entry = connections.load(std::memory_order_acquire); entry != nullptr;
         entry = entry->next) {
        bool free = false;
        if (entry->taken.compare_exchange_strong(free, true, std::memory_order_acquire))
            return entry;
    }
    return nullptr;
}

inline connection_entry *connection_add(shmheap_memory_handle mem, std::size_t alignment)
{
    connection_entry *entry = connection_vacancy();
    if (entry == nullptr) {
        entry = new connection_entry;
        entry->next = connections.load(std::memory_order_relaxed);
        while (!connections.compare_exchange_weak(entry->next, entry, std::memory_order_release,
                                                  std::memory_order_relaxed))
            continue;
    }
    entry->mem = mem;
    entry->alignment = alignment;
    entry->begin.store(shmheap_underlying(mem), std::memory_order_release);
    return entry;
}

inline void connection_remove(connection_entry *entry) noexcept
{
    entry->begin.store(nullptr, std::memory_order_release);
    entry->taken.store(false, std::memory_order_release);
}

// Returns the connection whose region begins there, or null. Takes no lock, so it also works in a
// forked child, whatever other threads of the parent were doing.
inline const connection_entry *connection_at(const void *begin) noexcept
{
    const connection_entry *entry = connections.load(std::memory_order_acquire);
    while (entry != nullptr &&
           (begin == nullptr || entry->begin.load(std::memory_order_acquire) != begin))
        entry = entry->next;
    return entry;
}

} // namespace shmheap::detail

#endif
