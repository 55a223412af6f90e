/* mirror.c: maps the private memory beside a heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mirror.h"

#include <sys/mman.h>
#include <unistd.h>

int mirror_map(struct mirror *mirror, shmheap_memory_handle heap)
{
    shmheap_stats stats;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (shmheap_stat(heap, &stats))
        return -1;
    char *region = shmheap_underlying(heap);
    size_t shift = (uintptr_t)region & (page - 1); /* what is aligned there is aligned here */
    char *memory = mmap(NULL, stats.max_len + shift, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    mirror->base = memory + shift;
    mirror->len = stats.max_len;
    mirror->to_region = region - mirror->base;
    mirror->fresh = 0;
    return 0;
}
