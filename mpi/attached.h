/* attached.h: the heaps that this process has opened by MPI. Any thread may call.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MPI_ATTACHED_H
#define SHMHEAP_MPI_ATTACHED_H

#include <mpi.h>

#include "agree.h"
#include "shmheap.h"

/* struct shared is private to the process. */
struct shared {
    struct shared *next;
    shmheap_memory_handle mem;
    MPI_Comm comm;              /* of the ranks that share */
    int rank;                   /* in comm; 0 made the heap and removes its name */
    char name[AGREE_NAME_ROOM]; /* as in /dev/shm */
};

void attached_add(struct shared *shared);

/* attached_communicator returns the communicator of mem, or MPI_COMM_NULL. */
MPI_Comm attached_communicator(shmheap_memory_handle mem);

/* attached_take removes mem's entry and returns it; the caller frees it. NULL: there is none. */
struct shared *attached_take(shmheap_memory_handle mem);

#endif
