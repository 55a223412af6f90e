/* The cost of an operation does not depend on other processes: in a full heap, for sizes that never
 * fit, for growth. Costs are counted, not timed: loads of shared words and system calls.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"
#include "tests/unit/cost/counted.h"

int __real_fallocate(int fd, int mode, off_t from, off_t len);

int __wrap_fallocate(int fd, int mode, off_t from, off_t len);

int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    counted.reservations++;
    return __real_fallocate(fd, mode, from, len);
}

/* Each call that allocates. What is had nevertheless is given back. */
static void *by_alloc(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc(mem, LARGE);
}

static void *by_calloc(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_calloc(mem, 5, LARGE / 5);
}

static void *by_aligned(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_aligned_alloc(mem, 1024, LARGE);
}

static void *by_realloc(shmheap_memory_handle mem, void *object)
{
    return shmheap_realloc(mem, object, LARGE);
}

static void *by_name(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc_named(mem, "name", LARGE);
}

static void *by_wait(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc_wait(mem, LARGE, 0);
}

static void *by_many(shmheap_memory_handle mem, void *object)
{
    void *ptrs[3] = {NULL, object, object};
    return shmheap_alloc_many(mem, LARGE, 3, ptrs) != 0 ? ptrs[0] : NULL;
}

static void *(*const ways[])(shmheap_memory_handle mem, void *object) = {
    by_alloc, by_calloc, by_aligned, by_realloc, by_name, by_wait, by_many};

enum { WAYS = sizeof ways / sizeof *ways };

static void a_failing_alloc_does_not_walk(void)
{
    static const unsigned kinds[] = {0, SHMHEAP_REAP, SHMHEAP_CACHED,
                                     SHMHEAP_REAP | SHMHEAP_CACHED};
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        void *object = NULL;
        shmheap_memory_handle mem = full_heap(kinds[kind], &object);
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL,
                      ENOMEM); /* this one may have something to find */
        for (unsigned way = 0; way < WAYS; way++) {
            count_begin();
            for (unsigned i = 0; i < TRIES; i++)
                CHECK_REFUSED(ways[way](mem, object) == NULL, ENOMEM);
            count_end();
            CHECK_LE(counted.loads, TRIES * LOADS_EACH);
            CHECK_EQ(counted.barriers, 0);
        }
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Between allocs that fail another thread goes on with its cache, the thread itself here: the walks
 * are few for what it does. */
static void asking_is_in_proportion_to_what_caches_do(void)
{
    enum { ROUNDS = 200, PAIRS = 100 };
    void *object = NULL;
    shmheap_memory_handle mem = full_heap(SHMHEAP_CACHED, &object);
    uint64_t blocks = test_stat(mem).used_blocks, walks = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < PAIRS; k++) {
            CHECK_EQ(shmheap_try_free(mem, object), 0);
            CHECK((object = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
        }
        count_begin();
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL, ENOMEM);
        count_end();
        walks += counted.loads > blocks;
    }
    /* A walk for each eighth of the blocks, as calls without the cache, and one for the first. */
    CHECK_LE(walks, 1 + ROUNDS * 2 * PAIRS / (blocks / 8));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* No size that an empty heap has no room for is looked for, and caches keep what they have. */
static void what_never_fits_disturbs_nothing(void)
{
    static const size_t sizes[] = {SIZE_MAX,     SIZE_MAX / 2,
                                   SIZE_MAX / 4, (size_t)1 << (sizeof(size_t) > 4 ? 40 : 30),
                                   LEN + 1,      LEN - 8};
    void *object = NULL, *ptrs[2];
    shmheap_memory_handle mem = full_heap(SHMHEAP_CACHED | SHMHEAP_REAP, &object);
    CHECK((object = shmheap_realloc(mem, object, 16)) != NULL);
    for (unsigned i = 0; i < 2000 && test_cached(mem).blocks == 0; i++) {
        void *ptr = shmheap_alloc(mem, 8);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
    uint64_t kept = test_cached(mem).blocks;
    CHECK(kept != 0);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        count_begin();
        CHECK_REFUSED(shmheap_alloc(mem, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_calloc(mem, 2, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_aligned_alloc(mem, 1024, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_realloc(mem, object, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_many(mem, size, 2, ptrs) == 0, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_named(mem, "name", size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_wait(mem, size, -1) == NULL, ENOMEM);
        count_end();
        CHECK_EQ(counted.barriers, 0);
        CHECK_EQ(counted.lock_questions, 0);
        CHECK_LE(counted.loads, 7 * LOADS_EACH);
        CHECK_EQ(test_cached(mem).blocks, kept);
    }
    /* Aligned, it would fit only where no aligned address is. */
    count_begin();
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 4096, LEN - 1024) == NULL, ENOMEM);
    count_end();
    CHECK_EQ(counted.barriers, 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* A peer writes anything where the lines of caches are linked: they are found by a walk, and
 * nothing is lost. */
static void a_damaged_list_of_caches_is_made_anew(void)
{
    for (unsigned damage = 0; damage < 4; damage++) {
        shmheap_memory_handle mem;
        shmheap_options options = {.len = LEN,
                                   .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        for (unsigned i = 0; i < 20; i++)
            CHECK_EQ(shmheap_try_free(mem, shmheap_alloc(mem, OBJECT_LEN)), 0);
        CHECK(test_cached(mem).blocks != 0);
        struct control *control = mem.heap->control;
        uint64_t first = control->cache_lines;
        CHECK(first != 0);
        struct cache_line *line =
            (void *)(mem.heap->region + 16 + ((first - 1) << mem.heap->shift));
        CHECK_EQ(line->kind, INTERNAL_CACHE);
        if (damage == 0)
            line->next = first; /* a ring */
        else
            control->cache_lines = damage == 1 ? 0 : damage == 2 ? UINT64_MAX : first + 1;
        CHECK_REFUSED(shmheap_alloc(mem, LEN - 64) == NULL, ENOMEM);
        CHECK_EQ(test_cached(mem).blocks, 0);
        CHECK_EQ(control->cache_lines, first);
        CHECK_EQ(line->next, 0);
        pairs(mem, 1000); /* the thread knows that its blocks are gone */
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* The same of the hints: calls end, as they would. */
static void wrong_hints_do_no_harm(void)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_MAX / 2, UINT64_C(0x100000001)};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        void *object = NULL;
        shmheap_memory_handle mem = full_heap(SHMHEAP_REAP, &object);
        struct hints *hints = connection_hints(mem.heap);
        hints->reap_wanted = hints->reap_after_ns = hints->reclaim_after_ns = values[i];
        for (unsigned class = 0; class < WAIT_CLASSES; class ++)
            hints->wait_least[class] = (uint32_t)values[i];
        mem.heap->control->wait_sleepers = 1;
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL, ENOMEM);
        CHECK_EQ(shmheap_try_free(mem, object), 0);
        CHECK_PTR(shmheap_alloc(mem, OBJECT_LEN), object);
        CHECK_REFUSED(shmheap_alloc_wait(mem, LARGE, 1) == NULL, ETIMEDOUT);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Every other object is free, and an aligned object fits in none of the free blocks: the search
 * tests 64 granules at a time. */
static void an_aligned_alloc_that_fails_looks_at_chunks(void)
{
    static const struct {
        size_t len, alignment, loads_of_a_chunk;
    } kinds[] = {{OBJECT_LEN, 64, 8}, {OBJECT_LEN, 4096, 6}, {2000, 4096, 4}};
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        const size_t len = kinds[kind].len, alignment = kinds[kind].alignment;
        shmheap_memory_handle mem = test_anonymous(OBJECTS * (len + 16), 0, 16);
        void **objects = malloc(OBJECTS * sizeof *objects);
        unsigned count = 0;
        CHECK(objects != NULL);
        while (shmheap_alloc(mem, 16) != NULL &&
               test_stat(mem).used_blocks % 4 != 1) /* aligned places lie inside of objects */
            continue;
        while (count < OBJECTS && (objects[count] = shmheap_alloc(mem, len)) != NULL)
            count++;
        for (size_t rest = 1024; rest != 0; rest /= 2)
            while (shmheap_alloc(mem, rest) != NULL)
                continue;
        for (unsigned i = 0; i < count; i += 2)
            if ((uintptr_t)objects[i] % alignment != 0)
                CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
        shmheap_stats stats = test_stat(mem);
        CHECK(stats.free_blocks > OBJECTS / 4);
        count_begin();
        CHECK_REFUSED(shmheap_aligned_alloc(mem, alignment, len) == NULL, ENOMEM);
        count_end();
        CHECK_LE(counted.loads, LOADS_EACH + stats.len / 1024 * kinds[kind].loads_of_a_chunk);
        free(objects);
        shmheap_disconnect(mem);
    }
}

static int counts_names(const shmheap_name_info *name, void *context)
{
    CHECK(name->name_len != 0);
    ++*(unsigned *)context;
    return 0;
}

static int counts_blocks(const shmheap_process_info *process, void *context)
{
    *(uint64_t *)context += process->blocks;
    return 0;
}

/* Showing names and processes gives the lock back again and again, and shows all the same. */
static void looking_lets_others_in(void)
{
    enum { BLOCKS = 100000, SOME = 100, PIECE_LOADS = 5 << 14 };
    shmheap_memory_handle mem = test_anonymous(BLOCKS * 40, 0, 16);
    char name[32];
    unsigned names = 0;
    uint64_t blocks = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        CHECK(shmheap_alloc(mem, 8) != NULL);
        snprintf(name, sizeof name, "n%u", i);
        CHECK(i % (BLOCKS / SOME) != 0 || shmheap_alloc_named(mem, name, 8) != NULL);
    }
    lock_word = &mem.heap->control->lock;
    loads_before = loads_longest = 0;
    count_begin();
    CHECK_EQ(shmheap_processes(mem, counts_blocks, &blocks), 0);
    CHECK_EQ(shmheap_names(mem, counts_names, &names), 0);
    count_end();
    lock_word = NULL;
    CHECK_EQ(names, SOME);
    CHECK(blocks >= BLOCKS);
    CHECK(counted.loads > 2 * BLOCKS);
    CHECK_LE(loads_longest, PIECE_LOADS);
    shmheap_disconnect(mem);
}

enum { TMPFS_LEN = 16 << 20 };

/* In a file system with a limit: what it has not got is not reserved in vain. */
static void grows_in_little(void *context)
{
    const char *folder = context;
    char path[PATH_MAX];
    shmheap_memory_handle mem;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=16m") != 0) {
        printf("  skipped: no file system can be mounted here\n");
        return;
    }
    CHECK(snprintf(path, sizeof path, "%s/heap", folder) < (int)sizeof path);
    shmheap_options options = {.len = TMPFS_LEN / 2,
                               .max_len = (size_t)1 << (sizeof(size_t) > 4 ? 32 : 28),
                               .flags = SHMHEAP_CREATE | SHMHEAP_FILE};
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    count_begin();
    for (unsigned i = 0; i < TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(mem, TMPFS_LEN) == NULL, ENOMEM);
    count_end();
    CHECK_EQ(counted.reservations, 0);
    CHECK(shmheap_alloc(mem, TMPFS_LEN / 2 + TMPFS_LEN / 4) !=
          NULL); /* and what it has can be had */
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void growth_that_fails_is_cheap(void)
{
    char folder[PATH_MAX];
    CHECK(snprintf(folder, sizeof folder, "%s", test_path()) < (int)sizeof folder);
    CHECK(mkdir(folder, 0700) == 0);
    test_in_child(grows_in_little, folder);
    CHECK(rmdir(folder) == 0);
}

static const struct test tests[] = {
    TEST(a_failing_alloc_does_not_walk),    TEST(asking_is_in_proportion_to_what_caches_do),
    TEST(what_never_fits_disturbs_nothing), TEST(a_damaged_list_of_caches_is_made_anew),
    TEST(wrong_hints_do_no_harm),           TEST(an_aligned_alloc_that_fails_looks_at_chunks),
    TEST(looking_lets_others_in),           TEST(growth_that_fails_is_cheap)};
TEST_MAIN(tests)
