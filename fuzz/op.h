/* op.h: bytes into operations. Four bytes are an operation, so that to cut out or insert four leaves the others alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_OP_H
#define FUZZ_OP_H

#include "fuzz/input.h"

/* The numbers stand in the corpora: append only, at most OP_SLOTS / 2. Bytes that mean no kind yet are OP_ALLOC and OP_FREE; so
 * kept inputs go on meaning what they mean but where they hold the number of the new kind. */
enum op_kind {
    OP_ALLOC,
    OP_FREE,
    OP_REALLOC,
    OP_ALIGNED,
    OP_CALLOC,
    OP_HANDLE, /* made through one mapping, resolved through the other */
    OP_SEND,   /* sent by one connection, received by the other */
    OP_REAP,
    OP_STALE_FREE, /* of a place inside an object, and of an object freed before */
    OP_ALLOC_MANY,
    OP_FREE_MANY,
    OP_NAMED,
    OP_UNNAME,     /* one use less, or refused */
    OP_ALLOC_WAIT, /* without waiting */
    OP_RECONNECT,  /* leaves in order and comes back */
    OP_LOOK,       /* walks, counts, lists names and processes */
    OP_KINDS
};

enum { OP_LEN = 4, OP_SLOTS = 64, SHAPE_LEN = 2 };

struct op {
    enum op_kind kind;
    unsigned side; /* 0 or 1: the connection that calls */
    unsigned
        which; /* of the objects alive, modulo their number; or log2 of an alignment; or a count */
    uint64_t size;
    int marked; /* what that means is the target's */
};

/* struct heap_shape: the first two bytes of an input. */
struct heap_shape {
    size_t len, max_len, alignment;
    int cached;
    int in_file;       /* 1 in 32: a file of its own, which is slow; else memory of the caller */
    unsigned list_max; /* 0 to 3: at how many free blocks each side takes to rows and tree */
};

struct heap_shape shape_decode(struct input *input);
struct op op_decode(struct input *input);

#endif
