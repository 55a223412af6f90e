/* Processes that open one heap at the same time: each is let in, all see the same heap, and
 * nothing is left behind.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum {
    MOST = 1000,
    USERS = 64,           /* so many of the processes allocate: as many objects as fit in 4 KiB */
    PATIENCE_MS = 120000, /* longer than the test may take: no speed is tested */
};

/* How the processes open the heap. */
enum way {
    WAY_CREATE,    /* each with SHMHEAP_CREATE */
    WAY_TAKE_OVER, /* each with SHMHEAP_CREATE | SHMHEAP_TAKE_OVER */
    WAY_CONNECT,   /* the first with SHMHEAP_CREATE; the rest connect once the name is there */
    WAYS
};

/* struct crowd is shared by the processes of one case. */
struct crowd {
    const char *name;
    shmheap_options options;
    enum way way;
    unsigned count, next;
    int go[2]; /* a pipe: its end of file lets all start */
    struct test_barrier all_are_in;
    ino_t files[MOST]; /* which each of them has got */
};

static void open_now(shmheap_memory_handle *mem, const struct crowd *crowd, unsigned self)
{
    shmheap_options options = crowd->options;
    int connects = crowd->way == WAY_CONNECT && self != 0;
    if (crowd->way == WAY_TAKE_OVER)
        options.flags |= SHMHEAP_TAKE_OVER;
    if (connects)
        options.flags &= ~(unsigned)SHMHEAP_CREATE;
    errno = 0;
    while (shmheap_open(mem, crowd->name, &options) != 0) {
        CHECK(connects && errno == ENOENT);
        sched_yield();
    }
}

static void come_in(void *context)
{
    struct crowd *crowd = context;
    unsigned self = __atomic_fetch_add(&crowd->next, 1, __ATOMIC_RELAXED);
    shmheap_memory_handle mem;
    char byte;
    CHECK(close(crowd->go[1]) == 0);
    CHECK_EQ(read(crowd->go[0], &byte, 1), 0);
    open_now(&mem, crowd, self);
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    crowd->files[self] = status.st_ino;
    char *ptr = self < USERS ? shmheap_alloc(mem, 16) : NULL;
    CHECK(ptr != NULL || self >= USERS);
    if (ptr != NULL)
        test_fill(ptr, 16, self);
    test_barrier_wait(&crowd->all_are_in);
    if (self == 0)
        CHECK_EQ(test_stat(mem).processes, crowd->count);
    CHECK(ptr == NULL || test_filled(ptr, 16, self));
    test_barrier_wait(&crowd->all_are_in);
    shmheap_free(mem, ptr);
    shmheap_disconnect(mem);
}

/* All have left: the heap is empty and unharmed, and it is the only thing of that name. */
static void check_left(const struct crowd *crowd)
{
    shmheap_memory_handle mem;
    struct stat status;
    const shmheap_options options = {.flags = crowd->options.flags & SHMHEAP_FILE};
    for (unsigned i = 1; i < crowd->count; i++)
        CHECK_EQ(crowd->files[i], crowd->files[0]);
    CHECK_EQ(shmheap_open(&mem, crowd->name, &options), 0);
    CHECK(fstat(shmheap_fd(mem), &status) == 0 && status.st_ino == crowd->files[0]);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 0);
    test_check_empty(mem);
    shmheap_destroy(crowd->name, mem);
    CHECK_REFUSED(shmheap_open(&mem, crowd->name, &options) == -1, ENOENT);
}

static void open_at_once(unsigned count, const shmheap_options *options, enum way way)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    static pid_t pids[MOST];
    crowd->name = options->flags & SHMHEAP_FILE ? test_path() : test_name();
    crowd->options = *options;
    crowd->way = way;
    crowd->count = count;
    CHECK(pipe(crowd->go) == 0);
    test_barrier_begin(&crowd->all_are_in, count);
    for (unsigned i = 0; i < count; i++)
        pids[i] = test_fork(come_in, crowd);
    CHECK(close(crowd->go[1]) == 0);
    for (unsigned i = 0; i < count; i++)
        test_join(pids[i]);
    CHECK(close(crowd->go[0]) == 0);
    check_left(crowd);
    test_unshare(crowd, sizeof *crowd);
}

/* 1, or 0 with a line `skipped: `: /dev/shm has no room for the heap, and for the file by which a
 * process replaces it. */
static int has_room(size_t len, unsigned flags)
{
    return (flags & SHMHEAP_SPARSE) != 0 || test_shm_has((unsigned)(2 * len >> 20) + 10);
}

static void open_in_each_way(size_t len, unsigned flags)
{
    static const unsigned counts[] = {2, 4, 64};
    if (!has_room(len, flags))
        return;
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++)
        for (enum way way = 0; way < WAYS; way++)
            for (unsigned file = 0; file < 2; file++) {
                const shmheap_options options = {.len = len,
                                                 .flags = SHMHEAP_CREATE | flags |
                                                          (file ? SHMHEAP_FILE : 0),
                                                 .timeout_ms = PATIENCE_MS};
                open_at_once(counts[i], &options, way);
            }
}

static void of_4_kib(void) { open_in_each_way(4 << 10, 0); }
static void of_16_mib(void) { open_in_each_way(16 << 20, 0); }
static void of_64_mib(void) { open_in_each_way(64 << 20, 0); }
static void of_1_gib_sparse(void) { open_in_each_way(1 << 30, SHMHEAP_SPARSE); }

static void a_thousand(void)
{
    static const size_t lens[] = {4 << 10, 16 << 20};
    for (unsigned i = 0; i < 2; i++) {
        const shmheap_options options = {
            .len = lens[i], .flags = SHMHEAP_CREATE, .timeout_ms = PATIENCE_MS};
        if (has_room(lens[i], 0))
            open_at_once((unsigned)test_rounds(MOST), &options, WAY_CREATE);
    }
}

/* The size from which making takes long, again and again. */
static void sixty_rounds_of_four(void)
{
    const shmheap_options options = {
        .len = 16 << 20, .flags = SHMHEAP_CREATE, .timeout_ms = PATIENCE_MS};
    for (size_t round = 0, rounds = test_rounds(60); round < rounds; round++)
        open_at_once(4, &options, (enum way)(round % WAYS));
}

static const struct test tests[] = {TEST(of_4_kib),   TEST(of_16_mib),
                                    TEST(of_64_mib),  TEST(of_1_gib_sparse),
                                    TEST(a_thousand), TEST(sixty_rounds_of_four)};
TEST_MAIN(tests)
