/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/contents.h"

#include <string.h>

enum { EDGE = 256, PERIOD = 256, STEP = 31, STEP_INVERSE = 223 /* 31 * 223 = 1 modulo 256 */ };

/* Most of what a run does is to compare bytes, and no fuzzer learns anything from that: not instrumented. */
#if defined(__clang__) && __clang_major__ >= 12
#define PLAIN __attribute__((no_sanitize("coverage")))
#else
#define PLAIN
#endif

/* Byte i is 31 i: what an object holds is a part of this, beginning where its mark says. */
static unsigned char wave[PERIOD + PERIOD];

static PLAIN const unsigned char *wave_of(uint64_t mark, uint64_t at)
{
    if (wave[1] == 0)
        for (unsigned i = 0; i < sizeof wave; i++)
            wave[i] = (unsigned char)(STEP * i);
    return wave + ((mark * 167 * STEP_INVERSE + 1 + at) & (PERIOD - 1));
}

static PLAIN int same(const unsigned char *found, const unsigned char *expected, uint64_t len)
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

PLAIN void contents_fill(unsigned char *object, uint64_t len, uint64_t mark)
{
    uint64_t head = len < EDGE ? len : EDGE, tail = len < 2 * EDGE ? head : len - EDGE;
    memcpy(object, wave_of(mark, 0), head);
    memcpy(object + tail, wave_of(mark, tail), len - tail);
}

PLAIN int contents_same(const unsigned char *object, uint64_t len, uint64_t mark, uint64_t least)
{
    uint64_t head = len < EDGE ? len : EDGE, tail = len < 2 * EDGE ? head : len - EDGE;
    if (!same(object, wave_of(mark, 0), head < least ? head : least))
        return 0;
    return tail >= least || same(object + tail, wave_of(mark, tail), least - tail);
}
