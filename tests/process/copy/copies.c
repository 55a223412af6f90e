/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/copy/copies.h"

#include <sys/stat.h>

shmheap_memory_handle open_copy(const char *path, unsigned flags)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.flags = SHMHEAP_FILE | flags};
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    return mem;
}

const char *copy_path(void)
{
    static struct path {
        struct path *next;
        char text[300];
    } * paths;
    struct path *path = calloc(1, sizeof *path);
    CHECK(path != NULL);
    snprintf(path->text, sizeof path->text, "%s", test_shm_path(test_name()));
    path->next = paths;
    paths = path;
    return path->text;
}

void check_absent(const char *path)
{
    struct stat status;
    CHECK_REFUSED(lstat(path, &status) == -1, ENOENT);
}

static void kept_name(char text[32], unsigned i) { snprintf(text, 32, "kept %u", i); }

void kept_make(shmheap_memory_handle mem)
{
    char text[32];
    for (unsigned i = 0; i < KEPT; i++) {
        kept_name(text, i);
        void *object = shmheap_alloc_kept(mem, text, KEPT_LEN);
        CHECK(object != NULL);
        test_fill(object, KEPT_LEN, i);
        CHECK_EQ(shmheap_try_free(mem, object), 0);
    }
}

void kept_check(shmheap_memory_handle mem)
{
    char text[32];
    for (unsigned i = 0; i < KEPT; i++) {
        size_t len = 0;
        kept_name(text, i);
        void *object = shmheap_find(mem, text, &len);
        CHECK(object != NULL && len == KEPT_LEN && test_filled(object, KEPT_LEN, i));
    }
}
