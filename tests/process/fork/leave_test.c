/* Children of processes with many threads and many objects, exec, and the end of a thread.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { THREADS = 3, CHILDREN = 60, OBJECTS = 10000, LEN = 4 << 20, EXEC_OBJECTS = 10 };

/* Threads of the parent that never rest, so that a fork meets each of them anywhere, inside the
 * lock too. */
struct parent {
    shmheap_memory_handle mem, looker; /* the second without caches */
    unsigned slot;
    int stop;
    unsigned next;
    uint64_t operations;
};

static void *never_rest(void *context)
{
    struct parent *parent = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&parent->next, 1, __ATOMIC_RELAXED));
    struct {
        char *ptr;
        size_t len;
    } held[20] = {{NULL, 0}};
    while (!__atomic_load_n(&parent->stop, __ATOMIC_ACQUIRE)) {
        unsigned i = (unsigned)test_random_below(&random, 20);
        CHECK(held[i].ptr == NULL || test_filled(held[i].ptr, held[i].len, i));
        shmheap_free(parent->mem, held[i].ptr);
        held[i].len = test_random_below(&random, 500);
        held[i].ptr = shmheap_alloc(parent->mem, held[i].len);
        CHECK(held[i].ptr != NULL);
        test_fill(held[i].ptr, held[i].len, i);
        __atomic_fetch_add(&parent->operations, 1, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < 20; i++)
        shmheap_free(parent->mem, held[i].ptr);
    return NULL;
}

static void alloc_at_once(void *context)
{
    const struct parent *parent = context;
    char *ptr = shmheap_alloc(parent->mem, 300);
    CHECK(ptr != NULL);
    test_fill(ptr, 300, 5);
    unsigned slot = test_own_slot(parent->mem);
    CHECK(slot != parent->slot);
    CHECK(test_filled(ptr, 300, 5));
    CHECK_EQ(shmheap_try_free(parent->mem, ptr), 0);
}

static struct parent parent_begin(unsigned flags)
{
    const shmheap_options options = {.len = LEN,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    struct parent parent = {.slot = 0};
    CHECK_EQ(shmheap_open(&parent.mem, NULL, &options), 0);
    CHECK_EQ(shmheap_open_fd(&parent.looker, shmheap_fd(parent.mem), NULL), 0);
    return parent;
}

/* The parent's threads are not in the child, whatever they were about to do. */
static void children_of_threads_with(unsigned flags)
{
    struct parent parent = parent_begin(flags);
    pthread_t threads[THREADS];
    size_t children = test_rounds(CHILDREN);
    parent.slot = test_own_slot(parent.mem);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, never_rest, &parent), 0);
    for (size_t i = 0; i < children; i++) {
        uint64_t until = __atomic_load_n(&parent.operations, __ATOMIC_RELAXED) + 100 + i;
        while (__atomic_load_n(&parent.operations, __ATOMIC_RELAXED) < until)
            sched_yield();
        pid_t pids[2] = {test_fork(alloc_at_once, &parent), test_fork(alloc_at_once, &parent)};
        test_join(pids[0]);
        test_join(pids[1]);
    }
    __atomic_store_n(&parent.stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(test_own_slot(parent.mem), parent.slot);
    CHECK_EQ(test_stat(parent.mem).recoveries, 0);
    shmheap_disconnect(parent.mem);
    CHECK_LE(0, shmheap_reap(parent.looker,
                             0)); /* children end without disconnecting: what is in their caches */
    test_check_empty(parent.looker);
    shmheap_disconnect(parent.looker);
}

static void children_of_many_threads(void) { children_of_threads_with(0); }

static void children_of_many_threads_with_caches(void) { children_of_threads_with(SHMHEAP_CACHED); }

/* A heap with many objects of the parent. */
struct estate {
    shmheap_memory_handle mem;
    unsigned slot;
    char *objects[OBJECTS];
    uint64_t own_blocks;
};

static int count_of(const shmheap_process_info *process, void *context)
{
    struct estate *estate = context;
    if (process->self)
        estate->own_blocks = process->blocks;
    return 0;
}

/* Any process may free any object; those that the child makes are the child's. */
static void child_amid_objects(void *context)
{
    struct estate *estate = context;
    CHECK_REFUSED(shmheap_send(estate->mem, estate->objects[0]).bits == 0,
                  EPERM); /* its parent's */
    char *first = shmheap_alloc(estate->mem, 77);
    CHECK(first != NULL);
    CHECK_EQ(shmheap_processes(estate->mem, count_of, estate), 0);
    CHECK_EQ(estate->own_blocks, 1);
    CHECK_REFUSED(shmheap_send(estate->mem, estate->objects[0]).bits == 0, EPERM);
    for (unsigned i = 0; i < OBJECTS; i++) {
        CHECK(test_filled(estate->objects[i], 1 + i % 200, i));
        if (i % 2)
            CHECK_EQ(shmheap_try_free(estate->mem, estate->objects[i]), 0);
    }
    CHECK_EQ(shmheap_try_free(estate->mem, first), 0);
    shmheap_disconnect(estate->mem);
}

static void a_child_amid_many_objects(void)
{
    static struct estate estate;
    estate.mem = test_anonymous(LEN, 0, 8);
    estate.slot = test_own_slot(estate.mem);
    for (unsigned i = 0; i < OBJECTS; i++) {
        estate.objects[i] = shmheap_alloc(estate.mem, 1 + i % 200);
        CHECK(estate.objects[i] != NULL);
        test_fill(estate.objects[i], 1 + i % 200, i);
    }
    test_in_child(child_amid_objects, &estate);
    CHECK_EQ(test_stat(estate.mem).processes, 1);
    CHECK_EQ(test_stat(estate.mem).dead, 0);
    CHECK_EQ(test_stat(estate.mem).used_blocks, OBJECTS / 2);
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (i % 2)
            CHECK_REFUSED(shmheap_try_free(estate.mem, estate.objects[i]) == -1, EINVAL);
        else
            CHECK(test_filled(estate.objects[i], 1 + i % 200, i));
    }
    for (unsigned i = 0; i < OBJECTS; i += 2)
        CHECK_EQ(shmheap_try_free(estate.mem, estate.objects[i]), 0);
    test_check_empty(estate.mem);
    shmheap_disconnect(estate.mem);
}

/* exec: the program goes on living, as another that knows nothing of the heap. */
struct runner {
    const char *name;
    int told[2];   /* standard input of the new program, which waits for its end */
    int answer[2]; /* and its standard output */
};

static void connect_and_exec(void *context)
{
    const struct runner *runner = context;
    shmheap_memory_handle mem = test_connect(runner->name);
    for (unsigned i = 0; i < EXEC_OBJECTS; i++)
        CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK(dup2(runner->told[0], STDIN_FILENO) == STDIN_FILENO);
    CHECK(dup2(runner->answer[1], STDOUT_FILENO) == STDOUT_FILENO);
    execl("/bin/cat", "cat", (char *)NULL);
    CHECK(0);
}

static void exec_gives_the_slot_back(void)
{
    struct runner runner = {.name = test_name()};
    char byte = 'x';
    CHECK(pipe2(runner.told, O_CLOEXEC) == 0 && pipe2(runner.answer, O_CLOEXEC) == 0);
    shmheap_memory_handle mem = shmheap_create(runner.name, 65536);
    pid_t pid = test_fork(connect_and_exec, &runner);
    CHECK(close(runner.answer[1]) == 0);
    CHECK_EQ(write(runner.told[1], &byte, 1), 1);
    CHECK_EQ(read(runner.answer[0], &byte, 1),
             1); /* by the new program: all that exec closes is closed */
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), EXEC_OBJECTS);
    CHECK_EQ(test_stat(mem).dead, 0);
    test_check_empty(mem);
    CHECK(close(runner.told[1]) == 0);
    test_join(pid);
    CHECK(close(runner.answer[0]) == 0 && close(runner.told[0]) == 0);
    shmheap_destroy(runner.name, mem);
}

/* A thread holds nothing of its own: what it allocated is its process's, and stays so. */
struct passer {
    shmheap_memory_handle mem;
    char *objects[16];
    unsigned next;
};

static void *alloc_and_end(void *context)
{
    struct passer *passer = context;
    unsigned own = __atomic_fetch_add(&passer->next, 1, __ATOMIC_RELAXED);
    passer->objects[own] = shmheap_alloc(passer->mem, 200);
    CHECK(passer->objects[own] != NULL);
    test_fill(passer->objects[own], 200, own);
    return NULL;
}

static int count_alive(const shmheap_process_info *process, void *context)
{
    unsigned *alive = context;
    *alive += process->alive && process->self;
    CHECK_EQ(process->blocks, 16);
    return 0;
}

static void the_end_of_a_thread_changes_nothing(void)
{
    struct passer passer = {.mem = test_anonymous(65536, 0, 0)};
    unsigned alive = 0;
    test_threads(16, alloc_and_end, &passer);
    CHECK_EQ(shmheap_processes(passer.mem, count_alive, &alive), 0);
    CHECK_EQ(alive, 1);
    CHECK_EQ(shmheap_reap(passer.mem, SHMHEAP_REAP_SHARED), 0);
    for (unsigned i = 0; i < 16; i++) {
        CHECK(test_filled(passer.objects[i], 200, i));
        shmheap_object_handle sent = shmheap_send(passer.mem, passer.objects[i]);
        CHECK_PTR(shmheap_receive(passer.mem, sent), passer.objects[i]);
        CHECK_EQ(shmheap_try_free(passer.mem, passer.objects[i]), 0);
    }
    test_check_empty(passer.mem);
    shmheap_disconnect(passer.mem);
}

static const struct test tests[] = {TEST(children_of_many_threads),
                                    TEST(children_of_many_threads_with_caches),
                                    TEST(a_child_amid_many_objects), TEST(exec_gives_the_slot_back),
                                    TEST(the_end_of_a_thread_changes_nothing)};
TEST_MAIN(tests)
