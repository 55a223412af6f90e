/* hostile.h: calls on a heap into which a hostile peer writes. Each call must return, and must not
 * touch memory outside the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

#include "c/src/base/layout.h"
#include "fuzz/world/op.h"
#include "shmheap.h"

enum { HOSTILE_KEPT = 16, EDIT_LEN = 12 };

struct hostile {
    shmheap_memory_handle mem[2];
    unsigned char *memory[2]; /* the segment as mapped by each side */
    size_t bytes;
    struct layout layout;        /* of the last connection; region_off 0: no side has connected */
    uint64_t kept[HOSTILE_KEPT]; /* offsets returned by calls, from the region's start */
    int gave_up;                 /* a call timed out on the lock: the input ends */
};

/* mem is two connections to a heap in the arena, of which invalid ones are ignored; or NULL. */
void hostile_begin(struct hostile *hostile, size_t bytes, const shmheap_memory_handle *mem);
/* Makes one call. */
void hostile_step(struct hostile *hostile, const struct op *op);

/* struct edit is a write to the memory, encoded in twelve bytes. Byte 0: bits 0-2 area, 3-6 how.
 * Byte 1: which. Bytes 2-3: at. Bytes 4-11: word. */
struct edit {
    unsigned area, how, which, at;
    uint64_t word;
};

struct edit edit_decode(struct input *input);
/* The word that the edit changes, or NULL. */
uint64_t *edit_place(const struct hostile *hostile, const struct edit *edit);
uint64_t edit_value(const struct hostile *hostile, const struct edit *edit, uint64_t old);
/* Decodes an edit and makes it. */
void edit_do(const struct hostile *hostile, struct input *input);

#endif
