/* A program closes the heap's descriptors and cannot open the file again. It still knows the slots
 * that lie behind the region: its own, and those of other processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum {
    LEN = 256 << 10,
    FIRST = 15, /* slots before the index of so small a heap */
    SOME = 100, /* more: the table has become longer several times */
    OBJECT_LEN = 100,
    DESCRIPTORS = 1024,
    LIMIT_MS = 300,
    FAILURES = 200, /* allocs that fail: some of them inspect the cache lines */
    OBJECTS_MOST = 40000,
    STOP_BEFORE = 3 /* the store inside an alloc */
};

/* The hook is called before each store to shared memory. */
void (*shmheap_store_hook)(void);
static unsigned stores;

/* mems: connections of the test, which take the slots from 1 on. lost: a process without
 * descriptors; it meets the test at the barrier. */
struct scene {
    shmheap_memory_handle mems[SOME];
    unsigned count, lost_slot;
    uint64_t offset; /* of an object that the lost process made */
    void (*act)(struct scene *scene, shmheap_memory_handle mem);
    unsigned flags;
    pid_t lost;
    struct test_barrier barrier;
};

static void slots_take(struct scene *scene, unsigned count, unsigned flags)
{
    for (; scene->count < count; scene->count++) {
        scene->mems[scene->count] = test_connect_again(scene->mems[0], flags);
        CHECK(shmheap_alloc(scene->mems[scene->count], OBJECT_LEN) != NULL);
    }
}

static void lose_descriptors(void)
{
    test_drop_rights();
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        close(fd);
}

static void lost_run(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = test_connect_again(scene->mems[0], scene->flags);
    if (!(scene->flags & SHMHEAP_READ_ONLY))
        scene->lost_slot = test_own_slot(mem);
    lose_descriptors();
    test_barrier_wait(&scene->barrier);
    test_barrier_wait(&scene->barrier); /* the test has done its part */
    scene->act(scene, mem);
    shmheap_disconnect(mem);
}

/* before: the slots that are taken when the process connects. It has lost its descriptors, and does
 * nothing before scene_go. */
static struct scene *scene_begin(unsigned before, unsigned flags,
                                 void (*act)(struct scene *, shmheap_memory_handle))
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mems[0] = test_anonymous(LEN, LEN, 8);
    CHECK(shmheap_alloc(scene->mems[0], OBJECT_LEN) != NULL);
    scene->count = 1;
    scene->act = act;
    scene->flags = flags;
    slots_take(scene, before, 0);
    test_barrier_begin(&scene->barrier, 2);
    scene->lost = test_fork(lost_run, scene);
    test_barrier_wait(&scene->barrier);
    return scene;
}

static void scene_go(struct scene *scene)
{
    test_barrier_wait(&scene->barrier);
    test_join(scene->lost);
}

static void scene_end(struct scene *scene)
{
    CHECK_SOUND(scene->mems[0]);
    CHECK_EQ(test_stat(scene->mems[0]).dead, 0);
    for (unsigned i = 0; i < scene->count; i++)
        shmheap_disconnect(scene->mems[i]);
    test_barrier_end(&scene->barrier);
    test_unshare(scene, sizeof *scene);
}

static void makes_an_object(struct scene *scene, shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, OBJECT_LEN);
    CHECK(ptr != NULL);
    test_fill(ptr, OBJECT_LEN, 1);
    scene->offset = test_offset(mem, ptr);
    test_stat(mem); /* counts the slots */
}

/* The process has a slot behind the region. It departs in order, so its object stays. */
static void a_departed_process_keeps_its_objects(void)
{
    struct scene *scene = scene_begin(FIRST, 0, makes_an_object);
    shmheap_memory_handle mem = scene->mems[0];
    CHECK_LE(FIRST + 1, scene->lost_slot);
    scene_go(scene);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    void *ptr = (char *)shmheap_underlying(mem) + scene->offset;
    CHECK(test_filled(ptr, OBJECT_LEN, 1));
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    scene_end(scene);
}

static int count_alive(const shmheap_process_info *process, void *context)
{
    CHECK(process->alive);
    CHECK_EQ(process->blocks, 1);
    ++*(unsigned *)context;
    return 0;
}

static void sees_all(struct scene *scene, shmheap_memory_handle mem)
{
    unsigned count = 0, own = !(scene->flags & SHMHEAP_READ_ONLY);
    void *ptr = own ? shmheap_alloc(mem, OBJECT_LEN) : NULL;
    CHECK_EQ(shmheap_processes(mem, count_alive, &count), 0);
    CHECK_EQ(count, scene->count + own);
    CHECK_EQ(test_stat(mem).processes, count);
    CHECK_SOUND(mem);
    if (own) {
        CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
}

/* The table becomes longer after the process has lost its descriptors. */
static void processes_that_come_later_are_seen(void)
{
    static const unsigned flags[] = {0, SHMHEAP_READ_ONLY};
    for (unsigned i = 0; i < 2; i++) {
        struct scene *scene = scene_begin(FIRST - 1, flags[i], sees_all);
        slots_take(scene, SOME, 0);
        scene_go(scene);
        scene_end(scene);
    }
}

static void stop_here(void)
{
    if (++stores == STOP_BEFORE)
        raise(SIGSTOP);
}

static void stops_inside(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = test_connect_again(scene->mems[0], 0);
    CHECK_LE(FIRST + 1, test_own_slot(mem));
    shmheap_store_hook = stop_here;
    CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    shmheap_store_hook = NULL;
    CHECK_LE(STOP_BEFORE, stores);
    shmheap_disconnect(mem);
}

static void waits_for_the_lock(struct scene *scene, shmheap_memory_handle mem)
{
    CHECK_LE(1, scene->count);
    mem.heap->lock_limit_ms = LIMIT_MS;
    CHECK_REFUSED(shmheap_alloc(mem, OBJECT_LEN) == NULL, ETIMEDOUT);
}

/* The lock's owner is stopped. It lives, so the lock stays its own. */
static void a_later_process_keeps_its_lock(void)
{
    struct scene *scene = scene_begin(FIRST - 1, 0, waits_for_the_lock);
    int status;
    slots_take(scene, FIRST + 1, 0);
    pid_t owner = test_fork(stops_inside, scene);
    CHECK_EQ(waitpid(owner, &status, WUNTRACED), owner);
    CHECK(WIFSTOPPED(status));
    scene_go(scene);
    CHECK_EQ(kill(owner, SIGCONT), 0);
    test_join(owner);
    CHECK_EQ(test_stat(scene->mems[0]).recoveries, 0);
    scene_end(scene);
}

static int count_internal(const shmheap_block_info *block, void *context)
{
    *(unsigned *)context += block->state == SHMHEAP_STATE_INTERNAL;
    return 0;
}

static unsigned cache_lines(shmheap_memory_handle mem)
{
    unsigned count = 0;
    CHECK_EQ(shmheap_walk(mem, count_internal, &count), 0);
    return count;
}

static void fails_often(struct scene *scene, shmheap_memory_handle mem)
{
    static void *ptrs[OBJECTS_MOST];
    size_t count = test_take_all(mem, ptrs, OBJECTS_MOST);
    CHECK_LE(1, scene->count);
    for (unsigned i = 0; i < FAILURES; i++)
        CHECK_REFUSED(shmheap_alloc(mem, LEN / 2) == NULL, ENOMEM);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
}

/* An alloc that fails frees the cache lines of departed processes, and no others. */
static void later_processes_keep_their_cache_lines(void)
{
    struct scene *scene = scene_begin(FIRST - 1, 0, fails_often);
    slots_take(scene, FIRST + 5, SHMHEAP_CACHED);
    unsigned lines = cache_lines(scene->mems[0]);
    CHECK_LE(5, lines);
    scene_go(scene);
    CHECK_EQ(cache_lines(scene->mems[0]), lines);
    scene_end(scene);
}

/* The program closes all descriptors and opens the heap's file itself: the new descriptor has the
 * number of the library's. */
static void open_own(void *context)
{
    static const int oflags[] = {O_RDONLY, O_RDWR, O_WRONLY, O_PATH};
    const char *name = test_name();
    CHECK(context == NULL);
    for (size_t i = 0; i < sizeof oflags / sizeof *oflags; i++) {
        const shmheap_options options = {
            .len = 1 << 20, .max_len = 8 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
        shmheap_memory_handle mem;
        char path[80];
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
        CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
        snprintf(path, sizeof path, "/dev/shm%s", name);
        for (int fd = 3; fd < DESCRIPTORS; fd++)
            close(fd);
        int own[3];
        for (int n = 0; n < 3; n++)
            CHECK((own[n] = open(path, oflags[i] | O_CLOEXEC)) == 3 + n);
        CHECK(shmheap_alloc(mem, 4 << 20) != NULL); /* grows */
        for (int n = 0; n < 3; n++)
            CHECK(shmheap_fd(mem) != own[n] && shmheap_fd_writable(mem) != own[n]);
        CHECK_SOUND(mem);
        shmheap_destroy(name, mem);
        for (int n = 0; n < 3; n++)
            CHECK_EQ(close(own[n]), 0);
        CHECK_EQ(open("/dev/null", O_RDONLY | O_CLOEXEC), 3); /* no descriptor is left */
        CHECK_EQ(close(3), 0);
    }
}

static void the_programs_own_descriptors_of_the_file(void) { test_in_child(open_own, NULL); }

/* The program puts duplicates of what shmheap_fd() lent it in the place of all descriptors. */
static void put_duplicates(void *context)
{
    const shmheap_options options = {
        .len = 1 << 20, .max_len = 8 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
    const char *name = test_name();
    shmheap_memory_handle mem;
    CHECK(context == NULL);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    int lent = shmheap_fd(mem), copy = fcntl(lent, F_DUPFD_CLOEXEC, 100);
    CHECK(copy >= 100);
    for (int fd = 3; fd < 100; fd++)
        CHECK_EQ(dup2(copy, fd), fd);
    CHECK(shmheap_alloc(mem, 4 << 20) != NULL); /* grows */
    CHECK_SOUND(mem);
    shmheap_destroy(name, mem);
    for (int fd = 3; fd < 100; fd++)
        CHECK(fd == lent || close(fd) == 0);
}

static void duplicates_of_what_was_lent(void) { test_in_child(put_duplicates, NULL); }

static const struct test tests[] = {
    TEST(a_departed_process_keeps_its_objects),     TEST(processes_that_come_later_are_seen),
    TEST(a_later_process_keeps_its_lock),           TEST(later_processes_keep_their_cache_lines),
    TEST(the_programs_own_descriptors_of_the_file), TEST(duplicates_of_what_was_lent)};
TEST_MAIN(tests)
