/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EDGE = 256, MANY = 40 };

int world_printing;
static const uint8_t *input_bytes;
static size_t input_len;

void world_input(const uint8_t *bytes, size_t len)
{
    input_bytes = bytes;
    input_len = len;
}

void world_fail(const char *file, int line, const char *text)
{
    if (!world_printing) {
        printf("%s:%d: %s is false. As a program:\n", file, line, text);
        world_printing = 1;
        LLVMFuzzerTestOneInput(input_bytes, input_len);
    }
    printf("    /* here %s is false (%s:%d) */\n    return 0;\n}\n", text, file, line);
    fflush(NULL);
    abort();
}

#define SAY(...) (world_printing ? (void)(printf("    " __VA_ARGS__), putchar('\n'), fflush(stdout)) : (void)0)

static void print_head(const struct heap_shape *shape)
{
    printf("#include <stdio.h>\n#include \"shmheap.h\"\n\nstatic shmheap_memory_handle mem[2];\nstatic long at[100000];\n"
           "static void *ptr(int side, long at) { return (char *)shmheap_underlying(mem[side]) + at; }\n"
           "static long off(int side, void *ptr) { return ptr ? (char *)ptr - (char *)shmheap_underlying(mem[side]) : 0; }"
           "\n\nint main(void)\n{\n");
    printf("    shmheap_options options = {.len = %zu, .max_len = %zu, .alignment = %zu,\n"
           "        .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS%s};\n"
           "    if (shmheap_open(&mem[0], NULL, &options) || shmheap_open_fd(&mem[1], shmheap_fd(mem[0]), NULL))\n"
           "        return 1;\n",
           shape->len, shape->max_len, shape->alignment, shape->cached ? " | SHMHEAP_CACHED" : "");
}

int world_begin(struct world *world, const struct heap_shape *shape)
{
    shmheap_options options = {.len = shape->len, .max_len = shape->max_len, .alignment = shape->alignment};
    options.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | (shape->cached ? SHMHEAP_CACHED : 0);
    memset(world, 0, sizeof *world);
    world->shape = *shape;
    if (world_printing)
        print_head(shape);
    if (shmheap_open(&world->mem[0], NULL, &options))
        return -1;
    FUZZ_CHECK(shmheap_open_fd(&world->mem[1], shmheap_fd(world->mem[0]), NULL) == 0);
    return 0;
}

void world_end(struct world *world)
{
    shmheap_disconnect(world->mem[0]);
    shmheap_disconnect(world->mem[1]);
    if (world_printing)
        printf("    return 0;\n}\n");
}

void *world_ptr(const struct world *world, unsigned side, uint64_t offset)
{
    return (char *)shmheap_underlying(world->mem[side]) + offset;
}

uint64_t world_offset(const struct world *world, unsigned side, const void *ptr)
{
    return (uint64_t)((const char *)ptr - (const char *)shmheap_underlying(world->mem[side]));
}

static unsigned char mark_byte(uint64_t mark, uint64_t at) { return (unsigned char)(mark * 167 + at * 31 + 1); }

static int in_edges(uint64_t at, uint64_t len) { return at < EDGE || len - at <= EDGE; }

void world_fill(struct world *world, unsigned side, struct world_object *object)
{
    unsigned char *bytes = world_ptr(world, side, object->offset);
    object->mark = ++world->marks;
    for (uint64_t i = 0; i < object->len; i++)
        if (in_edges(i, object->len))
            bytes[i] = mark_byte(object->mark, i);
}

/* The first len bytes of the object are as written. */
int world_filled(const struct world *world, unsigned side, const struct world_object *object, uint64_t len)
{
    const unsigned char *bytes = world_ptr(world, side, object->offset);
    for (uint64_t i = 0; i < len; i++)
        if (in_edges(i, object->len) && bytes[i] != mark_byte(object->mark, i))
            return 0;
    return 1;
}

void world_check(struct world *world)
{
    shmheap_report report;
    int sound = shmheap_check(world->mem[world->lines & 1], &report);
    if (sound)
        printf("shmheap_check: %d, rule %u: %s, offset %llu, expected %llu, found %llu\n", sound, report.rule, report.text,
               (unsigned long long)report.offset, (unsigned long long)report.expected, (unsigned long long)report.found);
    FUZZ_CHECK(sound == 0);
    for (unsigned i = 0; i < world->count; i++)
        FUZZ_CHECK(world_filled(world, i & 1, &world->objects[i], world->objects[i].len));
    for (unsigned i = 0; i < WORLD_NAMES; i++)
        FUZZ_CHECK(world_filled(world, i & 1, &world->names[i].object, world->names[i].object.len));
}

void world_forget(struct world *world, unsigned index)
{
    world->freed = world->objects[index].offset;
    world->objects[index] = world->objects[--world->count];
}

static void remember(struct world *world, unsigned side, void *ptr, uint64_t len)
{
    uint64_t offset = world_offset(world, side, ptr);
    FUZZ_CHECK((offset & (world->shape.alignment - 1)) == 0);
    FUZZ_CHECK(shmheap_usable_size(world->mem[side], ptr) >= len);
    struct world_object *object = &world->objects[world->count++];
    *object = (struct world_object){offset, len, 0, (int)side, 1u << side, world->lines};
    world_fill(world, side, object);
}

static void made(struct world *world, const struct op *op, void *ptr)
{
    FUZZ_CHECK(ptr || errno == ENOMEM);
    if (ptr)
        remember(world, op->side, ptr, op->size);
}

/* The side gets the pointer by a handle from the other: only so it learns that the heap has grown. */
static void introduce(struct world *world, unsigned side, struct world_object *object)
{
    if (object->known >> side & 1)
        return;
    SAY("shmheap_handle_to_ptr(mem[%u], shmheap_ptr_to_handle(mem[%u], ptr(%u, at[%u])));", side, !side, !side, object->line);
    shmheap_object_handle handle = shmheap_ptr_to_handle(world->mem[!side], world_ptr(world, !side, object->offset));
    FUZZ_CHECK(handle.bits != 0);
    FUZZ_CHECK(shmheap_handle_to_ptr(world->mem[side], handle) == world_ptr(world, side, object->offset));
    object->known |= 1u << side;
}

static struct world_object *pick(struct world *world, const struct op *op)
{
    if (world->count == 0)
        return NULL;
    struct world_object *object = &world->objects[op->which % world->count];
    introduce(world, op->side, object);
    return object;
}

static void step_make(struct world *world, const struct op *op)
{
    shmheap_memory_handle mem = world->mem[op->side];
    unsigned long long size = op->size;
    if (world->count == WORLD_OBJECTS)
        return;
    if (op->kind == OP_ALIGNED) {
        size_t alignment = (size_t)1 << op->which % 13;
        SAY("at[%u] = off(%u, shmheap_aligned_alloc(mem[%u], %zu, %lluu));", world->lines, op->side, op->side, alignment, size);
        void *ptr = shmheap_aligned_alloc(mem, alignment, op->size);
        FUZZ_CHECK(((uintptr_t)ptr & (alignment - 1)) == 0);
        made(world, op, ptr);
    } else if (op->kind == OP_CALLOC) {
        SAY("at[%u] = off(%u, shmheap_calloc(mem[%u], 1, %lluu));", world->lines, op->side, op->side, size);
        unsigned char *ptr = shmheap_calloc(mem, 1, op->size);
        for (uint64_t i = 0; ptr && i < op->size; i++)
            FUZZ_CHECK(ptr[i] == 0);
        made(world, op, ptr);
    } else {
        SAY("at[%u] = off(%u, shmheap_alloc(mem[%u], %lluu));", world->lines, op->side, op->side, size);
        made(world, op, shmheap_alloc(mem, op->size));
    }
}

static void step_free(struct world *world, const struct op *op)
{
    struct world_object *object = pick(world, op);
    if (!object)
        return;
    SAY("shmheap_free(mem[%u], ptr(%u, at[%u]));", op->side, op->side, object->line);
    FUZZ_CHECK(shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, object->offset)) == 0);
    world_forget(world, op->which % world->count);
}

static void step_realloc(struct world *world, const struct op *op)
{
    struct world_object *object = pick(world, op);
    if (!object)
        return;
    SAY("at[%u] = off(%u, shmheap_realloc(mem[%u], ptr(%u, at[%u]), %lluu)); /* if it fails: at[%u] */", world->lines, op->side,
        op->side, op->side, object->line, (unsigned long long)op->size, object->line);
    void *ptr = shmheap_realloc(world->mem[op->side], world_ptr(world, op->side, object->offset), op->size);
    FUZZ_CHECK(ptr || errno == ENOMEM);
    if (!ptr)
        return;
    uint64_t offset = world_offset(world, op->side, ptr);
    if (offset != object->offset) {
        object->owner = (int)op->side;
        object->known = 1u << op->side;
    } else if (object->owner != (int)op->side)
        object->owner = -1;
    object->offset = offset;
    object->line = world->lines;
    FUZZ_CHECK(world_filled(world, !op->side, object, object->len < op->size ? object->len : op->size));
    FUZZ_CHECK(shmheap_usable_size(world->mem[op->side], ptr) >= op->size);
    object->len = op->size;
    world_fill(world, op->side, object);
}

static void step_handle(struct world *world, const struct op *op)
{
    struct world_object *object = pick(world, op);
    if (!object)
        return;
    SAY("shmheap_handle_to_ptr(mem[%u], shmheap_ptr_to_handle(mem[%u], ptr(%u, at[%u])));", !op->side, op->side, op->side,
        object->line);
    shmheap_object_handle handle =
        shmheap_ptr_to_handle(world->mem[op->side], world_ptr(world, op->side, object->offset));
    FUZZ_CHECK(handle.bits != 0);
    void *ptr = shmheap_handle_to_ptr(world->mem[!op->side], handle);
    FUZZ_CHECK(ptr == world_ptr(world, !op->side, object->offset));
    shmheap_object_handle wrong = {handle.bits ^ (UINT64_C(1) << op->size % 64)};
    /* Sending advances a stamp, so two objects may have the same one: then the wrong handle may be the right one of the other. */
    void *other = shmheap_handle_to_ptr(world->mem[op->side], wrong);
    FUZZ_CHECK(!other || shmheap_ptr_to_handle(world->mem[op->side], other).bits == wrong.bits);
}

static void step_send(struct world *world, const struct op *op)
{
    struct world_object *object = pick(world, op);
    if (!object)
        return;
    SAY("shmheap_receive(mem[%u], shmheap_send(mem[%u], ptr(%u, at[%u])));", !op->side, op->side, op->side, object->line);
    shmheap_object_handle handle = shmheap_send(world->mem[op->side], world_ptr(world, op->side, object->offset));
    if (handle.bits == 0) {
        FUZZ_CHECK(errno == EPERM && object->owner != (int)op->side);
        return;
    }
    FUZZ_CHECK(object->owner == (int)op->side || object->owner == -1);
    FUZZ_CHECK(shmheap_receive(world->mem[!op->side], handle) == world_ptr(world, !op->side, object->offset));
    FUZZ_CHECK(shmheap_receive(world->mem[op->side], handle) == NULL && errno == ESTALE);
    object->owner = !op->side;
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

static void step_stale_free(struct world *world, const struct op *op)
{
    struct world_object *object = pick(world, op);
    if (object && object->len > 16) {
        uint64_t inside = object->offset + 8 * (1 + op->size % (object->len / 8 - 1));
        SAY("shmheap_free(mem[%u], ptr(%u, at[%u] + %d));", op->side, op->side, object->line, (int)(inside - object->offset));
        FUZZ_CHECK(shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, inside)) == -1 && errno == EINVAL);
    }
    if (world->freed && !alive_at(world, world->freed)) {
        SAY("shmheap_free(mem[%u], ptr(%u, %llu));", op->side, op->side, (unsigned long long)world->freed);
        FUZZ_CHECK(shmheap_try_free(world->mem[op->side], world_ptr(world, op->side, world->freed)) == -1);
    }
}

static void step_alloc_many(struct world *world, const struct op *op)
{
    void *ptrs[MANY];
    size_t count = op->which % MANY, got;
    if (world->count + count > WORLD_OBJECTS)
        return;
    SAY("{ void *many[%d]; size_t n = shmheap_alloc_many(mem[%u], %lluu, %zu, many);\n"
        "      for (size_t i = 0; i < n; i++) at[%u + i] = off(%u, many[i]); }",
        MANY, op->side, (unsigned long long)op->size, count, world->lines, op->side);
    got = shmheap_alloc_many(world->mem[op->side], op->size, count, ptrs);
    FUZZ_CHECK(got <= count && (got == count || errno == ENOMEM));
    for (size_t i = 0; i < got; i++, world->lines++)
        remember(world, op->side, ptrs[i], op->size);
}

static void step_free_many(struct world *world, const struct op *op)
{
    void *ptrs[MANY + 1];
    size_t count = op->size % MANY, i;
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
    ptrs[count] = ptrs[0]; /* a second time: refused */
    SAY("    ptr(%u, at[%u])};\n      shmheap_free_many(mem[%u], many, %zu); }", op->side,
        world->objects[world->count - 1].line, op->side, count + twice);
    FUZZ_CHECK(shmheap_free_many(world->mem[op->side], ptrs, count + twice) == count);
    for (i = 0; i < count; i++)
        world_forget(world, world->count - 1);
}

static void name_text(char text[8], unsigned which) { snprintf(text, 8, "name%u", which); }

static void name_begin(struct world *world, unsigned side, struct world_name *name, const void *ptr, uint64_t len)
{
    name->object = (struct world_object){world_offset(world, side, ptr), len, 0, -1, 3, world->lines};
    world_fill(world, side, &name->object);
}

/* The side counts as a user once more; the other finds the same object. */
static void step_named(struct world *world, const struct op *op)
{
    struct world_name *name = &world->names[op->which % WORLD_NAMES];
    char text[8];
    size_t len = 0;
    name_text(text, op->which % WORLD_NAMES);
    SAY("at[%u] = off(%u, shmheap_alloc_named(mem[%u], \"%s\", %lluu));", world->lines, op->side, op->side, text,
        (unsigned long long)op->size);
    char *ptr = shmheap_alloc_named(world->mem[op->side], text, op->size);
    if (!ptr) {
        FUZZ_CHECK(name->object.offset ? op->size > name->object.len || errno == ENOMEM : errno == ENOMEM);
        return;
    }
    if (name->object.offset)
        FUZZ_CHECK(op->size <= name->object.len && world_offset(world, op->side, ptr) == name->object.offset);
    else
        name_begin(world, op->side, name, ptr, op->size);
    name->users[op->side]++;
    FUZZ_CHECK(shmheap_find(world->mem[!op->side], text, &len) == world_ptr(world, !op->side, name->object.offset));
    FUZZ_CHECK(len == name->object.len);
}

static void step_unname(struct world *world, const struct op *op)
{
    struct world_name *name = &world->names[op->which % WORLD_NAMES];
    char text[8];
    if (!name->object.offset)
        return;
    name_text(text, op->which % WORLD_NAMES);
    SAY("shmheap_free(mem[%u], shmheap_find(mem[%u], \"%s\", NULL));", op->side, op->side, text);
    void *ptr = shmheap_find(world->mem[op->side], text, NULL);
    FUZZ_CHECK(ptr == world_ptr(world, op->side, name->object.offset));
    int result = shmheap_try_free(world->mem[op->side], ptr);
    if (name->users[op->side] == 0) {
        FUZZ_CHECK(result == -1 && errno == EPERM);
        return;
    }
    FUZZ_CHECK(result == 0);
    name->users[op->side]--;
    if (name->users[0] + name->users[1] == 0) {
        FUZZ_CHECK(shmheap_find(world->mem[!op->side], text, NULL) == NULL);
        memset(name, 0, sizeof *name);
    }
}

static void step_reap(struct world *world, const struct op *op)
{
    SAY("shmheap_reap(mem[%u], %u);", op->side, op->which & 1);
    FUZZ_CHECK(shmheap_reap(world->mem[op->side], op->which & 1) == 0); /* nobody died */
}

void world_step(struct world *world, const struct op *op)
{
    static void (*const steps[OP_KINDS])(struct world *, const struct op *) = {
        [OP_ALLOC] = step_make,           [OP_FREE] = step_free,           [OP_REALLOC] = step_realloc,
        [OP_ALIGNED] = step_make,         [OP_CALLOC] = step_make,         [OP_HANDLE] = step_handle,
        [OP_SEND] = step_send,            [OP_REAP] = step_reap,           [OP_STALE_FREE] = step_stale_free,
        [OP_ALLOC_MANY] = step_alloc_many, [OP_FREE_MANY] = step_free_many,
        [OP_NAMED] = step_named,          [OP_UNNAME] = step_unname,
    };
    errno = 0;
    steps[op->kind](world, op);
    world->lines++;
}
