/* A process with a limit on its address space (ulimit -v).
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/support/test.h"

enum { LEN = 1 << 20 };

/* Where the address space is too small, nothing is made and nothing reserved. */
static void lacks_addresses(void *context)
{
    static const unsigned kinds[] = {0, SHMHEAP_SPARSE, SHMHEAP_HUGE_PAGES};
    const struct rlimit limit = {256 << 20, RLIM_INFINITY};
    (void)context;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        shmheap_options options = {.len = LEN, .max_len = 1 << 30};
        options.flags = SHMHEAP_CREATE | kinds[i];
        const char *name = test_name();
        shmheap_memory_handle mem;
        struct stat status;
        CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ENOMEM);
        CHECK(stat(test_shm_path(name), &status) != 0);
        options.max_len = 2 * LEN;
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
        shmheap_destroy(name, mem);
    }
}

/* The first change of a child takes a slot, which needs memory of the process. */
static void child_lacks_addresses(void *context)
{
    const struct rlimit limit = {1, 1};
    const shmheap_memory_handle *mem = context;
    static const char text[] = "the process gets no memory of its own";
    shmheap_stats stats;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_REFUSED(shmheap_alloc(*mem, 100) == NULL, ENOMEM);
    CHECK(strstr(shmheap_error_text(), text) != NULL);
    CHECK_REFUSED(shmheap_reap(*mem, 0) == -1, ENOMEM);
    CHECK(strstr(shmheap_error_text(), text) != NULL);
    CHECK_REFUSED(shmheap_stat(*mem, &stats) == -1, ENOMEM);
    CHECK(strstr(shmheap_error_text(), text) != NULL);
}

static void too_few_addresses_in_a_child(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    test_in_child(child_lacks_addresses, &mem);
    shmheap_disconnect(mem);
}

static void too_few_addresses(void) { test_in_child(lacks_addresses, NULL); }

static const struct test tests[] = {TEST(too_few_addresses), TEST(too_few_addresses_in_a_child)};
TEST_MAIN(tests)
