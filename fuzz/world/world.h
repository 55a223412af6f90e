/* world.h: a heap with two connections, and the expected state of its objects.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdio.h>

#include "fuzz/world/op.h"
#include "shmheap.h"

enum { WORLD_OBJECTS = 256, WORLD_NAMES = 6, WORLD_MANY = 40, OWNER_UNKNOWN = -1, OWNER_LEFT = 2 };

struct world_object {
    uint64_t offset, len, mark;
    int owner;      /* a side; OWNER_UNKNOWN; OWNER_LEFT: a closed connection */
    unsigned known; /* bit s: side s got the pointer from the library, as the API demands */
    unsigned line;  /* the printed program keeps the offset in at[line] */
};

/* Offset 0: the name does not exist. */
struct world_name {
    struct world_object object;
    unsigned users[3]; /* uses of side 0, of side 1, of closed connections */
};

struct world {
    shmheap_memory_handle mem[2];
    struct heap_shape shape;
    size_t bytes; /* of the segment in the arena; 0: the heap has a file */

    struct world_object objects[WORLD_OBJECTS];
    struct world_name names[WORLD_NAMES];
    unsigned count, lines;
    uint64_t marks;
    uint64_t freed; /* offset of the object freed last; 0: none */
};

/* If set, operations are printed as C before they are made. Set by --print-c of the replay, by
 * FUZZ_PRINT_C in the environment, and after a failure. */
extern int world_printing;
#define SAY(...)                                                                                   \
    (world_printing ? (void)(printf("    " __VA_ARGS__), putchar('\n'), fflush(stdout)) : (void)0)

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : world_fail(__FILE__, __LINE__, #condition))
/* Set after world_input by a target whose peer writes into the memory: the printed program then
 * does not check the heap at its end, since a damaged heap is no finding. */
extern int world_damaged;

/* Prints the failed condition, runs the input again to print it as a program, and aborts. */
void world_fail(const char *file, int line, const char *text) __attribute__((noreturn));
/* The input under test, for world_fail. */
void world_input(const uint8_t *bytes, size_t len);

/* Print the start and the end of the program, with memory of so many bytes, mapped twice. At its
 * end the program checks the heap through both connections, and returns 1 if it is broken. */
void world_print_memory(size_t bytes);
void world_print_end(void);

/* Returns 0, or -1 if the library refuses the shape. */
int world_begin(struct world *world, const struct heap_shape *shape);
void world_end(struct world *world);
/* The value of SHMHEAP_LIST_MAX when this side connects. */
const char *world_list_max(const struct world *world, unsigned side);
/* Close a connection; open it again. */
void world_leave(struct world *world, unsigned side);
void world_return(struct world *world, unsigned side);
void world_step(struct world *world, const struct op *op);
/* The heap is sound, and all objects have their contents, through both mappings. */
void world_check(struct world *world);
/* The heap is sound, checked through this connection. */
void world_check_sound(shmheap_memory_handle mem);
void *world_ptr(const struct world *world, unsigned side, uint64_t offset);
uint64_t world_offset(const struct world *world, unsigned side, const void *ptr);
/* Adds a new object of len bytes at ptr and fills it. */
void world_remember(struct world *world, unsigned side, void *ptr, uint64_t len);
void world_forget(struct world *world, unsigned index);
/* The object of op, with the pointer known to its side; NULL if the world has no object. */
struct world_object *world_pick(struct world *world, const struct op *op);
void world_fill(struct world *world, unsigned side, struct world_object *object);
/* The first len bytes of the object are as filled. */
int world_filled(const struct world *world, unsigned side, const struct world_object *object,
                 uint64_t len);
void world_name_text(char text[8], unsigned which);

#endif
