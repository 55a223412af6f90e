/* SHMHEAP_NO_DUMP keeps a heap out of core dumps: the kernel marks its mapping so, for children
 * too.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { LEN = 1 << 20 };

/* Whether the mapping at the heap's region has that flag of /proc/PID/smaps. */
static int has_flag(shmheap_memory_handle mem, const char *flag)
{
    uintptr_t address = (uintptr_t)shmheap_underlying(mem);
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[600];
    int inside = 0, has = -1;
    CHECK(maps != NULL);
    while (has < 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
            inside = from <= address && address < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            has = strstr(line, flag) != NULL;
    }
    CHECK(fclose(maps) == 0 && has >= 0);
    return has;
}

static shmheap_memory_handle open_as(const char *name, unsigned flags)
{
    const shmheap_options options = {.len = LEN, .flags = flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    return mem;
}

static void check_in_child(void *context)
{
    CHECK(has_flag(*(shmheap_memory_handle *)context, " dd"));
}

static void the_maker_and_those_that_connect(void)
{
    const char *name = test_name();
    shmheap_memory_handle made = open_as(name, SHMHEAP_CREATE | SHMHEAP_NO_DUMP),
                          plain = open_as(name, 0);
    shmheap_memory_handle connected = open_as(name, SHMHEAP_NO_DUMP);
    shmheap_memory_handle reader = open_as(name, SHMHEAP_NO_DUMP | SHMHEAP_READ_ONLY);
    CHECK(has_flag(made, " dd"));
    CHECK(!has_flag(plain, " dd"));
    CHECK(has_flag(connected, " dd"));
    CHECK(has_flag(reader, " dd"));
    test_in_child(check_in_child, &made);
    shmheap_disconnect(reader);
    shmheap_disconnect(connected);
    shmheap_disconnect(plain);
    shmheap_destroy(name, made);
}

static void without_a_name(void)
{
    shmheap_memory_handle mem = open_as(NULL, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_NO_DUMP),
                          second;
    const shmheap_options options = {.flags = SHMHEAP_NO_DUMP};
    CHECK(has_flag(mem, " dd"));
    CHECK_EQ(shmheap_open_fd(&second, shmheap_fd(mem), &options), 0);
    CHECK(has_flag(second, " dd"));
    shmheap_disconnect(second);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(the_maker_and_those_that_connect), TEST(without_a_name)};
TEST_MAIN(tests)
