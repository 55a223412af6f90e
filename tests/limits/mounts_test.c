/* How /proc/self/mountinfo is read, in pieces that end anywhere: which mount is the control
 * group's. read is wrapped: it gets fewer bytes than requested.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/os/memory.h"
#include "tests/support/test.h"

/* PIECE is what one read gets at most, as c/src/os/memory.c has it. */
enum { PIECE = 4095, LONGEST = 4 * PIECE, STACK = 1 << 15 };

#define MIB(n) ((uint64_t)(n) << 20)
#define GROUP "31 23 0:28 / sys rw - cgroup2 cgroup2 rw\n"
/* No folder has that name, so no limit would be found. */
#define WRONG "31 23 0:28 / wrong rw - cgroup2 cgroup2 rw\n"

static size_t read_most; /* bytes that a read gets; 0: as many as requested */

ssize_t __real_read(int fd, void *bytes, size_t len);
ssize_t __wrap_read(int fd, void *bytes, size_t len);
ssize_t __wrap_read(int fd, void *bytes, size_t len)
{
    return __real_read(fd, bytes, read_most != 0 && read_most < len ? read_most : len);
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* A machine in a new folder, which becomes the current one: its group allows 60 MiB. */
static void machine_begin(void)
{
    const char *folder = test_path();
    CHECK(mkdir(folder, 0700) == 0 && chdir(folder) == 0);
    CHECK(mkdir("self", 0700) == 0 && mkdir("sys", 0700) == 0 && mkdir("sys/a", 0700) == 0);
    put("meminfo", "MemTotal: 9999999 kB\nMemAvailable: 4194304 kB\nSwapFree: 0 kB\n");
    put("self/cgroup", "0::/a\n");
    put("sys/a/memory.max", "104857600\n");
    put("sys/a/memory.current", "41943040\n");
}

static void machine_end(void)
{
    static const char *const files[] = {"self/mountinfo", "self/cgroup", "meminfo",
                                        "sys/a/memory.max", "sys/a/memory.current"};
    static const char *const folders[] = {"self", "sys/a", "sys"};
    char folder[4096];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        CHECK_EQ(unlink(files[i]), 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CHECK_EQ(rmdir(folders[i]), 0);
    CHECK(getcwd(folder, sizeof folder) != NULL && chdir("/") == 0 && rmdir(folder) == 0);
}

static void check_finds_the_group(const char *mounts)
{
    put("self/mountinfo", mounts);
    CHECK_EQ(memory_left(".", UINT64_MAX), MIB(60));
}

static void lines_of_each_form(void)
{
    machine_begin();
    check_finds_the_group(GROUP);
    check_finds_the_group("1 2 0:3 / proc rw - proc proc rw\n7 1 0:28 / sys rw - cgroup2 c rw\n");
    check_finds_the_group("\n" GROUP WRONG);
    check_finds_the_group("20 1 0:1 / wrong rw\n" GROUP); /* the type is missing */
    machine_end();
}

/* What the stack holds before. */
static __attribute__((noinline)) void stack_fill(int byte)
{
    char stack[STACK];
    memset(stack, byte, sizeof stack);
    __asm__ __volatile__("" : : "r"(stack) : "memory");
}

static void whatever_the_buffer_held(void)
{
    static const char bytes[] = {0, '\n', ' ', '-', '7'};
    machine_begin();
    put("self/mountinfo", "1 2 0:3 / proc rw - proc proc rw\n" GROUP);
    for (read_most = 1; read_most < sizeof GROUP; read_most++)
        for (size_t i = 0; i < sizeof bytes; i++) {
            stack_fill(bytes[i]);
            CHECK_EQ(memory_left(".", UINT64_MAX), MIB(60));
        }
    read_most = 0;
    machine_end();
}

/* Each length of a last piece, from 1 byte on. */
static void pieces_that_end_anywhere(void)
{
    static char mounts[LONGEST];
    machine_begin();
    for (size_t len = PIECE - 2; len < PIECE + sizeof GROUP + 2; len++) {
        size_t first = len - (sizeof GROUP - 1);
        memset(mounts, 'l', first);
        snprintf(mounts + first - 1, sizeof mounts - first, "\n%s", GROUP);
        CHECK_EQ(strlen(mounts), len);
        check_finds_the_group(mounts);
    }
    machine_end();
}

/* The rest of a line that is longer than a piece may look like any mount. */
static void the_rest_of_a_long_line(void)
{
    static char mounts[LONGEST];
    machine_begin();
    for (size_t pieces = 1; pieces <= 2; pieces++) {
        memset(mounts, 'l', pieces * PIECE);
        snprintf(mounts + pieces * PIECE, PIECE, "%s%s", WRONG, GROUP);
        check_finds_the_group(mounts);
    }
    machine_end();
}

static const struct test tests[] = {TEST(lines_of_each_form), TEST(whatever_the_buffer_held),
                                    TEST(pieces_that_end_anywhere), TEST(the_rest_of_a_long_line)};
TEST_MAIN(tests)
