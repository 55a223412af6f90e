/* block.h: what array.c needs of blocks. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_BLOCK_H
#define FORTRAN_C_BLOCK_H

#include "ShmemHeap.h"

/* ShmemHeap_alloc_block_wait, but that nothing says yet what is kept in the block. */
void *block_alloc(shmem_heap *heap, size_t num_bytes, int32_t timeout_ms);

/* Keeps len bytes in the block at ptr that this call's caller has just allocated: as
 * ShmemHeap_set_block_meta, with nothing to be checked. handle is the block's. 0, or -1: too small.
 */
int block_keep(shmem_heap *heap, void *ptr, const void *bytes, uint32_t len, uint64_t handle);

#endif
