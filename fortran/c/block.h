/* block.h: the calls on blocks that array.c uses. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_BLOCK_H
#define FORTRAN_C_BLOCK_H

#include "ShmemHeap.h"

/* Does as ShmemHeap_alloc_block_wait, but writes no note: the block's old contents may look like
 * one. */
void *block_alloc(shmem_heap *heap, size_t num_bytes, int32_t timeout_ms);

/* Keeps len bytes in the block at ptr, which the caller has just allocated:
 * ShmemHeap_set_block_meta without checks. handle is the block's. 0, or -1: too small. */
int block_keep(shmem_heap *heap, void *ptr, const void *bytes, uint32_t len, uint64_t handle);

#endif
