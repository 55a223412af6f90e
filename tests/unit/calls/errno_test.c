/* Calls that succeed leave errno alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { UNTOUCHED = 1234 };

#define CHECK_UNTOUCHED(success) (errno = UNTOUCHED, CHECK(success), CHECK_EQ(errno, UNTOUCHED))

static void by_opening_and_closing(void)
{
    const char *name = test_name();
    shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY}, create = {.flags = SHMHEAP_CREATE};
    shmheap_memory_handle mem, other;
    CHECK_UNTOUCHED(shmheap_valid(mem = shmheap_create(name, 4096)));
    CHECK_UNTOUCHED(shmheap_valid(other = shmheap_connect(name)));
    CHECK_UNTOUCHED((shmheap_disconnect(other), 1));
    CHECK_UNTOUCHED(shmheap_valid(other) == 0);
    CHECK_UNTOUCHED(shmheap_open(&other, name, &create) == 0);
    CHECK_UNTOUCHED((shmheap_disconnect(other), 1));
    CHECK_UNTOUCHED(shmheap_open(&other, name, &read_only) == 0);
    CHECK_UNTOUCHED(shmheap_check(other, NULL) == 0);
    CHECK_UNTOUCHED((shmheap_disconnect(other), 1));
    CHECK_UNTOUCHED(shmheap_open_fd(&other, shmheap_fd(mem), NULL) == 0);
    CHECK_UNTOUCHED(shmheap_in_use(shmheap_fd(mem)) == 1);
    CHECK_UNTOUCHED((shmheap_disconnect(other), 1));
    CHECK_UNTOUCHED((shmheap_destroy(name, mem), 1));
    CHECK_UNTOUCHED(shmheap_valid(shmheap_create(name, 4096)));
    CHECK_UNTOUCHED(shmheap_unlink(name) == 0);
}

static void in_the_callers_memory(void)
{
    static uint64_t memory[4096] __attribute__((aligned(16)));
    shmheap_memory_handle mem, other;
    CHECK_UNTOUCHED(shmheap_create_at(&mem, memory, sizeof memory, NULL) == 0);
    CHECK_UNTOUCHED(shmheap_attach_at(&other, memory, sizeof memory) == 0);
    CHECK_UNTOUCHED(shmheap_alloc(other, 10) != NULL);
    CHECK_UNTOUCHED((shmheap_disconnect(mem), 1));
    CHECK_UNTOUCHED((shmheap_disconnect(other), 1));
}

static void by_allocating(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    void *a, *b, *c;
    shmheap_object_handle handle;
    CHECK_UNTOUCHED((a = shmheap_alloc(mem, 10)) != NULL);
    CHECK_UNTOUCHED((b = shmheap_calloc(mem, 3, 7)) != NULL);
    CHECK_UNTOUCHED((c = shmheap_aligned_alloc(mem, 512, 9)) != NULL);
    CHECK_UNTOUCHED((a = shmheap_realloc(mem, a, 10000)) != NULL);
    CHECK_UNTOUCHED((handle = shmheap_ptr_to_handle(mem, a)).bits != 0);
    CHECK_UNTOUCHED(shmheap_handle_to_ptr(mem, handle) == a);
    CHECK_UNTOUCHED(shmheap_usable_size(mem, a) >= 10000);
    CHECK_UNTOUCHED((shmheap_free(mem, a), 1));
    CHECK_UNTOUCHED((shmheap_free(mem, NULL), 1));
    CHECK_UNTOUCHED(shmheap_try_free(mem, b) == 0);
    CHECK_UNTOUCHED(shmheap_try_free(mem, NULL) == 0);
    CHECK_UNTOUCHED(shmheap_try_free(mem, c) == 0);
    CHECK_UNTOUCHED(shmheap_check(mem, NULL) == 0);
    CHECK_UNTOUCHED(shmheap_underlying(mem) != NULL && shmheap_fd(mem) >= 0 && shmheap_valid(mem));
    shmheap_disconnect(mem);
}

static void by_growing(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 24, 0);
    void *ptr = NULL;
    CHECK_UNTOUCHED((ptr = shmheap_alloc(mem, 10000)) != NULL);
    CHECK_UNTOUCHED((ptr = shmheap_realloc(mem, ptr, 1000000)) != NULL);
    CHECK_UNTOUCHED(shmheap_aligned_alloc(mem, 4096, 3000000) != NULL);
    shmheap_disconnect(mem);
}

static void child_changes(void *context)
{
    shmheap_memory_handle *mem = context;
    CHECK_UNTOUCHED(shmheap_alloc(*mem, 10) != NULL);
}

static void in_a_child_that_takes_its_slot(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    test_in_child(child_changes, &mem);
    shmheap_stats stats;
    CHECK_UNTOUCHED(shmheap_stat(mem, &stats) == 0);
    shmheap_disconnect(mem);
}

static void contend(void *context)
{
    shmheap_memory_handle *mem = context;
    for (unsigned i = 0; i < 100000; i++) {
        void *ptr = NULL;
        CHECK_UNTOUCHED((ptr = shmheap_alloc(*mem, 10)) != NULL);
        CHECK_UNTOUCHED(shmheap_try_free(*mem, ptr) == 0);
    }
}

/* Waiting for the lock is success as well. */
static void under_contention(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    pid_t pids[4];
    for (unsigned i = 0; i < 4; i++)
        pids[i] = test_fork(contend, &mem);
    for (unsigned i = 0; i < 4; i++)
        test_join(pids[i]);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(by_opening_and_closing),
                                    TEST(in_the_callers_memory),
                                    TEST(by_allocating),
                                    TEST(by_growing),
                                    TEST(in_a_child_that_takes_its_slot),
                                    TEST(under_contention)};
TEST_MAIN(tests)
