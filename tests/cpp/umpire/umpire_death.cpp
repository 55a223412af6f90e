// umpire_death FOLDER: one of several MPI ranks is killed while it allocates, and the surviving
// ranks, which the starter lets live, go on.
// SPDX-License-Identifier: Apache-2.0
//
// Each survivor makes a file in FOLDER, since the MPI may lose what it prints. After the death no
// rank calls MPI.
#include <atomic>
#include <csignal>
#include <cstring>
#include <new>
#include <random>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define SHMHEAP_WITH_MPI
#include <shmheap_umpire.hpp>

namespace
{

enum { KILLER = 0, VICTIM = 1, TURNS = 1000 };

// In the allocator's memory, for all ranks.
struct steps {
    std::atomic<int> turns{0}, killed{0}, done{0}, removed{0};
};

void wait_for(const std::atomic<int> &step, int value)
{
    while (step < value)
        sched_yield();
}

void allocate_till_death(umpire::Allocator allocator, steps &all)
{
    for (;; all.turns++) {
        void *shared = allocator.allocate("word " + std::to_string(all.turns % 7), 64);
        void *own = allocator.allocate("of the victim", 1000);
        allocator.deallocate(shared);
        allocator.deallocate(own);
    }
}

void go_on(umpire::Allocator allocator, const unsigned char *kept, int rank)
{
    const shmheap::heap &heap = umpire::detail::shared_resource_of(allocator).heap();
    for (int turn = 0; turn < TURNS; turn++) {
        void *shared = allocator.allocate("word " + std::to_string(turn % 7), 64);
        auto own =
            static_cast<unsigned char *>(allocator.allocate("of " + std::to_string(rank), 500));
        std::memset(own, rank, 500);
        UMPIRE_ASSERT(own[0] == rank && own[499] == rank);
        allocator.deallocate(own);
        allocator.deallocate(shared);
    }
    UMPIRE_ASSERT(heap.check().rule == 0);
    UMPIRE_ASSERT(kept[0] == 7 && kept[99] == 7);
    UMPIRE_ASSERT(umpire::find_pointer_from_name(allocator, "kept") == kept);
}

std::string common_name(int rank)
{
    unsigned number = rank == 0 ? std::random_device()() : 0;
    MPI_Bcast(&number, 1, MPI_UNSIGNED, 0, MPI_COMM_WORLD);
    return "SHARED::shmheap-test-" + std::to_string(number);
}

void survive(umpire::Allocator allocator, steps &all, const unsigned char *kept, int rank,
             int ranks, pid_t victim, const std::string &folder)
{
    const shmheap::heap &heap = umpire::detail::shared_resource_of(allocator).heap();
    if (rank == KILLER) {
        wait_for(all.turns, TURNS);
        UMPIRE_ASSERT(kill(victim, SIGKILL) == 0);
        while (heap.stat().dead == 0)
            sched_yield();
        all.killed = 1;
    }
    wait_for(all.killed, 1);
    go_on(allocator, kept, rank);
    UMPIRE_ASSERT(close(open((folder + "/" + std::to_string(rank)).c_str(),
                             O_CREAT | O_EXCL | O_WRONLY, 0600)) == 0);
    // Some starters end all ranks as soon as one has ended without MPI_Finalize, which would wait
    // for the dead rank.
    all.done++;
    wait_for(all.done, ranks - 1);
    if (rank == KILLER) {
        shmheap::heap::remove("/umpire." + std::to_string(geteuid()) + "." + allocator.getName());
        all.removed = 1;
    }
    wait_for(all.removed, 1);
    _exit(0);
}

} // namespace

int main(int argc, char **argv)
{
    int rank, ranks, sharing;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    UMPIRE_ASSERT(argc == 2 && ranks > 2);
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = 1 << 20;
    auto allocator{umpire::ResourceManager::getInstance().makeResource(common_name(rank), traits)};
    MPI_Comm comm = umpire::get_communicator_for_allocator(allocator, MPI_COMM_WORLD);
    MPI_Comm_size(comm, &sharing);
    UMPIRE_ASSERT(sharing == ranks &&
                  umpire::get_communicator_for_allocator(allocator, MPI_COMM_WORLD) == comm);

    void *memory = allocator.allocate("steps", sizeof(steps));
    auto kept = static_cast<unsigned char *>(allocator.allocate("kept", 100));
    if (rank == VICTIM) {
        new (memory) steps;
        std::memset(kept, 7, 100);
    }
    int victim = getpid();
    MPI_Bcast(&victim, 1, MPI_INT, VICTIM, comm);
    MPI_Barrier(comm);
    steps &all = *static_cast<steps *>(memory);
    if (rank == VICTIM)
        allocate_till_death(allocator, all);
    survive(allocator, all, kept, rank, ranks, victim, argv[1]);
}
