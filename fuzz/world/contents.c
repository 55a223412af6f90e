/* contents.c: the bytes in objects.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/contents.h"

#include <string.h>

#include "fuzz/driver/input.h"

enum { END_LEN = 256, PERIOD = 256, STEP = 31, STEP_INVERSE = 223 /* 31 * 223 = 1 modulo 256 */ };

/* Byte i is 31 i. The contents of an object are a part of it; the mark chooses its start. */
static unsigned char wave[PERIOD + PERIOD];

static PLAIN const unsigned char *wave_of(uint64_t mark, uint64_t at)
{
    if (wave[1] == 0)
        for (unsigned i = 0; i < sizeof wave; i++)
            wave[i] = (unsigned char)(STEP * i);
    return wave + ((mark * 167 * STEP_INVERSE + 1 + at) & (PERIOD - 1));
}

/* Comparing and copying bytes takes long and tells the fuzzer nothing. AddressSanitizer sees the
 * first byte and the last: out of bounds is what lies before a heap's memory and behind it. */
static UNCHECKED int words_same(const unsigned char *found, const unsigned char *expected,
                                uint64_t len)
{
    uint64_t differing = 0, i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t a, b;
        memcpy(&a, found + i, 8);
        memcpy(&b, expected + i, 8);
        differing |= a ^ b;
    }
    for (; i < len; i++)
        differing |= found[i] ^ expected[i];
    return differing == 0;
}

/* Without the barriers the compiler calls AddressSanitizer's memcpy(), which inspects all bytes. */
static UNCHECKED void words_copy(unsigned char *to, const unsigned char *from, uint64_t len)
{
    enum { CHUNK = 32 };
    uint64_t i = 0;
    for (; i + CHUNK <= len; i += CHUNK) {
        memcpy(to + i, from + i, CHUNK);
        __asm__ volatile("" ::: "memory");
    }
    for (; i < len; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory");
    }
}

static PLAIN void copy(unsigned char *to, const unsigned char *from, uint64_t len)
{
    if (len == 0)
        return;
    to[0] = from[0];
    to[len - 1] = from[len - 1];
    words_copy(to, from, len);
}

static PLAIN int same(const unsigned char *found, const unsigned char *expected, uint64_t len)
{
    return len == 0 || (found[0] == expected[0] && found[len - 1] == expected[len - 1] &&
                        words_same(found, expected, len));
}

PLAIN void contents_fill(unsigned char *object, uint64_t len, uint64_t mark)
{
    uint64_t head = len < END_LEN ? len : END_LEN, rest = len < 2 * END_LEN ? head : len - END_LEN;
    copy(object, wave_of(mark, 0), head);
    copy(object + rest, wave_of(mark, rest), len - rest);
}

PLAIN int contents_same(const unsigned char *object, uint64_t len, uint64_t mark, uint64_t least)
{
    uint64_t head = len < END_LEN ? len : END_LEN, rest = len < 2 * END_LEN ? head : len - END_LEN;
    if (!same(object, wave_of(mark, 0), head < least ? head : least))
        return 0;
    return rest >= least || same(object + rest, wave_of(mark, rest), least - rest);
}

PLAIN int contents_zero(const unsigned char *object, uint64_t len)
{
    /* Each byte is as the one before it, and the first is zero. */
    return len == 0 || (object[0] == 0 && same(object + 1, object, len - 1));
}
