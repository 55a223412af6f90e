/* A program's own fork handlers, registered before the library's: they open heaps, wait for a mutex
 * that another thread holds while it opens one, or map memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { LEN = 1 << 16, ROUNDS = 5 };

/* When the handlers act. */
static enum { NEVER, IN_PREPARE, IN_PARENT, IN_CHILD, WITH_MUTEX, MAPS_IN_CHILD } when;
static pthread_mutex_t programs = PTHREAD_MUTEX_INITIALIZER;
static int fork_waits, opener_is_done; /* shared by the threads */

/* Where a handler maps a page, and the page; MAP_FAILED: something is there, or the system takes
 * the place for a hint, as valgrind and Linux before 4.17 do. */
static void *place;
static char *page = MAP_FAILED;

static void map_page(void)
{
    page = mmap(place, 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != MAP_FAILED && page != place) {
        CHECK_EQ(munmap(page, 4096), 0);
        page = MAP_FAILED;
    }
    if (page != MAP_FAILED)
        test_fill(page, 4096, 7);
}

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
    if (when == MAPS_IN_CHILD)
        map_page();
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

static void page_stays(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    printf("  the handler's page %s\n", page == MAP_FAILED ? "has no place" : "is mapped");
    CHECK(page == MAP_FAILED || test_filled(page, 4096, 7));
    CHECK(shmheap_alloc(mem, 100) != NULL); /* by a slot of its own */
    CHECK(page == MAP_FAILED || test_filled(page, 4096, 7));
    CHECK_SOUND(mem);
}

/* A lock's page that a child does not inherit leaves a hole, the first place for a new page. */
static void a_handler_maps_where_a_page_was(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    place = mem.heap->life.page;
    CHECK(place != NULL);
    when = MAPS_IN_CHILD;
    test_in_child(page_stays, &mem);
    when = NEVER;
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(closing_beside_fork), TEST(handlers_that_open_heaps),
                                    TEST(a_mutex_that_fork_waits_for),
                                    TEST(a_handler_maps_where_a_page_was)};
TEST_MAIN(tests)
