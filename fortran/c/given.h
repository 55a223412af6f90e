/* given.h: the bytes of the caller's memory that a heap was made with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_GIVEN_H
#define FORTRAN_C_GIVEN_H

#include <stddef.h>

#include "shmheap.h"

/* Notes the bytes from memory on, for processes that connect later. skip bytes of them lie before
 * the heap. */
void given_write(shmheap_memory_handle mem, void *memory, size_t skip, size_t bytes);

/* Returns the noted bytes, or, without a note, the bytes up to the end of the heap's segment. reach
 * bytes from memory on can be read. */
size_t given_read(shmheap_memory_handle mem, const void *memory, size_t skip, size_t reach);

#endif
