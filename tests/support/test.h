/* test.h: what the tests of the core share.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A test program is a list of functions that return or fail:
 *
 *     static void alloc_of_zero_bytes(void) { ... CHECK(...); }
 *     static const struct test tests[] = {TEST(alloc_of_zero_bytes)};
 *     TEST_MAIN(tests)
 *
 * The functions run one after the other in a child of the program; the program itself, the guard,
 * only waits. However the child ends, the guard ends all that it left running and removes the names
 * that it registered. A first argument runs the functions whose names contain it. */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "shmheap.h"

/* Checks: on failure they print the place, the values and errno, and end the process with status 1;
 * if it is a child, its parent then fails as well. */
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "%s is false", #condition))
#define CHECK_EQ(found, expected)                                                                  \
    test_check_eq(__FILE__, __LINE__, #found " == " #expected, (long long)(found),                 \
                  (long long)(expected))
#define CHECK_LE(found, limit)                                                                     \
    test_check_le(__FILE__, __LINE__, #found " <= " #limit, (long long)(found), (long long)(limit))
#define CHECK_PTR(found, expected)                                                                 \
    test_check_ptr(__FILE__, __LINE__, #found " == " #expected, (const void *)(found),             \
                   (const void *)(expected))
/* The expression says that the call failed; errno is what the call made of 0. */
#define CHECK_REFUSED(failed, error)                                                               \
    (errno = 0, test_check_refused(__FILE__, __LINE__, #failed, (failed), (error)))
/* shmheap_check finds nothing. */
#define CHECK_SOUND(mem) test_check_sound(__FILE__, __LINE__, (mem))

void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void test_check_refused(const char *file, int line, const char *text, int failed, int error);
void test_check_sound(const char *file, int line, shmheap_memory_handle mem);

static inline void test_check_eq(const char *file, int line, const char *text, long long found,
                                 long long expected)
{
    if (found != expected)
        test_fail(file, line, "%s: found %lld (%#llx), expected %lld (%#llx)", text, found,
                  (unsigned long long)found, expected, (unsigned long long)expected);
}

static inline void test_check_le(const char *file, int line, const char *text, long long found,
                                 long long limit)
{
    if (found > limit)
        test_fail(file, line, "%s: found %lld, at most %lld is right", text, found, limit);
}

static inline void test_check_ptr(const char *file, int line, const char *text, const void *found,
                                  const void *expected)
{
    if (found != expected)
        test_fail(file, line, "%s: found %p, expected %p", text, found, expected);
}

/* The program. */
struct test {
    const char *name;
    void (*run)(void);
};
#define TEST(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }
#define TEST_MAIN(list)                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return test_main(list, sizeof(list) / sizeof *(list), argc, argv);                         \
    }
int test_main(const struct test *tests, size_t count, int argc, char **argv);

/* test_rounds is how often to repeat: plain in the plain configuration, where the figures of the
 * project's promises hold; a tenth under a sanitizer, which makes everything five to fifteen times
 * slower. */
size_t test_rounds(size_t plain);

/* test_quarter is test_rounds of a quarter of all, or of all where SHMHEAP_TEST_ALL is set, as in
 * `tools/matrix full`, each night. */
size_t test_quarter(size_t all);

/* 1 under ThreadSanitizer, whose runtime has a thread in each process. */
#if defined(__SANITIZE_THREAD__)
#define TEST_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_UNDER_TSAN 1
#endif
#endif
#ifndef TEST_UNDER_TSAN
#define TEST_UNDER_TSAN 0
#endif

/* Names. A new name for shm_open, and a new path (in TEST_TMPDIR if set), that the guard removes at
 * the end. They are random, since tests with PID namespaces of their own may share /dev/shm. Valid
 * till the end. */
const char *test_name(void);
const char *test_path(void);
/* name with something behind it, removed at the end as well. */
const char *test_name_with(const char *name, const char *suffix);
/* The file of /dev/shm that a name from test_name refers to; for tests that put something else
 * there. */
const char *test_shm_path(const char *name);

/* 1, or 0 with a line `skipped: ` when /dev/shm has less than so many MiB free: a container of
 * Docker has 64 MiB. */
int test_shm_has(unsigned mib);

/* Random numbers. The seed is printed at the start and can be set in SHMHEAP_TEST_SEED. */
struct test_random {
    uint64_t state;
};
struct test_random test_random_begin(uint64_t stream);
uint64_t test_random_next(struct test_random *random);
/* 0 to limit - 1 */
uint64_t test_random_below(struct test_random *random, uint64_t limit);

/* Processes. A child that ends by a signal other than SIGKILL, or with a status other than 0, ends
 * the test at once (so that no process waits for it at a barrier), unless test_tolerate_crashes(1)
 * was called in its parent. */
pid_t test_fork(void (*run)(void *context), void *context);
int test_wait(pid_t pid);   /* the status of waitpid */
char test_state(pid_t pid); /* as /proc says: S sleeps, Z its first thread has ended ... */
void test_join(pid_t pid);  /* it must exit with 0 */
void test_kill(pid_t pid);  /* by SIGKILL, which must be what ends it */
void test_tolerate_crashes(int tolerate);
/* A child that connects to the heap of mem, allocates an object and, where shares, another that it
 * shares; slot is its slot. It then waits: test_kill ends it. */
pid_t test_fork_holder(shmheap_memory_handle mem, int shares, unsigned *slot);
/* Runs run(context) in a child of its own and waits for it. */
void test_in_child(void (*run)(void *context), void *context);
/* Each of count threads runs run(context); waits for all. */
void test_threads(unsigned count, void *(*run)(void *context), void *context);

/* This process has no capabilities from now on: it cannot open a file by a mapping of it. */
void test_drop_rights(void);

/* Zeroed memory that children share. */
void *test_shared(size_t bytes);
void test_unshare(void *memory, size_t bytes);

/* A barrier for processes and threads, in memory from test_shared. */
struct test_barrier {
    pthread_barrier_t barrier;
};
void test_barrier_begin(struct test_barrier *barrier, unsigned parties);
void test_barrier_wait(struct test_barrier *barrier);
void test_barrier_end(struct test_barrier *barrier);

/* The core is compiled for several processors, and keeps the free blocks in two forms. Connections
 * made from now on are as the choice says, 0 to TEST_CORES - 1, where this processor can: its name.
 * 0 is what users have. */
enum { TEST_CORES = 6 };
const char *test_choose_core(unsigned choice);
/* Connections made from now on take at most so many free blocks to the list, 0 to 64. */
void test_choose_list_max(unsigned most);

/* Heaps. */
shmheap_memory_handle test_anonymous(size_t len, size_t max_len, size_t alignment);
/* A heap of fixed length, with more flags. */
shmheap_memory_handle test_anonymous_with(size_t len, size_t alignment, unsigned flags);
shmheap_memory_handle test_connect(const char *name);
/* Another connection to the heap of mem, by its descriptor. */
shmheap_memory_handle test_connect_again(shmheap_memory_handle mem, unsigned flags);
shmheap_stats test_stat(shmheap_memory_handle mem);
/* Bytes from shmheap_underlying. */
uint64_t test_offset(shmheap_memory_handle mem, const void *ptr);
/* The slot of this connection; it makes a change first, as a child has none before that. */
unsigned test_own_slot(shmheap_memory_handle mem);
/* Blocks in caches, and their bytes with headers. */
struct test_cached_counts {
    uint64_t blocks, bytes;
};
struct test_cached_counts test_cached(shmheap_memory_handle mem);
/* Allocates until not even the smallest object fits, large ones first: how many, at most room; they
 * are in ptrs. */
size_t test_take_all(shmheap_memory_handle mem, void **ptrs, size_t room);
/* All of it is one free block. */
void test_check_empty(shmheap_memory_handle mem);

/* Contents: len bytes that depend on mark, written, and checked to be there still. */
void test_fill(void *ptr, size_t len, uint64_t mark);
int test_filled(const void *ptr, size_t len, uint64_t mark);

/* A picture of the heap's truth: figures that only changes touch, and every byte of the region. */
struct test_snapshot {
    shmheap_stats stats;
    unsigned char *bytes;
};
struct test_snapshot test_snapshot_take(shmheap_memory_handle mem);
/* 1: the heap is as it was. */
int test_snapshot_same(shmheap_memory_handle mem, const struct test_snapshot *before);
void test_snapshot_drop(struct test_snapshot *snapshot);

/* A list of blocks, as shmheap_walk shows them. */
struct test_blocks {
    shmheap_block_info *blocks;
    size_t count, room;
};
/* Walks and checks that the blocks tile the region. */
struct test_blocks test_blocks_take(shmheap_memory_handle mem);
/* Places, sizes and whether free; owners may differ. */
int test_blocks_same(const struct test_blocks *a, const struct test_blocks *b);
void test_blocks_drop(struct test_blocks *blocks);

#endif
