// peer.h: the interface of the allocators that are compared.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench
{

// Features of a peer. If a peer lacks a feature that a workload needs, its cell stays empty.
enum trait : unsigned {
    trait_objects = 1,   // each object has memory of its own; the null allocator's have not
    trait_shared = 2,    // processes that inherited the heap by fork use it at once
    trait_connects = 4,  // processes connect to the heap by its name
    trait_handles = 8,   // converts pointers to position-independent handles and back
    trait_recovers = 16, // the heap stays usable after a process died inside a call
    trait_bounded = 32   // the heap keeps the size it was opened with, and reports it
};

// Thrown if a peer's library is not installed or cannot work here: the cell has no figure.
struct unavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class peer
{
public:
    peer() = default;
    peer(const peer &) = delete;
    peer &operator=(const peer &) = delete;
    virtual ~peer() = default;

    // Creates an empty heap with room for `bytes` of objects. The name is unused and valid for
    // shm_open().
    virtual void open(const std::string &name, std::size_t bytes) = 0;
    virtual void close() = 0;
    virtual void *alloc(std::size_t size) = 0; // nullptr: full
    virtual void free(void *object) = 0;
    // As realloc, for an object of `before` bytes. nullptr: the object is unchanged.
    virtual void *resize(void *object, std::size_t before, std::size_t size);

    // trait_bounded: open() without the spare room that some peers add.
    virtual void open_exactly(const std::string &name, std::size_t bytes) { open(name, bytes); }
    // trait_bounded: the size of the open heap's segment, with the peer's own data.
    virtual std::size_t segment_bytes() { return 0; }

    // Of the library that is measured, after open(); may be empty.
    virtual std::string version() { return ""; }
    // Each thread calls them around the part of a workload that is measured.
    virtual void measure_begin() {}
    virtual void measure_end() {}

    // trait_connects: connects to the open heap a second time and disconnects.
    virtual void reconnect() {}
    // trait_handles.
    virtual std::uint64_t handle_of(void *object)
    {
        return reinterpret_cast<std::uintptr_t>(object);
    }
    virtual void *object_of(std::uint64_t handle)
    {
        return reinterpret_cast<void *>(static_cast<std::uintptr_t>(handle));
    }
    // trait_recovers: kills the calling process, a forked child, while it holds the heap's lock.
    virtual void die_inside() {}
    // The number of recoveries of the heap.
    virtual std::uint64_t recoveries() { return 0; }
};

struct peer_entry {
    const char *name;
    const char *text; // description, with its lock
    unsigned traits;
    std::unique_ptr<peer> (*make)();
};

// All peers, in the order of the table's columns.
const std::vector<peer_entry> &peers();

// The peers that a run measures by default: the page's columns. The remaining ones are slower.
constexpr const char *main_peers =
    "driver,shmheap,shmheap-cached,tlsf,boost-rbtree,glibc,jemalloc,mimalloc,snmalloc";

// A peer that takes several times this one's time gets no more rounds.
constexpr const char *reference_peer = "boost-rbtree";

template <class Peer>
std::unique_ptr<peer> make_peer()
{
    return std::make_unique<Peer>();
}

// Each adapter's file defines its entries.
extern const peer_entry null_entry, shmheap_entry, shmheap_small_pages_entry, shmheap_cached_entry,
    tlsf_entry, list_entry, boost_rbtree_entry, boost_seqfit_entry, apr_entry, pmem_entry,
    glibc_entry, jemalloc_entry, mimalloc_entry, snmalloc_entry;

} // namespace bench

#endif
