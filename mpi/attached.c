/* attached.c: a list under a mutex. SPDX-License-Identifier: Apache-2.0 */
#include "attached.h"

#include <pthread.h>

static struct shared *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

/* Returns the link to mem's entry, or the last link, which is NULL. Call with the lock held. */
static struct shared **link_to(shmheap_memory_handle mem)
{
    struct shared **link = &all;
    while (*link && (*link)->mem.heap != mem.heap)
        link = &(*link)->next;
    return link;
}

void attached_add(struct shared *shared)
{
    pthread_mutex_lock(&all_lock);
    shared->next = all;
    all = shared;
    pthread_mutex_unlock(&all_lock);
}

MPI_Comm attached_communicator(shmheap_memory_handle mem)
{
    pthread_mutex_lock(&all_lock);
    struct shared *shared = *link_to(mem);
    MPI_Comm comm = shared ? shared->comm : MPI_COMM_NULL;
    pthread_mutex_unlock(&all_lock);
    return comm;
}

struct shared *attached_take(shmheap_memory_handle mem)
{
    pthread_mutex_lock(&all_lock);
    struct shared **link = link_to(mem), *shared = *link;
    if (shared)
        *link = shared->next;
    pthread_mutex_unlock(&all_lock);
    return shared;
}
