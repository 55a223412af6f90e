// umpire_mpi.hpp: the communicator of the ranks that share an allocator.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_UMPIRE_MPI_HPP
#define SHMHEAP_CPP_UMPIRE_MPI_HPP

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

// MPI's own C++ classes, which MPI has removed, need a library of their own: leave them out.
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

SHMHEAP_UMPIRE_BEGIN

namespace detail
{

inline std::map<std::pair<std::uint64_t, MPI_Fint>, MPI_Comm> &communicators()
{
    static std::map<std::pair<std::uint64_t, MPI_Fint>, MPI_Comm> cached;
    return cached;
}

// Ranks with the same heap see the same id, a random number. This covers containers, sockets and
// users.
inline MPI_Comm communicator_of(std::uint64_t id, MPI_Comm comm)
{
    MPI_Comm node, sharing;
    int rank, size, first = 0;
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &size);
    std::vector<std::uint64_t> ids(static_cast<std::size_t>(size));
    MPI_Allgather(&id, 1, MPI_UINT64_T, ids.data(), 1, MPI_UINT64_T, node);
    while (ids[static_cast<std::size_t>(first)] != id)
        first++;
    MPI_Comm_split(node, first, rank, &sharing);
    MPI_Comm_free(&node);
    return sharing;
}

} // namespace detail

// Collective over comm. Returns the communicator of the ranks of comm that share the allocator, in
// the order of comm. It is kept for the next call; cleanup_cached_communicators frees it, and must
// be called before MPI_Finalize. Errors are those of MPI, as comm's error handler treats them. For
// private memory it returns MPI_COMM_NULL, without a call to MPI.
inline MPI_Comm get_communicator_for_allocator(Allocator allocator, MPI_Comm comm)
{
    auto shared =
        dynamic_cast<resource::HostSharedMemoryResource *>(detail::resource_of(allocator));
    if (shared == nullptr)
        return MPI_COMM_NULL;
    std::uint64_t id = shared->heap().stat().id;
    auto key = std::make_pair(id, MPI_Comm_c2f(comm));
    auto found = detail::communicators().find(key);
    int here = found != detail::communicators().end(), everywhere = 0;
    MPI_Allreduce(&here, &everywhere, 1, MPI_INT, MPI_MIN, comm); // all ranks take the same way
    if (everywhere)
        return found->second;
    MPI_Comm sharing = detail::communicator_of(id, comm);
    if (here)
        MPI_Comm_free(&found->second);
    detail::communicators()[key] = sharing;
    return sharing;
}

inline void cleanup_cached_communicators()
{
    for (auto &entry : detail::communicators())
        MPI_Comm_free(&entry.second);
    detail::communicators().clear();
}

SHMHEAP_UMPIRE_END

#endif
