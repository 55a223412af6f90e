/* hostile.h: a heap whose memory somebody writes who means harm, and every call on it: it must return, and stay inside.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

#include "c/src/base/layout.h"
#include "fuzz/op.h"
#include "shmheap.h"

enum { HOSTILE_KEPT = 16, EDIT_LEN = 12 };

struct hostile {
    shmheap_memory_handle mem[2];
    unsigned char *memory[2]; /* of the segment, as either side sees it */
    size_t bytes;
    struct layout layout;        /* of who connected last; region_off 0: nobody did */
    uint64_t kept[HOSTILE_KEPT]; /* offsets that calls returned, from the region's start */
    int gave_up; /* a call waited for a lock that it could not get: enough of this input */
};

/* In the arena; mem is two connections, of which those that are not valid are passed over, or NULL: none as yet. */
void hostile_begin(struct hostile *hostile, size_t bytes, const shmheap_memory_handle *mem);
/* One call. */
void hostile_step(struct hostile *hostile, const struct op *op);

/* struct edit is a write to the memory. Twelve bytes: 0 bits 0-2 what is written to, 3-6 what is written; 1 of which; 2-3 where; 4-11 a word. */
struct edit {
    unsigned area, how, which, at;
    uint64_t word;
};

struct edit edit_decode(struct input *input);
/* The word that the edit is about, NULL: none. */
uint64_t *edit_place(const struct hostile *hostile, const struct edit *edit);
uint64_t edit_value(const struct hostile *hostile, const struct edit *edit, uint64_t old);
/* One edit of the input, done. */
void edit_do(const struct hostile *hostile, struct input *input);

#endif
