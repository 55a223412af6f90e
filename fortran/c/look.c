/* Inspecting a heap. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "ShmemHeap.h"
#include "shmheap.h"
#include "table.h"

enum { HEADER_SIZE = 8 };

static int32_t count_of(uint64_t blocks)
{
    return blocks > INT32_MAX ? INT32_MAX : (int32_t)blocks;
}

struct tally {
    uint64_t free_blocks, free_bytes, used_blocks, used_bytes;
};

static int tally_block(const shmheap_block_info *block, void *context)
{
    struct tally *tally = context;
    int is_free = block->state == SHMHEAP_STATE_FREE || block->state == SHMHEAP_STATE_CACHED;
    *(is_free ? &tally->free_blocks : &tally->used_blocks) += 1;
    *(is_free ? &tally->free_bytes : &tally->used_bytes) += block->len;
    return 0;
}

int32_t ShmemHeap_check(shmem_heap *heap, int32_t *free_blocks, size_t *free_space,
                        int32_t *used_blocks, size_t *used_space)
{
    struct tally tally = {0, 0, 0, 0};
    if (!table_valid(heap))
        return 1;
    if (shmheap_check(mem_of(heap), NULL) != 0 ||
        shmheap_walk(mem_of(heap), tally_block, &tally) != 0)
        return 2;
    if (free_blocks != NULL)
        *free_blocks = count_of(tally.free_blocks);
    if (free_space != NULL)
        *free_space = tally.free_bytes;
    if (used_blocks != NULL)
        *used_blocks = count_of(tally.used_blocks);
    if (used_space != NULL)
        *used_space = tally.used_bytes;
    return 0;
}

/* In memory of the caller, control and index take a part of the given bytes. In a file they are
 * additional. */
static uint64_t size_given(shmem_heap *heap, const shmheap_stats *stats)
{
    size_t given = __atomic_load_n(&entry_of(heap)->given, __ATOMIC_RELAXED);
    return given != 0 ? given : stats->len;
}

/* Stores the figures that the program may read in the shmem_heap. Several threads may do so at
 * once. */
static void heap_show(shmem_heap *heap, const shmheap_stats *stats)
{
    heap_metadata *meta = &entry_of(heap)->meta;
    heap_stats *shown = &entry_of(heap)->stats;
    size_t full = size_given(heap, stats) / sizeof(heap_element),
           capacity = stats->len / sizeof(heap_element);
    __atomic_store_n(&meta->full_size, full, __ATOMIC_RELAXED);
    __atomic_store_n(&meta->capacity, capacity, __ATOMIC_RELAXED);
    __atomic_store_n(&meta->first_block_index, (heap_element)(full - capacity), __ATOMIC_RELAXED);
    __atomic_store_n(&meta->limit, (heap_element)capacity, __ATOMIC_RELAXED);
    __atomic_store_n(&shown->max_fill, stats->high_water_bytes / sizeof(heap_element),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&shown->total_num_allocations, stats->allocs, __ATOMIC_RELAXED);
    __atomic_store_n(&shown->total_num_alloc_elems, stats->alloc_bytes / sizeof(heap_element),
                     __ATOMIC_RELAXED);
}

/* 0, or -1: no heap. */
static int heap_stat(shmem_heap *heap, shmheap_stats *stats)
{
    if (!table_valid(heap) || shmheap_stat(mem_of(heap), stats) != 0)
        return -1;
    heap_show(heap, stats);
    return 0;
}

int ShmemHeap_get_info(shmem_heap *heap, int64_t *size, int64_t *max, int64_t *nblk, int64_t *nbyt)
{
    shmheap_stats stats;
    if (heap_stat(heap, &stats) != 0)
        return -1;
    if (size != NULL)
        *size = (int64_t)size_given(heap, &stats);
    if (max != NULL)
        *max = (int64_t)stats.high_water_bytes;
    if (nblk != NULL)
        *nblk = (int64_t)stats.allocs;
    if (nbyt != NULL)
        *nbyt = (int64_t)stats.alloc_bytes;
    return 0;
}

heap_element ShmemHeap_get_size(shmem_heap *heap)
{
    int64_t size;
    return ShmemHeap_get_info(heap, &size, NULL, NULL, NULL) == 0 ? size : -1;
}

heap_element ShmemHeap_get_capacity(shmem_heap *heap)
{
    shmheap_stats stats;
    return heap_stat(heap, &stats) == 0 ? (heap_element)stats.len : -1;
}

void ShmemHeap_dump_info(shmem_heap *heap)
{
    int64_t size, max, nblk, nbyt;
    int32_t free_blocks = 0, used_blocks = 0;
    size_t free_space = 0, used_space = 0;
    if (ShmemHeap_get_info(heap, &size, &max, &nblk, &nbyt) != 0) {
        printf("shmem_heap: no heap\n");
        return;
    }
    int32_t status = ShmemHeap_check(heap, &free_blocks, &free_space, &used_blocks, &used_space);
    printf("shmem_heap: %" PRId64 " bytes, %" PRId64 " of them for blocks, %" PRId32
           " blocks in use for %zu, %" PRId32 " free blocks for %zu; at most %" PRId64
           " bytes in use so far, %" PRId64 " blocks of %" PRId64 " bytes allocated; %s\n",
           size, ShmemHeap_get_capacity(heap), used_blocks, used_space, free_blocks, free_space,
           max, nblk, nbyt, status == 0 ? "sound" : "DAMAGED");
    fflush(stdout);
}
