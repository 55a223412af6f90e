/* Connections without the right to write.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

static const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};

/* Every byte of the segment: control and index, too. */
static unsigned char *segment_bytes(const char *name, size_t *len)
{
    struct stat status;
    int fd = shm_open(name, O_RDONLY, 0);
    CHECK(fd >= 0 && fstat(fd, &status) == 0);
    *len = (size_t)status.st_size;
    unsigned char *bytes = malloc(*len);
    CHECK(bytes != NULL);
    CHECK_EQ(pread(fd, bytes, *len, 0), *len);
    close(fd);
    return bytes;
}

static void check_refusals(shmheap_memory_handle reader, void *shared, void *unshared)
{
    CHECK_REFUSED(shmheap_alloc(reader, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_alloc(reader, SIZE_MAX) == NULL, EACCES);
    CHECK_REFUSED(shmheap_calloc(reader, 1, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_aligned_alloc(reader, 64, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_aligned_alloc(reader, 8, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_realloc(reader, shared, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_realloc(reader, NULL, 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_try_free(reader, shared) == -1, EACCES);
    CHECK_REFUSED((shmheap_free(reader, shared), 1), EACCES);
    CHECK_REFUSED(shmheap_ptr_to_handle(reader, unshared).bits == 0, EACCES);
    CHECK(shmheap_ptr_to_handle(reader, shared).bits != 0);
}

struct sum {
    uint64_t blocks, bytes;
};

static int add_up(const shmheap_block_info *block, void *context)
{
    struct sum *sum = context;
    sum->blocks++;
    sum->bytes += block->size;
    return 0;
}

static int count_processes(const shmheap_process_info *process, void *context)
{
    CHECK(!process->self);
    ++*(unsigned *)context;
    return 0;
}

static void check_looking(shmheap_memory_handle reader, const shmheap_stats *expected)
{
    shmheap_stats stats = test_stat(reader);
    struct sum sum = {0, 0};
    unsigned processes = 0;
    CHECK_SOUND(reader);
    CHECK_EQ(stats.used_bytes, expected->used_bytes);
    CHECK_EQ(stats.id, expected->id);
    CHECK_EQ(shmheap_walk(reader, add_up, &sum), 0);
    CHECK_EQ(sum.blocks, expected->used_blocks + expected->free_blocks);
    CHECK_EQ(sum.bytes, expected->used_bytes + expected->free_bytes);
    CHECK_EQ(shmheap_processes(reader, count_processes, &processes), 0);
    CHECK_EQ(processes, expected->processes + expected->dead);
}

static void looking_changes_no_byte(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 65536), reader;
    size_t len, len_after;
    for (size_t i = 0; i < 50; i++) {
        void *ptr = shmheap_alloc(mem, 10 * i);
        if (i % 3 == 0)
            shmheap_free(mem, ptr);
    }
    char *shared = shmheap_alloc(mem, 1000), *unshared = shmheap_alloc(mem, 1000);
    test_fill(shared, 1000, 1);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, shared);
    size_t shared_off = test_offset(mem, shared), unshared_off = test_offset(mem, unshared);
    shmheap_stats stats = test_stat(mem);
    shmheap_disconnect(mem);
    stats.processes = 0;
    unsigned char *before = segment_bytes(name, &len);
    CHECK_EQ(shmheap_open(&reader, name, &read_only), 0);
    char *region = shmheap_underlying(reader);
    CHECK_PTR(shmheap_handle_to_ptr(reader, handle), region + shared_off);
    CHECK(test_filled(region + shared_off, 1000, 1));
    CHECK(shmheap_usable_size(reader, region + shared_off) >= 1000);
    check_looking(reader, &stats);
    check_refusals(reader, region + shared_off, region + unshared_off);
    shmheap_disconnect(reader);
    unsigned char *after = segment_bytes(name, &len_after);
    CHECK_EQ(len_after, len);
    CHECK(memcmp(before, after, len) == 0);
    free(before);
    free(after);
}

/* The kernel, too, holds it to that. */
static void the_mapping_is_read_only(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 65536), reader;
    char line[1024];
    unsigned found = 0;
    shmheap_disconnect(mem);
    CHECK_EQ(shmheap_open(&reader, name, &read_only), 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, name + 1)) {
            CHECK(strstr(line, " r--s ") != NULL || strstr(line, " ---s ") != NULL);
            found++;
        }
    fclose(maps);
    CHECK(found > 0);
    shmheap_disconnect(reader);
}

static void a_read_only_heap_is_enough(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 65536), reader;
    void *ptr = shmheap_alloc(mem, 100);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    CHECK(fchmod(shmheap_fd(mem), 0444) == 0);
    CHECK_EQ(shmheap_open(&reader, name, &read_only), 0);
    CHECK(shmheap_handle_to_ptr(reader, handle) != NULL);
    shmheap_free(mem, ptr);
    CHECK_REFUSED(shmheap_handle_to_ptr(reader, handle) == NULL, ESTALE);
    shmheap_disconnect(reader);
    shmheap_destroy(name, mem);
}

/* A reader sees what came after it, growth included. */
static void growth_is_seen(void)
{
    const char *name = test_name();
    shmheap_options options = {.len = 4096, .max_len = 1 << 20, .flags = SHMHEAP_CREATE};
    shmheap_memory_handle mem, reader;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(shmheap_open(&reader, name, &read_only), 0);
    char *ptr = shmheap_alloc(mem, 500000);
    test_fill(ptr, 500000, 1);
    char *seen = shmheap_handle_to_ptr(reader, shmheap_ptr_to_handle(mem, ptr));
    CHECK(seen != NULL && test_filled(seen, 500000, 1));
    CHECK_EQ(test_stat(reader).len, test_stat(mem).len);
    CHECK_SOUND(reader);
    shmheap_disconnect(reader);
    shmheap_destroy(name, mem);
}

struct busy {
    const char *name;
    volatile int stop, rests; /* rests: the writer waits for a picture after each CHANGES_RUN */
    volatile uint64_t changes, pictures;
};

enum { CHANGES_RUN = 50 };

static void keep_changing(void *context)
{
    struct busy *busy = context;
    struct test_random random = test_random_begin(1);
    shmheap_memory_handle mem = test_connect(busy->name);
    void *objects[100] = {NULL};
    while (!busy->stop) {
        void **object = &objects[test_random_below(&random, 100)];
        shmheap_free(mem, *object);
        *object = shmheap_alloc(mem, test_random_below(&random, 1000));
        CHECK(*object != NULL);
        busy->changes++;
        uint64_t pictures = busy->pictures;
        while (busy->changes % CHANGES_RUN == 0 && busy->rests && !busy->stop &&
               busy->pictures == pictures)
            sched_yield();
    }
    for (size_t i = 0; i < 100; i++)
        shmheap_free(mem, objects[i]);
    shmheap_disconnect(mem);
}

/* Checks or stats once. Returns 1 for a picture, which is true, and 0 for EAGAIN. */
static int inspects(shmheap_memory_handle reader, int whole)
{
    shmheap_report report;
    shmheap_stats stats;
    int result = whole ? shmheap_check(reader, &report) : shmheap_stat(reader, &stats);
    if (result == 1)
        CHECK_EQ(report.rule, 0);
    CHECK(result == 0 || errno == EAGAIN);
    if (result == 0 && !whole)
        CHECK_EQ(stats.used_bytes + stats.free_bytes, ((1 << 20) - 8) / 16 * 16);
    return result == 0;
}

/* While another process changes the heap, a read-only call gives a true picture or EAGAIN, never a
 * false picture. First the writer never rests: how many pictures there are depends on the machine,
 * at worst none. Then it rests, and a call begins among its changes and ends in a rest. */
static void looking_at_a_busy_heap(void)
{
    struct busy *busy = test_shared(sizeof *busy);
    busy->name = test_name();
    shmheap_memory_handle mem = shmheap_create(busy->name, 1 << 20), reader;
    pid_t pid = test_fork(keep_changing, busy);
    const uint64_t calls = test_rounds(500), changes = test_rounds(200000);
    uint64_t done = 0, again = 0, early;
    CHECK_EQ(shmheap_open(&reader, busy->name, &read_only), 0);
    for (; done < calls || busy->changes < changes; done++)
        busy->pictures += (uint64_t)inspects(reader, done % 2 == 0);
    early = busy->pictures;
    busy->rests = 1;
    for (uint64_t whole = 1; busy->pictures < early + 4 * calls; whole = !whole)
        if (inspects(reader, (int)whole))
            busy->pictures++;
        else
            again++;
    busy->stop = 1;
    test_join(pid);
    printf("  %" PRIu64 " of %" PRIu64 " calls beside a writer that never rests; then %" PRIu64
           " true pictures, %" PRIu64 " times EAGAIN\n",
           early, done, 4 * calls, again);
    CHECK_SOUND(reader);
    shmheap_disconnect(reader);
    test_check_empty(mem);
    shmheap_destroy(busy->name, mem);
    test_unshare(busy, sizeof *busy);
}

static const struct test tests[] = {TEST(looking_changes_no_byte), TEST(the_mapping_is_read_only),
                                    TEST(a_read_only_heap_is_enough), TEST(growth_is_seen),
                                    TEST(looking_at_a_busy_heap)};
TEST_MAIN(tests)
