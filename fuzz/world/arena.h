/* arena.h: the memory of the heaps, mapped at two addresses between guard pages.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stddef.h>

enum { ARENA_LEN = 1 << 20 };

/* The last bytes of the arena, a multiple of the page size, as mapped by side 0 or 1. A guard page
 * follows. Under AddressSanitizer the part of the arena before them is out of bounds too. The
 * contents are those of the last use. */
void *arena_memory(unsigned side, size_t bytes);
/* The segment size of a heap that may grow to max_len. */
size_t arena_bytes_for(size_t max_len);

#endif
