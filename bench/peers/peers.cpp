// The list of all peers, and the resize that most of them share.
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"

#include <algorithm>
#include <cstring>

namespace bench
{

void *peer::resize(void *object, std::size_t before, std::size_t size)
{
    void *moved = alloc(size);
    if (moved == nullptr)
        return nullptr;
    std::memmove(moved, object, std::min(before, size)); // the null allocator's objects overlap
    free(object);
    return moved;
}

const std::vector<peer_entry> &peers()
{
    static const std::vector<peer_entry> all = {
        null_entry,     shmheap_entry,      shmheap_cached_entry, shmheap_small_pages_entry,
        tlsf_entry,     boost_rbtree_entry, glibc_entry,          jemalloc_entry,
        mimalloc_entry, snmalloc_entry,     list_entry,           boost_seqfit_entry,
        apr_entry,      pmem_entry,
    };
    return all;
}

} // namespace bench
