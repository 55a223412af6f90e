/* SPDX-License-Identifier: Apache-2.0 */
#include "bits.h"

uint64_t index_size_far(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    uint64_t next = load_u64(&heap->bits[chunk_of(granule) + 1].start);
    return next != 0 ? CHUNK_GRANULES - granule % CHUNK_GRANULES + bit_lowest(next)
                     : header_size(header);
}
