/* io-server/shmem_heap.h: ShmemHeap.h under the name that IO servers include, with the fields that
 * they read.
 *
 * The fields are copies for reading: a store to them does not change the heap. The figures are
 * those of the last ShmemHeap_get_info, ShmemHeap_get_size or ShmemHeap_dump_info with this
 * shmem_heap, at first zero. A field with two names had the other one in an earlier heap of this
 * kind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_SERVER_SHMEM_HEAP_H
#define IO_SERVER_SHMEM_HEAP_H

#include "../ShmemHeap.h"

#if defined(__GNUC__)
#define SHMEM_HEAP_UNION __extension__ union
#else
#define SHMEM_HEAP_UNION union
#endif

/* In elements of 8 bytes, headers included. */
typedef struct heap_stats {
    uint64_t max_fill; /* the most that was ever in use */
    SHMEM_HEAP_UNION
    {
        uint64_t total_num_allocations; /* blocks allocated over the heap's life */
        uint64_t num_blocks;
    };
    SHMEM_HEAP_UNION
    {
        uint64_t total_num_alloc_elems; /* of the blocks */
        uint64_t num_elements;
    };
} heap_stats;

/* Sizes and indices in elements of 8 bytes. */
typedef struct heap_metadata {
    heap_element marker; /* 0x12345678; 0: the heap is not there yet */
    size_t full_size;    /* as ShmemHeap_get_size */
    SHMEM_HEAP_UNION
    {
        size_t capacity; /* as ShmemHeap_get_capacity */
        size_t num_elements;
    };
    heap_element stats_index;       /* 0: the figures do not lie in the heap */
    heap_element first_block_index; /* full_size - capacity */
    heap_element limit;             /* capacity */
    int32_t lock;                   /* 0: see ShmemHeap_lock */
} heap_metadata;

struct shmem_heap {
    heap_metadata *meta;
    heap_stats *stats;
    heap_element *first_block; /* offsets are bytes from here; NULL: the heap is not there yet */
};

#endif
