/* pattern.h: the contents of an object in a replay: bytes that only its owner writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PATTERN_H
#define SHMHEAP_TOOL_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* pattern_fill writes the pattern of seed to the bytes from .. len - 1 of the object at memory. It
 * may write up to 7 bytes before from again. */
void pattern_fill(void *memory, size_t from, size_t len, uint64_t seed);

/* pattern_check returns the index of the first byte that differs from the pattern, or len. */
size_t pattern_check(const void *memory, size_t len, uint64_t seed);

/* pattern_zero returns the index of the first byte that is not zero, or len. */
size_t pattern_zero(const void *memory, size_t len);

#endif
