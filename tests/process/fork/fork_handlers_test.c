/* A program's own fork handlers, registered before the library's: they open heaps, or wait for a
 * mutex that another thread holds while it opens one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/support/test.h"

enum { LEN = 1 << 16, ROUNDS = 5 };

/* When the handlers act. */
static enum { NEVER, IN_PREPARE, IN_PARENT, IN_CHILD, WITH_MUTEX } when;
static pthread_mutex_t programs = PTHREAD_MUTEX_INITIALIZER;
static int fork_waits, opener_is_done; /* shared by the threads */

static void open_and_close(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void prepare(void)
{
    if (when == IN_PREPARE)
        open_and_close();
    if (when == WITH_MUTEX) {
        __atomic_store_n(&fork_waits, 1, __ATOMIC_RELEASE);
        CHECK_EQ(pthread_mutex_lock(&programs), 0);
    }
}

static void in_parent(void)
{
    if (when == IN_PARENT)
        open_and_close();
    if (when == WITH_MUTEX)
        CHECK_EQ(pthread_mutex_unlock(&programs), 0);
}

static void in_child(void)
{
    if (when == IN_CHILD)
        open_and_close();
    if (when == WITH_MUTEX)
        CHECK_EQ(pthread_mutex_unlock(&programs), 0);
}

/* Before the first heap is opened, so before the library's handlers. */
__attribute__((constructor)) static void handlers_register(void)
{
    CHECK_EQ(pthread_atfork(prepare, in_parent, in_child), 0);
}

static void child_opens(void *context)
{
    CHECK(context == NULL);
    open_and_close();
}

static void handlers_that_open_heaps(void)
{
    open_and_close();
    for (when = IN_PREPARE; when <= IN_CHILD; when++)
        for (unsigned i = 0; i < ROUNDS; i++) {
            test_in_child(child_opens, NULL);
            open_and_close();
        }
    when = NEVER;
}

static void *open_under_mutex(void *context)
{
    CHECK(context == NULL);
    CHECK_EQ(pthread_mutex_lock(&programs), 0);
    while (!__atomic_load_n(&fork_waits, __ATOMIC_ACQUIRE))
        sched_yield();
    open_and_close();
    __atomic_store_n(&opener_is_done, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_unlock(&programs), 0);
    return NULL;
}

static void a_mutex_that_fork_waits_for(void)
{
    pthread_t opener;
    open_and_close();
    for (unsigned i = 0; i < ROUNDS; i++) {
        fork_waits = opener_is_done = 0;
        CHECK_EQ(pthread_create(&opener, NULL, open_under_mutex, NULL), 0);
        when = WITH_MUTEX;
        test_in_child(child_opens, NULL);
        when = NEVER;
        CHECK_EQ(pthread_join(opener, NULL), 0);
        CHECK(opener_is_done);
    }
    open_and_close();
}

/* While a reader locks the bytes of the claims, fork() writes to the slot of each open heap, which
 * another thread closes and unmaps meanwhile. */
enum { FORKS = 300 };

static int forks_are_done; /* shared by the threads */

static void *connect_and_disconnect(void *context)
{
    const shmheap_memory_handle *mem = context;
    while (!__atomic_load_n(&forks_are_done, __ATOMIC_ACQUIRE))
        shmheap_disconnect(test_connect_again(*mem, 0));
    return NULL;
}

static void nothing(void *context) { CHECK(context == NULL); }

static void closing_beside_fork(void)
{
    pthread_t closer;
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    /* One half of the bytes has mem's own claim. Of later claims, those in the other half fail. */
    struct flock half = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = CLAIM_FIRST, .l_len = CLAIM_RANGE / 2};
    if (fcntl(shmheap_fd(mem), F_OFD_SETLK, &half) != 0) {
        half.l_start += half.l_len;
        CHECK_EQ(fcntl(shmheap_fd(mem), F_OFD_SETLK, &half), 0);
    }
    forks_are_done = 0;
    CHECK_EQ(pthread_create(&closer, NULL, connect_and_disconnect, &mem), 0);
    for (unsigned i = 0; i < FORKS; i++)
        test_in_child(nothing, NULL);
    __atomic_store_n(&forks_are_done, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(closer, NULL), 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(closing_beside_fork), TEST(handlers_that_open_heaps),
                                    TEST(a_mutex_that_fork_waits_for)};
TEST_MAIN(tests)
