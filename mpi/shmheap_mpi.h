/* shmheap_mpi.h: one heap for the ranks of a communicator that can share memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * shmheap_mpi_open and _close are collective, made between MPI_Init and MPI_Finalize by one thread of each rank at a time. Ranks agree:
 * what fails on one fails on all, with one errno (the greatest, where several have reasons), and nobody waits for who
 * has failed. Where MPI itself fails, its error handlers do what they do: by default they end the job; where they return,
 * errno is EIO.
 *
 * Death. Most starters end the whole job when a rank dies. Its heap then stays in /dev/shm until the next job that
 * opens the same name replaces it; nobody has to clean up. Where the others may go on (mpirun --enable-recovery, ULFM ...), so
 * does the heap: see shmheap.h. They make no collective call any more, and end with shmheap_mpi_leave. */
#ifndef SHMHEAP_MPI_H
#define SHMHEAP_MPI_H

#include <mpi.h>

#include "shmheap.h"

#ifdef __cplusplus
extern "C" {
#endif

enum shmheap_mpi_scope {
    SHMHEAP_MPI_NODE = 0, /* one heap for each node on which comm has ranks, called name */
    SHMHEAP_MPI_SOCKET =
        1 /* one for each socket (CPU package) of each node, called name.socketN, N as shmheap_socket() tells; its
                              memory lies on that socket's NUMA nodes as far as they have any */
};

/* shmheap_mpi_open, collective over comm, splits it into those who share (a communicator that spans nodes is no error: each node
 * gets a heap of its own), has the lowest rank of each make a new heap under that name, and connects the others to the very same.
 * A heap of that name on which nobody lives is replaced. Name, scope, len, max_len, alignment, mode and flags must
 * be the same on all ranks, but for SHMHEAP_CACHED, _HUGE_PAGES and timeout_ms, which are each rank's own. SHMHEAP_CREATE, _EXCLUSIVE
 * and _TAKE_OVER go without saying. options NULL: all defaults, 1 MiB.
 * Success: 0, and *out is the connection, to be closed by shmheap_mpi_close or _leave alone. Failure, on all ranks: -1, nothing
 * made, *out invalid, errno as for shmheap_open, and
 *   EINVAL        out or name NULL, name empty, unknown scope, comm MPI_COMM_NULL or an intercommunicator (both seen by each rank for
 *                 itself), MPI not running, flags SHMHEAP_ANONYMOUS, _FILE or _READ_ONLY, or _SOCKET with another scope;
 *   EPROTO        the ranks were not called with the same arguments;
 *   ENAMETOOLONG  the name has more than 255 bytes with what the scope adds;
 *   EEXIST        somebody lives on a heap of that name: another job, or this one;
 *   EXDEV         scope socket, and some rank may run on processors of several: bind ranks (mpirun --bind-to socket);
 *   ENOTSUP       scope socket, and the system does not tell sockets apart;
 *   ENOENT        a rank that MPI takes for one of the same node does not see the heap (a container with a /dev/shm of its own);
 *   ESTALE        somebody replaced the heap while the ranks were connecting;
 *   EIO           MPI failed. */
int shmheap_mpi_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                     MPI_Comm comm, int scope);

/* shmheap_mpi_open_f is the same with a communicator of Fortran. */
int shmheap_mpi_open_f(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                       MPI_Fint comm, int scope);

/* shmheap_mpi_communicator is the communicator of those who share mem, ranked as in the one given to open. It lives until mem
 * is closed and is not to be freed. Not collective, from any thread.
 * Failure: MPI_COMM_NULL, errno EINVAL: mem was not got from shmheap_mpi_open, or is closed. */
MPI_Comm shmheap_mpi_communicator(shmheap_memory_handle mem);

/* shmheap_mpi_communicator_f is the same as Fortran has it. */
MPI_Fint shmheap_mpi_communicator_f(shmheap_memory_handle mem);

/* shmheap_mpi_close, collective over shmheap_mpi_communicator(mem), disconnects and removes the name, once, and
 * frees the communicator. When it returns, the name is gone.
 * Success: 0. Failure: -1, errno EINVAL, on this rank alone: mem as above, nothing done. Or, on all ranks, and mem is closed:
 *   ENOENT  somebody had removed the name already;
 *   ESTALE  somebody had replaced the heap; the new one stays;
 *   EIO     MPI failed: done as by shmheap_mpi_leave. */
int shmheap_mpi_close(shmheap_memory_handle mem);

/* shmheap_mpi_leave disconnects this rank without any call of MPI: for when a rank has died and the others cannot agree any more, also
 * before _exit. The last one to leave removes the name. The communicator is not freed. All live ranks leave, or all close.
 * Success: 0. Failure: -1, errno EINVAL: mem as above; or what removing the name reported: mem is closed. */
int shmheap_mpi_leave(shmheap_memory_handle mem);

#ifdef __cplusplus
}
#endif

#endif
