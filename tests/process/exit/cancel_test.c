/* A thread with a pending cancellation (deferred, as is the default) makes each call: the call
 * does its work and comes back, and no lock or slot is left behind, so that another thread can
 * make the same call.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 20 };

/* What the calls work on. A call ends with the heap as it was. */
/* Names of the heap, of no heap yet, of an empty file. To choose one is a cancellation point. */
static const char *name, *fresh, *empty, *path;
static shmheap_memory_handle mem;
static void *memory;

static void makes(void)
{
    shmheap_memory_handle made = shmheap_create(fresh, LEN);
    CHECK(shmheap_valid(made));
    shmheap_destroy(fresh, made);
}

static void makes_without_a_name(void)
{
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle made;
    CHECK_EQ(shmheap_open(&made, NULL, &options), 0);
    shmheap_disconnect(made);
}

static void takes_over(void)
{
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_TAKE_OVER};
    shmheap_memory_handle made;
    shmheap_disconnect(shmheap_create(fresh, LEN));
    CHECK_EQ(shmheap_open(&made, fresh, &options), 0);
    shmheap_disconnect(made);
    CHECK_EQ(shmheap_unlink_unused(fresh), 0);
}

static void connects(void)
{
    shmheap_memory_handle connected = test_connect(name), by_fd;
    CHECK(shmheap_alloc(connected, 10) != NULL);
    CHECK_EQ(shmheap_open_fd(&by_fd, shmheap_fd(connected), NULL), 0);
    CHECK_EQ(shmheap_in_use(shmheap_fd_writable(connected)), 1);
    shmheap_disconnect(by_fd);
    shmheap_disconnect(connected);
}

static void waits_for_a_maker(void)
{
    const shmheap_options soon = {.timeout_ms = 20};
    shmheap_memory_handle none;
    CHECK_REFUSED(shmheap_open(&none, empty, &soon) == -1, ETIMEDOUT);
}

static void attaches(void)
{
    shmheap_memory_handle attached;
    CHECK_EQ(shmheap_attach_at(&attached, memory, LEN), 0);
    CHECK(shmheap_alloc(attached, 10) != NULL);
    shmheap_disconnect(attached);
}

static void makes_in_memory(void)
{
    void *own = test_shared(LEN);
    shmheap_memory_handle made;
    CHECK_EQ(shmheap_create_at(&made, own, LEN, NULL), 0);
    shmheap_disconnect(made);
    test_unshare(own, LEN);
}

static void allocates(void)
{
    void *many[10], *ptr = shmheap_calloc(mem, 3, 100);
    CHECK((ptr = shmheap_realloc(mem, ptr, 10000)) != NULL);
    shmheap_free(mem, ptr);
    CHECK((ptr = shmheap_aligned_alloc(mem, 4096, 100)) != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_EQ(shmheap_alloc_many(mem, 100, 10, many), 10);
    CHECK_EQ(shmheap_free_many(mem, many, 10), 10);
    CHECK_REFUSED(shmheap_alloc(mem, 2 * LEN) == NULL, ENOMEM);
}

static void waits_for_space(void)
{
    void *all = shmheap_alloc(mem, test_stat(mem).largest_free);
    CHECK_REFUSED(shmheap_alloc_wait(mem, LEN / 2, 20) == NULL, ETIMEDOUT);
    CHECK_EQ(shmheap_try_free(mem, all), 0);
}

static void sends(void)
{
    void *ptr = shmheap_alloc(mem, 100);
    CHECK_PTR(shmheap_handle_to_ptr(mem, shmheap_ptr_to_handle(mem, ptr)), ptr);
    CHECK_PTR(shmheap_receive(mem, shmheap_send(mem, ptr)), ptr);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
}

static int visit_name(const shmheap_name_info *info, void *context)
{
    return info == NULL || context == NULL;
}
static int visit_block(const shmheap_block_info *info, void *context)
{
    return info == NULL || context == NULL;
}
static int visit_process(const shmheap_process_info *info, void *context)
{
    return info == NULL || context == NULL;
}

static void uses_names(void)
{
    void *ptr = shmheap_alloc_named(mem, "name", 100);
    CHECK(ptr != NULL && shmheap_find(mem, "name", NULL) == ptr);
    CHECK_EQ(shmheap_names(mem, visit_name, ptr), 0);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
}

static void inspects(void)
{
    CHECK_EQ(shmheap_walk(mem, visit_block, memory), 0);
    CHECK_EQ(shmheap_processes(mem, visit_process, memory), 0);
    CHECK_SOUND(mem);
    CHECK_LE(0, shmheap_reap(mem, SHMHEAP_REAP_SHARED));
    CHECK_LE(1, test_stat(mem).processes);
}

static void keeps_names(void)
{
    void *ptr = shmheap_alloc_kept(mem, "kept", 100);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_name_keep(mem, "kept"), 0);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_EQ(shmheap_name_remove(mem, "kept"), 0);
}

/* Whether the machine tells or not. To choose a path is a cancellation point. */
static void asks_for_the_socket(void) { CHECK_LE(-1, shmheap_socket()); }

static void copies(void)
{
    CHECK_EQ(shmheap_copy(mem, path), 0);
    CHECK_EQ(unlink(path), 0);
}

static void (*const calls[])(void) = {makes,
                                      makes_without_a_name,
                                      takes_over,
                                      connects,
                                      waits_for_a_maker,
                                      attaches,
                                      makes_in_memory,
                                      allocates,
                                      waits_for_space,
                                      sends,
                                      uses_names,
                                      inspects,
                                      keeps_names,
                                      asks_for_the_socket,
                                      copies};

/* The call, by a thread that is cancelled already: it ends behind the call. */
struct attempt {
    void (*call)(void);
    int came_back;
};

static void *call_cancelled(void *context)
{
    struct attempt *attempt = context;
    CHECK_EQ(pthread_cancel(pthread_self()), 0);
    attempt->call();
    attempt->came_back = 1;
    pthread_testcancel();
    return NULL;
}

static void call_each(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct attempt attempt = {calls[i], 0};
        pthread_t thread;
        void *result;
        CHECK_EQ(pthread_create(&thread, NULL, call_cancelled, &attempt), 0);
        CHECK_EQ(pthread_join(thread, &result), 0);
        if (!attempt.came_back)
            printf("  call %zu was cancelled inside\n", i);
        CHECK_EQ(attempt.came_back, 1);
        CHECK(result == PTHREAD_CANCELED);
        calls[i]();
    }
}

static void begin(unsigned flags)
{
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | flags};
    shmheap_memory_handle in_memory;
    name = test_name();
    fresh = test_name();
    empty = test_name();
    path = test_path();
    FILE *file = fopen(test_shm_path(empty), "w");
    CHECK(file != NULL && fclose(file) == 0);
    memory = test_shared(LEN);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(shmheap_create_at(&in_memory, memory, LEN, NULL), 0);
}

static void each_call(void)
{
    begin(0);
    call_each();
}

static void each_call_with_caches(void)
{
    begin(SHMHEAP_CACHED);
    call_each();
}

/* Each call is the first change of a child, which takes a slot. */
static void first_change(void *context)
{
    struct attempt *attempt = context;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_cancelled, attempt), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(attempt->came_back, 1);
    attempt->call();
}

static void the_first_change_of_a_child(void)
{
    begin(0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct attempt attempt = {calls[i], 0};
        test_in_child(first_change, &attempt);
    }
}

static const struct test tests[] = {TEST(each_call), TEST(each_call_with_caches),
                                    TEST(the_first_change_of_a_child)};
TEST_MAIN(tests)
