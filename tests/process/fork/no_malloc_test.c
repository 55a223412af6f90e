/* A child of _Fork() or clone() may find malloc's lock held for ever, by a thread of its parent. So
 * no call on a heap that the parent opened uses malloc, or what uses it. Here all of that ends the
 * child.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/os/memory.h"
#include "tests/process/ground.h"

static int forbidden;

static void check_allowed(const char *name)
{
    static const char text[] = ": the library called it\n";
    if (!forbidden)
        return;
    if (write(STDERR_FILENO, name, strlen(name)) > 0 &&
        write(STDERR_FILENO, text, sizeof text - 1) > 0)
        _exit(1);
    _exit(2);
}

/* By the linker's --wrap: calls from the library and the test come here. */
#define WRAPPED(result, name, parameters, arguments)                                               \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        check_allowed(#name);                                                                      \
        return __real_##name arguments;                                                            \
    }

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, (void *memory, size_t size), (memory, size))
WRAPPED(char *, strdup, (const char *text), (text))
WRAPPED(FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAPPED(DIR *, opendir, (const char *path), (path))

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    check_allowed("free");
    __real_free(memory);
}

static int see_block(const shmheap_block_info *block, void *context)
{
    return (void)block, (void)context, 0;
}

static int see_process(const shmheap_process_info *process, void *context)
{
    return (void)process, (void)context, 0;
}

static void use_names(shmheap_memory_handle mem)
{
    void *named = shmheap_alloc_named(mem, "name", 100);
    CHECK(named != NULL && shmheap_find(mem, "name", NULL) == named);
    CHECK(shmheap_alloc_kept(mem, "kept", 10) != NULL);
    CHECK_LE(0, shmheap_name_remove(mem, "kept"));
    CHECK_EQ(shmheap_try_free(mem, named), 0);
}

static void use(const struct ground *ground, shmheap_memory_handle mem)
{
    CHECK(memory_left("/proc", 1) > 0); /* what a process looks for once */
    char *ptr = shmheap_alloc(mem, 100);
    CHECK(ptr != NULL);
    CHECK((ptr = shmheap_realloc(mem, ptr, 20000)) != NULL);
    CHECK_PTR(shmheap_receive(mem, shmheap_send(mem, ptr)), ptr);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    use_names(mem);
    ptr = shmheap_alloc(mem, 2 * GROUND_LEN); /* a heap in a file grows */
    CHECK((ptr != NULL) == (ground->kind != GROUND_MEMORY));
    CHECK_REFUSED(shmheap_alloc(mem, (size_t)1 << 40) == NULL, ENOMEM);
    CHECK_EQ(shmheap_walk(mem, see_block, NULL), 0);
    CHECK_EQ(shmheap_processes(mem, see_process, NULL), 0);
    CHECK_SOUND(mem);
    CHECK_LE(0, shmheap_reap(mem, 0));
    CHECK_LE(1, test_stat(mem).processes);
}

static pid_t raw_clone(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL); }

/* The child forks a grandchild, which inherits from both. */
static void use_in_children(const struct ground *ground, shmheap_memory_handle mem, unsigned depth)
{
    fflush(NULL);
    pid_t pid = raw_clone();
    CHECK(pid >= 0);
    if (pid == 0) {
        forbidden = 1;
        use(ground, mem);
        if (depth > 1)
            use_in_children(ground, mem, depth - 1);
        shmheap_disconnect(mem);
        _exit(0);
    }
    test_join(pid);
}

static void check_each_kind(unsigned flags)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        if (kind == GROUND_MEMORY && flags != 0)
            continue; /* shmheap_attach_at() takes no flags */
        struct ground ground = ground_begin(kind);
        shmheap_memory_handle mem = ground_join(&ground, flags);
        use_in_children(&ground, mem, 3);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
        ground_end(&ground);
    }
}

static void no_call_of_a_child_uses_malloc(void) { check_each_kind(0); }
static void with_caches(void) { check_each_kind(SHMHEAP_CACHED); }

static const struct test tests[] = {TEST(no_call_of_a_child_uses_malloc), TEST(with_caches)};
TEST_MAIN(tests)
