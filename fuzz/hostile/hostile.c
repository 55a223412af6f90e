/* hostile.c: calls on a hostile heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/hostile/hostile.h"

#include <errno.h>
#include <string.h>

#include "c/src/segment/connection.h"
#include "fuzz/world/arena.h"
#include "fuzz/world/world.h"

enum { MANY = 20 };

static unsigned char *region(const struct hostile *hostile, unsigned side)
{
    return shmheap_underlying(hostile->mem[side]);
}

static uint64_t region_most(const struct hostile *hostile, unsigned side)
{
    return hostile->mem[side].heap->layout.max_len;
}

/* Keeps the layout for edits. The limit 0 ends waits for a lock whose owner an edit made up,
 * after 1 ms. */
static void connected(struct hostile *hostile, shmheap_memory_handle mem)
{
    if (!shmheap_valid(mem))
        return;
    mem.heap->lock_limit_ms = 0;
    hostile->layout = mem.heap->layout;
}

void hostile_begin(struct hostile *hostile, size_t bytes, const shmheap_memory_handle *mem)
{
    memset(hostile, 0, sizeof *hostile);
    world_damaged = 1;
    hostile->bytes = bytes;
    for (unsigned side = 0; side < 2; side++) {
        hostile->memory[side] = arena_memory(side, bytes);
        if (mem)
            connected(hostile, hostile->mem[side] = mem[side]);
    }
    for (unsigned i = 0; i < HOSTILE_KEPT; i++)
        hostile->kept[i] = 16 + 16 * i;
}

static void keep(struct hostile *hostile, const struct op *op, const unsigned char *ptr)
{
    hostile->kept[op->which % HOSTILE_KEPT] = (uint64_t)(ptr - region(hostile, op->side));
}

/* If ptr is not NULL, the whole object lies inside the heap and is writable. */
static void use(struct hostile *hostile, const struct op *op, unsigned char *ptr, uint64_t len)
{
    if (!ptr)
        return;
    uint64_t most = region_most(hostile, op->side);
    FUZZ_CHECK(ptr >= region(hostile, op->side) && len <= most);
    FUZZ_CHECK((uint64_t)(ptr - region(hostile, op->side)) <= most - len);
    memset(ptr, (int)op->which, len < 64 ? len : 64);
    if (len > 0)
        ptr[len - 1] = (unsigned char)op->which;
    keep(hostile, op, ptr);
}

/* A pointer that a call returned, one near it, or any. */
static void *some_pointer(const struct hostile *hostile, const struct op *op)
{
    uint64_t offset = hostile->kept[op->which % HOSTILE_KEPT];
    if (op->which >= 0xf8)
        offset = op->size;
    else if (op->which >= 0xf0)
        offset += 8;
    return (void *)((uintptr_t)region(hostile, op->side) + offset); /* may be outside */
}

/* For the printed program. */
static long long some_offset(const struct hostile *hostile, const struct op *op)
{
    return (long long)((uintptr_t)some_pointer(hostile, op) - (uintptr_t)region(hostile, op->side));
}

#define SIZE(op) ((unsigned long long)(op)->size)

static const char *some_name(const struct op *op)
{
    static const char *const names[] = {
        "name0", "name1", "name2", "a name that is longer than others, so that its record is", ""};
    return names[op->which % (sizeof names / sizeof *names)];
}

static void call_make(struct hostile *hostile, const struct op *op)
{
    if (op->kind == OP_ALIGNED)
        SAY("shmheap_aligned_alloc(mem[%u], %u, %lluu);", op->side, 1u << op->which % 13, SIZE(op));
    else if (op->kind == OP_CALLOC)
        SAY("shmheap_calloc(mem[%u], 1, %lluu);", op->side, SIZE(op));
    else if (op->kind == OP_ALLOC_WAIT)
        SAY("shmheap_alloc_wait(mem[%u], %lluu, %d);", op->side, SIZE(op), op->which == 77);
    else
        SAY("shmheap_alloc(mem[%u], %lluu);", op->side, SIZE(op));
    shmheap_memory_handle mem = hostile->mem[op->side];
    unsigned char *ptr =
        op->kind == OP_ALIGNED  ? shmheap_aligned_alloc(mem, (size_t)1 << op->which % 13, op->size)
        : op->kind == OP_CALLOC ? shmheap_calloc(mem, 1, op->size)
        : op->kind == OP_ALLOC_WAIT ? shmheap_alloc_wait(mem, op->size, op->which == 77)
                                    : shmheap_alloc(mem, op->size);
    use(hostile, op, ptr, op->size);
}

static void call_free(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_free(mem[%u], ptr(%u, %lld));", op->side, op->side, some_offset(hostile, op));
    shmheap_try_free(hostile->mem[op->side], some_pointer(hostile, op));
}

static void call_realloc(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_realloc(mem[%u], ptr(%u, %lld), %lluu);", op->side, op->side,
        some_offset(hostile, op), SIZE(op));
    use(hostile, op, shmheap_realloc(hostile->mem[op->side], some_pointer(hostile, op), op->size),
        op->size);
}

static void call_handle(struct hostile *hostile, const struct op *op)
{
    SAY("{ shmheap_object_handle h = shmheap_ptr_to_handle(mem[%u], ptr(%u, %lld)); h.bits ^= "
        "%lluu;\n"
        "      shmheap_handle_to_ptr(mem[%u], h); shmheap_usable_size(mem[%u], ptr(%u, %lld)); }",
        op->side, op->side, some_offset(hostile, op), op->size & 64 ? 1ull << op->size % 64 : 0,
        op->side, op->side, op->side, some_offset(hostile, op));
    shmheap_object_handle handle =
        shmheap_ptr_to_handle(hostile->mem[op->side], some_pointer(hostile, op));
    if (op->size & 64)
        handle.bits ^= UINT64_C(1) << op->size % 64;
    use(hostile, op, shmheap_handle_to_ptr(hostile->mem[op->side], handle), 0);
    size_t len = shmheap_usable_size(hostile->mem[op->side], some_pointer(hostile, op));
    if (len > 0)
        use(hostile, op, some_pointer(hostile, op), len);
}

static void call_send(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_receive(mem[%u], shmheap_send(mem[%u], ptr(%u, %lld)));", op->side, op->side,
        op->side, some_offset(hostile, op));
    shmheap_object_handle handle = shmheap_send(hostile->mem[op->side], some_pointer(hostile, op));
    unsigned char copy[64];
    ptrdiff_t from = (ptrdiff_t)(op->which % 128) - 64;
    FUZZ_CHECK(shmheap_peek(hostile->mem[op->side], handle, from, copy, op->which % sizeof copy) <
               SIZE_MAX / 2);
    use(hostile, op, shmheap_receive(hostile->mem[op->side], handle), 0);
}

static void call_labelled(struct hostile *hostile, const struct op *op)
{
    shmheap_memory_handle mem = hostile->mem[op->side];
    const uint64_t words[3] = {op->size, op->which, op->size};
    size_t count = 1 + op->which % 3;
    SAY("{ const uint64_t words[] = {%llu, %u, %llu};\n"
        "      shmheap_object_handle h = shmheap_send_labelled(mem[%u], ptr(%u, %lld), words, "
        "%zu);\n"
        "      h.bits ^= %llu; shmheap_receive_labelled(mem[%u], h, words[%zu], %u);\n"
        "      shmheap_put_back(mem[%u], h); shmheap_receive(mem[%u], h); }",
        SIZE(op), op->which, SIZE(op), op->side, op->side, some_offset(hostile, op), count,
        op->size & 64 ? 1ull << op->size % 64 : 0, op->side, count - 1, op->which, op->side,
        op->side);
    shmheap_object_handle handle =
        shmheap_send_labelled(mem, some_pointer(hostile, op), words, count);
    if (op->size & 64)
        handle.bits ^= UINT64_C(1) << op->size % 64;
    use(hostile, op, shmheap_receive_labelled(mem, handle, words[count - 1], op->which), op->which);
    shmheap_put_back(mem, handle);
    use(hostile, op, shmheap_receive(mem, handle), 0);
}

static void call_reap(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_reap(mem[%u], %u);", op->side, op->which & 1);
    FUZZ_CHECK(shmheap_reap(hostile->mem[op->side], op->which & 1) >= -1);
}

static void call_alloc_many(struct hostile *hostile, const struct op *op)
{
    SAY("{ void *many[%d]; shmheap_alloc_many(mem[%u], %lluu, %u, many); }", MANY, op->side,
        SIZE(op), op->which % (MANY + 1));
    void *objects[MANY];
    size_t count = op->which % (MANY + 1),
           got = shmheap_alloc_many(hostile->mem[op->side], op->size, count, objects);
    FUZZ_CHECK(got <= count);
    for (size_t i = 0; i < got; i++)
        use(hostile, op, objects[i], op->size);
}

static void call_free_many(struct hostile *hostile, const struct op *op)
{
    void *objects[HOSTILE_KEPT];
    SAY("{ void *many[] = {");
    for (unsigned i = 0; i < HOSTILE_KEPT; i++) {
        uint64_t offset = hostile->kept[(i + op->which) % HOSTILE_KEPT];
        objects[i] = region(hostile, op->side) + offset;
        SAY("    ptr(%u, %llu),", op->side, (unsigned long long)offset);
    }
    SAY("    NULL};\n      shmheap_free_many(mem[%u], many, %u); }", op->side,
        (unsigned)(op->size % HOSTILE_KEPT));
    FUZZ_CHECK(shmheap_free_many(hostile->mem[op->side], objects, op->size % HOSTILE_KEPT) <=
               op->size % HOSTILE_KEPT);
}

static void call_named(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_alloc_named(mem[%u], \"%s\", %lluu);", op->side, some_name(op), SIZE(op));
    use(hostile, op, shmheap_alloc_named(hostile->mem[op->side], some_name(op), op->size),
        op->size);
}

static void call_unname(struct hostile *hostile, const struct op *op)
{
    SAY("shmheap_free(mem[%u], shmheap_find(mem[%u], \"%s\", NULL));", op->side, op->side,
        some_name(op));
    size_t len = 0;
    unsigned char *ptr = shmheap_find(hostile->mem[op->side], some_name(op), &len);
    use(hostile, op, ptr, ptr ? len : 0);
    shmheap_try_free(hostile->mem[op->side], ptr);
}

static void call_reconnect(struct hostile *hostile, const struct op *op)
{
    shmheap_disconnect(hostile->mem[op->side]);
    SAY("shmheap_disconnect(mem[%u]);\n    shmheap_attach_at(&mem[%u], memory[%u], bytes);",
        op->side, op->side, op->side);
    if (shmheap_attach_at(&hostile->mem[op->side], hostile->memory[op->side], hostile->bytes) == 0)
        connected(hostile, hostile->mem[op->side]);
}

/* struct inspection bounds and counts the visits of one list. */
struct inspection {
    uint64_t most, visits;
};

static int see_block(const shmheap_block_info *block, void *context)
{
    struct inspection *inspection = context;
    FUZZ_CHECK(block->len <= inspection->most && block->offset <= inspection->most - block->len);
    FUZZ_CHECK(block->slot <= 1023);
    FUZZ_CHECK(++inspection->visits <= inspection->most);
    return 0;
}

static int see_name(const shmheap_name_info *name, void *context)
{
    struct inspection *inspection = context;
    FUZZ_CHECK(name->name_len <= 255 && name->name[name->name_len] == 0);
    FUZZ_CHECK(++inspection->visits <= 2 * inspection->most);
    return 0;
}

static int see_process(const shmheap_process_info *process, void *context)
{
    struct inspection *inspection = context;
    FUZZ_CHECK(memchr(process->name, 0, sizeof process->name) != NULL);
    FUZZ_CHECK(++inspection->visits <= 1023);
    return 0;
}

static void call_inspect(struct hostile *hostile, const struct op *op)
{
    shmheap_memory_handle mem = hostile->mem[op->side];
    struct inspection blocks = {region_most(hostile, op->side), 0}, names = blocks,
                      processes = blocks;
    shmheap_report report;
    shmheap_stats stats;
    SAY("inspect(mem[%u], %u);", op->side, op->which & 31);
    if (op->which & 1)
        shmheap_walk(mem, see_block, &blocks);
    if (op->which & 2 && shmheap_check(mem, &report) >= 0)
        FUZZ_CHECK(memchr(report.text, 0, sizeof report.text) != NULL);
    if (op->which & 4)
        shmheap_stat(mem, &stats);
    if (op->which & 8)
        shmheap_names(mem, see_name, &names);
    if (op->which & 16)
        shmheap_processes(mem, see_process, &processes);
}

void hostile_step(struct hostile *hostile, const struct op *op)
{
    static void (*const calls[OP_KINDS])(struct hostile *, const struct op *) = {
        [OP_ALLOC] = call_make,          [OP_FREE] = call_free,
        [OP_REALLOC] = call_realloc,     [OP_ALIGNED] = call_make,
        [OP_CALLOC] = call_make,         [OP_HANDLE] = call_handle,
        [OP_SEND] = call_send,           [OP_REAP] = call_reap,
        [OP_STALE_FREE] = call_free,     [OP_ALLOC_MANY] = call_alloc_many,
        [OP_FREE_MANY] = call_free_many, [OP_NAMED] = call_named,
        [OP_UNNAME] = call_unname,       [OP_ALLOC_WAIT] = call_make,
        [OP_RECONNECT] = call_reconnect, [OP_INSPECT] = call_inspect,
        [OP_LABELLED] = call_labelled,
    };
    if (!shmheap_valid(hostile->mem[op->side])) {
        if (op->kind == OP_RECONNECT)
            call_reconnect(hostile, op);
        return;
    }
    errno = 0;
    calls[op->kind](hostile, op);
    hostile->gave_up |= errno == ETIMEDOUT;
}
