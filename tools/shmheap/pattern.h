/* pattern.h: what an object of a replay is filled with: bytes that only its owner writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PATTERN_H
#define SHMHEAP_TOOL_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* pattern_fill writes the pattern of seed to bytes from .. len of the object at memory. */
void pattern_fill(void *memory, size_t from, size_t len, uint64_t seed);

/* pattern_check gives the place of the first byte that is not the pattern's, or len. */
size_t pattern_check(const void *memory, size_t len, uint64_t seed);

/* The place of the first byte that is not zero, or len. */
size_t pattern_zero(const void *memory, size_t len);

#endif
