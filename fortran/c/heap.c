/* Heaps: making, finding, leaving. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "ShmemHeap.h"
#include "mapping.h"
#include "shmheap.h"
#include "table.h"

enum { MEMORY_ALIGN = 16 };

/* Fortran arrays are aligned to their elements only. All processes skip the same bytes: their
 * mappings differ by whole pages. */
static size_t memory_skip(const void *memory) { return -(uintptr_t)memory % MEMORY_ALIGN; }

shmem_heap *ShmemHeap_init_from_scratch(void *memory, size_t num_bytes)
{
    size_t skip = memory_skip(memory);
    shmheap_memory_handle mem;
    if (memory == NULL || num_bytes <= skip) {
        errno = memory == NULL ? EINVAL : ENOMEM;
        return NULL;
    }
    if (num_bytes > mapping_reach(memory, NULL)) {
        errno = EFAULT;
        return NULL;
    }
    if (shmheap_create_at(&mem, (char *)memory + skip, num_bytes - skip, NULL) != 0)
        return NULL;
    given_write(mem, memory, skip, num_bytes);
    return table_add(mem, NULL, given_read(mem, memory, skip, num_bytes));
}

shmem_heap *ShmemHeap_clone_sized(void *memory, size_t num_bytes)
{
    size_t skip = memory_skip(memory);
    shmheap_memory_handle mem;
    if (memory == NULL || num_bytes <= skip) {
        errno = memory == NULL ? EINVAL : EBADMSG;
        return NULL;
    }
    if (shmheap_attach_at(&mem, (char *)memory + skip, num_bytes - skip) != 0)
        return NULL;
    return table_add(mem, NULL, given_read(mem, memory, skip, num_bytes));
}

/* Shared memory begins as zero, and a heap begins with zero until it is made. */
static int heap_may_come(const void *memory, size_t reach)
{
    size_t skip = memory_skip(memory);
    const uint64_t *first = (const uint64_t *)((const char *)memory + skip);
    return reach >= skip + sizeof *first && __atomic_load_n(first, __ATOMIC_ACQUIRE) == 0;
}

shmem_heap *ShmemHeap_clone(void *memory)
{
    int shared;
    size_t reach = mapping_reach(memory, &shared), skip = memory_skip(memory);
    if (reach == SIZE_MAX) {
        errno = ENOTSUP;
        return NULL;
    }
    if (shared && heap_may_come(memory, reach))
        return table_await(memory, skip, reach);
    return ShmemHeap_clone_sized(memory, reach);
}

shmem_heap *ShmemHeap_create(const char *name, size_t num_bytes)
{
    shmheap_memory_handle mem = shmheap_create(name, num_bytes);
    return shmheap_valid(mem) ? table_add(mem, name, 0) : NULL;
}

shmem_heap *ShmemHeap_connect(const char *name)
{
    shmheap_memory_handle mem = shmheap_connect(name);
    return shmheap_valid(mem) ? table_add(mem, name, 0) : NULL;
}

int ShmemHeap_delete(shmem_heap *heap)
{
    if (!table_known(heap))
        return -1;
    free(table_remove(heap));
    return 0;
}

int ShmemHeap_destroy(shmem_heap *heap)
{
    if (!table_known(heap))
        return -1;
    struct entry *entry = entry_of(heap);
    shmheap_memory_handle mem = entry->mem;
    if (entry->name != NULL)
        entry->mem.heap = NULL; /* shmheap_destroy ends the connection */
    char *name = table_remove(heap);
    int before = errno, failed = 0;
    errno = 0;
    if (name != NULL) {
        shmheap_destroy(name, mem);
        failed = errno;
    }
    free(name);
    errno = failed != 0 ? failed : before;
    return failed != 0 ? -1 : 0;
}
