/* Heaps in the caller's own memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { BYTES = 1 << 20 };

static void *own_memory(size_t bytes)
{
    void *memory = NULL;
    CHECK_EQ(posix_memalign(&memory, 4096, bytes), 0);
    memset(memory, 0xa5, bytes);
    return memory;
}

static void in_memory_from_malloc(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        char *memory = own_memory(BYTES);
        shmheap_options options = {.alignment = alignment};
        shmheap_memory_handle mem;
        CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, &options), 0);
        shmheap_stats stats = test_stat(mem);
        CHECK_EQ(stats.alignment, alignment);
        CHECK(stats.len > BYTES - BYTES / 10 && stats.len < BYTES);
        CHECK_LE(stats.segment_len, BYTES);
        char *region = shmheap_underlying(mem);
        CHECK(region > memory && region + stats.len <= memory + BYTES);
        char *ptr = shmheap_alloc(mem, stats.len - 80);
        CHECK(ptr != NULL);
        CHECK_EQ((uintptr_t)ptr % alignment, 0);
        memset(ptr, 1, stats.len - 80);
        shmheap_free(mem, ptr);
        test_check_empty(mem);
        CHECK_REFUSED(shmheap_fd(mem) == -1, ENOTSUP);
        shmheap_disconnect(mem);
        memset(memory, 0, BYTES); /* still the caller's */
        free(memory);
    }
}

/* Every number of bytes: a heap within them, or ENOMEM and the memory as it was. */
static void check_bytes(unsigned char *memory, size_t bytes, size_t *least)
{
    shmheap_memory_handle mem;
    memset(memory, 0x5a, 8192);
    errno = 0;
    if (shmheap_create_at(&mem, memory, bytes, NULL) == 0) {
        if (*least == 0)
            *least = bytes;
        CHECK(shmheap_alloc(mem, test_stat(mem).len - 80) != NULL);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    } else {
        CHECK_EQ(errno, ENOMEM);
        CHECK_EQ(*least, 0);
        for (size_t i = 0; i < bytes; i++)
            CHECK_EQ(memory[i], 0x5a);
    }
    for (size_t i = bytes; i < 8192; i++)
        CHECK_EQ(memory[i], 0x5a);
}

static void in_few_bytes(void)
{
    unsigned char *memory = own_memory(8192);
    size_t least = 0;
    for (size_t bytes = 0; bytes < 8192; bytes += bytes < 2048 ? 1 : 13)
        check_bytes(memory, bytes, &least);
    printf("  the least is %zu bytes\n", least);
    CHECK(least > 512 && least < 2048);
    free(memory);
}

static void wrong_arguments_are_refused(void)
{
    unsigned char *memory = own_memory(65536);
    shmheap_memory_handle mem;
    shmheap_options options = {0};
    CHECK_REFUSED(shmheap_create_at(&mem, NULL, 65536, NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_create_at(NULL, memory, 65536, NULL) == -1, EINVAL);
    for (size_t shift = 1; shift < 16; shift++)
        CHECK_REFUSED(shmheap_create_at(&mem, memory + shift, 60000, NULL) == -1, EINVAL);
    CHECK_REFUSED(!shmheap_valid(mem) && shmheap_attach_at(&mem, NULL, 65536) == -1, EINVAL);
    CHECK_REFUSED(shmheap_attach_at(&mem, memory + 1, 60000) == -1, EINVAL);
    options.alignment = 8;
    for (size_t shift = 1; shift < 8; shift++)
        CHECK_REFUSED(shmheap_create_at(&mem, memory + shift, 60000, &options) == -1, EINVAL);
    options = (shmheap_options){.len = 65536};
    CHECK_REFUSED(shmheap_create_at(&mem, memory, 65536, &options) == -1, ENOMEM);
    options = (shmheap_options){.len = 100};
    CHECK_REFUSED(shmheap_create_at(&mem, memory, 65536, &options) == -1, EINVAL);
    options = (shmheap_options){.len = SIZE_MAX};
    CHECK_REFUSED(shmheap_create_at(&mem, memory, 65536, &options) == -1, ENOMEM);
    for (unsigned bit = 0; bit < 32; bit++) {
        options = (shmheap_options){.flags = 1u << bit};
        if (options.flags == SHMHEAP_CACHED || options.flags == SHMHEAP_REAP)
            continue;
        CHECK_REFUSED(shmheap_create_at(&mem, memory, 65536, &options) == -1, EINVAL);
        CHECK(!shmheap_valid(mem));
    }
    for (size_t i = 0; i < 65536; i++)
        CHECK_EQ(memory[i], 0xa5);
    free(memory);
}

/* At 8 modulo 16 a heap of alignment 8 may lie. */
static void at_a_multiple_of_8(void)
{
    char *memory = own_memory(65536);
    shmheap_options options = {.alignment = 8};
    shmheap_memory_handle mem, again;
    CHECK_EQ(shmheap_create_at(&mem, memory + 8, 60000, &options), 0);
    char *a = shmheap_alloc(mem, 8), *b = shmheap_alloc(mem, 16);
    CHECK_EQ((uintptr_t)a % 8, 0);
    CHECK_EQ(b - a, 16);
    CHECK_EQ(shmheap_attach_at(&again, memory + 8, 60000), 0);
    CHECK_PTR(shmheap_handle_to_ptr(again, shmheap_ptr_to_handle(mem, a)), a);
    CHECK_SOUND(again);
    shmheap_disconnect(again);
    shmheap_disconnect(mem);
    free(memory);
}

/* The bytes of a heap of alignment 16, copied: at 16 modulo 32 it is one, at 8 modulo 16 none. */
static void alignment_16_at_a_multiple_of_8(void)
{
    enum { LEN = 60000 };
    char *memory = own_memory(65536), *copy = own_memory(65536);
    shmheap_options options = {.alignment = 16};
    shmheap_memory_handle mem, again;
    CHECK_EQ(shmheap_create_at(&mem, memory, LEN, &options), 0);
    memcpy(copy + 8, memory, LEN);
    CHECK_REFUSED(shmheap_attach_at(&again, copy + 8, LEN) == -1, EINVAL);
    memmove(copy + 16, copy + 8, LEN);
    CHECK_EQ(shmheap_attach_at(&again, copy + 16, LEN), 0);
    CHECK_SOUND(again);
    shmheap_disconnect(again);
    shmheap_disconnect(mem);
    free(copy);
    free(memory);
}

struct shared_at {
    void *memory;
    shmheap_object_handle from_child;
};

static void child_attaches(void *context)
{
    struct shared_at *shared = context;
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_attach_at(&mem, shared->memory, BYTES), 0);
    char *ptr = shmheap_alloc(mem, 1000);
    CHECK(ptr != NULL);
    test_fill(ptr, 1000, 7);
    shared->from_child = shmheap_ptr_to_handle(mem, ptr);
    shmheap_disconnect(mem);
}

static void across_fork(void)
{
    struct shared_at *shared = test_shared(sizeof *shared);
    shmheap_memory_handle mem;
    shared->memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&mem, shared->memory, BYTES, NULL), 0);
    for (unsigned i = 0; i < 20; i++) {
        test_in_child(child_attaches, shared);
        char *ptr = shmheap_handle_to_ptr(mem, shared->from_child);
        CHECK(ptr != NULL && test_filled(ptr, 1000, 7));
        shmheap_free(mem, ptr);
    }
    test_check_empty(mem);
    CHECK_EQ(test_stat(mem).processes, 1);
    shmheap_disconnect(mem);
    test_unshare(shared->memory, BYTES);
    test_unshare(shared, sizeof *shared);
}

/* Without a file, liveness is that of the process. A process that has ended is dead, also while its
 * parent has not yet waited for it and its number is still taken. */
static void hold_and_end(void *context)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_attach_at(&mem, context, BYTES), 0);
    CHECK(shmheap_alloc(mem, 1000) != NULL);
}

static void an_ended_process_is_dead(void)
{
    shmheap_memory_handle mem;
    siginfo_t ended;
    void *memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    pid_t pid = test_fork(hold_and_end, memory);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    test_join(pid);
    test_check_empty(mem);
    shmheap_disconnect(mem);
    test_unshare(memory, BYTES);
}

/* The same memory mapped twice, as two processes would. */
static void at_another_address(void)
{
    int fd = memfd_create("at_test", 0);
    CHECK(fd >= 0 && ftruncate(fd, BYTES) == 0);
    char *a = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(a != MAP_FAILED && b != MAP_FAILED);
    shmheap_memory_handle in_a, in_b;
    CHECK_EQ(shmheap_create_at(&in_a, a, BYTES, NULL), 0);
    CHECK_EQ(shmheap_attach_at(&in_b, b, BYTES), 0);
    char *ptr = shmheap_alloc(in_a, 1000);
    test_fill(ptr, 1000, 3);
    char *there = shmheap_handle_to_ptr(in_b, shmheap_ptr_to_handle(in_a, ptr));
    CHECK_EQ(there - b, ptr - a);
    CHECK(test_filled(there, 1000, 3));
    CHECK_EQ(shmheap_try_free(in_b, there), 0);
    CHECK_REFUSED(shmheap_try_free(in_b, there) == -1, EINVAL);
    test_check_empty(in_a);
    CHECK_EQ(test_stat(in_a).processes, 2);
    shmheap_disconnect(in_a);
    shmheap_disconnect(in_b);
    CHECK(munmap(a, BYTES) == 0 && munmap(b, BYTES) == 0 && close(fd) == 0);
}

static void attach_to_what_is_no_heap(void)
{
    struct test_random random = test_random_begin(1);
    unsigned char *memory = own_memory(8192);
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_attach_at(&mem, memory, 8192) == -1, EBADMSG);
    CHECK(!shmheap_valid(mem));
    for (unsigned round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 8192; i++)
            memory[i] = (unsigned char)test_random_next(&random);
        CHECK_REFUSED(shmheap_attach_at(&mem, memory, test_random_below(&random, 8192)) == -1,
                      EBADMSG);
    }
    memset(memory, 0, 8192);
    CHECK_REFUSED(shmheap_attach_at(&mem, memory, 8192) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_attach_at(&mem, memory, 0) == -1, EBADMSG);
    free(memory);
}

static void attach_to_fewer_bytes_than_the_heap_has(void)
{
    char *memory = own_memory(65536);
    shmheap_memory_handle mem, again;
    CHECK_EQ(shmheap_create_at(&mem, memory, 65536, NULL), 0);
    size_t len = test_stat(mem).segment_len;
    for (size_t bytes = 0; bytes < len; bytes += bytes < 2000 ? 1 : 61)
        CHECK_REFUSED(shmheap_attach_at(&again, memory, bytes) == -1, EBADMSG);
    CHECK_EQ(shmheap_attach_at(&again, memory, 65536), 0);
    CHECK_SOUND(again);
    shmheap_disconnect(again);
    shmheap_disconnect(mem);
    free(memory);
}

/* A heap with room to grow lies in memory for all of it. */
static void growth_within_the_memory(void)
{
    char *memory = own_memory(BYTES);
    shmheap_options options = {.len = 4096, .max_len = BYTES / 2};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, &options), 0);
    CHECK_EQ(test_stat(mem).len, 4096);
    CHECK(shmheap_alloc(mem, BYTES / 2 - 80) != NULL);
    CHECK_EQ(test_stat(mem).len, BYTES / 2);
    CHECK_REFUSED(shmheap_alloc(mem, 4096) == NULL, ENOMEM);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    free(memory);
}

/* Alignments above that of the memory cannot hold at every address where others map it. */
static void aligned_objects_need_aligned_memory(void)
{
    char *memory = own_memory(BYTES);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory + 16, BYTES - 4096, NULL), 0);
    CHECK(shmheap_aligned_alloc(mem, 16, 100) != NULL);
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 4096, 100) == NULL, EINVAL);
    shmheap_disconnect(mem);
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    char *ptr = shmheap_aligned_alloc(mem, 4096, 100);
    CHECK(ptr != NULL);
    CHECK_EQ((uintptr_t)ptr % 4096, 0);
    shmheap_disconnect(mem);
    free(memory);
}

/* As many connections as there are slots, and one more; then again when one has left. */
static void slots_run_out(void)
{
    enum { MOST = 2000 };
    static shmheap_memory_handle connections[MOST];
    char *memory = own_memory(BYTES);
    CHECK_EQ(shmheap_create_at(&connections[0], memory, BYTES, NULL), 0);
    unsigned slots = test_stat(connections[0]).slots, made = 1;
    CHECK(slots < MOST);
    while (made < slots) {
        CHECK_EQ(shmheap_attach_at(&connections[made], memory, BYTES), 0);
        CHECK(shmheap_alloc(connections[made], 8) != NULL);
        made++;
    }
    shmheap_memory_handle more;
    CHECK_EQ(test_stat(connections[0]).processes, slots);
    CHECK_REFUSED(shmheap_attach_at(&more, memory, BYTES) == -1, EAGAIN);
    shmheap_disconnect(connections[made / 2]);
    CHECK_EQ(shmheap_attach_at(&connections[made / 2], memory, BYTES), 0);
    CHECK_EQ(test_stat(connections[0]).used_blocks, slots - 1);
    CHECK_SOUND(connections[0]);
    for (unsigned i = 0; i < made; i++)
        shmheap_disconnect(connections[i]);
    printf("  %u slots\n", slots);
    free(memory);
}

static void child_dies_connected(void *context)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_attach_at(&mem, context, 65536), 0);
    CHECK(shmheap_alloc(mem, 8) != NULL);
}

/* Other processes get the slots of dead processes, whose blocks stay. */
static void slots_of_the_dead_are_used_again(void)
{
    enum { DEATHS = 200 };
    void *memory = test_shared(65536);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, 65536, NULL), 0);
    for (unsigned i = 0; i < DEATHS; i++)
        test_in_child(child_dies_connected, memory);
    shmheap_stats stats = test_stat(mem);
    CHECK(stats.slots < DEATHS);
    CHECK_EQ(stats.processes, 1);
    CHECK_EQ(stats.used_blocks, DEATHS);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    test_unshare(memory, 65536);
}

static const struct test tests[] = {TEST(in_memory_from_malloc),
                                    TEST(in_few_bytes),
                                    TEST(wrong_arguments_are_refused),
                                    TEST(at_a_multiple_of_8),
                                    TEST(alignment_16_at_a_multiple_of_8),
                                    TEST(across_fork),
                                    TEST(an_ended_process_is_dead),
                                    TEST(at_another_address),
                                    TEST(attach_to_what_is_no_heap),
                                    TEST(attach_to_fewer_bytes_than_the_heap_has),
                                    TEST(growth_within_the_memory),
                                    TEST(aligned_objects_need_aligned_memory),
                                    TEST(slots_run_out),
                                    TEST(slots_of_the_dead_are_used_again)};
TEST_MAIN(tests)
