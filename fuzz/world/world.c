/* world.c: a heap with two connections and the expected state.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/world/arena.h"
#include "fuzz/world/contents.h"
#include "fuzz/driver/kernel.h"

int world_printing, world_damaged;
static const uint8_t *input_bytes;
static size_t input_len;

void world_input(const uint8_t *bytes, size_t len)
{
    static int done;
    if (!done && getenv("FUZZ_PRINT_C"))
        world_printing = 1;
    done = 1;
    input_bytes = bytes;
    input_len = len;
    world_damaged = 0;
    kernel_forget();
}

void world_fail(const char *file, int line, const char *text)
{
    if (!world_printing) {
        printf("%s:%d: %s is false. As a program:\n", file, line, text);
        world_printing = 1;
        LLVMFuzzerTestOneInput(input_bytes, input_len);
    }
    printf("    /* here %s is false (%s:%d) */\n", text, file, line);
    world_print_end();
    fflush(NULL);
    abort();
}

static const char program_head[] =
    "#define _GNU_SOURCE\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include "
    "<sys/mman.h>\n#include <unistd.h>\n#include \"shmheap.h\"\n\n"
    "static shmheap_memory_handle mem[2];\nstatic void *memory[2];\nstatic long at[100000];\n"
    "static void *ptr(int side, long at) { return (char *)shmheap_underlying(mem[side]) + at; }\n"
    "static long off(int side, void *ptr) { return ptr ? (char *)ptr - (char "
    "*)shmheap_underlying(mem[side]) : 0; }\n"
    "static uint64_t label, words[3];\nstatic shmheap_object_handle sent;\n"
    "static int see(const shmheap_block_info *block, void *context) { return 0; }\n"
    "static int see_name(const shmheap_name_info *name, void *context) { return 0; }\n"
    "static int see_process(const shmheap_process_info *process, void *context) { return 0; }\n"
    "static void inspect(shmheap_memory_handle mem, unsigned what)\n{\n    shmheap_stats stats;\n"
    "    if (what & 1) shmheap_walk(mem, see, NULL);\n    if (what & 2) shmheap_check(mem, NULL);\n"
    "    if (what & 4) shmheap_stat(mem, &stats);\n    if (what & 8) shmheap_names(mem, see_name, "
    "NULL);\n"
    "    if (what & 16) shmheap_processes(mem, see_process, NULL);\n}\n"
    "static int broken(int side)\n{\n    shmheap_report report = {0};\n"
    "    if (!shmheap_valid(mem[side]) || shmheap_check(mem[side], &report) == 0)\n"
    "        return 0;\n"
    "    printf(\"heap %d: rule %u: %s\\n\", side, report.rule, report.text);\n"
    "    return 1;\n}\n\nint main(void)\n{\n";

void world_print_memory(size_t bytes)
{
    printf("%s    size_t bytes = %zu;\n    int fd = memfd_create(\"repro\", 0), failed = "
           "ftruncate(fd, bytes);\n"
           "    for (int i = 0; i < 2 && !failed; i++)\n"
           "        memory[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);\n",
           program_head, bytes);
}

void world_print_end(void)
{
    if (world_printing)
        printf("    return %s;\n}\n", world_damaged ? "0" : "broken(0) | broken(1)");
}

const char *world_list_max(const struct world *world, unsigned side)
{
    static const char *const listed[4][2] = {{"64", "64"}, {"8", "64"}, {"0", "0"}, {"0", "8"}};
    return listed[world->shape.list_max % 4][side];
}

static void print_head(const struct world *world)
{
    const struct heap_shape *shape = &world->shape;
    if (world->bytes)
        world_print_memory(world->bytes);
    else
        printf("%s", program_head);
    printf("    shmheap_options options = {.len = %zu, .max_len = %zu, .alignment = %zu, .flags = "
           "%s%s};\n",
           shape->len, shape->max_len, shape->alignment,
           world->bytes ? "0" : "SHMHEAP_CREATE | SHMHEAP_ANONYMOUS",
           shape->cached ? " | SHMHEAP_CACHED" : "");
    printf("    if (setenv(\"SHMHEAP_LIST_MAX\", \"%s\", 1) || %s)\n        return 1;\n",
           world_list_max(world, 0),
           world->bytes ? "shmheap_create_at(&mem[0], memory[0], bytes, &options)"
                        : "shmheap_open(&mem[0], NULL, &options)");
    printf("    if (setenv(\"SHMHEAP_LIST_MAX\", \"%s\", 1) || %s)\n        return 1;\n",
           world_list_max(world, 1),
           world->bytes ? "shmheap_attach_at(&mem[1], memory[1], bytes)"
                        : "shmheap_open_fd(&mem[1], shmheap_fd(mem[0]), NULL)");
}

static int open_first(struct world *world)
{
    const struct heap_shape *shape = &world->shape;
    shmheap_options options = {
        .len = shape->len, .max_len = shape->max_len, .alignment = shape->alignment};
    options.flags = shape->cached ? SHMHEAP_CACHED : 0;
    if (world->bytes)
        return shmheap_create_at(&world->mem[0], arena_memory(0, world->bytes), world->bytes,
                                 &options);
    options.flags |= SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
    return shmheap_open(&world->mem[0], NULL, &options);
}

int world_begin(struct world *world, const struct heap_shape *shape)
{
    memset(world, 0, sizeof *world);
    world->shape = *shape;
    if (!shape->in_file)
        world->bytes = arena_bytes_for(shape->max_len ? shape->max_len : shape->len);
    if (world_printing)
        print_head(world);
    FUZZ_CHECK(setenv("SHMHEAP_LIST_MAX", world_list_max(world, 0), 1) == 0);
    if (open_first(world))
        return -1;
    world_return(world, 1);
    return 0;
}

void world_end(struct world *world)
{
    shmheap_disconnect(world->mem[0]);
    shmheap_disconnect(world->mem[1]);
    world_print_end();
}

static void object_left(struct world_object *object, unsigned side)
{
    if (object->owner == (int)side)
        object->owner = OWNER_LEFT;
    object->known |= 1u << side; /* a new connection knows the length of the heap */
}

void world_leave(struct world *world, unsigned side)
{
    shmheap_disconnect(world->mem[side]);
    for (unsigned i = 0; i < world->count; i++)
        object_left(&world->objects[i], side);
    for (unsigned i = 0; i < WORLD_NAMES; i++) {
        world->names[i].users[2] += world->names[i].users[side];
        world->names[i].users[side] = 0;
    }
}

void world_return(struct world *world, unsigned side)
{
    FUZZ_CHECK(setenv("SHMHEAP_LIST_MAX", world_list_max(world, side), 1) == 0);
    int failed =
        world->bytes
            ? shmheap_attach_at(&world->mem[side], arena_memory(side, world->bytes), world->bytes)
            : shmheap_open_fd(&world->mem[side], shmheap_fd(world->mem[!side]), NULL);
    FUZZ_CHECK(!failed);
}

void *world_ptr(const struct world *world, unsigned side, uint64_t offset)
{
    return (char *)shmheap_underlying(world->mem[side]) + offset;
}

uint64_t world_offset(const struct world *world, unsigned side, const void *ptr)
{
    return (uint64_t)((const char *)ptr - (const char *)shmheap_underlying(world->mem[side]));
}

void world_fill(struct world *world, unsigned side, struct world_object *object)
{
    object->mark = ++world->marks;
    contents_fill(world_ptr(world, side, object->offset), object->len, object->mark);
}

int world_filled(const struct world *world, unsigned side, const struct world_object *object,
                 uint64_t len)
{
    return contents_same(world_ptr(world, side, object->offset), object->len, object->mark, len);
}

void world_check_sound(shmheap_memory_handle mem)
{
    shmheap_report report;
    int sound = shmheap_check(mem, &report);
    if (sound) /* a comment, since it may stand inside a printed program */
        printf("/* shmheap_check: %d, rule %u: %s, offset %llu, expected %llu, found %llu */\n",
               sound, report.rule, report.text, (unsigned long long)report.offset,
               (unsigned long long)report.expected, (unsigned long long)report.found);
    FUZZ_CHECK(sound == 0);
}

void world_check(struct world *world)
{
    world_check_sound(world->mem[world->lines & 1]);
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

void world_remember(struct world *world, unsigned side, void *ptr, uint64_t len)
{
    uint64_t offset = world_offset(world, side, ptr);
    FUZZ_CHECK((offset & (world->shape.alignment - 1)) == 0);
    FUZZ_CHECK(shmheap_usable_size(world->mem[side], ptr) >= len);
    struct world_object *object = &world->objects[world->count++];
    *object = (struct world_object){offset, len, 0, (int)side, 1u << side, world->lines};
    world_fill(world, side, object);
}

/* Passes the object to the side by handle. Only so the side learns that the heap has grown. */
static void introduce(struct world *world, unsigned side, struct world_object *object)
{
    if (object->known >> side & 1)
        return;
    SAY("shmheap_handle_to_ptr(mem[%u], shmheap_ptr_to_handle(mem[%u], ptr(%u, at[%u])));", side,
        !side, !side, object->line);
    shmheap_object_handle handle =
        shmheap_ptr_to_handle(world->mem[!side], world_ptr(world, !side, object->offset));
    FUZZ_CHECK(handle.bits != 0);
    FUZZ_CHECK(shmheap_handle_to_ptr(world->mem[side], handle) ==
               world_ptr(world, side, object->offset));
    object->known |= 1u << side;
}

struct world_object *world_pick(struct world *world, const struct op *op)
{
    if (world->count == 0)
        return NULL;
    struct world_object *object = &world->objects[op->which % world->count];
    introduce(world, op->side, object);
    return object;
}

void world_name_text(char text[8], unsigned which) { snprintf(text, 8, "name%u", which); }
