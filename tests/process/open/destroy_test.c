/* shmheap_destroy removes a name only if it still is that of its heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 4096, ROUNDS = 200, TOGETHER = 8, DESCRIPTORS = 64 };

static const shmheap_options by_name = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
static const shmheap_options by_path = {.len = LEN,
                                        .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_FILE};

static shmheap_memory_handle make(const char *name, const shmheap_options *options)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, options), 0);
    return mem;
}

static int destroy_errno(const char *name, shmheap_memory_handle mem)
{
    errno = 0;
    shmheap_destroy(name, mem);
    int reason = errno;
    CHECK(!shmheap_valid(mem)); /* disconnected in any case */
    return reason;
}

static uint64_t id_of(const char *name, const shmheap_options *made)
{
    const shmheap_options options = {.flags = made->flags & SHMHEAP_FILE};
    shmheap_memory_handle mem = make(name, &options);
    uint64_t id = test_stat(mem).id;
    shmheap_disconnect(mem);
    return id;
}

/* An administrator removes the name, another job makes a heap of that name, and then the first job
 * ends. */
static void name_of_another(const char *name, const shmheap_options *options)
{
    shmheap_memory_handle old = make(name, options);
    CHECK_EQ(options->flags & SHMHEAP_FILE ? unlink(name) : shm_unlink(name), 0);
    shmheap_memory_handle new = make(name, options);
    CHECK_EQ(destroy_errno(name, old), ESTALE);
    CHECK_EQ(id_of(name, options), test_stat(new).id);
    CHECK_EQ(destroy_errno(name, new), 0);
    const shmheap_options connect = {.flags = options->flags & SHMHEAP_FILE};
    CHECK_REFUSED(shmheap_open(&new, name, &connect) == -1, ENOENT);
}

static void the_name_of_another_heap_stays(void)
{
    name_of_another(test_name(), &by_name);
    name_of_another(test_path(), &by_path);
}

/* What another process replaces when shmheap_destroy has compared the name with its heap, and
 * requests the lock that removers take. */
static struct {
    const char *name;
    const shmheap_options *options;
    shmheap_memory_handle next;
} replaced;

static int replace_before_lock(int fd, int command, void *argument)
{
    const struct flock *lock = argument;
    if (command == F_OFD_SETLK && lock->l_start == REMOVER_BYTE) {
        wrap_fcntl = NULL;
        const char *name = replaced.name;
        CHECK_EQ(replaced.options->flags & SHMHEAP_FILE ? unlink(name) : shm_unlink(name), 0);
        replaced.next = make(name, replaced.options);
    }
    return wrap_fcntl_real(fd, command, argument);
}

static void replaced_before_the_lock(const char *name, const shmheap_options *options)
{
    shmheap_memory_handle old = make(name, options);
    replaced.name = name;
    replaced.options = options;
    wrap_fcntl = replace_before_lock;
    int reason = destroy_errno(name, old);
    CHECK(wrap_fcntl == NULL);
    CHECK_EQ(reason, ESTALE);
    CHECK_EQ(id_of(name, options), test_stat(replaced.next).id);
    CHECK_EQ(destroy_errno(name, replaced.next), 0);
}

static void the_name_of_a_heap_made_before_the_lock_stays(void)
{
    replaced_before_the_lock(test_name(), &by_name);
    replaced_before_the_lock(test_path(), &by_path);
}

static void a_text_of_that_name_stays(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem = make(path, &by_path);
    CHECK_EQ(unlink(path), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "a text", 6) == 6);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(destroy_errno(path, mem), ESTALE);
    CHECK_EQ(access(path, F_OK), 0);
}

/* The program has used up its descriptors. Closing the connection makes one or two available. */
static void without_descriptors(const char *name, const shmheap_options *options)
{
    int taken[DESCRIPTORS];
    struct rlimit limit, before;
    shmheap_memory_handle mem = make(name, options);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = DESCRIPTORS;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int count = 0;
    while ((taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    CHECK_EQ(errno, EMFILE);
    int reason = destroy_errno(name, mem);
    while (count > 0)
        close(taken[--count]);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(reason, 0);
    const shmheap_options connect = {.flags = options->flags & SHMHEAP_FILE};
    CHECK_REFUSED(shmheap_open(&mem, name, &connect) == -1, ENOENT);
}

static void no_descriptor_is_left(void)
{
    without_descriptors(test_name(), &by_name);
    without_descriptors(test_path(), &by_path);
}

static void no_name_is_left(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = make(name, &by_name);
    CHECK_EQ(shm_unlink(name), 0);
    CHECK_EQ(destroy_errno(name, mem), ENOENT);
}

/* Heaps without a name leave those of others alone, and so does what is no connection. */
static void heaps_without_a_name(void)
{
    static unsigned char memory[16384] __attribute__((aligned(16)));
    const char *name = test_name();
    shmheap_memory_handle other = make(name, &by_name), mem = test_anonymous(LEN, 0, 0),
                          none = {NULL};
    CHECK_EQ(destroy_errno(name, mem), ESTALE);
    CHECK_EQ(shmheap_create_at(&mem, memory, sizeof memory, NULL), 0);
    CHECK_EQ(destroy_errno(name, mem), ENOTSUP);
    CHECK_EQ(destroy_errno(name, none), EINVAL);
    CHECK_EQ(id_of(name, &by_name), test_stat(other).id);
    mem = test_connect(name);
    CHECK_EQ(destroy_errno(NULL, mem), 0);
    CHECK_EQ(id_of(name, &by_name), test_stat(other).id);
    CHECK_EQ(destroy_errno(name, other), 0);
}

static void by_a_reader_and_through_a_descriptor(void)
{
    const char *name = test_name();
    const shmheap_options reader = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle mem = make(name, &by_name), other;
    CHECK_EQ(shmheap_open(&other, name, &reader), 0);
    CHECK_EQ(destroy_errno(name, other), 0);
    CHECK_REFUSED(shm_open(name, O_RDONLY, 0) == -1, ENOENT);
    CHECK_EQ(destroy_errno(name, mem), ENOENT);
    mem = make(name, &by_name);
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    CHECK_EQ(destroy_errno(name, other), 0);
    CHECK_EQ(destroy_errno(name, mem), ENOENT);
}

/* struct stage is shared by the processes that destroy one heap at once and the process that makes
 * the next. */
struct stage {
    const char *name;
    struct test_barrier begin, end;
    uint64_t made;
    int removed;
};

static void destroyer(void *context)
{
    struct stage *stage = context;
    shmheap_memory_handle mem = test_connect(stage->name);
    test_barrier_wait(&stage->begin);
    int reason = destroy_errno(stage->name, mem);
    CHECK(reason == 0 || reason == ESTALE || reason == ENOENT);
    __atomic_add_fetch(&stage->removed, reason == 0, __ATOMIC_RELAXED);
    test_barrier_wait(&stage->end);
}

/* As soon as the name is free. */
static void next_maker(void *context)
{
    struct stage *stage = context;
    shmheap_memory_handle mem;
    test_barrier_wait(&stage->begin);
    while (shmheap_open(&mem, stage->name, &by_name) != 0) {
        CHECK_EQ(errno, EEXIST);
        sched_yield();
    }
    stage->made = test_stat(mem).id;
    test_barrier_wait(&stage->end);
    CHECK_EQ(id_of(stage->name, &by_name), stage->made);
    CHECK_EQ(destroy_errno(stage->name, mem), 0);
}

static void many_destroy_one_heap_and_another_makes_the_next(void)
{
    struct stage *stage = test_shared(sizeof *stage);
    stage->name = test_name();
    for (size_t round = 0, rounds = test_rounds(ROUNDS); round < rounds; round++) {
        pid_t pids[TOGETHER + 1];
        shmheap_memory_handle mem = make(stage->name, &by_name);
        test_barrier_begin(&stage->begin, TOGETHER + 2);
        test_barrier_begin(&stage->end, TOGETHER + 1);
        stage->removed = 0;
        for (unsigned i = 0; i <= TOGETHER; i++)
            pids[i] = test_fork(i < TOGETHER ? destroyer : next_maker, stage);
        test_barrier_wait(&stage->begin);
        for (unsigned i = 0; i <= TOGETHER; i++)
            test_join(pids[i]);
        CHECK_EQ(stage->removed, 1);
        shmheap_disconnect(mem);
        test_barrier_end(&stage->begin);
        test_barrier_end(&stage->end);
    }
    test_unshare(stage, sizeof *stage);
}

static const struct test tests[] = {
    TEST(the_name_of_another_heap_stays),
    TEST(the_name_of_a_heap_made_before_the_lock_stays),
    TEST(a_text_of_that_name_stays),
    TEST(no_name_is_left),
    TEST(no_descriptor_is_left),
    TEST(heaps_without_a_name),
    TEST(by_a_reader_and_through_a_descriptor),
    TEST(many_destroy_one_heap_and_another_makes_the_next),
};
TEST_MAIN(tests)
