/* fuzz_crash.c: a process dies during the last of any operations.
 *
 * The death is simulated before each store of that operation in turn; under libFuzzer before each
 * n-th, where the input chooses n. In some inputs the first process that recovers dies as well. The
 * next process recovers and checks all guarantees.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "c/src/segment/connection.h"
#include "fuzz/world/arena.h"
#include "fuzz/death/death.h"

enum {
    STEPS_MAX = 200,
    GROWTH = 8192,
    DIES_AGAIN = 128 /* bit of which: a second death during the recovery */
};

static struct world world;
static struct death death;
static unsigned failing; /* for the printed program: the store of the current death, plus 1 */

enum { LABEL = 4711 };

/* Prepares the call, before its stores are watched: makes the object known to the side, and sends
 * it for OP_LABELLED and for OP_STALE_FREE, which is a receive here. Returns 0 if the call is not
 * possible. */
static int prepare(const struct op *op, shmheap_object_handle *handle)
{
    const struct world_object *object = world_pick(&world, op);
    const uint64_t label = LABEL;
    death.target = 0;
    handle->bits = 0;
    memset(&death.resized, 0, sizeof death.resized);
    switch (op->kind) {
        case OP_STALE_FREE:
            if (object)
                *handle = shmheap_send(world.mem[!op->side],
                                       world_ptr(&world, !op->side, object->offset));
            return handle->bits != 0;
        case OP_LABELLED:
            death.target = object ? op->which % world.count : 0;
            if (object)
                *handle = shmheap_send_labelled(
                    world.mem[!op->side], world_ptr(&world, !op->side, object->offset), &label, 1);
            return handle->bits != 0;
        case OP_FREE:
        case OP_REALLOC:
        case OP_SEND:
        case OP_HANDLE:
            death.target = object ? op->which % world.count : 0;
            return object != NULL;
        case OP_NAMED:
        case OP_UNNAME:
            death.target = op->which % WORLD_NAMES;
            return op->kind == OP_NAMED || world.names[death.target].object.offset != 0;
        case OP_FREE_MANY:
            death.target =
                world.count - (unsigned)(op->size % (world.count + 1 < WORLD_MANY ? world.count + 1
                                                                                  : WORLD_MANY));
            return death.target < world.count;
        default:
            return 1;
    }
}

static void call_free_many(const struct op *op)
{
    void *ptrs[WORLD_MANY];
    size_t count = world.count - death.target;
    for (size_t i = 0; i < count; i++)
        ptrs[i] = world_ptr(&world, op->side, world.objects[death.target + i].offset);
    FUZZ_CHECK(shmheap_free_many(world.mem[op->side], ptrs, count) == count);
}

static void call_realloc(const struct op *op)
{
    void *ptr = world_ptr(&world, op->side, world.objects[death.target].offset);
    ptr = shmheap_realloc(world.mem[op->side], ptr, op->size);
    if (ptr)
        death.resized =
            (struct world_object){.offset = world_offset(&world, op->side, ptr), .len = op->size};
}

static void call_names(const struct op *op)
{
    char text[8];
    world_name_text(text, death.target);
    if (op->kind == OP_NAMED)
        shmheap_alloc_named(world.mem[op->side], text, op->size);
    else
        shmheap_free(world.mem[op->side], shmheap_find(world.mem[op->side], text, NULL));
}

/* Refuses an object in transit, receives it, puts it back, receives it again and sends it on. */
static void call_labelled(shmheap_memory_handle mem, void *ptr, shmheap_object_handle handle)
{
    const uint64_t label = LABEL;
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, LABEL + 1, 0) == NULL);
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, LABEL, 0) == ptr);
    FUZZ_CHECK(shmheap_put_back(mem, handle) == 0);
    FUZZ_CHECK(shmheap_receive(mem, handle) == ptr);
    FUZZ_CHECK(shmheap_send_labelled(mem, ptr, &label, 1).bits != 0);
}

/* Calls that take or return a handle, or allocate in a special way. Returns 0 for other kinds. */
static int call_special(const struct op *op, void *ptr, shmheap_object_handle handle)
{
    shmheap_memory_handle mem = world.mem[op->side];
    void *many[WORLD_MANY];
    switch (op->kind) {
        case OP_ALIGNED:
            return shmheap_aligned_alloc(mem, (size_t)1 << op->which % 13, op->size), 1;
        case OP_CALLOC:
            return shmheap_calloc(mem, 1, op->size), 1;
        case OP_ALLOC_MANY:
            return shmheap_alloc_many(mem, op->size, op->which % WORLD_MANY, many), 1;
        case OP_HANDLE:
            return shmheap_ptr_to_handle(mem, ptr), 1;
        case OP_SEND:
            return shmheap_send(mem, ptr), 1;
        case OP_STALE_FREE:
            FUZZ_CHECK(shmheap_receive(mem, handle) != NULL);
            return 1;
        case OP_LABELLED:
            return call_labelled(mem, ptr, handle), 1;
        default:
            return 0;
    }
}

/* The call during which the process dies. */
static void call(const struct op *op, shmheap_object_handle handle)
{
    shmheap_memory_handle mem = world.mem[op->side];
    void *ptr =
        world.count ? world_ptr(&world, op->side, world.objects[death.target].offset) : NULL;
    switch (op->kind) {
        case OP_FREE:
            FUZZ_CHECK(shmheap_try_free(mem, ptr) == 0);
            break;
        case OP_REALLOC:
            call_realloc(op);
            break;
        case OP_REAP:
            FUZZ_CHECK(shmheap_reap(mem, op->which & 1) == 0);
            break;
        case OP_FREE_MANY:
            call_free_many(op);
            break;
        case OP_NAMED:
        case OP_UNNAME:
            call_names(op);
            break;
        case OP_RECONNECT:
            shmheap_disconnect(mem);
            FUZZ_CHECK(shmheap_attach_at(&world.mem[op->side], arena_memory(op->side, world.bytes),
                                         world.bytes) == 0);
            break;
        default:
            if (!call_special(op, ptr, handle))
                shmheap_alloc(mem, op->size);
    }
}

static void watch(const struct op *op, shmheap_object_handle handle)
{
    death.world = &world;
    death.op = *op;
    death.slots[0] = world.mem[op->side].heap->slot;
    blocks_take(&death.before, world.mem[!op->side]);
    death_watch_begin(world.bytes);
    call(op, handle);
    death.stores = death_watch_end();
    death.slots[1] = world.mem[op->side].heap->slot;
    blocks_take(&death.after, world.mem[op->side]);
}

/* libFuzzer's. A replay, which has none, tries every store. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t max_len) __attribute__((weak));

/* The deaths take nearly all of the time. Bits 5 and 6 of the first byte: n is 4, 1, 2 or 8. */
static unsigned dies_every(unsigned first_byte)
{
    static const unsigned char choices[] = {4, 1, 2, 8};
    return LLVMFuzzerMutate ? choices[first_byte >> 5 & 3] : 1;
}

static void die_everywhere(unsigned every)
{
    shmheap_memory_handle mem;
    for (unsigned k = death.op.which % every; k < death.stores; k += every) {
        if (!death_happen(&death, k))
            continue;
        failing = k + 1;
        if (death.op.which & DIES_AGAIN)
            death_happen_again(&death, death.op.which & (DIES_AGAIN - 1));
        FUZZ_CHECK(shmheap_attach_at(&mem, arena_memory(1, world.bytes), world.bytes) == 0);
        mem.heap->lock_limit_ms = 0;
        death_survive(&death, mem);
        shmheap_disconnect(mem);
        death.slots[2] = 0;
    }
    failing = 0;
}

/* In the printed program the parent, which owns the objects, dies; a child survives. The program
 * needs a library built with -DSHMHEAP_HOOKS. */
static void print_death(const struct op *op)
{
    printf("    extern void (*shmheap_store_hook)(void);\n    int alive[2];\n    pipe(alive);\n    "
           "if (fork() == 0) {\n"
           "        shmheap_report report = {0};\n        close(alive[1]);\n        read(alive[0], "
           "&(char){0}, 1); /* ends with the parent */\n"
           "        shmheap_attach_at(&mem[1], memory[1], bytes);\n        int sound = "
           "shmheap_check(mem[1], &report);\n"
           "        printf(\"%%d, rule %%u: %%s\\n\", sound, report.rule, report.text);\n        "
           "return sound;\n    }\n"
           "    /* shmheap_store_hook counts to %u, then kill(getpid(), SIGKILL); set right before "
           "operation %u (fuzz/world/op.h) of side %u,"
           " which %u, size %llu%s */\n",
           failing ? failing - 1 : 0, op->kind, op->side, op->which, (unsigned long long)op->size,
           failing
               ? (op->which & DIES_AGAIN ? "; a recovering process dies too, see fuzz_crash.c" : "")
               : "; or to 1, 2 ...");
}

static void die_in(const struct op *op, unsigned every)
{
    shmheap_object_handle handle;
    if (!prepare(op, &handle))
        return;
    if (world_printing)
        print_death(op);
    watch(op, handle);
    shmheap_disconnect(world.mem[0]);
    shmheap_disconnect(world.mem[1]);
    die_everywhere(every);
}

/* Bounds the memory, which is copied for each store. */
static void make_small(struct heap_shape *shape)
{
    shape->in_file = 0;
    if (shape->cached)
        shape->len = (64 << 10) + shape->len % 4096;
    if (shape->max_len)
        shape->max_len = shape->len + GROWTH;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    struct heap_shape shape = shape_decode(&input);
    struct op op = {OP_KINDS, 0, 0, 0, 0};
    world_input(bytes, len);
    make_small(&shape);
    if (world_begin(&world, &shape))
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && input_more(&input); i++) {
        op = op_decode(&input);
        if (op.marked)
            break;
        world_step(&world, &op);
    }
    if (op.kind != OP_KINDS) /* the marked operation, or else the last */
        die_in(&op, dies_every(bytes[0]));
    world_end(&world);
    return 0;
}
