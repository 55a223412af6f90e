/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A process connects to the heaps of its node: one for each of its processes, and those of its own. */
enum { HEAPS_MAX = 4096 };
static struct shmem_heap table[HEAPS_MAX];

/* No mutex, which a fork could leave locked in the child. */
static shmem_heap *entry_take(void)
{
    for (size_t i = 0; i < HEAPS_MAX; i++)
        if (__atomic_exchange_n(&table[i].taken, 1, __ATOMIC_ACQUIRE) == 0)
            return &table[i];
    errno = EMFILE;
    return NULL;
}

static shmem_heap *add_failed(shmheap_memory_handle mem, char *name)
{
    int reason = errno;
    free(name);
    shmheap_disconnect(mem);
    errno = reason;
    return NULL;
}

shmem_heap *table_add(shmheap_memory_handle mem, const char *name)
{
    char *copy = name != NULL ? strdup(name) : NULL;
    if (name != NULL && copy == NULL)
        return add_failed(mem, NULL);
    shmem_heap *heap = entry_take();
    if (heap == NULL)
        return add_failed(mem, copy);
    heap->name = copy;
    heap->mem = mem;
    return heap;
}

int table_valid(const shmem_heap *heap)
{
    uintptr_t distance = (uintptr_t)heap - (uintptr_t)table;
    if (distance < sizeof table && distance % sizeof table[0] == 0 && heap->mem.heap != NULL && shmheap_valid(heap->mem))
        return 1;
    errno = EINVAL;
    return 0;
}

char *table_remove(shmem_heap *heap)
{
    char *name = heap->name;
    heap->name = NULL;
    heap->mem.heap = NULL;
    __atomic_store_n(&heap->taken, 0, __ATOMIC_RELEASE);
    return name;
}
