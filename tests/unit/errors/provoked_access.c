/* provoked_access.c: failures where the process cannot open the heap's file anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "provoked.h"

/* struct scene is shared: the child cannot do what the test needs, or has seen the text. */
struct scene {
    shmheap_memory_handle mem;
    char folder[200];
    int provoked;
};

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

/* Returns 1 where the child saw the text. */
static int seen_in_child(void (*function)(void *), struct scene *scene, const char *what)
{
    test_in_child(function, scene);
    if (!scene->provoked)
        printf("  skipped: %s is not possible here\n", what);
    return scene->provoked;
}

static void a_root_without_proc(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = provoked_heap();
    snprintf(scene->folder, sizeof scene->folder, "%s", test_path());
    CHECK_EQ(mkdir(scene->folder, 0755), 0);
    provoked[CAUSE_NO_PROC] = seen_in_child(without_proc, scene, "chroot(2)") ? 1 : -1;
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

void opening_anew(void) { a_root_without_proc(); }
