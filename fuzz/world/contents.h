/* contents.h: the bytes in objects; large objects are filled at their ends only.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_CONTENTS_H
#define FUZZ_CONTENTS_H

#include <stdint.h>

/* Fills the first and the last 256 bytes with bytes that depend on mark and on their offset. */
void contents_fill(unsigned char *object, uint64_t len, uint64_t mark);
/* Returns 1 if the first least bytes of an object of len bytes are as filled. */
int contents_same(const unsigned char *object, uint64_t len, uint64_t mark, uint64_t least);
/* Returns 1 if all len bytes are zero. */
int contents_zero(const unsigned char *object, uint64_t len);

#endif
