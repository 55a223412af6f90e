/* arena.h: the memory of the fuzzers' heaps: made once, seen at two addresses, with pages around it that nobody may touch.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stddef.h>

enum { ARENA_LEN = 1 << 20 };

/* The last bytes of the arena, a multiple of the page size, as side 0 or 1 sees them. A guard page follows; under
 * AddressSanitizer the rest of the arena, before them, is out of bounds too. Contents are those of the last use. */
void *arena_memory(unsigned side, size_t bytes);
/* Bytes for a heap that may grow to max_len. */
size_t arena_bytes_for(size_t max_len);

#endif
