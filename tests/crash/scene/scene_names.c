/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene_names.h"

void make_kept(struct scene *scene)
{
    char *kept = shmheap_alloc_named(scene->mem, "kept", KEPT_LEN);
    CHECK(kept != NULL);
    test_fill(kept, KEPT_LEN, MARK);
}

void *use(struct scene *scene)
{
    void *object = shmheap_alloc_named(scene->mem, "it", IT_LEN);
    CHECK(object != NULL);
    return object;
}

void make_it(struct scene *scene)
{
    make_kept(scene);
    scene->ptrs[0] = use(scene);
    test_fill(scene->ptrs[0], IT_LEN, MARK + 1);
}

void use_and_die(void *context) { use(context); }

void child_uses(struct scene *scene) { scene->ptrs[1] = use(scene); }

void free_named(struct scene *scene) { CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[1]), 0); }

void reap(struct scene *scene) { CHECK(shmheap_reap(scene->mem, 0) >= 0); }

void check_kept(const struct scene *scene)
{
    size_t len = 0;
    char *kept = shmheap_find(scene->mem, "kept", &len);
    CHECK(kept != NULL && len == KEPT_LEN && test_filled(kept, KEPT_LEN, MARK));
}

static int add_users(const shmheap_name_info *name, void *context)
{
    if (strcmp(name->name, "it") == 0)
        *(uint64_t *)context += name->users;
    return 0;
}

uint64_t users(const struct scene *scene)
{
    uint64_t count = 0;
    CHECK_EQ(shmheap_names(scene->mem, add_users, &count), 0);
    return count;
}

void check_gone(struct scene *scene, unsigned stage)
{
    check_kept(scene);
    CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
    CHECK(stage <= 1);
}
