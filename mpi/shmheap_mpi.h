/* shmheap_mpi.h: one heap for the ranks of a communicator that can share memory.
 *
 * shmheap_mpi_open and shmheap_mpi_close are collective. One thread of each rank calls them at a
 * time, between MPI_Init and MPI_Finalize. Ranks agree: a call that fails on one rank fails on all,
 * with one errno (the greatest of several), and no rank waits for a failed one. If MPI fails, its
 * error handler runs: by default it ends the job; if it returns, errno is EIO. On the ranks where a
 * call of shmheap.h failed, shmheap_error_text says why; on the other ranks its text stays.
 *
 * Death. Most starters end the whole job when a rank dies. The heap then stays in /dev/shm until
 * the next job that opens the name replaces it; nothing needs cleaning up. Where ranks survive a
 * death (mpirun --enable-recovery, ULFM, ...), so does the heap: see shmheap.h. The survivors make
 * no more collective calls, and end with shmheap_mpi_leave.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MPI_H
#define SHMHEAP_MPI_H

#include <mpi.h>

#include "shmheap.h"

#ifdef __cplusplus
extern "C" {
#endif

enum shmheap_mpi_scope {
    /* One heap, called name, for each node on which comm has ranks. */
    SHMHEAP_MPI_NODE = 0,
    /* One heap for each socket (CPU package) of each node, called name.socketN, N from
     * shmheap_socket(). Its memory lies on that socket's NUMA nodes, as far as they have any. */
    SHMHEAP_MPI_SOCKET = 1
};

/* shmheap_mpi_open, collective over comm, splits comm into groups that can share memory (a comm
 * that spans nodes is no error: each node gets a heap). The lowest rank of each group makes a heap
 * under the name, and the other ranks connect to it. A heap of that name that no process uses is
 * replaced.
 *   name     as shmheap_create; the same on all ranks.
 *   options  NULL: all defaults, 1 MiB. len, max_len, alignment, mode and flags are the same on all
 *            ranks, except SHMHEAP_CACHED, _HUGE_PAGES and timeout_ms. SHMHEAP_CREATE, _EXCLUSIVE
 *            and _TAKE_OVER are implied.
 *   scope    enum shmheap_mpi_scope, the same on all ranks.
 *   Returns  0, and *out is the connection, for shmheap_mpi_close or _leave only; or -1 on all
 *            ranks, with nothing made and *out invalid.
 *   Errors   of shmheap_open, and
 *            EINVAL        out or name NULL, name empty, unknown scope; comm MPI_COMM_NULL or an
 *                          intercommunicator, or MPI not running (each rank sees that for itself);
 *                          flags SHMHEAP_ANONYMOUS, _FILE, _READ_ONLY, or _SOCKET with another
 *                          scope;
 *            EPROTO        the ranks passed different arguments;
 *            ENAMETOOLONG  name and suffix have more than 255 bytes;
 *            EEXIST        a process uses a heap of that name: another job, or this one;
 *            EXDEV         scope socket, and a rank may run on several sockets: bind ranks (mpirun
 *                          --bind-to socket);
 *            ENOTSUP       scope socket, and the system does not tell sockets apart;
 *            ENOENT        a rank that MPI counts to the node does not see the heap (a container
 *                          with a /dev/shm of its own);
 *            ESTALE        another process replaced the heap while the ranks connected;
 *            EIO           MPI failed. */
int shmheap_mpi_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                     MPI_Comm comm, int scope);

/* shmheap_mpi_open_f does the same with a communicator of Fortran. */
int shmheap_mpi_open_f(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                       MPI_Fint comm, int scope);

/* shmheap_mpi_communicator returns the communicator of the ranks that share mem, ordered as in the
 * comm of shmheap_mpi_open. It lives until mem is closed; do not free it. Not collective; any
 * thread may call it. Failure: MPI_COMM_NULL, errno EINVAL (mem is not from shmheap_mpi_open, or
 * closed). */
MPI_Comm shmheap_mpi_communicator(shmheap_memory_handle mem);

/* shmheap_mpi_communicator_f returns it as Fortran has it. */
MPI_Fint shmheap_mpi_communicator_f(shmheap_memory_handle mem);

/* shmheap_mpi_close, collective over shmheap_mpi_communicator(mem), disconnects, removes the name
 * once, and frees the communicator. When it returns, the name is gone.
 *   Returns  0 or -1.
 *   Errors   EINVAL  on this rank alone, nothing done: mem as above;
 *            ENOENT  on all ranks, mem is closed: the name was already removed;
 *            ESTALE  on all ranks, mem is closed: another heap has the name, and keeps it;
 *            EIO     on all ranks, mem is closed as by shmheap_mpi_leave: MPI failed. */
int shmheap_mpi_close(shmheap_memory_handle mem);

/* shmheap_mpi_leave disconnects this rank without a call of MPI: after the death of a rank, when
 * the ranks cannot agree any more, also before _exit. The last rank to leave removes the name. The
 * communicator is not freed. All live ranks leave, or all close.
 *   Returns  0 or -1.
 *   Errors   EINVAL (mem as above), or the errno of removing the name, with mem closed. */
int shmheap_mpi_leave(shmheap_memory_handle mem);

#ifdef __cplusplus
}
#endif

#endif
