/* exit() while another thread closes a connection. The end of the library uses each connection in
 * turn; the other thread must not unmap the one that it uses.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { LEN = 1 << 20, HELD = 20, ASLEEP_FOR = 50 };

/* The heap whose connection the thread closes, and how far the thread is. */
static shmheap_memory_handle closed;
static const unsigned char *closed_base;
static sem_t go;
static int closes, is_closed, ends;
static pid_t closer;
static int *met; /* shared: the end has loaded from the heap that the thread closes */

void (*shmheap_load_hook)(const void *word);

static void *close_at_go(void *context)
{
    (void)context;
    /* Its cache is what the library's end gives back. */
    shmheap_free(closed, shmheap_alloc(closed, 100));
    __atomic_store_n(&closer, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (sem_wait(&go) != 0)
        continue;
    __atomic_store_n(&closes, 1, __ATOMIC_RELEASE);
    shmheap_disconnect(closed);
    __atomic_store_n(&is_closed, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* At the first load of the heap by the library's end the other thread closes it. The end goes on
 * when the thread has closed it, or sleeps. */
static void close_beside(const void *word)
{
    if (!ends || (uintptr_t)word - (uintptr_t)closed_base >= LEN)
        return;
    ends = 0;
    *met = 1;
    CHECK_EQ(sem_post(&go), 0);
    for (unsigned asleep = 0;
         asleep < ASLEEP_FOR && !__atomic_load_n(&is_closed, __ATOMIC_ACQUIRE);) {
        sched_yield();
        int sleeps = __atomic_load_n(&closes, __ATOMIC_ACQUIRE) && test_state(closer) == 'S';
        asleep = sleeps ? asleep + 1 : 0;
    }
}

struct heaps {
    shmheap_memory_handle closed, held;
    unsigned flags;
};

static void hold_and_exit(void *context)
{
    const struct heaps *heaps = context;
    shmheap_memory_handle held = test_connect_again(heaps->held, 0);
    pthread_t thread;
    for (unsigned i = 0; i < HELD; i++)
        CHECK(shmheap_alloc(held, 100) != NULL);
    CHECK_EQ(sem_init(&go, 0, 0), 0);
    closed = test_connect_again(heaps->closed, heaps->flags);
    closed_base = closed.heap->base;
    CHECK_EQ(pthread_create(&thread, NULL, close_at_go, NULL), 0);
    while (__atomic_load_n(&closer, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    shmheap_load_hook = close_beside;
    ends = 1;
    exit(0);
}

/* The process ends in order: what it holds elsewhere stays. */
static void exit_beside(unsigned flags)
{
    struct heaps heaps = {test_anonymous(LEN, 0, 0), test_anonymous(LEN, 0, 0), flags};
    met = test_shared(sizeof *met);
    test_in_child(hold_and_exit, &heaps);
    CHECK_EQ(*met, 1);
    test_unshare(met, sizeof *met);
    CHECK_EQ(shmheap_reap(heaps.held, 0), 0);
    CHECK_EQ(test_stat(heaps.held).used_blocks, HELD);
    CHECK_EQ(test_stat(heaps.closed).dead, 0);
    CHECK_EQ(test_stat(heaps.closed).used_blocks, 0);
    CHECK_SOUND(heaps.closed);
    shmheap_disconnect(heaps.closed);
    shmheap_disconnect(heaps.held);
}

static void a_connection_with_caches(void) { exit_beside(SHMHEAP_CACHED); }

static void a_connection_without(void) { exit_beside(0); }

static const struct test tests[] = {TEST(a_connection_with_caches), TEST(a_connection_without)};
TEST_MAIN(tests)
