/* world.h: a heap with two connections, at different addresses, and what is known to live in it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "fuzz/op.h"
#include "shmheap.h"

enum { WORLD_OBJECTS = 256, WORLD_NAMES = 6 };

struct world_object {
    uint64_t offset, len, mark;
    int owner; /* 0 or 1; -1: not known */
    unsigned known; /* bit s: side s got the pointer from the library, as a pointer has to be got */
    unsigned line; /* of the printed program, which keeps its offset in at[line] */
};

/* offset 0: there is no such name */
struct world_name {
    struct world_object object;
    unsigned users[2];
};

struct world {
    shmheap_memory_handle mem[2];
    struct heap_shape shape;
    struct world_object objects[WORLD_OBJECTS];
    struct world_name names[WORLD_NAMES];
    unsigned count, lines;
    uint64_t marks;
    uint64_t freed; /* offset of the object freed last, 0: none */
};

/* Set by --print-c and after a failure: operations are printed as C before they are done. */
extern int world_printing;

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : world_fail(__FILE__, __LINE__, #condition))
/* Prints what failed and the input as a program (by running it again), and aborts. */
void world_fail(const char *file, int line, const char *text) __attribute__((noreturn));
/* The input under test, for world_fail. */
void world_input(const uint8_t *bytes, size_t len);

/* 0, or -1: the kernel refused the memory. */
int world_begin(struct world *world, const struct heap_shape *shape);
void world_end(struct world *world);
void world_step(struct world *world, const struct op *op);
/* The checker finds nothing and every object's bytes are as written, seen through both mappings. */
void world_check(struct world *world);
void *world_ptr(const struct world *world, unsigned side, uint64_t offset);
uint64_t world_offset(const struct world *world, unsigned side, const void *ptr);
void world_forget(struct world *world, unsigned index);
/* As test_fill of the tests, but cheap; at most 4 KiB of an object, its begin and end. */
void world_fill(struct world *world, unsigned side, struct world_object *object);
int world_filled(const struct world *world, unsigned side, const struct world_object *object, uint64_t len);

#endif
