/* contents.h: what the fuzzers write into objects, cheaply: only begin and end of large ones.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_CONTENTS_H
#define FUZZ_CONTENTS_H

#include <stdint.h>

/* Bytes that depend on mark and on how far from the begin of the object they are: at most 256 at either end. */
void contents_fill(unsigned char *object, uint64_t len, uint64_t mark);
/* 1: the first least bytes of an object of len are as written. */
int contents_same(const unsigned char *object, uint64_t len, uint64_t mark, uint64_t least);

#endif
