/* steps_whole.c: operations on the whole heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/world/steps.h"

void step_reap(struct world *world, const struct op *op)
{
    SAY("shmheap_reap(mem[%u], %u);", op->side, op->which & 1);
    FUZZ_CHECK(shmheap_reap(world->mem[op->side], op->which & 1) == 0); /* no process is dead */
}

void step_reconnect(struct world *world, const struct op *op)
{
    SAY("shmheap_disconnect(mem[%u]);", op->side);
    if (world->bytes)
        SAY("setenv(\"SHMHEAP_LIST_MAX\", \"%s\", 1), shmheap_attach_at(&mem[%u], memory[%u], "
            "bytes);",
            world_list_max(world, op->side), op->side, op->side);
    else
        SAY("setenv(\"SHMHEAP_LIST_MAX\", \"%s\", 1), shmheap_open_fd(&mem[%u], "
            "shmheap_fd(mem[%u]), NULL);",
            world_list_max(world, op->side), op->side, !op->side);
    world_leave(world, op->side);
    world_return(world, op->side);
}

/* struct inspection counts the visits. */
struct inspection {
    const struct world *world;
    unsigned objects, names, selves;
    uint64_t end; /* of the last block visited */
};

static int visit_block(const shmheap_block_info *block, void *context)
{
    struct inspection *inspection = context;
    FUZZ_CHECK(inspection->end == 0 || block->offset - 8 == inspection->end);
    FUZZ_CHECK(block->size == block->len + 8);
    inspection->end = block->offset + block->len;
    inspection->objects += block->state != SHMHEAP_STATE_FREE &&
                           block->state != SHMHEAP_STATE_CACHED &&
                           block->state != SHMHEAP_STATE_INTERNAL;
    return 0;
}

static int visit_name(const shmheap_name_info *found, void *context)
{
    struct inspection *inspection = context;
    char text[8];
    for (unsigned i = 0; i < WORLD_NAMES; i++) {
        const struct world_name *name = &inspection->world->names[i];
        world_name_text(text, i);
        if (strcmp(text, found->name) == 0) {
            FUZZ_CHECK(found->offset == name->object.offset && found->len == name->object.len);
            FUZZ_CHECK(found->users == name->users[0] + name->users[1] + name->users[2]);
            inspection->names++;
        }
    }
    return 0;
}

static int visit_process(const shmheap_process_info *process, void *context)
{
    struct inspection *inspection = context;
    inspection->selves += process->self != 0;
    return 0;
}

void step_inspect(struct world *world, const struct op *op)
{
    struct inspection inspection = {.world = world};
    shmheap_stats stats;
    unsigned names = 0;
    for (unsigned i = 0; i < WORLD_NAMES; i++)
        names += world->names[i].object.offset != 0;
    SAY("shmheap_check(mem[%u], NULL);", op->side);
    FUZZ_CHECK(shmheap_walk(world->mem[op->side], visit_block, &inspection) == 0);
    FUZZ_CHECK(inspection.objects == world->count + names);
    FUZZ_CHECK(shmheap_names(world->mem[op->side], visit_name, &inspection) == 0 &&
               inspection.names == names);
    FUZZ_CHECK(shmheap_processes(world->mem[op->side], visit_process, &inspection) == 0 &&
               inspection.selves == 1);
    FUZZ_CHECK(shmheap_stat(world->mem[op->side], &stats) == 0);
    FUZZ_CHECK(stats.processes == 2 && stats.dead == 0);
    FUZZ_CHECK(stats.used_blocks >= inspection.objects && stats.len <= stats.max_len);
}
