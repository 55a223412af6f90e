/* table.c: the connections of this process. SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A process connects to its own heaps and to those of its node: one for each process there. */
enum { HEAPS_MAX = 4096 };
static struct entry table[HEAPS_MAX];
static size_t table_top; /* entries from here on were never taken */

/* No mutex, since a fork could leave it locked in the child. */
static struct entry *entry_take(void)
{
    for (size_t i = 0; i < HEAPS_MAX; i++) {
        if (__atomic_exchange_n(&table[i].taken, 1, __ATOMIC_ACQUIRE) != 0)
            continue;
        size_t top = __atomic_load_n(&table_top, __ATOMIC_RELAXED);
        while (top <= i && !__atomic_compare_exchange_n(&table_top, &top, i + 1, 1,
                                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            continue;
        table[i].shown.meta = &table[i].meta;
        table[i].shown.stats = &table[i].stats;
        return &table[i];
    }
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

/* The heap is there now. Threads that see this at the same time store the same values. */
static void entry_show(struct entry *entry, shmheap_memory_handle mem)
{
    __atomic_store_n(&entry->shown.first_block, (heap_element *)shmheap_underlying(mem),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&entry->meta.marker, (heap_element)0x12345678, __ATOMIC_RELAXED);
}

shmem_heap *table_add(shmheap_memory_handle mem, const char *name, size_t given)
{
    char *copy = name != NULL ? strdup(name) : NULL;
    if (name != NULL && copy == NULL)
        return add_failed(mem, NULL);
    struct entry *entry = entry_take();
    if (entry == NULL)
        return add_failed(mem, copy);
    entry->name = copy;
    entry->mem = mem;
    entry->given = given;
    entry_show(entry, mem);
    return &entry->shown;
}

shmem_heap *table_await(void *memory, size_t skip, size_t len)
{
    struct entry *entry = entry_take();
    if (entry == NULL)
        return NULL;
    entry->awaited = memory;
    entry->awaited_skip = skip;
    entry->awaited_len = len;
    return &entry->shown;
}

static int entry_is(const shmem_heap *heap)
{
    uintptr_t distance = (uintptr_t)heap - (uintptr_t)table;
    return distance < sizeof table && distance % sizeof table[0] == 0;
}

static struct shmheap *entry_heap(const struct entry *entry)
{
    return __atomic_load_n(&entry->mem.heap, __ATOMIC_ACQUIRE);
}

/* Threads that see the awaited heap appear at the same time each connect to it: one connection is
 * kept. */
static void entry_connect(struct entry *entry)
{
    shmheap_memory_handle mem;
    struct shmheap *none = NULL;
    size_t skip = entry->awaited_skip;
    if (shmheap_attach_at(&mem, (char *)entry->awaited + skip, entry->awaited_len - skip) != 0)
        return;
    __atomic_store_n(&entry->given, given_read(mem, entry->awaited, skip, entry->awaited_len),
                     __ATOMIC_RELAXED);
    entry_show(entry, mem);
    if (!__atomic_compare_exchange_n(&entry->mem.heap, &none, mem.heap, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        shmheap_disconnect(mem);
}

int table_valid(shmem_heap *heap)
{
    struct entry *entry = entry_of(heap);
    int awaits = entry_is(heap) && entry_heap(entry) == NULL && entry->awaited != NULL;
    if (awaits)
        entry_connect(entry);
    if (entry_is(heap) && entry_heap(entry) != NULL && shmheap_valid(entry->mem))
        return 1;
    errno = awaits ? EAGAIN : EINVAL;
    return 0;
}

int table_known(shmem_heap *heap) { return table_valid(heap) || errno == EAGAIN; }

shmem_heap *table_next(shmem_heap *heap)
{
    size_t top = __atomic_load_n(&table_top, __ATOMIC_ACQUIRE);
    for (size_t i = heap != NULL ? (size_t)(entry_of(heap) - table) + 1 : 0; i < top; i++)
        if (table_valid(&table[i].shown))
            return &table[i].shown;
    return NULL;
}

char *table_remove(shmem_heap *heap)
{
    struct entry *entry = entry_of(heap);
    char *name = entry->name;
    if (entry->mem.heap != NULL)
        shmheap_disconnect(entry->mem);
    entry->name = NULL;
    entry->given = 0;
    entry->awaited = NULL;
    entry->mem.heap = NULL;
    entry->lock = NULL;
    memset(&entry->shown, 0, sizeof entry->shown);
    memset(&entry->meta, 0, sizeof entry->meta);
    memset(&entry->stats, 0, sizeof entry->stats);
    __atomic_store_n(&entry->taken, 0, __ATOMIC_RELEASE);
    return name;
}
