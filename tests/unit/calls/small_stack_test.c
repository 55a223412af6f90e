/* Every call on a thread that has little stack: what shmheap.h promises to suffice.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { STACK = 32 << 10, LEN = 1 << 20, GROWN = 48 << 20, OBJECTS = 600 };

static int see_block(const shmheap_block_info *block, void *context) { return block == context; }
static int see_name(const shmheap_name_info *name, void *context) { return name == context; }
static int see_process(const shmheap_process_info *process, void *context)
{
    ++*(unsigned *)context;
    return process->slot == 0;
}

static void use_objects(shmheap_memory_handle mem)
{
    static void *ptrs[OBJECTS];
    void *ptr = shmheap_calloc(mem, 3, 100), *kept = shmheap_alloc_kept(mem, "kept", 10);
    CHECK(ptr != NULL && kept != NULL && (ptr = shmheap_realloc(mem, ptr, 5000)) != NULL);
    CHECK(shmheap_handle_to_ptr(mem, shmheap_ptr_to_handle(mem, ptr)) == ptr &&
          shmheap_usable_size(mem, ptr) != 0);
    shmheap_object_handle sent = shmheap_send(mem, ptr);
    CHECK(shmheap_peek(mem, sent, 0, NULL, 0) != 0 && shmheap_receive(mem, sent) == ptr);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_EQ(shmheap_alloc_many(mem, 200, OBJECTS, ptrs), OBJECTS);
    CHECK_EQ(shmheap_free_many(mem, ptrs, OBJECTS), OBJECTS);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, i)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[(i * 7) % OBJECTS]), 0);
    CHECK(shmheap_aligned_alloc(mem, 256, 100) != NULL &&
          shmheap_alloc_named(mem, "kept", 10) == kept);
    CHECK_EQ(shmheap_name_keep(mem, "kept"), 0);
    CHECK(shmheap_find(mem, "kept", NULL) == kept);
    CHECK(shmheap_alloc_wait(mem, GROWN, 1) == NULL); /* ENOMEM, or ETIMEDOUT where it may grow */
}

static void look(shmheap_memory_handle mem)
{
    unsigned processes = 0;
    CHECK_EQ(shmheap_walk(mem, see_block, NULL), 0);
    CHECK_EQ(shmheap_names(mem, see_name, NULL), 0);
    CHECK_EQ(shmheap_processes(mem, see_process, &processes), 0);
    CHECK_LE(1, processes);
    CHECK_EQ(test_stat(mem).processes, processes);
    CHECK_SOUND(mem);
}

static void use(shmheap_memory_handle mem)
{
    use_objects(mem);
    look(mem);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_LE(0, shmheap_name_remove(mem, "kept"));
}

static void *use_files(void *context)
{
    const char *name = context, *path = test_path();
    for (unsigned flags = 0; flags <= SHMHEAP_CACHED; flags += SHMHEAP_CACHED) {
        const shmheap_options options = {
            .len = LEN, .max_len = GROWN, .flags = flags | SHMHEAP_CREATE | SHMHEAP_TAKE_OVER};
        const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
        shmheap_memory_handle mem, reader;
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
        CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &read_only), 0);
        use(mem);
        look(reader);
        void *much = shmheap_alloc(mem, GROWN / 2); /* it grows */
        CHECK(much != NULL);
        CHECK_EQ(shmheap_try_free(mem, much), 0);
        CHECK_EQ(shmheap_copy(mem, path), 0);
        CHECK_EQ(unlink(path), 0);
        CHECK_LE(3, shmheap_fd_writable(mem));
        CHECK_REFUSED(shmheap_unlink_unused(name) == -1, EBUSY);
        shmheap_disconnect(reader);
        shmheap_disconnect(mem);
    }
    CHECK_EQ(shmheap_unlink_unused(name), 0);
    return NULL;
}

static void *use_memory(void *memory)
{
    shmheap_memory_handle mem, again;
    CHECK_EQ(shmheap_create_at(&mem, memory, LEN, NULL), 0);
    CHECK_EQ(shmheap_attach_at(&again, memory, LEN), 0);
    use(mem);
    shmheap_disconnect(again);
    shmheap_disconnect(mem);
    return NULL;
}

/* As SHMHEAP_SOCKET, which reads /sys: with any answer. */
static void *use_socket(void *name)
{
    const shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_SOCKET};
    shmheap_memory_handle mem;
    if (shmheap_open(&mem, name, &options) == 0) {
        CHECK_LE(0, shmheap_socket());
        shmheap_destroy(name, mem);
    } else {
        printf("  skipped: no socket to be had (errno %d)\n", errno);
    }
    return NULL;
}

static void on_a_small_stack(void *(*run)(void *), const void *context)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    size_t least = (size_t)PTHREAD_STACK_MIN; /* more on some processors */
    CHECK_EQ(pthread_attr_setstacksize(&attributes, least > STACK ? least : STACK), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, run, (void *)(uintptr_t)context), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_attr_destroy(&attributes), 0);
}

static void files(void) { on_a_small_stack(use_files, test_name()); }
static void a_socket(void)
{
    const char *name = test_name();
    for (unsigned socket = 0; socket < 8; socket++) {
        char suffix[20];
        snprintf(suffix, sizeof suffix, ".socket%u", socket);
        test_name_with(name, suffix);
    }
    on_a_small_stack(use_socket, name);
}

static void memory_of_the_caller(void)
{
    void *memory = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    on_a_small_stack(use_memory, memory);
    CHECK_EQ(munmap(memory, LEN), 0);
}

static const struct test tests[] = {TEST(files), TEST(a_socket), TEST(memory_of_the_caller)};
TEST_MAIN(tests)
