// peer.h: what every allocator of the comparison stands behind.
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

// What a peer can do. A workload that needs more than a peer has leaves its cell empty.
enum trait : unsigned {
    trait_objects =
        1,            // objects are real memory, each its own; the driver's null allocator has none
    trait_shared = 2, // processes that inherited the heap by fork work on it at once
    trait_connects = 4,  // the heap is found again by its name
    trait_handles = 8,   // pointers become position-independent and back
    trait_recovers = 16, // goes on when a process dies inside
    trait_bounded = 32   // the heap is no larger than it was opened, and says how large that is
};

// Thrown where a peer's library is not on this machine, or cannot do its work here: a cell without a figure.
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

    // A new, empty heap in which objects of `bytes` in all fit. The name is free, and of use for shm_open().
    virtual void open(const std::string &name, std::size_t bytes) = 0;
    virtual void close() = 0;
    virtual void *alloc(std::size_t size) = 0; // nullptr: full
    virtual void free(void *object) = 0;
    // As realloc, of an object of `before` bytes: nullptr leaves it as it was.
    virtual void *resize(void *object, std::size_t before, std::size_t size);

    // trait_bounded: open() without the room that some peers add, for whoever asks how much is needed.
    virtual void open_exactly(const std::string &name, std::size_t bytes) { open(name, bytes); }
    // trait_bounded: all bytes of the open heap's segment, the peer's own included.
    virtual std::size_t segment_bytes() { return 0; }

    // trait_connects: a second connection to the open heap is made and ended.
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
    // trait_recovers: the calling process, a child made by fork, dies while it holds the heap's lock.
    virtual void die_inside() {}
    // How often the heap was found abandoned and put right.
    virtual std::uint64_t recoveries() { return 0; }
};

struct peer_entry {
    const char *name;
    const char *text; // what it is, and under which lock
    unsigned traits;
    std::unique_ptr<peer> (*make)();
};

// All peers, in the order of the table's columns.
const std::vector<peer_entry> &peers();

// The peer that all ratios refer to.
constexpr const char *reference_peer = "boost-rbtree";

template <class Peer>
std::unique_ptr<peer> make_peer()
{
    return std::make_unique<Peer>();
}

// Each adapter's file defines its own.
extern const peer_entry null_entry, shmheap_entry, shmheap_small_pages_entry, shmheap_cached_entry,
    list_entry, boost_rbtree_entry, boost_seqfit_entry, apr_entry, pmem_entry, glibc_entry,
    jemalloc_entry, mimalloc_entry;

} // namespace bench

#endif
