/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

int rank, ranks;

void check_refused(const char *file, int line, const char *text, int failed, int error)
{
    if (failed && errno == error)
        return;
    fprintf(stderr, "%s:%d: rank %d: %s: %s, errno %d (%s), expected %d (%s)\n", file, line, rank,
            text, failed ? "true" : "false", errno, strerror(errno), error, strerror(error));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

void check_begin(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
}

static uint64_t same_random(void)
{
    uint64_t random;
    CHECK(getrandom(&random, sizeof random, 0) == sizeof random);
    MPI_Bcast(&random, sizeof random, MPI_BYTE, 0, MPI_COMM_WORLD);
    return random;
}

const char *check_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "/shmheap-mpi-%016llx", (unsigned long long)same_random());
    return name;
}

unsigned check_seed(void)
{
    const char *given = getenv("SHMHEAP_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)same_random();
    MPI_Bcast(&seed, 1, MPI_UNSIGNED, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("SHMHEAP_TEST_SEED=%u\n", seed);
    return seed;
}

int check_there(const char *name)
{
    int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}
