/* steps_names.c: operations on names.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "fuzz/world/steps.h"

static void name_begin(struct world *world, unsigned side, struct world_name *name, const void *ptr,
                       uint64_t len)
{
    name->object = (struct world_object){
        world_offset(world, side, ptr), len, 0, OWNER_UNKNOWN, 3, world->lines};
    world_fill(world, side, &name->object);
}

/* Adds a use of the side; the other side finds the same object. */
void step_named(struct world *world, const struct op *op)
{
    struct world_name *name = &world->names[op->which % WORLD_NAMES];
    char text[8];
    size_t len = 0;
    world_name_text(text, op->which % WORLD_NAMES);
    SAY("at[%u] = off(%u, shmheap_alloc_named(mem[%u], \"%s\", %lluu));", world->lines, op->side,
        op->side, text, (unsigned long long)op->size);
    char *ptr = shmheap_alloc_named(world->mem[op->side], text, op->size);
    if (!ptr) {
        FUZZ_CHECK(name->object.offset ? op->size > name->object.len || errno == ENOMEM
                                       : errno == ENOMEM);
        return;
    }
    if (name->object.offset)
        FUZZ_CHECK(op->size <= name->object.len &&
                   world_offset(world, op->side, ptr) == name->object.offset);
    else
        name_begin(world, op->side, name, ptr, op->size);
    name->users[op->side]++;
    FUZZ_CHECK(shmheap_find(world->mem[!op->side], text, &len) ==
               world_ptr(world, !op->side, name->object.offset));
    FUZZ_CHECK(len == name->object.len);
}

void step_unname(struct world *world, const struct op *op)
{
    struct world_name *name = &world->names[op->which % WORLD_NAMES];
    char text[8];
    if (!name->object.offset)
        return;
    world_name_text(text, op->which % WORLD_NAMES);
    SAY("shmheap_free(mem[%u], shmheap_find(mem[%u], \"%s\", NULL));", op->side, op->side, text);
    void *ptr = shmheap_find(world->mem[op->side], text, NULL);
    FUZZ_CHECK(ptr == world_ptr(world, op->side, name->object.offset));
    int result = shmheap_try_free(world->mem[op->side], ptr);
    /* Ends a use of the side, or else of a closed connection. */
    unsigned *users = &name->users[name->users[op->side] ? op->side : 2];
    if (*users == 0) {
        FUZZ_CHECK(result == -1 && errno == EPERM);
        return;
    }
    FUZZ_CHECK(result == 0);
    --*users;
    if (name->users[0] + name->users[1] + name->users[2] == 0) {
        FUZZ_CHECK(shmheap_find(world->mem[!op->side], text, NULL) == NULL);
        memset(name, 0, sizeof *name);
    }
}
