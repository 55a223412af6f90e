/* shmheap_error_text after calls that fail: for each cause a call that has it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/os/topology.h"
#include "c/src/recovery/recover.h"
#include "provoked.h"

int provoked[CAUSES];

void provoked_check(const char *file, int line, int failed, int error, const char *format, ...)
{
    int reason = errno;
    char expected[ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    size_t len = (size_t)vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    snprintf(expected + len, sizeof expected - len, " (%s); ", error_errno_name(error));
    if (!failed || reason != error)
        test_fail(file, line, "succeeded, or failed with another errno than %d", error);
    if (strncmp(shmheap_error_text(), expected, strlen(expected)) != 0)
        test_fail(file, line, "the text is\n  %s\nand should begin\n  %s", shmheap_error_text(),
                  expected);
    provoked[error_state.record.cause] = 1;
}

shmheap_memory_handle provoked_heap(void)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    CHECK_EQ(shmheap_open(&mem, "a", &options), 0);
    return mem;
}

/* struct refusal is options that shmheap_open refuses with EINVAL, and why. */
struct refusal {
    shmheap_options options;
    const char *why;
};

static void options_that_contradict(void)
{
    static const struct refusal refusals[] = {
        {{.flags = 1u << 30}, "the flags have unknown bits: 0x40000000"},
        {{.flags = SHMHEAP_EXCLUSIVE},
         "SHMHEAP_EXCLUSIVE, _TAKE_OVER and _ANONYMOUS need SHMHEAP_CREATE"},
        {{.flags = SHMHEAP_ANONYMOUS},
         "SHMHEAP_EXCLUSIVE, _TAKE_OVER and _ANONYMOUS need SHMHEAP_CREATE"},
        {{.flags = SHMHEAP_CREATE | SHMHEAP_READ_ONLY},
         "SHMHEAP_CREATE contradicts SHMHEAP_READ_ONLY"},
        {{.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_FILE},
         "SHMHEAP_ANONYMOUS contradicts SHMHEAP_FILE, _TAKE_OVER and _SOCKET"},
        {{.len = 127, .flags = SHMHEAP_CREATE}, "len is 127, and 128 bytes are the least"},
        {{.len = 4096, .max_len = 4095}, "max_len is 4095, which is below len, 4096"},
        {{.alignment = 32}, "alignment is 32, and may be 8 or 16"},
        {{.mode = 010000}, "mode has other bits than permissions: 0x1000"},
    };
    shmheap_memory_handle mem;
    for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++)
        FAILS(shmheap_open(&mem, "/a", &refusals[i].options) == -1, EINVAL,
              "shmheap_open(\"/a\"): %s", refusals[i].why);
    FAILS(shmheap_open(NULL, "/a", NULL) == -1, EINVAL,
          "shmheap_open(\"/a\"): the argument out is NULL, 0 or empty");
    FAILS((mem = shmheap_create("/a", 0)).heap == NULL, EINVAL,
          "shmheap_create(\"/a\"): len is 0, and 128 bytes are the least");
    FAILS(shmheap_open(&mem, "", NULL) == -1, EINVAL, "shmheap_open: the name is NULL or empty");
    FAILS((mem = shmheap_connect("/a/b")).heap == NULL, EINVAL,
          "shmheap_connect(\"/a/b\"): shm_open() refuses the name");
    const shmheap_options anonymous = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    char name[251];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    FAILS(shmheap_open(&mem, name, &anonymous) == -1, EINVAL,
          "shmheap_open(\"...%.36s\"): the name has more than 249 bytes", name);
    name[249] = 0;
    CHECK_EQ(shmheap_open(&mem, name, &anonymous), 0);
    shmheap_disconnect(mem);
}

static void names_and_descriptors(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem, other;
    const shmheap_options create = {.flags = SHMHEAP_CREATE};
    FAILS((other = shmheap_connect(name)).heap == NULL, ENOENT,
          "shmheap_connect(\"%s\"): no heap has that name", name);
    CHECK(shmheap_valid(mem = shmheap_create(name, LEN)));
    FAILS((other = shmheap_create(name, LEN)).heap == NULL, EEXIST,
          "shmheap_create(\"%s\"): something has that name already", name);
    const shmheap_options anew = {.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER};
    FAILS(shmheap_open(&other, name, &anew) == -1, EEXIST,
          "shmheap_open(\"%s\"): a process uses the heap of that name", name);
    FAILS(shmheap_unlink_unused(name) == -1, EBUSY,
          "shmheap_unlink_unused(\"%s\"): a process uses the heap", name);
    FAILS(shmheap_open_fd(&other, -1, NULL) == -1, EBADF,
          "shmheap_open_fd: the descriptor is not open");
    FAILS(shmheap_in_use(-1) == -1, EBADF, "shmheap_in_use: the descriptor is not open");
    FAILS(shmheap_open_fd(&other, shmheap_fd(mem), &create) == -1, EINVAL,
          "shmheap_open_fd: flags that this call does not take: 0x1");
    CHECK_EQ(shmheap_unlink(name), 0);
    FAILS((shmheap_destroy(name, mem), 1), ENOENT, "shmheap_destroy(\"%s\"): no heap has that name",
          name);
    FAILS(shmheap_unlink(name) == -1, ENOENT, "shmheap_unlink(\"%s\"): no heap has that name",
          name);
    FAILS(shmheap_unlink(NULL) == -1, EINVAL, "shmheap_unlink: the name is NULL or empty");
}

static void a_sealed_heap(void)
{
    shmheap_memory_handle mem, other;
    const shmheap_options reader = {.flags = SHMHEAP_READ_ONLY};
    CHECK_EQ(shmheap_create_sealed(&mem, NULL), 0);
    FAILS(shmheap_open_fd(&other, shmheap_fd(mem), NULL) == -1, EPERM,
          "shmheap_open_fd: the heap is sealed: the connection that made it alone can write");
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), &reader), 0);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
    int fd = memfd_create("cut", 0);
    FAILS(
        shmheap_open_fd(&other, fd, NULL) == -1, EPERM,
        "shmheap_open_fd: a process can make the memfd shorter, which raises SIGBUS in its users");
    close(fd);
}

static void opening_what_is_no_heap(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem;
    shmheap_options options = {.flags = SHMHEAP_FILE};
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs("a letter, and no heap", file) >= 0 && fclose(file) == 0);
    int cut = strlen(path) >= ERROR_NAME;
    FAILS(shmheap_open(&mem, path, &options) == -1, EBADMSG,
          "shmheap_open(\"%s%s\"): this is no heap, or one that was cut short or damaged",
          cut ? "..." : "", cut ? path + strlen(path) - (ERROR_NAME - 4) : path);
}

static void in_the_callers_memory(void)
{
    static uint64_t memory[4096] __attribute__((aligned(64)));
    shmheap_memory_handle mem;
    FAILS(shmheap_create_at(&mem, (char *)memory + 4, 8192, NULL) == -1, EINVAL,
          "shmheap_create_at: the memory at 0x%llx is NULL, misaligned, or not mapped as far as "
          "8192 bytes",
          (unsigned long long)(uintptr_t)memory + 4);
    FAILS(shmheap_create_at(&mem, memory, 100, NULL) == -1, ENOMEM,
          "shmheap_create_at: 100 bytes of memory are too few for any region");
    FAILS(shmheap_attach_at(&mem, memory, sizeof memory) == -1, EBADMSG,
          "shmheap_attach_at: this is no heap, or one that was cut short or damaged");
    CHECK_EQ(shmheap_create_at(&mem, memory + 2, sizeof memory - 64, NULL), 0);
    FAILS(shmheap_aligned_alloc(mem, 64, 100) == NULL, EINVAL,
          "shmheap_aligned_alloc: the alignment 64 is more than that of the heap's memory, which "
          "begins at 0x%llx",
          (unsigned long long)(uintptr_t)(memory + 2));
    FAILS(shmheap_fd(mem) == -1, ENOTSUP,
          "shmheap_fd: the heap lies in the caller's memory, and has no file");
    shmheap_disconnect(mem);
}

static void slots_that_are_taken(void)
{
    static uint64_t memory[4096] __attribute__((aligned(64)));
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, sizeof memory, NULL), 0);
    unsigned slots = test_stat(mem).slots;
    shmheap_memory_handle more[64];
    unsigned count = 0;
    CHECK_LE(slots, 64);
    while (shmheap_attach_at(&more[count], memory, sizeof memory) == 0)
        count++;
    CHECK_EQ(count, slots - 1);
    FAILS(shmheap_attach_at(&more[count], memory, sizeof memory) == -1, EAGAIN,
          "shmheap_attach_at: all %u slots for connections are taken", slots);
    while (count != 0)
        shmheap_disconnect(more[--count]);
    shmheap_disconnect(mem);
}

static void a_lock_that_stays_taken(void)
{
    shmheap_memory_handle mem = provoked_heap(), other = test_connect_again(mem, 0);
    CHECK_EQ(heap_lock(mem.heap), 0);
    other.heap->lock_limit_ms = 1;
    char begin[128];
    snprintf(begin, sizeof begin, "shmheap_reap: the heap's lock stayed taken, by slot %u, for ",
             mem.heap->slot);
    CHECK_REFUSED(shmheap_reap(other, 0) == -1, ETIMEDOUT);
    CHECK(strncmp(shmheap_error_text(), begin, strlen(begin)) == 0);
    provoked[CAUSE_LOCK_HELD] = 1;
    heap_unlock(mem.heap);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

#define NOT_OPEN(call, failed) FAILS(failed, EINVAL, call ": the connection is not open")

static void no_connection_to_allocate(void)
{
    const shmheap_memory_handle none = {NULL};
    void *ptr = NULL;
    NOT_OPEN("shmheap_alloc", shmheap_alloc(none, 1) == NULL);
    NOT_OPEN("shmheap_alloc_many", shmheap_alloc_many(none, 1, 1, &ptr) == 0);
    NOT_OPEN("shmheap_alloc_wait", shmheap_alloc_wait(none, 1, 1) == NULL);
    NOT_OPEN("shmheap_calloc", shmheap_calloc(none, 1, 1) == NULL);
    NOT_OPEN("shmheap_aligned_alloc", shmheap_aligned_alloc(none, 8, 1) == NULL);
    NOT_OPEN("shmheap_realloc", shmheap_realloc(none, &ptr, 1) == NULL);
    NOT_OPEN("shmheap_free", shmheap_try_free(none, &ptr) == -1);
    NOT_OPEN("shmheap_free_many", shmheap_free_many(none, &ptr, 1) == 0);
    NOT_OPEN("shmheap_usable_size", shmheap_usable_size(none, &ptr) == 0);
    NOT_OPEN("shmheap_ptr_to_handle", shmheap_ptr_to_handle(none, &ptr).bits == 0);
    NOT_OPEN("shmheap_send", shmheap_send(none, &ptr).bits == 0);
}

static void no_connection_for_handles(void)
{
    const shmheap_memory_handle none = {NULL};
    const shmheap_object_handle null = {0};
    NOT_OPEN("shmheap_handle_to_ptr", shmheap_handle_to_ptr(none, null) == NULL);
    NOT_OPEN("shmheap_receive", shmheap_receive(none, null) == NULL);
    NOT_OPEN("shmheap_receive_labelled", shmheap_receive_labelled(none, null, 1, 1) == NULL);
    NOT_OPEN("shmheap_put_back", shmheap_put_back(none, null) == -1);
    NOT_OPEN("shmheap_peek", shmheap_peek(none, null, 0, NULL, 0) == 0);
    NOT_OPEN("shmheap_reap", shmheap_reap(none, 0) == -1);
}

static void no_connection_to_inspect(void)
{
    const shmheap_memory_handle none = {NULL};
    shmheap_stats stats;
    NOT_OPEN("shmheap_alloc_named", shmheap_alloc_named(none, "n", 1) == NULL);
    NOT_OPEN("shmheap_alloc_kept", shmheap_alloc_kept(none, "n", 1) == NULL);
    NOT_OPEN("shmheap_name_keep", shmheap_name_keep(none, "n") == -1);
    NOT_OPEN("shmheap_name_remove", shmheap_name_remove(none, "n") == -1);
    NOT_OPEN("shmheap_find", shmheap_find(none, "n", NULL) == NULL);
    NOT_OPEN("shmheap_stat", shmheap_stat(none, &stats) == -1);
    NOT_OPEN("shmheap_check", shmheap_check(none, NULL) == -1);
    NOT_OPEN("shmheap_copy", shmheap_copy(none, "x") == -1);
    NOT_OPEN("shmheap_fd", shmheap_fd(none) == -1);
    NOT_OPEN("shmheap_fd_writable", shmheap_fd_writable(none) == -1);
    NOT_OPEN("shmheap_underlying", shmheap_underlying(none) == NULL);
    NOT_OPEN("shmheap_disconnect", (shmheap_disconnect(none), 1));
    NOT_OPEN("shmheap_destroy", (shmheap_destroy("/n", none), 1));
}

static void what_the_system_lacks(void)
{
    struct topology topology;
    static const char none[ERROR_NAME];
    const unsigned long cpus[TOPOLOGY_CPUS / TOPOLOGY_LONG_BITS] = {1};
    CHECK_REFUSED(topology_of_cpus(&topology, "/proc/no/such/folder", cpus) == -1, ENOTSUP);
    error_note(CALL_SOCKET, none);
    CHECK(strstr(shmheap_error_text(), "shmheap_socket: the system does not tell") != NULL);
    provoked[error_state.record.cause] = 1;
}

/* A success leaves the text, and so do a disconnect and a later connection in its place. */
static void successes_leave_it(void)
{
    char text[ERROR_TEXT];
    shmheap_memory_handle mem = provoked_heap();
    FAILS(shmheap_alloc(mem, 1 << 20) == NULL, ENOMEM,
          "shmheap_alloc(\"a\"): 1048576 bytes never fit: the largest object has 65512");
    strcpy(text, shmheap_error_text());
    void *ptr = shmheap_alloc(mem, 50000);
    CHECK((ptr = shmheap_realloc(mem, ptr, 60000)) != NULL);
    shmheap_free(mem, ptr);
    CHECK((ptr = shmheap_alloc_wait(mem, 60000, 1000)) != NULL);
    CHECK(shmheap_alloc(mem, 1000) != NULL && shmheap_calloc(mem, 1, 100) != NULL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    CHECK(strcmp(shmheap_error_text(), text) == 0);
    const shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    CHECK_EQ(shmheap_open(&mem, "another in its place", &options), 0);
    CHECK(strcmp(shmheap_error_text(), text) == 0);
    shmheap_disconnect(mem);
}

static struct test_barrier *both;

static void *fail_as_thread(void *context)
{
    static unsigned threads;
    unsigned me = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    shmheap_memory_handle *mem = context;
    char expected[ERROR_TEXT];
    CHECK(shmheap_error_text()[0] == 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(shmheap_alloc(*mem, (me << 20) + i) == NULL);
        test_barrier_wait(both);
        snprintf(expected, sizeof expected, "shmheap_alloc(\"a\"): %u bytes never fit",
                 (me << 20) + i);
        CHECK(strncmp(shmheap_error_text(), expected, strlen(expected)) == 0);
        test_barrier_wait(both);
    }
    return NULL;
}

static void each_thread_has_its_own(void)
{
    shmheap_memory_handle mem = provoked_heap();
    both = test_shared(sizeof *both);
    test_barrier_begin(both, 2);
    test_threads(2, fail_as_thread, &mem);
    test_barrier_end(both);
    test_unshare(both, sizeof *both);
    shmheap_disconnect(mem);
}

static void child_of_a_failure(void *context)
{
    shmheap_memory_handle *mem = context;
    CHECK(strstr(shmheap_error_text(), "1048576 bytes") != NULL);
    CHECK(shmheap_alloc(*mem, 1 << 21) == NULL);
    CHECK(strstr(shmheap_error_text(), "2097152 bytes") != NULL);
}

static void a_child_has_its_parents(void)
{
    shmheap_memory_handle mem = provoked_heap();
    CHECK(shmheap_alloc(mem, 1 << 20) == NULL);
    test_in_child(child_of_a_failure, &mem);
    CHECK(strstr(shmheap_error_text(), "1048576 bytes") != NULL);
    shmheap_disconnect(mem);
}

/* A program shows a name as it came from its user. */
static void hostile_names_are_printable(void)
{
    shmheap_memory_handle mem;
    char name[1000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    FAILS((mem = shmheap_connect("\x1b[31m\n\xff")).heap == NULL, ENOENT,
          "shmheap_connect(\"?[31m??\"): no heap has that name");
    FAILS((mem = shmheap_connect(name)).heap == NULL, ENAMETOOLONG,
          "shmheap_connect(\"...%.36s\"): the name, or a part of the path, has more than 255 "
          "bytes, or "
          "the path more than 4095",
          name);
}

/* The other two need a kernel without seals, and a thread that is faster than a call: sealed_test
 * and kernel_refuses_test. */
static void each_cause_was_provoked(void)
{
    for (unsigned cause = 1; cause < CAUSES; cause++)
        if (!provoked[cause] && cause != CAUSE_SEAL_MISSING && cause != CAUSE_SEAL_LATE)
            test_fail(__FILE__, __LINE__, "no test had cause %u", cause);
}

static const struct test tests[] = {
    TEST(options_that_contradict),
    TEST(names_and_descriptors),
    TEST(a_sealed_heap),
    TEST(opening_anew),
    TEST(opening_what_is_no_heap),
    TEST(in_the_callers_memory),
    TEST(slots_that_are_taken),
    TEST(lacking_memory),
    TEST(allocating),
    TEST(freeing),
    TEST(giving_handles),
    TEST(handing_over),
    TEST(naming),
    TEST(inspecting),
    TEST(a_lock_that_stays_taken),
    TEST(no_connection_to_allocate),
    TEST(no_connection_for_handles),
    TEST(no_connection_to_inspect),
    TEST(what_the_system_lacks),
    TEST(each_cause_was_provoked),
    TEST(successes_leave_it),
    TEST(each_thread_has_its_own),
    TEST(a_child_has_its_parents),
    TEST(hostile_names_are_printable),
};
TEST_MAIN(tests)
