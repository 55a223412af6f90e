/* fork() beside a thread that opens a heap: it waits until the heap's struct has the number of a
 * new descriptor, or the place of its mapping, which the child then drops. Else a child would keep
 * the locks of its parent, which would count as alive after its death. A fork handler that opens a
 * heap does not wait for its own thread.
 *
 * open, mmap, close and pthread_mutex_timedlock are wrapped: they bring the threads to these
 * places, whatever the time limits of the library are.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/process/ground.h"

enum { LEN = 1 << 16, STEPS = 16 };

/* The peer forks in another thread at its n-th call that opens, maps or closes the heap's file; 0:
 * at none. */
static unsigned steps_until_fork;
static struct peer *forking;
static dev_t device;
static ino_t inode;
static pthread_t forker;
static int fork_waits, fork_is_done; /* shared by the threads */
static __thread int is_forker;

static unsigned waits_in_handler; /* for mutexes that were locked */
static int handler_opens, in_handler;

static void *fork_once(void *context)
{
    is_forker = 1;
    peer_fork(context, NULL);
    __atomic_store_n(&fork_is_done, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* The thread goes on when the other one waits for it, or has forked. */
static void step_done(int fd)
{
    struct stat status;
    int before = errno;
    if (steps_until_fork == 0 || fstat(fd, &status) != 0 || status.st_dev != device ||
        status.st_ino != inode || --steps_until_fork != 0) {
        errno = before;
        return;
    }
    CHECK_EQ(pthread_create(&forker, NULL, fork_once, forking), 0);
    while (!__atomic_load_n(&fork_waits, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&fork_is_done, __ATOMIC_ACQUIRE))
        sched_yield();
    errno = before;
}

int __real_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...)
{
    mode_t mode = 0;
    if (oflags & O_CREAT) {
        va_list list;
        va_start(list, oflags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    int fd = __real_open(path, oflags, mode);
    step_done(fd);
    return fd;
}

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off)
{
    void *memory = __real_mmap(at, len, protection, flags, fd, off);
    if (fd >= 0)
        step_done(fd);
    return memory;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    step_done(fd); /* before it: fd is still open in a child that is forked now */
    return __real_close(fd);
}

int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *limit);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *limit);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *limit)
{
    if (pthread_mutex_trylock(mutex) == 0)
        return 0;
    waits_in_handler += in_handler != 0;
    if (in_handler)
        return __real_pthread_mutex_timedlock(mutex, limit);
    if (is_forker)
        __atomic_store_n(&fork_waits, 1, __ATOMIC_RELEASE);
    return pthread_mutex_lock(mutex);
}

static unsigned place; /* the number of the step after which the peer forks */

static void arm(struct peer *peer)
{
    forking = peer;
    steps_until_fork = place;
}

static void join_forker(struct peer *peer)
{
    if (steps_until_fork != 0)
        return; /* there are fewer steps */
    CHECK_EQ(pthread_join(forker, NULL), 0);
    CHECK_EQ(peer->child_count, 1);
}

/* Returns whether the peer made so many steps. */
static int forks_at(enum ground_kind kind, unsigned number)
{
    struct stat status;
    struct ground ground = ground_begin(kind);
    CHECK_EQ(fstat(shmheap_fd(ground.mem), &status), 0);
    device = status.st_dev;
    inode = status.st_ino;
    place = number;
    struct peer *peer = peer_begin(&ground, arm, join_forker);
    int forked = peer->child_count != 0;
    CHECK_LIVING(&ground, 2, 0);
    peer_kill(peer);
    CHECK_LIVING(&ground, 1, 1);
    peer_kill_children(peer); /* which may claim the peer's objects until then */
    CHECK_EQ(shmheap_reap(ground.mem, 0), PEER_OBJECTS);
    peer_end(peer);
    ground_end(&ground);
    return forked;
}

static void a_child_forked_amid_opening_keeps_no_lock(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_MEMORY; kind++) {
        unsigned number = 1;
        while (forks_at(kind, number))
            CHECK_LE(++number, STEPS);
        printf("  kind %d: forked at %u places\n", (int)kind, number - 1);
        CHECK_LE(4, number - 1); /* two descriptions have locks; each is opened and mapped */
    }
}

static void open_and_close(void)
{
    if (!handler_opens)
        return;
    in_handler = 1;
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    shmheap_disconnect(mem);
    in_handler = 0;
}

/* Before the first heap is opened, so before the library's handlers: it runs when they have. */
__attribute__((constructor)) static void handler_register(void)
{
    CHECK_EQ(pthread_atfork(open_and_close, NULL, NULL), 0);
}

static void nothing(void *context) { CHECK(context == NULL); }

static void a_handler_that_opens_a_heap_waits_for_nothing(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    handler_opens = 1;
    test_in_child(nothing, NULL);
    handler_opens = 0;
    CHECK_EQ(waits_in_handler, 0);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_child_forked_amid_opening_keeps_no_lock),
                                    TEST(a_handler_that_opens_a_heap_waits_for_nothing)};
TEST_MAIN(tests)
