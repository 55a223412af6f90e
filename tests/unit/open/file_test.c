/* Heaps in a file outlive all connected processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/test.h"

static const shmheap_options create_file = {
    .len = 65536, .max_len = 1 << 20, .flags = SHMHEAP_FILE | SHMHEAP_CREATE};
static const shmheap_options open_file = {.flags = SHMHEAP_FILE};

static void objects_survive_all_connections(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem;
    shmheap_object_handle handles[50];
    CHECK_EQ(shmheap_open(&mem, path, &create_file), 0);
    for (size_t i = 0; i < 50; i++) {
        void *ptr = shmheap_alloc(mem, 100 * i);
        CHECK(ptr != NULL);
        test_fill(ptr, 100 * i, i);
        handles[i] = shmheap_ptr_to_handle(mem, ptr);
    }
    shmheap_disconnect(mem);
    for (unsigned round = 0; round < 3; round++) {
        CHECK_EQ(shmheap_open(&mem, path, &open_file), 0);
        for (size_t i = 0; i < 50; i++)
            CHECK(test_filled(shmheap_handle_to_ptr(mem, handles[i]), 100 * i, i));
        CHECK_EQ(test_stat(mem).used_blocks, 50);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
    CHECK(access(path, F_OK) == 0);
}

static void destroy_removes_the_file(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem, other;
    CHECK_EQ(shmheap_open(&mem, path, &create_file), 0);
    CHECK_EQ(shmheap_open(&other, path, &open_file), 0);
    shmheap_destroy(path, mem);
    CHECK(!shmheap_valid(mem));
    CHECK_REFUSED(access(path, F_OK) == -1, ENOENT);
    CHECK_REFUSED(shmheap_open(&mem, path, &open_file) == -1, ENOENT);
    /* A process that is still connected goes on, also growing. */
    CHECK(shmheap_alloc(other, 500000) != NULL);
    CHECK_SOUND(other);
    shmheap_disconnect(other);
}

static void creating_over_any_file_is_refused(void)
{
    const char *path = test_path();
    shmheap_options exclusive = create_file;
    shmheap_memory_handle mem;
    struct stat status;
    exclusive.flags |= SHMHEAP_EXCLUSIVE;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "precious", 8), 8);
    CHECK_REFUSED(shmheap_open(&mem, path, &exclusive) == -1, EEXIST);
    CHECK_REFUSED(shmheap_open(&mem, path, &create_file) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_open(&mem, path, &open_file) == -1, EBADMSG);
    CHECK(fstat(fd, &status) == 0);
    CHECK_EQ(status.st_size, 8);
    close(fd);
}

static void a_path_is_no_name(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, path, &create_file), 0);
    CHECK(!shmheap_valid(shmheap_connect(path)));
    CHECK_REFUSED(shmheap_open(&mem, "/nowhere/at/all", &create_file) == -1, ENOENT);
    CHECK_REFUSED(shmheap_open(&mem, "/", &open_file) == -1, EISDIR);
    CHECK_REFUSED(shmheap_open(&mem, "", &create_file) == -1, EINVAL);
    CHECK_REFUSED(shmheap_open(&mem, NULL, &create_file) == -1, EINVAL);
}

static void create_connects_to_what_is_there(void)
{
    const char *path = test_path();
    shmheap_options other_sizes = create_file;
    shmheap_memory_handle a, b;
    other_sizes.len = 1 << 19;
    other_sizes.alignment = 8;
    CHECK_EQ(shmheap_open(&a, path, &create_file), 0);
    CHECK_EQ(shmheap_open(&b, path, &other_sizes), 0);
    CHECK_EQ(test_stat(b).id, test_stat(a).id);
    CHECK_EQ(test_stat(b).len, 65536);
    CHECK_EQ(test_stat(b).alignment, 16);
    shmheap_disconnect(a);
    shmheap_destroy(path, b);
}

/* On overlayfs, as in most containers, the pid alone tells whether a process lives
 * (docs/behaviour.md). */
static int pid_tells(const char *path)
{
    struct statfs system;
    CHECK_EQ(statfs(path, &system), 0);
    return system.f_type == 0x794c7630; /* OVERLAYFS_SUPER_MAGIC */
}

/* The file that a dead machine left behind has the lock of one that is no more. Where the pid
 * tells, the process that the copy names is this one, which lives. */
static void a_copy_is_another_heap_with_the_same_objects(void)
{
    const char *path = test_path(), *copy = test_path();
    shmheap_memory_handle mem, copied;
    char command[600];
    CHECK_EQ(shmheap_open(&mem, path, &create_file), 0);
    void *ptr = shmheap_alloc(mem, 1000);
    test_fill(ptr, 1000, 9);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    snprintf(command, sizeof command, "cp '%s' '%s'", path, copy);
    CHECK_EQ(system(command), 0);
    CHECK_EQ(shmheap_open(&copied, copy, &open_file), 0);
    CHECK(test_filled(shmheap_handle_to_ptr(copied, handle), 1000, 9));
    int pid = pid_tells(copy);
    CHECK_EQ(test_stat(copied).processes, pid ? 2 : 1);
    CHECK_EQ(test_stat(copied).dead, pid ? 0 : 1);
    CHECK_SOUND(copied);
    shmheap_free(copied, shmheap_handle_to_ptr(copied, handle));
    test_check_empty(copied);
    CHECK(test_filled(ptr, 1000, 9));
    shmheap_disconnect(copied);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(objects_survive_all_connections),   TEST(destroy_removes_the_file),
    TEST(creating_over_any_file_is_refused), TEST(a_path_is_no_name),
    TEST(create_connects_to_what_is_there),  TEST(a_copy_is_another_heap_with_the_same_objects)};
TEST_MAIN(tests)
