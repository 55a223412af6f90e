/* shmheap_copy: the copy of a heap at rest and of a busy one is a whole heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/copy/copies.h"
#include "tests/support/test.h"

static void copy_of_a_heap_at_rest(void)
{
    for (unsigned flags = 0; flags < 4; flags++) {
        shmheap_memory_handle mem, copy;
        const char *path = copy_path();
        const shmheap_options options = {.len = LEN,
                                         .max_len = 2 * LEN,
                                         .alignment = flags & 1 ? 8 : 16,
                                         .mode = 0640,
                                         .flags =
                                             SHMHEAP_CREATE | (flags & 2 ? SHMHEAP_SPARSE : 0)};
        CHECK_EQ(shmheap_open(&mem, test_name(), &options), 0);
        kept_make(mem);
        shmheap_object_handle handles[SLOTS];
        for (unsigned i = 0; i < SLOTS; i++) {
            void *object = shmheap_alloc(mem, 5000 + i * 8);
            test_fill(object, 5000 + i * 8, i);
            handles[i] = shmheap_ptr_to_handle(mem, object);
        }
        for (unsigned i = 0; i < SLOTS; i += 3)
            shmheap_free(mem, shmheap_handle_to_ptr(mem, handles[i]));
        struct test_snapshot before = test_snapshot_take(mem);
        errno = 77;
        CHECK_EQ(shmheap_copy(mem, path), 0);
        CHECK_EQ(errno, 77);
        CHECK(test_snapshot_same(mem, &before));
        CHECK_SOUND(mem);
        copy = open_copy(path, 0);
        CHECK_SOUND(copy);
        kept_check(copy);
        struct test_blocks here = test_blocks_take(mem), there = test_blocks_take(copy);
        CHECK(test_blocks_same(&here, &there));
        for (unsigned i = 0; i < SLOTS; i++) {
            void *object = shmheap_handle_to_ptr(copy, handles[i]);
            CHECK_EQ(object != NULL, i % 3 != 0);
            CHECK(object == NULL || test_filled(object, 5000 + i * 8, i));
        }
        shmheap_stats stats = test_stat(copy);
        CHECK_EQ(stats.processes, 1);
        CHECK_EQ(stats.dead, 1);
        CHECK_EQ(stats.recoveries, 0);
        struct stat status;
        CHECK_EQ(stat(path, &status), 0);
        mode_t mask = umask(0);
        umask(mask);
        CHECK_EQ(status.st_mode & 07777, 0640 & ~mask);
        CHECK_LE(status.st_blocks * 512,
                 (long long)stats.used_bytes + LEN / 8); /* what is free has no memory */
        /* It goes on, and may grow. */
        void *large = shmheap_alloc(copy, LEN);
        CHECK(large != NULL);
        memset(large, 1, LEN);
        CHECK_EQ(shmheap_try_free(copy, large), 0);
        CHECK_SOUND(copy);
        kept_check(mem);
        test_snapshot_drop(&before);
        test_blocks_drop(&here);
        test_blocks_drop(&there);
        shmheap_destroy(path, copy);
        check_absent(path);
        shmheap_disconnect(mem);
    }
}

/* By a connection that may not write, of an empty heap, of a copy, and of a heap of more slots than
 * lie before its index. */
static void copies_of_other_kinds(void)
{
    const char *path = copy_path(), *second = copy_path();
    shmheap_memory_handle mem = test_anonymous(128, 0, 8), reader, many[40], copy;
    CHECK_EQ(shmheap_copy(mem, path), 0);
    copy = open_copy(path, 0);
    test_check_empty(copy);
    shmheap_destroy(path, copy);
    shmheap_disconnect(mem);
    mem = test_anonymous(1000001, 0, 0);
    kept_make(mem);
    const shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &options), 0);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(shmheap_open_fd(&many[i], shmheap_fd(mem), NULL), 0);
        CHECK(shmheap_alloc(many[i], 100) != NULL);
    }
    CHECK_EQ(shmheap_copy(reader, path), 0);
    copy = open_copy(path, SHMHEAP_READ_ONLY);
    CHECK_SOUND(copy);
    kept_check(copy);
    CHECK_EQ(shmheap_copy(copy, second), 0);
    shmheap_destroy(path, copy);
    copy = open_copy(second, 0);
    CHECK_SOUND(copy);
    kept_check(copy);
    CHECK_EQ(test_stat(copy).dead, 41);
    CHECK_EQ(shmheap_reap(copy, 0), 40);
    kept_check(copy);
    shmheap_destroy(second, copy);
    for (unsigned i = 0; i < 40; i++)
        shmheap_disconnect(many[i]);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

/* struct family is shared. */
struct family {
    shmheap_memory_handle mem;
    volatile pid_t child;
};

static void wait_to_be_killed(void *context)
{
    (void)context;
    for (;;)
        pause();
}

static void hold_and_fork_and_die(void *context)
{
    struct family *family = context;
    CHECK(shmheap_alloc(family->mem, 100) != NULL);
    family->child = test_fork(wait_to_be_killed, NULL);
    raise(SIGKILL);
}

/* What a dead process held is known to its child; in the copy, where no process lives, to none. */
static void claims_of_children_are_not_copied(void)
{
    struct family *family = test_shared(sizeof *family);
    const char *path = copy_path();
    family->mem = test_anonymous(LEN, 0, 0);
    int status = test_wait(test_fork(hold_and_fork_and_die, family));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_EQ(shmheap_reap(family->mem, 0), 0);
    CHECK_EQ(shmheap_copy(family->mem, path), 0);
    shmheap_memory_handle copy = open_copy(path, 0);
    CHECK_EQ(shmheap_reap(copy, 0), 1);
    test_check_empty(copy);
    CHECK_EQ(kill(family->child, SIGKILL), 0);
    shmheap_destroy(path, copy);
    shmheap_disconnect(family->mem);
    test_unshare(family, sizeof *family);
}

/* struct root lies in the heap, lowest of all objects: the handles of whole objects, taken out
 * before they are freed. A copy reads low addresses first; so what it finds here is whole. */
struct root {
    uint64_t handles[WRITERS][SLOTS];
};

struct stage {
    const char *name;
    volatile uint64_t operations[WRITERS];
    volatile unsigned generation;
    unsigned flags; /* of the writers' connections */
};

static void publish(uint64_t *slot, uint64_t bits)
{
    __atomic_store_n(slot, bits, __ATOMIC_RELEASE);
}

static void work_once(shmheap_memory_handle mem, uint64_t *slot, struct test_random *random)
{
    char text[32];
    shmheap_object_handle handle = {*slot};
    if (handle.bits != 0) {
        void *object = shmheap_handle_to_ptr(mem, handle);
        publish(slot, 0);
        shmheap_free(mem, object); /* NULL: its predecessor died right behind freeing it */
        return;
    }
    if (test_random_below(random, 8) == 0) {
        snprintf(text, sizeof text, "busy %u", (unsigned)test_random_below(random, 40));
        void *named = shmheap_alloc_named(mem, text, 50);
        if (named != NULL && test_random_below(random, 2))
            shmheap_free(mem, named);
    }
    size_t len = test_random_below(random, 20) == 0 ? 20000 : test_random_below(random, 500);
    struct object *object = shmheap_alloc(mem, sizeof *object + len);
    if (object == NULL)
        return;
    object->len = len;
    object->mark = test_random_next(random);
    test_fill(object->bytes, len, object->mark);
    publish(slot, shmheap_ptr_to_handle(mem, object).bits);
}

static void writer(void *context, unsigned index)
{
    struct stage *stage = context;
    struct test_random random =
        test_random_begin(index + 10 * __atomic_add_fetch(&stage->generation, 1, __ATOMIC_RELAXED));
    const shmheap_options options = {.flags = stage->flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, stage->name, &options), 0);
    struct root *root = shmheap_find(mem, "root", NULL);
    for (;;) {
        work_once(mem, &root->handles[index][test_random_below(&random, SLOTS)], &random);
        stage->operations[index]++;
    }
}

static void writer_0(void *context) { writer(context, 0); }

static void writer_1(void *context) { writer(context, 1); }

static void writer_2(void *context) { writer(context, 2); }

static void (*const writers[WRITERS])(void *) = {writer_0, writer_1, writer_2};

/* Until this writer has done so many operations more. */
static void await(const struct stage *stage, unsigned index, uint64_t more)
{
    for (uint64_t until = stage->operations[index] + more; stage->operations[index] < until;)
        sched_yield();
}

/* What the root names is whole. How many there are. Not where caches free without the lock, also
 * while the copy is made. */
static unsigned check_root(shmheap_memory_handle mem)
{
    unsigned count = 0;
    const struct root *root = shmheap_find(mem, "root", NULL);
    CHECK(root != NULL);
    for (unsigned i = 0; i < WRITERS * SLOTS; i++) {
        shmheap_object_handle handle = {root->handles[i / SLOTS][i % SLOTS]};
        if (handle.bits == 0)
            continue;
        const struct object *object = shmheap_handle_to_ptr(mem, handle);
        /* Its owner may have died between freeing it and saying so. */
        if (object == NULL && errno == ESTALE)
            continue;
        CHECK(object != NULL);
        CHECK(test_filled(object->bytes, object->len, object->mark));
        count++;
    }
    return count;
}

static void check_copy(const char *path, int roots, unsigned *objects)
{
    shmheap_memory_handle copy = open_copy(path, SHMHEAP_READ_ONLY);
    CHECK_SOUND(copy);
    kept_check(copy);
    *objects += roots ? check_root(copy) : 0;
    CHECK_EQ(test_stat(copy).processes, 0);
    shmheap_disconnect(copy);
    copy = open_copy(path, 0);
    CHECK(shmheap_reap(copy, 0) >= 0);
    CHECK_SOUND(copy);
    kept_check(copy);
    CHECK(shmheap_alloc(copy, 100) != NULL);
    shmheap_destroy(path, copy);
}

static unsigned copies_while_writers_work(unsigned flags)
{
    struct stage *stage = test_shared(sizeof *stage);
    stage->name = test_name();
    stage->flags = flags;
    shmheap_memory_handle mem = shmheap_create(stage->name, LEN);
    struct root *root = shmheap_alloc_kept(mem, "root", sizeof *root);
    CHECK(root != NULL);
    memset(root, 0, sizeof *root);
    kept_make(mem);
    pid_t pids[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        pids[i] = test_fork(writers[i], stage);
    struct test_random random = test_random_begin(1);
    unsigned objects = 0;
    for (size_t i = 0, copies = test_rounds(COPIES); i < copies; i++) {
        const char *path = copy_path();
        unsigned killed = (unsigned)test_random_below(&random, WRITERS);
        await(stage, killed, 200 + test_random_below(&random, 200));
        CHECK_EQ(shmheap_copy(mem, path), 0);
        check_copy(path, !(flags & SHMHEAP_CACHED), &objects);
        test_kill(pids[killed]);
        pids[killed] = test_fork(writers[killed], stage);
        CHECK(shmheap_reap(mem, 0) >= 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        test_kill(pids[i]);
    CHECK_SOUND(mem);
    kept_check(mem);
    shmheap_destroy(stage->name, mem);
    test_unshare(stage, sizeof *stage);
    return objects;
}

static void copies_of_a_busy_heap(void)
{
    unsigned objects = copies_while_writers_work(0);
    CHECK_LE(1, objects);
    printf("  %u objects found whole in the copies\n", objects);
}

static void copies_of_a_busy_heap_with_caches(void) { copies_while_writers_work(SHMHEAP_CACHED); }

static void check_takes_no_memory(const shmheap_options *options, int to_the_end)
{
    shmheap_memory_handle mem;
    struct stat before, after;
    const char *path = copy_path();
    CHECK_EQ(shmheap_open(&mem, NULL, options), 0);
    CHECK(shmheap_alloc(mem, to_the_end ? test_stat(mem).largest_free : 1000) != NULL);
    CHECK_EQ(fstat(shmheap_fd(mem), &before), 0);
    CHECK_EQ(shmheap_copy(mem, path), 0);
    CHECK_EQ(fstat(shmheap_fd(mem), &after), 0);
    CHECK_EQ(after.st_blocks, before.st_blocks);
    CHECK_EQ(unlink(path), 0);
    shmheap_disconnect(mem);
}

/* The index of a heap that may grow has holes, and so has a large object that nothing was written
 * to, here up to the file's end. A read through the mapping would give them memory, or raise SIGBUS
 * on a full file system. */
static void a_copy_takes_no_memory_from_the_heap(void)
{
    const unsigned flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
    const shmheap_options grows = {.len = 64 << 10, .max_len = 1 << 30, .flags = flags};
    const shmheap_options sparse = {.len = 4 << 20, .flags = flags | SHMHEAP_SPARSE};
    check_takes_no_memory(&grows, 0);
    check_takes_no_memory(&sparse, 1);
}

/* The offsets of the pages need more than 32 bits. */
static void a_copy_of_more_than_4_gib(void)
{
    enum { BYTES = 5000 };
    const uint64_t four_gib = UINT64_C(4) << 30, len = four_gib + (64 << 20);
    if (len > SIZE_MAX) {
        printf("  skipped: a process of 32 bits cannot map so much\n");
        return;
    }
    const shmheap_options options = {.len = (size_t)len,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE};
    const char *path = copy_path();
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK(shmheap_alloc(mem, (size_t)four_gib) != NULL);
    void *object = shmheap_alloc(mem, BYTES);
    CHECK(object != NULL);
    CHECK_LE(four_gib, test_offset(mem, object));
    test_fill(object, BYTES, 9);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, object);
    CHECK_EQ(shmheap_copy(mem, path), 0);
    shmheap_memory_handle copy = open_copy(path, 0);
    CHECK_SOUND(copy);
    object = shmheap_handle_to_ptr(copy, handle);
    CHECK(object != NULL && test_filled(object, BYTES, 9));
    shmheap_destroy(path, copy);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(copy_of_a_heap_at_rest),
                                    TEST(copies_of_other_kinds),
                                    TEST(claims_of_children_are_not_copied),
                                    TEST(copies_of_a_busy_heap),
                                    TEST(copies_of_a_busy_heap_with_caches),
                                    TEST(a_copy_takes_no_memory_from_the_heap),
                                    TEST(a_copy_of_more_than_4_gib)};
TEST_MAIN(tests)
