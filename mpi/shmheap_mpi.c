/* shmheap_mpi.c: collective open and close. SPDX-License-Identifier: Apache-2.0 */
#include "shmheap_mpi.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ROOM = 257 };

struct shared {
    struct shared *next;
    shmheap_memory_handle mem;
    MPI_Comm comm;
    char name[NAME_ROOM];
};

static struct shared *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

/* The greatest error of all ranks. */
static int agreed(int error, MPI_Comm comm)
{
    int greatest = error;
    if (MPI_Allreduce(&error, &greatest, 1, MPI_INT, MPI_MAX, comm) != MPI_SUCCESS)
        return EIO;
    return greatest;
}

static int package_of(int cpu, int *package)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno;
    int got = fscanf(file, "%d", package);
    fclose(file);
    return got == 1 ? 0 : EIO;
}

/* The one package of the cores that this rank may run on. */
static int own_package(int *package)
{
    cpu_set_t cpus;
    *package = -1;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return errno;
    for (int cpu = 0, one; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &cpus))
            continue;
        int error = package_of(cpu, &one);
        if (error)
            return error;
        if (*package >= 0 && one != *package)
            return EXDEV;
        *package = one;
    }
    return *package >= 0 ? 0 : EIO;
}

static int arguments_wrong(const shmheap_memory_handle *out, const char *name, const shmheap_options *options, int scope)
{
    unsigned refused = SHMHEAP_ANONYMOUS | SHMHEAP_FILE | SHMHEAP_READ_ONLY;
    if (!out || !name || !*name || (scope != SHMHEAP_MPI_NODE && scope != SHMHEAP_MPI_SOCKET))
        return EINVAL;
    if (options && (options->flags & refused))
        return EINVAL;
    return strlen(name) >= NAME_ROOM - 1 ? ENAMETOOLONG : 0;
}

static int named(struct shared *shared, const char *name, int scope, int package)
{
    int len = scope == SHMHEAP_MPI_NODE ? snprintf(shared->name, NAME_ROOM, "%s", name)
                                        : snprintf(shared->name, NAME_ROOM, "%s.socket%d", name, package);
    return len >= NAME_ROOM ? ENAMETOOLONG : 0;
}

/* Removes a heap of ours on which nobody lives. */
static void remove_stale(const char *name)
{
    struct stat stat;
    int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (fstat(fd, &stat) == 0 && stat.st_uid == geteuid() && shmheap_in_use(fd) == 0)
        shm_unlink(name);
    close(fd);
}

static int create(struct shared *shared, shmheap_options options)
{
    remove_stale(shared->name);
    options.flags |= SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE;
    return shmheap_open(&shared->mem, shared->name, &options) == 0 ? 0 : errno;
}

static int connect_to(struct shared *shared, shmheap_options options)
{
    options.flags &= ~(unsigned)(SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    return shmheap_open(&shared->mem, shared->name, &options) == 0 ? 0 : errno;
}

/* Rank 0 of those who share creates, then the others connect; comm agrees after each. */
static int opened(struct shared *shared, const shmheap_options *given, MPI_Comm comm)
{
    shmheap_options options = {0};
    int rank;
    if (given)
        options = *given;
    MPI_Comm_rank(shared->comm, &rank);
    int created = rank == 0 ? create(shared, options) : 0;
    int error = agreed(created, comm);
    if (!error)
        error = agreed(rank == 0 ? 0 : connect_to(shared, options), comm);
    if (!error)
        return 0;
    if (shmheap_valid(shared->mem))
        shmheap_disconnect(shared->mem);
    if (rank == 0 && created == 0)
        shmheap_unlink(shared->name);
    return error;
}

static int split(struct shared *shared, MPI_Comm comm, int scope, int package)
{
    MPI_Comm node;
    if (MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS)
        return EIO;
    shared->comm = node;
    if (scope == SHMHEAP_MPI_NODE)
        return 0;
    int status = MPI_Comm_split(node, package, 0, &shared->comm);
    MPI_Comm_free(&node);
    return status == MPI_SUCCESS ? 0 : EIO;
}

static void keep(struct shared *shared)
{
    pthread_mutex_lock(&all_lock);
    shared->next = all;
    all = shared;
    pthread_mutex_unlock(&all_lock);
}

static int refused(struct shared *shared, int error)
{
    if (shared && shared->comm != MPI_COMM_NULL)
        MPI_Comm_free(&shared->comm);
    free(shared);
    errno = error;
    return -1;
}

int shmheap_mpi_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options, MPI_Comm comm, int scope)
{
    struct shared *shared = calloc(1, sizeof *shared);
    int package = 0;
    if (out)
        *out = (shmheap_memory_handle){0};
    int error = shared ? arguments_wrong(out, name, options, scope) : ENOMEM;
    if (shared)
        shared->comm = MPI_COMM_NULL;
    if (!error && scope == SHMHEAP_MPI_SOCKET)
        error = own_package(&package);
    if (!error)
        error = named(shared, name, scope, package);
    error = agreed(error, comm);
    if (!error)
        error = agreed(split(shared, comm, scope, package), comm);
    if (!error)
        error = opened(shared, options, comm);
    if (error)
        return refused(shared, error);
    keep(shared);
    *out = shared->mem;
    return 0;
}

int shmheap_mpi_open_f(shmheap_memory_handle *out, const char *name, const shmheap_options *options, MPI_Fint comm, int scope)
{
    return shmheap_mpi_open(out, name, options, MPI_Comm_f2c(comm), scope);
}

/* The place that points to mem's entry, or to NULL. Call with the lock held. */
static struct shared **place_of(shmheap_memory_handle mem)
{
    struct shared **place = &all;
    while (*place && (*place)->mem.heap != mem.heap)
        place = &(*place)->next;
    return place;
}

MPI_Comm shmheap_mpi_communicator(shmheap_memory_handle mem)
{
    pthread_mutex_lock(&all_lock);
    struct shared *shared = *place_of(mem);
    MPI_Comm comm = shared ? shared->comm : MPI_COMM_NULL;
    pthread_mutex_unlock(&all_lock);
    if (!shared)
        errno = EINVAL;
    return comm;
}

int shmheap_mpi_close(shmheap_memory_handle mem)
{
    pthread_mutex_lock(&all_lock);
    struct shared **place = place_of(mem), *shared = *place;
    if (shared)
        *place = shared->next;
    pthread_mutex_unlock(&all_lock);
    if (!shared)
        return refused(NULL, EINVAL);
    int rank;
    MPI_Comm_rank(shared->comm, &rank);
    shmheap_disconnect(mem);
    int error = agreed(rank == 0 && shmheap_unlink(shared->name) != 0 ? errno : 0, shared->comm);
    MPI_Comm_free(&shared->comm);
    free(shared);
    if (error)
        errno = error;
    return error ? -1 : 0;
}
