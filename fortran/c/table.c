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

shmem_heap *table_await(void *memory, size_t len)
{
    shmem_heap *heap = entry_take();
    if (heap == NULL)
        return NULL;
    heap->awaited = memory;
    heap->awaited_len = len;
    return heap;
}

static int entry_is(const shmem_heap *heap)
{
    uintptr_t distance = (uintptr_t)heap - (uintptr_t)table;
    return distance < sizeof table && distance % sizeof table[0] == 0;
}

static struct shmheap *entry_heap(shmem_heap *heap) { return __atomic_load_n(&heap->mem.heap, __ATOMIC_ACQUIRE); }

/* Threads that see the awaited heap appear at the same time connect to it each: one connection is kept. */
static void entry_connect(shmem_heap *heap)
{
    shmheap_memory_handle mem;
    struct shmheap *none = NULL;
    if (shmheap_attach_at(&mem, heap->awaited, heap->awaited_len) != 0)
        return;
    if (!__atomic_compare_exchange_n(&heap->mem.heap, &none, mem.heap, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        shmheap_disconnect(mem);
}

int table_valid(shmem_heap *heap)
{
    int awaits = entry_is(heap) && entry_heap(heap) == NULL && heap->awaited != NULL;
    if (awaits)
        entry_connect(heap);
    if (entry_is(heap) && entry_heap(heap) != NULL && shmheap_valid(heap->mem))
        return 1;
    errno = awaits ? EAGAIN : EINVAL;
    return 0;
}

int table_known(shmem_heap *heap) { return table_valid(heap) || errno == EAGAIN; }

char *table_remove(shmem_heap *heap)
{
    char *name = heap->name;
    if (heap->mem.heap != NULL)
        shmheap_disconnect(heap->mem);
    heap->name = NULL;
    heap->awaited = NULL;
    heap->mem.heap = NULL;
    __atomic_store_n(&heap->taken, 0, __ATOMIC_RELEASE);
    return name;
}
