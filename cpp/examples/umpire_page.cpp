// umpire_page: the program of Umpire's page on shared memory, its steps in the page's order.
//
// Compiled by mpicxx with -DSHMHEAP_WITH_MPI it is an MPI program: mpirun -n 4 umpire_page. Without
// MPI it starts four processes itself.
//
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include <shmheap_umpire.hpp>

static std::string name = "SHARED::node_allocator";

#ifdef SHMHEAP_WITH_MPI

using communicator = MPI_Comm;
static int rank_in(communicator comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    return rank;
}
static void wait_for_all(communicator comm) { MPI_Barrier(comm); }
static communicator sharing_communicator(umpire::Allocator allocator)
{
    return umpire::get_communicator_for_allocator(allocator, MPI_COMM_WORLD);
}

#else

#include <csignal>
#include <random>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// What takes MPI's place here.
struct crew {
    pthread_barrier_t barrier;
    int rank;
};
using communicator = crew *;
static crew own;
static pthread_barrier_t *shared_barrier;
static int rank_in(communicator comm) { return comm->rank; }
static void wait_for_all(communicator) { pthread_barrier_wait(shared_barrier); }
static communicator sharing_communicator(umpire::Allocator) { return &own; }

#endif

static void work()
{
    auto &rm = umpire::ResourceManager::getInstance();

    // Size and scope of the allocator; node is the default.
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = 1 * 1024 * 1024;
    traits.scope = umpire::MemoryResourceTraits::shared_scope::node;

    // Make it, or join the processes that have made it.
    auto node_allocator{rm.makeResource(name, traits)};
    UMPIRE_ASSERT(node_allocator.getAllocationStrategy()->getTraits().resource ==
                  umpire::MemoryResourceTraits::resource_type::shared);

    communicator sharing = sharing_communicator(node_allocator);
    const int foreman = 0, rank = rank_in(sharing);

    // All allocate the same memory, one writes, all read.
    void *ptr{node_allocator.allocate("allocation_name_2", sizeof(uint64_t))};
    auto data{static_cast<volatile uint64_t *>(ptr)};
    if (rank == foreman)
        *data = 0xDEADBEEF;
    wait_for_all(sharing);
    UMPIRE_ASSERT(*data == 0xDEADBEEF);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(node_allocator, "allocation_name_2") == ptr);
    std::printf("rank %d: %#llx, %zu of %zu bytes in use\n", rank,
                static_cast<unsigned long long>(*data), node_allocator.getCurrentSize(),
                node_allocator.getActualSize());

    // Each gives it back; the last one frees it.
    wait_for_all(sharing);
    node_allocator.deallocate(ptr);
    wait_for_all(sharing);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(node_allocator, "allocation_name_2") == nullptr);
}

static int work_told()
{
    try {
        work();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}

#ifdef SHMHEAP_WITH_MPI

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    if (argc > 1)
        name += argv[1]; // so that several jobs can run
    if (work_told() != 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    umpire::cleanup_cached_communicators();
    MPI_Finalize();
}

#else

enum { RANKS = 4 };

static void barrier_make()
{
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    void *memory = mmap(nullptr, sizeof(pthread_barrier_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        std::perror("mmap"), std::exit(1);
    shared_barrier = static_cast<pthread_barrier_t *>(memory);
    pthread_barrier_init(shared_barrier, &shared, RANKS);
}

// The other processes would wait for one that failed.
static int stop(const pid_t *ranks, int count)
{
    for (int i = 0; i < count; i++)
        kill(ranks[i], SIGTERM);
    return 1;
}

int main()
{
    pid_t ranks[RANKS];
    barrier_make();
    name += "-" + std::to_string(std::random_device()()); // so that several of us can run
    for (own.rank = 0; own.rank < RANKS; own.rank++) {
        pid_t pid = ranks[own.rank] = fork();
        if (pid < 0)
            return std::perror("fork"), stop(ranks, own.rank);
        if (pid == 0)
            return work_told();
    }
    for (int i = 0, status = 0; i < RANKS; i++)
        if (wait(&status) < 0 || status != 0)
            return stop(ranks, RANKS);
}

#endif
