/* op.h: operations of four bytes each, so that a fuzzer can insert and remove them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_OP_H
#define FUZZ_OP_H

#include "fuzz/driver/input.h"

/* The corpora contain these numbers: only append, at most OP_SLOTS / 2. Unassigned numbers mean
 * OP_ALLOC and OP_FREE, so a new kind changes only inputs that contain its number. */
enum op_kind {
    OP_ALLOC,
    OP_FREE,
    OP_REALLOC,
    OP_ALIGNED,
    OP_CALLOC,
    OP_HANDLE, /* made by one side, resolved by the other */
    OP_SEND,   /* sent by one connection, received by the other */
    OP_REAP,
    OP_STALE_FREE, /* frees a pointer into an object, and an object freed before */
    OP_ALLOC_MANY,
    OP_FREE_MANY,
    OP_NAMED,
    OP_UNNAME,     /* ends a use, or is refused */
    OP_ALLOC_WAIT, /* without waiting */
    OP_RECONNECT,  /* disconnects and connects */
    OP_INSPECT,    /* walks, checks, lists names and processes */
    OP_LABELLED,   /* as OP_SEND with a label: looked at, refused, received, put back, received */
    OP_KINDS
};

enum { OP_LEN = 4, OP_SLOTS = 64, SHAPE_LEN = 2, SHAPE_CACHED_LEN = 96 << 10 };

struct op {
    enum op_kind kind;
    unsigned side;  /* 0 or 1: the connection that calls */
    unsigned which; /* a live object, modulo their number; log2 of an alignment; or a count */
    uint64_t size;
    int marked; /* the meaning depends on the target */
};

/* struct heap_shape is decoded from the first two bytes of an input. */
struct heap_shape {
    size_t len, max_len, alignment;
    int cached;
    int in_file;       /* 1 in 32: the heap has a file, which is slow; else it lies in the arena */
    unsigned list_max; /* 0 to 3: up to how many free blocks each side uses the free list */
};

struct heap_shape shape_decode(struct input *input);
struct op op_decode(struct input *input);

#endif
