/* A copy of a heap, made while others change it and are killed: it opens, is sound, and holds what the heap held.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* Failures of the system, by --wrap: the k-th pwrite from now on fails with this errno, or is the death of its caller; there is no O_TMPFILE. */
static int pwrites_to_go, pwrite_errno, no_tmpfile;

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
    if (pwrites_to_go != 0 && --pwrites_to_go == 0) {
        if (pwrite_errno == 0)
            raise(SIGKILL);
        errno = pwrite_errno;
        return -1;
    }
    return __real_pwrite(fd, bytes, len, off);
}

int __real_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...)
{
    va_list rest;
    va_start(rest, oflags);
    unsigned mode =
        (oflags & O_CREAT) || (oflags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    if (no_tmpfile && (oflags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open(path, oflags, mode);
}

enum { LEN = 1 << 22, SLOTS = 64, KEPT = 20, KEPT_LEN = 3000, WRITERS = 3, COPIES = 80 };

static shmheap_memory_handle open_copy(const char *path, unsigned flags)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.flags = SHMHEAP_FILE | flags};
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    return mem;
}

/* A new path on a file system that has O_TMPFILE, valid till the end. */
static const char *copy_path(void)
{
    static struct path {
        struct path *next;
        char text[300];
    } * paths;
    struct path *path = calloc(1, sizeof *path);
    CHECK(path != NULL);
    snprintf(path->text, sizeof path->text, "%s", test_shm_path(test_name()));
    path->next = paths;
    paths = path;
    return path->text;
}

static void check_absent(const char *path)
{
    struct stat status;
    CHECK_REFUSED(lstat(path, &status) == -1, ENOENT);
}

static void kept_name(char text[32], unsigned i) { snprintf(text, 32, "kept %u", i); }

static void kept_make(shmheap_memory_handle mem)
{
    char text[32];
    for (unsigned i = 0; i < KEPT; i++) {
        kept_name(text, i);
        void *object = shmheap_alloc_kept(mem, text, KEPT_LEN);
        CHECK(object != NULL);
        test_fill(object, KEPT_LEN, i);
        CHECK_EQ(shmheap_try_free(mem, object), 0);
    }
}

static void kept_check(shmheap_memory_handle mem)
{
    char text[32];
    for (unsigned i = 0; i < KEPT; i++) {
        size_t len = 0;
        kept_name(text, i);
        void *object = shmheap_find(mem, text, &len);
        CHECK(object != NULL && len == KEPT_LEN && test_filled(object, KEPT_LEN, i));
    }
}

/* A heap at rest ------------------------------------------------------------ */

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

/* By a connection that may not write, of an empty heap, of a copy, and of a heap of more slots than lie before its index. */
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

/* A busy heap ------------------------------------------------------------ */

/* struct root lies in the heap, lowest of all objects: the handles of whole objects, taken out before they are freed. A copy reads low
 * addresses first; so what it finds here is whole. */
struct root {
    uint64_t handles[WRITERS][SLOTS];
};

/* struct object lies in the heap. */
struct object {
    uint64_t len, mark, bytes[];
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

/* What the root names is whole. How many there are. Not where caches free without the lock, also while the copy is made. */
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

/* Failures ------------------------------------------------------------ */

static void what_is_refused(void)
{
    static unsigned char memory[16384] __attribute__((aligned(16)));
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), none = {NULL}, at;
    const char *path = copy_path();
    kept_make(mem);
    CHECK_REFUSED(shmheap_copy(mem, NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(mem, "") == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(none, path) == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/shm/there is no such folder/copy") == -1, ENOENT);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/shm") == -1, EEXIST);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/null/copy") == -1, ENOTDIR);
    CHECK_EQ(shmheap_create_at(&at, memory, sizeof memory, NULL), 0);
    CHECK_REFUSED(shmheap_copy(at, path) == -1, ENOTSUP);
    shmheap_disconnect(at);
    check_absent(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "a text", 6) == 6 && close(fd) == 0);
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EEXIST);
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size == 6);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(symlink("nowhere", path), 0); /* not followed */
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EEXIST);
    CHECK_EQ(unlink(path), 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void a_full_disk_leaves_nothing_behind(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), copy;
    const char *path = copy_path();
    kept_make(mem);
    pwrite_errno = ENOSPC;
    for (no_tmpfile = 0; no_tmpfile < 2; no_tmpfile++) {
        unsigned failures = 0;
        for (int k = 1;; k++, failures++) {
            pwrites_to_go = k;
            if (shmheap_copy(mem, path) == 0)
                break;
            CHECK_EQ(errno, ENOSPC);
            check_absent(path);
            CHECK_SOUND(mem);
        }
        pwrites_to_go = 0;
        CHECK_LE(3, failures); /* pages, control, magic at least */
        copy = open_copy(path, 0);
        CHECK_SOUND(copy);
        kept_check(copy);
        shmheap_destroy(path, copy);
    }
    no_tmpfile = 0;
    shmheap_disconnect(mem);
}

static void limit_and_copy(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    const struct rlimit limit = {LEN / 2, LEN / 2};
    const char *path = copy_path();
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EFBIG);
    check_absent(path);
}

static void a_limit_of_file_sizes_is_an_error_and_no_signal(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    kept_make(mem);
    test_in_child(limit_and_copy, &mem);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* struct copier is what a child is to do. */
struct copier {
    shmheap_memory_handle mem;
    const char *path;
    int deadly, finished;
};

static void copy_and_die(void *context)
{
    struct copier *copier = context;
    pwrite_errno = 0;
    pwrites_to_go = copier->deadly;
    CHECK_EQ(shmheap_copy(copier->mem, copier->path), 0);
    copier->finished = 1;
    raise(SIGKILL);
}

/* At each of its writes: no file, or where there is no O_TMPFILE one that is no heap, and is replaced. */
static void the_copier_is_killed(void)
{
    struct copier *copier = test_shared(sizeof *copier);
    copier->mem = test_anonymous(LEN, 0, 0);
    copier->path = copy_path();
    kept_make(copier->mem);
    const shmheap_options replace = {.len = 4096,
                                     .flags = SHMHEAP_FILE | SHMHEAP_CREATE | SHMHEAP_TAKE_OVER |
                                              SHMHEAP_EXCLUSIVE};
    for (no_tmpfile = 0; no_tmpfile < 2; no_tmpfile++) {
        copier->finished = 0;
        for (copier->deadly = 1;; copier->deadly++) {
            shmheap_memory_handle other;
            int status = test_wait(test_fork(copy_and_die, copier));
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            CHECK_SOUND(copier->mem);
            if (copier->finished)
                break;
            if (!no_tmpfile) {
                check_absent(copier->path);
                continue;
            }
            CHECK_EQ(shmheap_open(&other, copier->path, &replace), 0);
            shmheap_destroy(copier->path, other);
        }
        CHECK_LE(4, copier->deadly);
        shmheap_memory_handle copy = open_copy(copier->path, 0);
        CHECK_SOUND(copy);
        kept_check(copy);
        shmheap_destroy(copier->path, copy);
    }
    no_tmpfile = 0;
    shmheap_disconnect(copier->mem);
    test_unshare(copier, sizeof *copier);
}

/* The index of a heap that may grow has holes. A read through the mapping would give them memory, or
 * raise SIGBUS on a full file system. */
static void a_copy_takes_no_memory_from_the_heap(void)
{
    const shmheap_options options = {
        .len = 64 << 10, .max_len = 1 << 30, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem;
    struct stat before, after;
    const char *path = copy_path();
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK(shmheap_alloc(mem, 1000) != NULL);
    CHECK_EQ(fstat(shmheap_fd(mem), &before), 0);
    CHECK_EQ(shmheap_copy(mem, path), 0);
    CHECK_EQ(fstat(shmheap_fd(mem), &after), 0);
    CHECK_EQ(after.st_blocks, before.st_blocks);
    CHECK_EQ(unlink(path), 0);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(copy_of_a_heap_at_rest),
    TEST(copies_of_other_kinds),
    TEST(claims_of_children_are_not_copied),
    TEST(copies_of_a_busy_heap),
    TEST(copies_of_a_busy_heap_with_caches),
    TEST(a_copy_takes_no_memory_from_the_heap),
    TEST(what_is_refused),
    TEST(a_full_disk_leaves_nothing_behind),
    TEST(a_limit_of_file_sizes_is_an_error_and_no_signal),
    TEST(the_copier_is_killed),
};
TEST_MAIN(tests)
