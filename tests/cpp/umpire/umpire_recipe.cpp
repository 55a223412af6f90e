// A recipe's program, as it is written for Umpire, by Umpire's headers and with MPI: ranks that
// share a node's allocator. SPDX-License-Identifier: Apache-2.0
//
// umpire_recipe NAME
#include <cstdint>
#include <cstdio>
#include <string>

#include "mpi.h"

#include "umpire/Allocator.hpp"
#include "umpire/ResourceManager.hpp"
#include "umpire/Umpire.hpp"
#include "umpire/config.hpp"
#include "umpire/resource/HostMpi3SharedMemoryResource.hpp"
#include "umpire/resource/HostSharedMemoryResource.hpp"
#include "umpire/strategy/NamedAllocationStrategy.hpp"
#include "umpire/strategy/NamingShim.hpp"
#include "umpire/util/MemoryResourceTraits.hpp"

#ifndef UMPIRE_ENABLE_MPI
#error "umpire/config.hpp does not say that there is MPI"
#endif

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    auto &rm = umpire::ResourceManager::getInstance();
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = 1 * 1024 * 1024;
    traits.scope = umpire::MemoryResourceTraits::shared_scope::node;
    auto node_allocator{rm.makeResource(std::string("SHARED::") + (argv[1] + 1), traits)};
    UMPIRE_ASSERT(node_allocator.getAllocationStrategy()->getTraits().resource ==
                  umpire::MemoryResourceTraits::resource_type::shared);
    MPI_Comm comm = umpire::get_communicator_for_allocator(node_allocator, MPI_COMM_WORLD);
    MPI_Comm again = umpire::get_communicator_for_allocator(node_allocator, MPI_COMM_WORLD);
    int rank, ranks, result;
    MPI_Comm_compare(comm, again, &result);
    UMPIRE_ASSERT(result == MPI_IDENT);
    UMPIRE_ASSERT(umpire::get_communicator_for_allocator(rm.getAllocator("HOST"), MPI_COMM_WORLD) ==
                  MPI_COMM_NULL);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);

    auto data{static_cast<std::uint64_t *>(
        node_allocator.allocate("allocation_name_2", sizeof(std::uint64_t)))};
    if (rank == 0)
        *data = 0xDEADBEEF;
    MPI_Barrier(comm);
    UMPIRE_ASSERT(*data == 0xDEADBEEF);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(node_allocator, "allocation_name_2") == data);
    auto named{
        rm.makeAllocator<umpire::strategy::NamedAllocationStrategy>("a library's", node_allocator)};
    UMPIRE_ASSERT(umpire::get_communicator_for_allocator(named, MPI_COMM_WORLD) == comm);

    auto shim{rm.makeAllocator<umpire::strategy::NamingShim>("shim", node_allocator)};
    auto ranks_seen{
        static_cast<int *>(shim.allocate(static_cast<std::size_t>(ranks) * sizeof(int)))};
    ranks_seen[rank] = rank;
    MPI_Barrier(comm);
    for (int i = 0; i < ranks; i++)
        UMPIRE_ASSERT(ranks_seen[i] == i);
    MPI_Barrier(comm);
    shim.deallocate(ranks_seen);
    node_allocator.deallocate(data);
    MPI_Barrier(comm);
    UMPIRE_ASSERT(node_allocator.getAllocationCount() == 0);
    MPI_Barrier(comm);
    umpire::cleanup_cached_communicators();
    MPI_Finalize();
    return 0;
}
