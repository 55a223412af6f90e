/* pattern.c: the contents of an object in a replay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/worker/pattern.h"

#include <string.h>

/* Each word differs from its neighbours and from the same word of other objects. So the check
 * detects a shifted copy and another object's contents. */
static uint64_t word_of(uint64_t seed, size_t index)
{
    return seed ^ (UINT64_C(0x9e3779b97f4a7c15) * (index + 1));
}

void pattern_fill(void *memory, size_t from, size_t len, uint64_t seed)
{
    unsigned char *bytes = memory;
    for (size_t at = from & ~(size_t)7; at < len; at += 8) {
        uint64_t word = word_of(seed, at / 8);
        memcpy(bytes + at, &word, len - at < 8 ? len - at : 8);
    }
}

static size_t first_difference(const unsigned char *bytes, const unsigned char *wanted, size_t len)
{
    size_t i = 0;
    while (i < len && bytes[i] == wanted[i])
        i++;
    return i;
}

size_t pattern_check(const void *memory, size_t len, uint64_t seed)
{
    const unsigned char *bytes = memory;
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = word_of(seed, at / 8);
        size_t part = len - at < 8 ? len - at : 8;
        if (memcmp(bytes + at, &word, part))
            return at + first_difference(bytes + at, (const unsigned char *)&word, part);
    }
    return len;
}

size_t pattern_zero(const void *memory, size_t len)
{
    const unsigned char *bytes = memory;
    size_t at = 0;
    while (at < len && bytes[at] == 0)
        at++;
    return at;
}
