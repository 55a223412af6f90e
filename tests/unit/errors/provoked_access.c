/* provoked_access.c: failures where the process cannot open the heap's file anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "provoked.h"

/* struct scene is shared; provoked: the child has seen the texts. */
struct scene {
    shmheap_memory_handle mem;
    const char *name;
    char folder[200];
    int provoked;
};

enum { DESCRIPTORS = 64 };

#define CLOSED_AND_REFUSED                                                                         \
    "the program closed the heap's descriptors, and has no permission to open its file by name"
#define NO_PROC "/proc is not mounted, and no name leads to the heap's file"

static void without_proc(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = scene->mem, other;
    const shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    int fd = shmheap_fd(mem);
    if (chroot(scene->folder) != 0 || chdir("/") != 0)
        return;
    FAILS(shmheap_open(&other, "b", &options) == -1, ENOENT, "shmheap_open(\"b\"): " NO_PROC);
    FAILS(shmheap_create_sealed(&other, NULL) == -1, ENOENT, "shmheap_create_sealed: " NO_PROC);
    FAILS(shmheap_open_fd(&other, fd, NULL) == -1, ENOENT, "shmheap_open_fd: " NO_PROC);
    FAILS(shmheap_fd_writable(mem) == -1, ENOENT, "shmheap_fd_writable(\"a\"): " NO_PROC);
    FAILS(shmheap_copy(mem, "/copy") == -1, ENOENT, "shmheap_copy(\"a\", \"/copy\"): " NO_PROC);
    FAILS(shmheap_alloc(mem, 10) == NULL, ENOENT, "shmheap_alloc(\"a\"): " NO_PROC);
    scene->provoked = 1;
}

static void a_root_without_proc(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = provoked_heap();
    snprintf(scene->folder, sizeof scene->folder, "%s", test_path());
    CHECK_EQ(mkdir(scene->folder, 0755), 0);
    test_in_child(without_proc, scene);
    if (!scene->provoked)
        printf("  skipped: chroot(2) is not possible here\n");
    provoked[CAUSE_NO_PROC] = scene->provoked ? 1 : -1;
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

static void child_that_may_not_open(void *context)
{
    struct scene *scene = context;
    FAILS(shmheap_alloc(scene->mem, 10) == NULL, EBADF,
          "shmheap_alloc(\"%s\"): " CLOSED_AND_REFUSED, scene->name);
    FAILS(shmheap_copy(scene->mem, "copy") == -1, EBADF,
          "shmheap_copy(\"%s\", \"copy\"): " CLOSED_AND_REFUSED, scene->name);
    scene->provoked = 1;
}

/* From now on root needs the permissions of a file as well. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    CHECK_EQ(syscall(SYS_capset, &header, none), 0);
}

/* Opens a heap, gives up the right to open it again, and closes its descriptors. */
static void closed_without_permission(void *context)
{
    struct scene *scene = context;
    const shmheap_options options = {.flags = SHMHEAP_CREATE};
    CHECK_EQ(shmheap_open(&scene->mem, scene->name, &options), 0);
    CHECK_EQ(chmod(test_shm_path(scene->name), 0), 0);
    drop_capabilities();
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        close(fd);
    test_in_child(child_that_may_not_open, scene);
}

static void closed_descriptors(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->name = test_name();
    test_in_child(closed_without_permission, scene);
    CHECK(scene->provoked);
    provoked[CAUSE_CLOSED] = 1;
    CHECK_EQ(shmheap_unlink(scene->name), 0);
    test_unshare(scene, sizeof *scene);
}

void opening_anew(void)
{
    a_root_without_proc();
    closed_descriptors();
}
