/* A child's first change gets it a slot of its own, however the child was made; where it cannot,
 * the call fails with an errno and the parent's slot is untouched.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/ground.h"

enum { STRANGER = 65534, ROUNDS = 3000, HELD = 20, FEW_DESCRIPTORS = 64 };

/* Children that no handler of pthread_atfork() tells of ------------------ */

typedef pid_t fork_call(void);

extern pid_t _Fork(void) __attribute__((weak)); /* glibc 2.34 */

static pid_t raw_clone(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL); }

static void work(shmheap_memory_handle mem, uint64_t mark)
{
    char *held[HELD] = {NULL};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        char **place = &held[i % HELD];
        CHECK(*place == NULL || test_filled(*place, 100, mark));
        shmheap_free(mem, *place);
        CHECK((*place = shmheap_alloc(mem, 100)) != NULL);
        test_fill(*place, 100, mark);
    }
    for (unsigned i = 0; i < HELD; i++)
        shmheap_free(mem, held[i]);
}

/* The child's first call. sent: a handle of the parent's, with the label LABEL. */
typedef void first_call(shmheap_memory_handle mem, shmheap_object_handle sent);

enum { LABEL = 77, SENT_LEN = 64 };

static void first_alloc(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK(shmheap_receive(mem, sent) != NULL);
}

static void first_receive(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK(shmheap_receive(mem, sent) != NULL);
}

static void first_receive_labelled(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK(shmheap_receive_labelled(mem, sent, LABEL, SENT_LEN) != NULL);
}

/* The child holds nothing to put back. */
static void first_put_back(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK(shmheap_put_back(mem, sent) != 0);
    CHECK(shmheap_receive(mem, sent) != NULL);
}

static void first_named(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK(shmheap_alloc_named(mem, "a child's", 100) != NULL);
    CHECK(shmheap_receive(mem, sent) != NULL);
}

static void first_reap(shmheap_memory_handle mem, shmheap_object_handle sent)
{
    CHECK_EQ(shmheap_reap(mem, 0), 0);
    CHECK(shmheap_receive(mem, sent) != NULL);
}

static void check_forked_by(fork_call *call, first_call *first, enum ground_kind kind,
                            unsigned flags)
{
    const uint64_t label = LABEL;
    struct ground ground = ground_begin(kind);
    shmheap_memory_handle mem = ground_join(&ground, flags);
    char *parents = shmheap_alloc(mem, 500);
    unsigned slot = test_own_slot(mem);
    test_fill(parents, 500, 1);
    work(mem, 2);
    shmheap_object_handle sent =
        shmheap_send_labelled(mem, shmheap_alloc(mem, SENT_LEN), &label, 1);
    CHECK(sent.bits != 0);
    fflush(NULL);
    pid_t pid = call();
    CHECK(pid >= 0);
    if (pid == 0) {
        first(mem, sent);
        work(mem, 3);
        CHECK(test_own_slot(mem) != slot);
        CHECK(shmheap_alloc(mem, 50) != NULL);
        _exit(0);
    }
    work(mem, 4);
    test_join(pid);
    work(mem, 4);
    CHECK_EQ(test_own_slot(mem), slot);
    CHECK_LIVING(&ground, 2, 1);
    CHECK_SOUND(mem);
    CHECK(test_filled(parents, 500, 1));
    CHECK_LE(2, shmheap_reap(ground.mem, 0)); /* what was sent, too */
    CHECK(test_filled(parents, 500, 1));
    shmheap_free(mem, parents);
    shmheap_disconnect(mem);
    test_check_empty(ground.mem);
    ground_end(&ground);
}

static void check_forked_each_way(fork_call *call)
{
    first_call *const firsts[] = {first_alloc,    first_receive, first_receive_labelled,
                                  first_put_back, first_named,   first_reap};
    for (unsigned i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
            check_forked_by(call, firsts[i], kind, 0);
            check_forked_by(call, firsts[i], kind, kind == GROUND_MEMORY ? 0 : SHMHEAP_CACHED);
        }
}

static void by_raw_clone(void) { check_forked_each_way(raw_clone); }

static void by_underscore_fork(void)
{
    if (_Fork != NULL)
        check_forked_each_way(_Fork);
    else
        printf("  skipped: this C library has no _Fork()\n");
}

/* A handler of the program's, registered before the library's, runs in the child before it. */
static shmheap_memory_handle handlers_mem;
static void *handlers_object;

static void call_in_handler(void)
{
    if (handlers_mem.heap != NULL)
        handlers_object = shmheap_alloc(handlers_mem, 100);
}

/* Before the first heap is opened, so before the library's handler. */
__attribute__((constructor)) static void handler_register(void)
{
    CHECK_EQ(pthread_atfork(NULL, NULL, call_in_handler), 0);
}

static void check_handlers_object(void *context)
{
    CHECK(context == NULL);
    CHECK(handlers_object != NULL);
    CHECK_EQ(test_stat(handlers_mem).processes, 2);
    CHECK(shmheap_send(handlers_mem, handlers_object).bits != 0);
}

static void a_fork_handler_that_calls(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        struct ground ground = ground_begin(kind);
        handlers_mem = ground.mem;
        test_in_child(check_handlers_object, NULL);
        handlers_mem.heap = NULL;
        ground_end(&ground);
    }
}

/* Private memory: the child has a copy of the heap, and with it the lock of a thread that it does
 * not have. ---- */

enum { COPIES = 40 };

static void *be_busy(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    for (;;)
        shmheap_free(mem, shmheap_alloc(mem, 500));
    return NULL;
}

static void use_the_copy(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    void *ptr = shmheap_alloc(mem, 100);
    CHECK(ptr != NULL);
    CHECK_SOUND(mem);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_EQ(test_stat(mem).processes, 1);
}

static void fork_amid_threads(void *context)
{
    static char array[1 << 20] __attribute__((aligned(64)));
    static shmheap_memory_handle mem;
    pthread_t threads[2];
    CHECK(context == NULL);
    CHECK_EQ(shmheap_create_at(&mem, array, sizeof array, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, be_busy, &mem), 0);
    for (unsigned i = 0; i < COPIES; i++) {
        uint64_t before = test_stat(mem).allocs;
        while (test_stat(mem).allocs == before)
            sched_yield();
        test_in_child(use_the_copy, &mem);
    }
    CHECK_SOUND(mem);
}

static void a_copy_of_a_heap_that_threads_are_in(void) { test_in_child(fork_amid_threads, NULL); }

/* Children in which something is in the way ------------------------------ */

/* struct scene is of one obstacle, in shared memory. */
struct scene {
    struct ground ground;
    int error;          /* that the child's first change fails with */
    int (*meet)(void);  /* the obstacle: 0, or -1 where it cannot be had here */
    void (*part)(void); /* takes it away again; NULL: that is not possible */
    int skipped;
    char *parents;
};

static void meet_and_change(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = scene->ground.mem;
    if (scene->meet() != 0) {
        scene->skipped = 1;
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK_REFUSED(shmheap_alloc(mem, 100) == NULL, scene->error);
        CHECK_REFUSED(shmheap_try_free(mem, scene->parents) == -1, scene->error);
    }
    CHECK(test_filled(scene->parents, 500, 1)); /* looking is always possible */
    if (scene->part == NULL)
        return;
    scene->part();
    void *ptr = shmheap_alloc(mem, 100);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    shmheap_disconnect(mem);
}

static void check_obstacle(const char *what, enum ground_kind kinds, int (*meet)(void),
                           void (*part)(void), int error)
{
    for (enum ground_kind kind = 0; kind < kinds; kind++) {
        struct scene *scene = test_shared(sizeof *scene);
        *scene = (struct scene){ground_begin(kind), error, meet, part, 0, NULL};
        unsigned slot = test_own_slot(scene->ground.mem);
        scene->parents = shmheap_alloc(scene->ground.mem, 500);
        test_fill(scene->parents, 500, 1);
        test_in_child(meet_and_change, scene);
        if (scene->skipped)
            printf("  skipped: %s is not possible here\n", what);
        CHECK_LIVING(&scene->ground, 1, 0);
        CHECK_EQ(shmheap_reap(scene->ground.mem, SHMHEAP_REAP_SHARED), 0);
        CHECK_EQ(test_own_slot(scene->ground.mem), slot);
        CHECK_EQ(shmheap_try_free(scene->ground.mem, scene->parents), 0);
        test_check_empty(scene->ground.mem);
        ground_end(&scene->ground);
        test_unshare(scene, sizeof *scene);
    }
}

static int become_stranger(void) { return setgid(STRANGER) == 0 && setuid(STRANGER) == 0 ? 0 : -1; }

/* A memfd may be opened anew by each user that has a descriptor. */
static void another_user(void)
{
    check_obstacle("another user", GROUND_ANONYMOUS, become_stranger, NULL, EACCES);
}

static char empty_folder[200];

static int go_where_nothing_is(void)
{
    return chroot(empty_folder) == 0 && chdir("/") == 0 ? 0 : -1;
}

static void a_root_without_proc(void)
{
    snprintf(empty_folder, sizeof empty_folder, "%s", test_path());
    CHECK_EQ(mkdir(empty_folder, 0755), 0);
    check_obstacle("chroot(2)", GROUND_MEMORY, go_where_nothing_is, NULL, ENOENT);
}

static struct rlimit descriptors_before;

static int use_all_descriptors(void)
{
    struct rlimit few;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &descriptors_before), 0);
    few = descriptors_before;
    few.rlim_cur = FEW_DESCRIPTORS;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (open("/dev/null", O_RDONLY) >= 0)
        continue;
    CHECK_EQ(errno, EMFILE);
    return 0;
}

/* The library opens the file anew by its name. */
static int close_and_use_all_descriptors(void)
{
    for (int fd = 3; fd < FEW_DESCRIPTORS; fd++)
        close(fd);
    return use_all_descriptors();
}

static void allow_more_descriptors(void)
{
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &descriptors_before), 0);
}

static void no_descriptors_left(void)
{
    check_obstacle("RLIMIT_NOFILE", GROUND_MEMORY, use_all_descriptors, allow_more_descriptors,
                   EMFILE);
    check_obstacle("RLIMIT_NOFILE", GROUND_ANONYMOUS, close_and_use_all_descriptors,
                   allow_more_descriptors, EMFILE);
}

static const struct test tests[] = {TEST(by_raw_clone),
                                    TEST(by_underscore_fork),
                                    TEST(a_fork_handler_that_calls),
                                    TEST(a_copy_of_a_heap_that_threads_are_in),
                                    TEST(another_user),
                                    TEST(a_root_without_proc),
                                    TEST(no_descriptors_left)};
TEST_MAIN(tests)
