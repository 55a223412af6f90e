/* steps.c: operations on objects.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/steps.h"

#include <errno.h>
#include <string.h>

#include "fuzz/world/contents.h"

static void made(struct world *world, const struct op *op, void *ptr)
{
    FUZZ_CHECK(ptr || errno == ENOMEM);
    if (ptr)
        world_remember(world, op->side, ptr, op->size);
}

void step_make(struct world *world, const struct op *op)
{
    shmheap_memory_handle mem = world->mem[op->side];
    unsigned long long size = op->size;
    if (world->count == WORLD_OBJECTS)
        return;
    if (op->kind == OP_ALIGNED) {
        size_t alignment = (size_t)1 << op->which % 13;
        SAY("at[%u] = off(%u, shmheap_aligned_alloc(mem[%u], %zu, %lluu));", world->lines, op->side,
            op->side, alignment, size);
        void *ptr = shmheap_aligned_alloc(mem, alignment, op->size);
        FUZZ_CHECK(((uintptr_t)ptr & (alignment - 1)) == 0);
        made(world, op, ptr);
    } else if (op->kind == OP_CALLOC) {
        SAY("at[%u] = off(%u, shmheap_calloc(mem[%u], 1, %lluu));", world->lines, op->side,
            op->side, size);
        unsigned char *ptr = shmheap_calloc(mem, 1, op->size);
        FUZZ_CHECK(!ptr || contents_zero(ptr, op->size));
        made(world, op, ptr);
    } else if (op->kind == OP_ALLOC_WAIT) {
        SAY("at[%u] = off(%u, shmheap_alloc_wait(mem[%u], %lluu, 0));", world->lines, op->side,
            op->side, size);
        made(world, op, shmheap_alloc_wait(mem, op->size, 0));
    } else {
        SAY("at[%u] = off(%u, shmheap_alloc(mem[%u], %lluu));", world->lines, op->side, op->side,
            size);
        made(world, op, shmheap_alloc(mem, op->size));
    }
}

void step_free(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (!object)
        return;
    SAY("shmheap_free(mem[%u], ptr(%u, at[%u]));", op->side, op->side, object->line);
    FUZZ_CHECK(shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, object->offset)) ==
               0);
    world_forget(world, op->which % world->count);
}

void step_realloc(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (!object)
        return;
    SAY("at[%u] = off(%u, shmheap_realloc(mem[%u], ptr(%u, at[%u]), %lluu)); /* if it fails: "
        "at[%u] */",
        world->lines, op->side, op->side, op->side, object->line, (unsigned long long)op->size,
        object->line);
    void *ptr =
        shmheap_realloc(world->mem[op->side], world_ptr(world, op->side, object->offset), op->size);
    FUZZ_CHECK(ptr || errno == ENOMEM);
    if (!ptr)
        return;
    uint64_t offset = world_offset(world, op->side, ptr);
    if (offset != object->offset) {
        object->owner = (int)op->side;
        object->known = 1u << op->side;
    } else if (object->owner != (int)op->side)
        object->owner = OWNER_UNKNOWN;
    object->offset = offset;
    object->line = world->lines;
    FUZZ_CHECK(
        world_filled(world, !op->side, object, object->len < op->size ? object->len : op->size));
    FUZZ_CHECK(shmheap_usable_size(world->mem[op->side], ptr) >= op->size);
    object->len = op->size;
    world_fill(world, op->side, object);
}

void step_handle(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (!object)
        return;
    SAY("shmheap_handle_to_ptr(mem[%u], shmheap_ptr_to_handle(mem[%u], ptr(%u, at[%u])));",
        !op->side, op->side, op->side, object->line);
    shmheap_object_handle handle =
        shmheap_ptr_to_handle(world->mem[op->side], world_ptr(world, op->side, object->offset));
    FUZZ_CHECK(handle.bits != 0);
    void *ptr = shmheap_handle_to_ptr(world->mem[!op->side], handle);
    FUZZ_CHECK(ptr == world_ptr(world, !op->side, object->offset));
    shmheap_object_handle wrong = {handle.bits ^ (UINT64_C(1) << op->size % 64)};
    /* Sending advances a generation, so two objects may have equal generations. The wrong handle
     * may then be the valid handle of another object. */
    void *other = shmheap_handle_to_ptr(world->mem[op->side], wrong);
    FUZZ_CHECK(!other || shmheap_ptr_to_handle(world->mem[op->side], other).bits == wrong.bits);
}

void step_send(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (!object)
        return;
    SAY("shmheap_receive(mem[%u], shmheap_send(mem[%u], ptr(%u, at[%u])));", !op->side, op->side,
        op->side, object->line);
    shmheap_object_handle handle =
        shmheap_send(world->mem[op->side], world_ptr(world, op->side, object->offset));
    if (handle.bits == 0) {
        FUZZ_CHECK(errno == EPERM && object->owner != (int)op->side);
        return;
    }
    FUZZ_CHECK(object->owner == (int)op->side || object->owner == OWNER_UNKNOWN);
    FUZZ_CHECK(shmheap_receive(world->mem[!op->side], handle) ==
               world_ptr(world, !op->side, object->offset));
    FUZZ_CHECK(shmheap_receive(world->mem[op->side], handle) == NULL && errno == ESTALE);
    object->owner = !op->side;
}

/* What the receiver learns before it claims, and its refused claims, which change nothing. */
static void look_at_labelled(shmheap_memory_handle mem, shmheap_object_handle handle,
                             uint64_t label, uint64_t len, unsigned self)
{
    uint64_t seen = 0;
    SAY("shmheap_peek(mem[%u], sent, -8, &label, 8);", self);
    size_t holds = shmheap_peek(mem, handle, -(ptrdiff_t)sizeof seen, &seen, sizeof seen);
    FUZZ_CHECK(holds >= len && seen == label);
    SAY("shmheap_receive_labelled(mem[%u], sent, ~label, 0); /* refused */", self);
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, ~label, 0) == NULL && errno == ENOMSG);
    SAY("shmheap_receive_labelled(mem[%u], sent, label, %zu); /* refused */", self, holds + 1);
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, label, holds + 1) == NULL && errno == ERANGE);
}

static void receive_labelled(const struct world *world, const struct op *op,
                             const struct world_object *object, shmheap_object_handle handle,
                             uint64_t label)
{
    shmheap_memory_handle mem = world->mem[!op->side];
    void *ptr = world_ptr(world, !op->side, object->offset);
    look_at_labelled(mem, handle, label, object->len, !op->side);
    SAY("shmheap_receive_labelled(mem[%u], sent, label, %llu);", !op->side,
        (unsigned long long)object->len);
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, label, object->len) == ptr);
    if (op->which & 1) {
        SAY("shmheap_put_back(mem[%u], sent); shmheap_receive(mem[%u], sent);", !op->side,
            !op->side);
        FUZZ_CHECK(shmheap_put_back(mem, handle) == 0);
        FUZZ_CHECK(shmheap_put_back(mem, handle) == -1 && errno == ESTALE);
        FUZZ_CHECK(shmheap_receive(mem, handle) == ptr);
    }
    FUZZ_CHECK(shmheap_receive_labelled(mem, handle, label, 0) == NULL && errno == ESTALE);
}

/* The last of one to three words is the label. They replace the end of the object's contents. */
void step_labelled(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (!object)
        return;
    const uint64_t words[3] = {world->marks, ~world->marks, op->size ^ object->mark};
    size_t count = 1 + op->size % 3;
    uint64_t label = words[2];
    SAY("words[0] = %lluu, words[1] = %lluu, words[2] = label = %lluu;",
        (unsigned long long)words[0], (unsigned long long)words[1], (unsigned long long)label);
    SAY("sent = shmheap_send_labelled(mem[%u], ptr(%u, at[%u]), words + %zu, %zu);", op->side,
        op->side, object->line, 3 - count, count);
    shmheap_object_handle handle = shmheap_send_labelled(
        world->mem[op->side], world_ptr(world, op->side, object->offset), words + 3 - count, count);
    if (handle.bits != 0) {
        FUZZ_CHECK(object->owner == (int)op->side || object->owner == OWNER_UNKNOWN);
        receive_labelled(world, op, object, handle, label);
        object->owner = !op->side;
        world_fill(world, !op->side, object);
    } else {
        FUZZ_CHECK((errno == EPERM && object->owner != (int)op->side) ||
                   (errno == EBADMSG && object->len < count * sizeof *words));
    }
}

static int alive_at(const struct world *world, uint64_t offset)
{
    for (unsigned i = 0; i < world->count; i++)
        if (world->objects[i].offset == offset)
            return 1;
    for (unsigned i = 0; i < WORLD_NAMES; i++)
        if (world->names[i].object.offset == offset)
            return 1;
    return 0;
}

void step_stale_free(struct world *world, const struct op *op)
{
    struct world_object *object = world_pick(world, op);
    if (object && object->len > 16) {
        uint64_t inside = object->offset + 8 * (1 + op->size % (object->len / 8 - 1));
        SAY("shmheap_free(mem[%u], ptr(%u, at[%u] + %d));", op->side, op->side, object->line,
            (int)(inside - object->offset));
        FUZZ_CHECK(shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, inside)) ==
                       -1 &&
                   errno == EINVAL);
    }
    if (world->freed && !alive_at(world, world->freed)) {
        SAY("shmheap_free(mem[%u], ptr(%u, %llu));", op->side, op->side,
            (unsigned long long)world->freed);
        FUZZ_CHECK(
            shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, world->freed)) == -1);
    }
}

void step_alloc_many(struct world *world, const struct op *op)
{
    void *ptrs[WORLD_MANY];
    size_t count = op->which % WORLD_MANY, got;
    if (world->count + count > WORLD_OBJECTS)
        return;
    SAY("{ void *many[%d]; size_t n = shmheap_alloc_many(mem[%u], %lluu, %zu, many);\n"
        "      for (size_t i = 0; i < n; i++) at[%u + i] = off(%u, many[i]); }",
        WORLD_MANY, op->side, (unsigned long long)op->size, count, world->lines, op->side);
    got = shmheap_alloc_many(world->mem[op->side], op->size, count, ptrs);
    FUZZ_CHECK(got <= count && (got == count || errno == ENOMEM));
    for (size_t i = 0; i < got; i++, world->lines++)
        world_remember(world, op->side, ptrs[i], op->size);
}

void step_free_many(struct world *world, const struct op *op)
{
    void *ptrs[WORLD_MANY + 1];
    size_t count = op->size % WORLD_MANY, i;
    unsigned twice = op->which & 1;
    if (count > world->count)
        count = world->count;
    if (count == 0)
        return;
    SAY("{ void *many[] = {");
    for (i = 0; i < count; i++) {
        struct world_object *object = &world->objects[world->count - 1 - i];
        SAY("    ptr(%u, at[%u]),", op->side, object->line);
        ptrs[i] = world_ptr(world, op->side, object->offset);
    }
    ptrs[count] = ptrs[0]; /* twice: the library refuses the second */
    SAY("    ptr(%u, at[%u])};\n      shmheap_free_many(mem[%u], many, %zu); }", op->side,
        world->objects[world->count - 1].line, op->side, count + twice);
    FUZZ_CHECK(shmheap_free_many(world->mem[op->side], ptrs, count + twice) == count);
    for (i = 0; i < count; i++)
        world_forget(world, world->count - 1);
}

void world_step(struct world *world, const struct op *op)
{
    static void (*const steps[OP_KINDS])(struct world *, const struct op *) = {
        [OP_ALLOC] = step_make,
        [OP_FREE] = step_free,
        [OP_REALLOC] = step_realloc,
        [OP_ALIGNED] = step_make,
        [OP_CALLOC] = step_make,
        [OP_HANDLE] = step_handle,
        [OP_SEND] = step_send,
        [OP_REAP] = step_reap,
        [OP_STALE_FREE] = step_stale_free,
        [OP_ALLOC_WAIT] = step_make,
        [OP_ALLOC_MANY] = step_alloc_many,
        [OP_FREE_MANY] = step_free_many,
        [OP_NAMED] = step_named,
        [OP_UNNAME] = step_unname,
        [OP_RECONNECT] = step_reconnect,
        [OP_INSPECT] = step_inspect,
        [OP_LABELLED] = step_labelled,
    };
    errno = 0;
    steps[op->kind](world, op);
    world->lines++;
}
