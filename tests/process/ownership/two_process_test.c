/* Two processes hand objects to each other.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { MESSAGES = 20000, ALIVE_MAX = 500 };

/* What goes through the pipe for each object. */
struct message {
    shmheap_object_handle handle;
    uint64_t len, mark;
};

struct ends {
    const char *name;
    int there[2], back[2];
};

static void read_all(int fd, struct message *message)
{
    CHECK_EQ(read(fd, message, sizeof *message), sizeof *message);
}

static void write_all(int fd, const struct message *message)
{
    CHECK_EQ(write(fd, message, sizeof *message), sizeof *message);
}

/* Checks each object, frees it, and answers with one of its own. */
static void answer_all(void *context)
{
    struct ends *ends = context;
    shmheap_memory_handle mem = test_connect(ends->name);
    struct message message;
    for (unsigned i = 0; i < MESSAGES; i++) {
        read_all(ends->there[0], &message);
        void *ptr = shmheap_handle_to_ptr(mem, message.handle);
        CHECK(ptr != NULL && test_filled(ptr, message.len, message.mark));
        shmheap_free(mem, ptr);
        CHECK_REFUSED(shmheap_handle_to_ptr(mem, message.handle) == NULL, ESTALE);
        message.len = (message.len * 7 + 1) % 3000;
        ptr = shmheap_alloc(mem, message.len);
        CHECK(ptr != NULL);
        message.mark = ~message.mark;
        test_fill(ptr, message.len, message.mark);
        message.handle = shmheap_ptr_to_handle(mem, ptr);
        write_all(ends->back[1], &message);
    }
    shmheap_disconnect(mem);
}

static void objects_travel_both_ways(void)
{
    struct ends ends = {.name = test_name()};
    struct test_random random = test_random_begin(1);
    shmheap_memory_handle mem = shmheap_create(ends.name, 1 << 20);
    struct message message, kept[ALIVE_MAX];
    size_t count = 0;
    CHECK(pipe(ends.there) == 0 && pipe(ends.back) == 0);
    pid_t pid = test_fork(answer_all, &ends);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        message = (struct message){{0}, test_random_below(&random, 1000), i};
        void *ptr = shmheap_alloc(mem, message.len);
        CHECK(ptr != NULL);
        test_fill(ptr, message.len, message.mark);
        message.handle = shmheap_ptr_to_handle(mem, ptr);
        write_all(ends.there[1], &message);
        read_all(ends.back[0], &kept[count++]);
        if (count < ALIVE_MAX && i + 1 < MESSAGES)
            continue;
        while (count > 0) {
            const struct message *answer = &kept[--count];
            ptr = shmheap_handle_to_ptr(mem, answer->handle);
            CHECK(ptr != NULL && test_filled(ptr, answer->len, answer->mark));
            shmheap_free(mem, ptr);
        }
    }
    test_join(pid);
    test_check_empty(mem);
    shmheap_destroy(ends.name, mem);
}

static void leave_objects(void *context)
{
    shmheap_memory_handle mem = test_connect(context);
    for (size_t i = 0; i < 100; i++) {
        void *ptr = shmheap_alloc(mem, 100);
        CHECK(ptr != NULL);
        test_fill(ptr, 100, i);
    }
    shmheap_disconnect(mem);
}

static int check_left(const shmheap_block_info *block, void *context)
{
    struct {
        shmheap_memory_handle mem;
        size_t count;
    } *seen = context;
    if (block->state == SHMHEAP_STATE_FREE)
        return 0;
    CHECK(test_filled((char *)shmheap_underlying(seen->mem) + block->offset, 100, seen->count));
    seen->count++;
    return 0;
}

static void objects_outlive_their_process(void)
{
    const char *name = test_name();
    struct {
        shmheap_memory_handle mem;
        size_t count;
    } seen = {shmheap_create(name, 65536), 0};
    test_in_child(leave_objects, (void *)(uintptr_t)name);
    CHECK_EQ(shmheap_walk(seen.mem, check_left, &seen), 0);
    CHECK_EQ(seen.count, 100);
    CHECK_EQ(test_stat(seen.mem).processes, 1);
    CHECK_EQ(test_stat(seen.mem).dead, 0);
    shmheap_destroy(name, seen.mem);
}

static const struct test tests[] = {TEST(objects_travel_both_ways),
                                    TEST(objects_outlive_their_process)};
TEST_MAIN(tests)
