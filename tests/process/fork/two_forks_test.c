/* Two threads fork at the same time, and the one that was first takes long: afterwards both, and
 * their children, open connections.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 16 };

static shmheap_memory_handle mem;
static int first_waits, second_is_done; /* shared by the threads */
static __thread int is_first;

/* Runs after the library's handler, since it was registered before. */
static void delay_first(void)
{
    if (!is_first)
        return;
    __atomic_store_n(&first_waits, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&second_is_done, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void open_and_close(void *context)
{
    (void)context;
    shmheap_memory_handle again = test_connect_again(mem, 0);
    CHECK(shmheap_alloc(again, 100) != NULL);
    shmheap_disconnect(again);
}

static void *fork_first(void *context)
{
    is_first = 1;
    test_in_child(open_and_close, context);
    return NULL;
}

/* Here the library's handler gives up waiting for the other thread's fork. */
static void *fork_second(void *context)
{
    while (!__atomic_load_n(&first_waits, __ATOMIC_ACQUIRE))
        sched_yield();
    test_in_child(open_and_close, context);
    __atomic_store_n(&second_is_done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void a_slow_fork_beside_another(void)
{
    pthread_t first, second;
    CHECK_EQ(pthread_atfork(delay_first, NULL, NULL), 0);
    mem = test_anonymous(LEN, 0, 0);
    CHECK_EQ(pthread_create(&first, NULL, fork_first, NULL), 0);
    CHECK_EQ(pthread_create(&second, NULL, fork_second, NULL), 0);
    CHECK_EQ(pthread_join(second, NULL), 0);
    CHECK_EQ(pthread_join(first, NULL), 0);
    open_and_close(NULL);
    test_in_child(open_and_close, NULL);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_slow_fork_beside_another)};
TEST_MAIN(tests)
