/* What tests do with heaps.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

void test_check_sound(const char *file, int line, shmheap_memory_handle mem)
{
    shmheap_report report;
    memset(&report, 0, sizeof report);
    int result = shmheap_check(mem, &report);
    if (result != 0)
        test_fail(
            file, line, "shmheap_check is %d: rule %u at %llu, expected %#llx, found %#llx: %s",
            result, report.rule, (unsigned long long)report.offset,
            (unsigned long long)report.expected, (unsigned long long)report.found, report.text);
}

static void set_or_unset(const char *name, const char *value)
{
    CHECK((value != NULL ? setenv(name, value, 1) : unsetenv(name)) == 0);
}

const char *test_choose_core(unsigned choice)
{
    static const struct {
        const char *text, *simd, *listed;
    } cores[TEST_CORES] = {{"default", NULL, NULL},        {"avx2", "avx2", NULL},
                           {"portable", "portable", NULL}, {"bins", NULL, "0"},
                           {"avx2, bins", "avx2", "0"},    {"portable, bins", "portable", "0"}};
    set_or_unset("SHMHEAP_SIMD", cores[choice].simd);
    set_or_unset("SHMHEAP_LIST_MAX", cores[choice].listed);
    return cores[choice].text;
}

void test_choose_list_max(unsigned most)
{
    char text[12];
    snprintf(text, sizeof text, "%u", most);
    set_or_unset("SHMHEAP_LIST_MAX", text);
}

shmheap_memory_handle test_anonymous(size_t len, size_t max_len, size_t alignment)
{
    shmheap_options options;
    shmheap_memory_handle mem;
    memset(&options, 0, sizeof options);
    options.len = len;
    options.max_len = max_len;
    options.alignment = alignment;
    options.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK(shmheap_valid(mem));
    return mem;
}

shmheap_memory_handle test_anonymous_with(size_t len, size_t alignment, unsigned flags)
{
    const shmheap_options options = {
        .len = len, .alignment = alignment, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    return mem;
}

shmheap_memory_handle test_connect_again(shmheap_memory_handle mem, unsigned flags)
{
    const shmheap_options options = {.flags = flags};
    shmheap_memory_handle other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), &options), 0);
    return other;
}

shmheap_memory_handle test_connect(const char *name)
{
    shmheap_memory_handle mem = shmheap_connect(name);
    CHECK(shmheap_valid(mem));
    return mem;
}

shmheap_stats test_stat(shmheap_memory_handle mem)
{
    shmheap_stats stats;
    memset(&stats, 0xee, sizeof stats);
    CHECK_EQ(shmheap_stat(mem, &stats), 0);
    return stats;
}

uint64_t test_offset(shmheap_memory_handle mem, const void *ptr)
{
    return (uint64_t)((const char *)ptr - (const char *)shmheap_underlying(mem));
}

static int own_slot_visit(const shmheap_process_info *process, void *context)
{
    if (process->self)
        *(unsigned *)context = process->slot;
    return 0;
}

unsigned test_own_slot(shmheap_memory_handle mem)
{
    unsigned slot = 0;
    void *ptr = shmheap_alloc(mem, 1);
    CHECK(ptr != NULL);
    shmheap_free(mem, ptr);
    CHECK_EQ(shmheap_processes(mem, own_slot_visit, &slot), 0);
    CHECK(slot >= 1 && slot <= 1022);
    return slot;
}

struct holder {
    shmheap_memory_handle mem;
    int shares, ready[2];
};

static void hold(void *context)
{
    const struct holder *holder = context;
    shmheap_memory_handle mem = test_connect_again(holder->mem, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    if (holder->shares)
        CHECK(shmheap_ptr_to_handle(mem, shmheap_alloc(mem, 100)).bits != 0);
    unsigned slot = test_own_slot(mem);
    CHECK_EQ(write(holder->ready[1], &slot, sizeof slot), sizeof slot);
    for (;;)
        pause();
}

pid_t test_fork_holder(shmheap_memory_handle mem, int shares, unsigned *slot)
{
    struct holder holder = {.mem = mem, .shares = shares};
    CHECK(pipe(holder.ready) == 0);
    pid_t pid = test_fork(hold, &holder);
    CHECK_EQ(read(holder.ready[0], slot, sizeof *slot), sizeof *slot);
    CHECK(close(holder.ready[0]) == 0 && close(holder.ready[1]) == 0);
    return pid;
}

static int add_cached(const shmheap_block_info *block, void *context)
{
    struct test_cached_counts *cached = context;
    if (block->state == SHMHEAP_STATE_CACHED) {
        CHECK(block->slot >= 1 && block->slot <= 1022);
        cached->blocks++;
        cached->bytes += block->size;
    }
    return 0;
}

struct test_cached_counts test_cached(shmheap_memory_handle mem)
{
    struct test_cached_counts cached = {0, 0};
    CHECK_EQ(shmheap_walk(mem, add_cached, &cached), 0);
    return cached;
}

size_t test_take_all(shmheap_memory_handle mem, void **ptrs, size_t room)
{
    size_t count = 0;
    for (size_t len = test_stat(mem).len; len >= 8; len /= 2)
        for (; count < room && (ptrs[count] = shmheap_alloc(mem, len)) != NULL; count++)
            test_fill(ptrs[count], len, count);
    CHECK(count < room);
    CHECK_EQ(errno, ENOMEM);
    return count;
}

void test_check_empty(shmheap_memory_handle mem)
{
    CHECK_SOUND(mem);
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(stats.used_blocks, 0);
    CHECK_EQ(stats.used_bytes, 0);
    CHECK_EQ(stats.free_blocks, 1);
    struct test_blocks blocks = test_blocks_take(mem);
    CHECK_EQ(blocks.count, 1);
    CHECK_EQ(blocks.blocks[0].state, SHMHEAP_STATE_FREE);
    test_blocks_drop(&blocks);
}

/* Contents: words of a linear sequence from mark, its last bytes cut. */

static uint64_t fill_next(uint64_t word)
{
    return word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

void test_fill(void *ptr, size_t len, uint64_t mark)
{
    unsigned char *bytes = ptr;
    uint64_t word = fill_next(mark);
    for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word, word = fill_next(word))
        memcpy(bytes, &word, sizeof word);
    memcpy(bytes, &word, len);
}

int test_filled(const void *ptr, size_t len, uint64_t mark)
{
    const unsigned char *bytes = ptr;
    uint64_t word = fill_next(mark);
    for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word, word = fill_next(word))
        if (memcmp(bytes, &word, sizeof word) != 0)
            return 0;
    return memcmp(bytes, &word, len) == 0;
}

struct test_snapshot test_snapshot_take(shmheap_memory_handle mem)
{
    struct test_snapshot snapshot;
    snapshot.stats = test_stat(mem);
    snapshot.bytes = malloc(snapshot.stats.len);
    CHECK(snapshot.bytes != NULL);
    memcpy(snapshot.bytes, shmheap_underlying(mem), snapshot.stats.len);
    return snapshot;
}

int test_snapshot_same(shmheap_memory_handle mem, const struct test_snapshot *before)
{
    shmheap_stats now = test_stat(mem);
    const shmheap_stats *then = &before->stats;
    return now.len == then->len && now.used_blocks == then->used_blocks &&
           now.used_bytes == then->used_bytes && now.free_blocks == then->free_blocks &&
           now.free_bytes == then->free_bytes && now.largest_free == then->largest_free &&
           now.high_water_bytes == then->high_water_bytes && now.allocs == then->allocs &&
           now.frees == then->frees && now.recoveries == then->recoveries &&
           now.grows == then->grows && memcmp(shmheap_underlying(mem), before->bytes, now.len) == 0;
}

void test_snapshot_drop(struct test_snapshot *snapshot)
{
    free(snapshot->bytes);
    snapshot->bytes = NULL;
}

/* Context of the walk below. */
struct blocks_walk {
    struct test_blocks list;
    uint64_t next; /* where the next payload has to be */
};

static int blocks_visit(const shmheap_block_info *block, void *context)
{
    struct blocks_walk *walk = context;
    struct test_blocks *list = &walk->list;
    CHECK_EQ(block->offset, walk->next);
    CHECK_EQ(block->len + 8, block->size);
    walk->next += block->size;
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->blocks = realloc(list->blocks, list->room * sizeof *list->blocks);
        CHECK(list->blocks != NULL);
    }
    list->blocks[list->count++] = *block;
    return 0;
}

struct test_blocks test_blocks_take(shmheap_memory_handle mem)
{
    /* The first header is at 8 in the region, its payload at 16, in heaps of either alignment. */
    struct blocks_walk walk = {{NULL, 0, 0}, 16};
    CHECK_EQ(shmheap_walk(mem, blocks_visit, &walk), 0);
    shmheap_stats stats = test_stat(mem);
    uint64_t granules = (stats.len - 8) / stats.alignment;
    CHECK_EQ(walk.next, 16 + granules * stats.alignment);
    return walk.list;
}

int test_blocks_same(const struct test_blocks *a, const struct test_blocks *b)
{
    if (a->count != b->count)
        return 0;
    for (size_t i = 0; i < a->count; i++) {
        const shmheap_block_info *x = &a->blocks[i], *y = &b->blocks[i];
        if (x->offset != y->offset || x->size != y->size ||
            (x->state == SHMHEAP_STATE_FREE) != (y->state == SHMHEAP_STATE_FREE))
            return 0;
    }
    return 1;
}

void test_blocks_drop(struct test_blocks *blocks)
{
    free(blocks->blocks);
    memset(blocks, 0, sizeof *blocks);
}
