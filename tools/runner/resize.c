/* resize.c: the part of shmheap_realloc (c/src/api/realloc.c) that moves nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "resize.h"

#include <errno.h>

#include "c/src/api/call.h"
#include "c/src/recovery/recover.h"

int resize_in_place(shmheap_memory_handle mem, void *payload, size_t size)
{
    struct shmheap *heap = mem.heap;
    if (heap_lock(heap) != 0)
        return -1;
    uint64_t need = block_granules(heap, size), granule = block_of_pointer(heap, payload);
    int result = granule == GRANULE_NONE
                     ? FIT_UNKNOWN
                     : heap->fit->resize(heap, granule, need != 0 ? need : HEADER_SIZE_MASK);
    heap_unlock_freed(heap);
    if (result == 0)
        return 0;
    errno = fit_errno(result);
    return -1;
}
