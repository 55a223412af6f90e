/* SHMHEAP_NO_DUMP: no mapping of the heap's file goes into a core dump, whatever it is for.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

enum { LEN = 256 }; /* so short that objects lie in the file's first page */

/* struct mappings: how many the file has, and how many of them a core dump leaves out. */
struct mappings {
    unsigned count, left_out;
};

static struct mappings mappings_of(const char *file)
{
    struct mappings found = {0, 0};
    FILE *smaps = fopen("/proc/self/smaps", "re");
    char *line = NULL;
    size_t room = 0;
    int is_files = 0;
    CHECK(smaps != NULL);
    while (getline(&line, &room, smaps) > 0) {
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            is_files = strstr(line, file) != NULL;
            found.count += (unsigned)is_files;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && is_files) {
            found.left_out += strstr(line, " dd") != NULL;
        }
    }
    free(line);
    CHECK_EQ(fclose(smaps), 0);
    return found;
}

static void check_left_out(const char *file)
{
    struct mappings found = mappings_of(file);
    CHECK_LE(2, found.count); /* the heap's memory, and what keeps its locks */
    CHECK_EQ(found.left_out, found.count);
}

static shmheap_memory_handle open_as(const char *name, unsigned flags)
{
    const shmheap_options options = {.len = LEN, .max_len = 4 * LEN, .flags = flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    return mem;
}

static void use_and_look(void *context)
{
    shmheap_memory_handle *mem = context;
    CHECK(shmheap_alloc(*mem, 10) != NULL);
    check_left_out("no_dump_of_child");
}

static void all_mappings_are_left_out(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = open_as(name, SHMHEAP_CREATE | SHMHEAP_NO_DUMP);
    check_left_out(name);
    shmheap_memory_handle other = open_as(name, SHMHEAP_NO_DUMP);
    shmheap_memory_handle reader = open_as(name, SHMHEAP_NO_DUMP | SHMHEAP_READ_ONLY);
    check_left_out(name);
    shmheap_disconnect(other);
    shmheap_disconnect(reader);
    shmheap_destroy(name, mem);
    CHECK_EQ(mappings_of(name).count, 0);
}

static void in_a_child_too(void)
{
    shmheap_memory_handle mem =
        open_as("no_dump_of_child", SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_NO_DUMP);
    test_in_child(use_and_look, &mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(all_mappings_are_left_out), TEST(in_a_child_too)};
TEST_MAIN(tests)
