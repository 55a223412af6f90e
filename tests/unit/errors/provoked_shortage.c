/* provoked_shortage.c: failures for want of memory, and of room in a file system or a table.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <unistd.h>

#include "c/src/os/memory.h"
#include "c/src/process/slot.h"
#include "provoked.h"

/* More than a machine has, and less than a heap may have. */
#define HUGE_LEN ((size_t)1 << 39)

/* The text begins with one of both, and has errno and both texts behind it. */
static void check_text(const char *begin, const char *middle, const char *end)
{
    const char *text = shmheap_error_text(), *at = strstr(text, middle);
    if (strncmp(text, begin, strlen(begin)) != 0 || at == NULL || strstr(at, end) == NULL)
        test_fail(__FILE__, __LINE__, "the text is\n  %s\nand lacks\n  %s ... %s ... %s", text,
                  begin, middle, end);
    provoked[error_state.record.cause] = 1;
}

/* An address space of 32 bits has no room for such a heap. */
static int is_64_bits(void) { return sizeof(void *) == 8; }

static void a_machine_that_is_too_small(void)
{
    static const char none[ERROR_NAME];
    const shmheap_options options = {
        .len = LEN, .max_len = 2 * HUGE_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem;
    CHECK_REFUSED(memory_suffices((uint64_t)1 << 50) == -1, ENOSPC);
    error_note(CALL_OPEN, none);
    check_text("shmheap_open: ", " bytes are needed, and the machine or a control group has ",
               " left (ENOSPC); end programs, raise the group's limit, ");
    CHECK_EQ(shmheap_open(&mem, "a", &options), 0);
    CHECK_REFUSED(shmheap_alloc(mem, HUGE_LEN) == NULL, ENOMEM);
    check_text("shmheap_alloc(\"a\"): no free block has room for 549755813888 bytes, and the heap "
               "cannot grow: the machine or a control group has ",
               " bytes left (ENOMEM); free objects, ", "'free' shows the machine's memory");
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 64, HUGE_LEN) == NULL, ENOMEM);
    check_text("shmheap_aligned_alloc(\"a\"): no free block has room for 549755813888 bytes, and "
               "the heap cannot grow: the machine or ",
               " bytes left (ENOMEM); ", "free");
    CHECK_REFUSED(shmheap_alloc_named(mem, "n", HUGE_LEN) == NULL, ENOMEM);
    check_text("shmheap_alloc_named(\"a\", \"n\"): no free block has room for 549755813888 bytes, "
               "and the heap cannot grow: the machine or ",
               " bytes left (ENOMEM); ", "free");
    CHECK_REFUSED(shmheap_alloc_wait(mem, HUGE_LEN, 0) == NULL, ENOMEM);
    check_text("shmheap_alloc_wait(\"a\"): no free block has room for 549755813888 bytes, and the "
               "heap cannot grow: the machine or ",
               " bytes left (ENOMEM); ", "free");
    /* A later failure has a cause of its own. */
    FAILS(shmheap_alloc(mem, 4 * HUGE_LEN) == NULL, ENOMEM,
          "shmheap_alloc(\"a\"): 2199023255552 bytes never fit: the largest object has "
          "1099511627752");
    shmheap_disconnect(mem);
}

/* /dev/shm has a limit of its own, and tells it. */
static void a_file_system_that_is_too_small(void)
{
    const char *name = test_name();
    char begin[160];
    shmheap_options options = {
        .len = LEN, .max_len = 2 * HUGE_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_REFUSED(shmheap_alloc(mem, HUGE_LEN) == NULL, ENOMEM);
    snprintf(begin, sizeof begin,
             "shmheap_alloc(\"%s\"): no free block has room for 549755813888 bytes, and the heap "
             "cannot grow: its file system has ",
             name);
    check_text(begin, " bytes left (ENOMEM); free objects, ", "'df' lists file systems");
    shmheap_destroy(name, mem);
    options.len = HUGE_LEN;
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ENOSPC);
    snprintf(begin, sizeof begin, "shmheap_open(\"%s\"): ", name);
    check_text(begin, " bytes are needed, and the file system has ",
               " left (ENOSPC); remove files there");
}

static void a_limit_on_files(void)
{
    struct rlimit before, limit;
    shmheap_memory_handle mem;
    shmheap_options options = {
        .len = LEN, .max_len = 64 * LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    CHECK_EQ(shmheap_open(&mem, "a", &options), 0);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 8 * LEN;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    FAILS(shmheap_alloc(mem, 16 * LEN) == NULL, ENOMEM,
          "shmheap_alloc(\"a\"): no free block has room for %d bytes, and the heap cannot grow: "
          "RLIMIT_FSIZE is %d bytes",
          16 * LEN, 8 * LEN);
    FAILS(
        shmheap_alloc_wait(mem, 16 * LEN, 3) == NULL, ETIMEDOUT,
        "shmheap_alloc_wait(\"a\"): no free block has room for %d bytes, and the heap cannot grow: "
        "RLIMIT_FSIZE is %d bytes",
        16 * LEN, 8 * LEN);
    options.len = 16 * LEN;
    shmheap_memory_handle other;
    CHECK_REFUSED(shmheap_open(&other, "b", &options) == -1, EFBIG);
    check_text("shmheap_open(\"b\"): the file needs ", " bytes, and RLIMIT_FSIZE allows 524288 ",
               "(EFBIG); raise 'ulimit -f'");
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(shmheap_alloc(mem, 16 * LEN) != NULL);
    shmheap_disconnect(mem);
}

/* The program closed the descriptor, and has none left. */
static void growth_that_fails_otherwise(void)
{
    const char *name = test_name();
    char text[ERROR_TEXT];
    shmheap_memory_handle mem;
    const shmheap_options options = {.len = LEN, .max_len = 64 * LEN, .flags = SHMHEAP_CREATE};
    struct rlimit before, limit;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(close(mem.heap->fd), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int failed = shmheap_alloc(mem, 16 * LEN) == NULL, reason = errno;
    snprintf(text, sizeof text, "%s", shmheap_error_text());
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK(failed && reason == ENOMEM);
    check_text("shmheap_alloc(", "bytes, and growing the heap failed with EMFILE (ENOMEM); ",
               "free objects");
    CHECK(strcmp(text, shmheap_error_text()) == 0);
    shmheap_destroy(name, mem);
}

static void memory_that_is_too_short(void)
{
    static uint64_t memory[4096] __attribute__((aligned(64)));
    const shmheap_options options = {.len = LEN};
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_create_at(&mem, memory, sizeof memory, &options) == -1, ENOMEM);
    check_text("shmheap_create_at: a heap of that length needs ",
               " bytes, and the memory has 32768 (ENOMEM); ", "leave len 0");
}

/* The format has room for 2^36 granules, whatever machine and file system have. */
static void lengths_that_no_heap_has(void)
{
    static uint64_t memory[4096] __attribute__((aligned(64)));
    const char *name = test_name();
    const size_t over = 2 * HUGE_LEN + 4096;
    const shmheap_options options[] = {
        {.len = over, .flags = SHMHEAP_CREATE | SHMHEAP_SPARSE},
        {.max_len = over, .flags = SHMHEAP_CREATE},
        {.max_len = HUGE_LEN + 8, .alignment = 8, .flags = SHMHEAP_CREATE},
    };
    shmheap_memory_handle mem;
    FAILS((mem = shmheap_create(name, over)).heap == NULL, EFBIG,
          "shmheap_create(\"%s\"): len or max_len is 1099511631872, and 1099511627776 bytes are "
          "the most",
          name);
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        FAILS(shmheap_open(&mem, name, &options[i]) == -1, EFBIG,
              "shmheap_open(\"%s\"): len or max_len is %zu, and %zu bytes are the most", name,
              i < 2 ? over : HUGE_LEN + 8, i < 2 ? 2 * HUGE_LEN : HUGE_LEN);
    const shmheap_options within = {.len = over};
    FAILS(shmheap_create_at(&mem, memory, sizeof memory, &within) == -1, ENOMEM,
          "shmheap_create_at: len or max_len is 1099511631872, and 1099511627776 bytes are the "
          "most");
    CHECK_REFUSED(shmheap_unlink(name) == -1, ENOENT);
}

/* Bytes of this process's address space that are mapped: under AddressSanitizer terabytes. */
static rlim_t addresses_mapped(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void addresses_that_are_too_few(void)
{
    struct rlimit before, limit;
    shmheap_memory_handle mem;
    const shmheap_options options = {
        .len = LEN, .max_len = HUGE_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = addresses_mapped() + HUGE_LEN / 2;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    int failed = shmheap_open(&mem, "a", &options) == -1, reason = errno;
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    CHECK(failed && reason == ENOMEM);
    check_text("shmheap_open(\"a\"): the kernel refuses to map ", " bytes (ENOMEM); ",
               "'ulimit -v'");
}

/* It inspects as a writer, so it needs a slot: the heap does not change too fast. */
static void child_without_slot(void *context)
{
    shmheap_memory_handle *mem = context;
    shmheap_stats stats;
    CHECK_REFUSED(shmheap_stat(*mem, &stats) == -1, EAGAIN);
    check_text("shmheap_stat(\"a\"): all ",
               " slots for connections are taken, and there is no memory for more (EAGAIN); ",
               "close connections");
}

/* A table of slots that could be longer, if there were memory. */
static void no_memory_for_slots(void)
{
    struct rlimit before, limit;
    shmheap_memory_handle mem = provoked_heap(), more[64];
    unsigned count = 0;
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    while (count < 64 && shmheap_open_fd(&more[count], shmheap_fd(mem), NULL) == 0)
        count++;
    int reason = errno;
    CHECK(count < 64 && reason == EAGAIN);
    test_in_child(child_without_slot, &mem);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    check_text("shmheap_open_fd: all ",
               " slots for connections are taken, and there is no memory for more (EAGAIN); ",
               "close connections");
    CHECK_EQ(shmheap_open_fd(&more[count], shmheap_fd(mem), NULL), 0);
    for (unsigned i = 0; i <= count; i++)
        shmheap_disconnect(more[i]);
    shmheap_disconnect(mem);
}

void lacking_memory(void)
{
    if (is_64_bits()) {
        a_machine_that_is_too_small();
        a_file_system_that_is_too_small();
        addresses_that_are_too_few();
        lengths_that_no_heap_has();
    }
    a_limit_on_files();
    growth_that_fails_otherwise();
    memory_that_is_too_short();
    no_memory_for_slots();
}
