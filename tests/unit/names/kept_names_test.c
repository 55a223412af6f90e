/* Names that are kept: they stay without users, until they are removed by name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { LEN = 1 << 20, OBJECT_LEN = 1000, MARK = 5 };

/* struct wanted is what name_is looks for and finds. */
struct wanted {
    const char *name;
    uint64_t users, kept;
    int found;
};

static int note(const shmheap_name_info *info, void *context)
{
    struct wanted *wanted = context;
    if (strcmp(info->name, wanted->name) == 0) {
        wanted->users = info->users;
        wanted->kept = info->kept;
        wanted->found++;
    }
    return 0;
}

static struct wanted name_look(shmheap_memory_handle mem, const char *name)
{
    struct wanted wanted = {name, 0, 0, 0};
    CHECK_EQ(shmheap_names(mem, note, &wanted), 0);
    return wanted;
}

static void check_name(shmheap_memory_handle mem, const char *name, uint64_t users, uint64_t kept)
{
    struct wanted found = name_look(mem, name);
    CHECK_EQ(found.found, 1);
    CHECK_EQ(found.users, users);
    CHECK_EQ(found.kept, kept);
    CHECK_SOUND(mem);
}

static void check_gone(shmheap_memory_handle mem, const char *name)
{
    CHECK_REFUSED(shmheap_find(mem, name, NULL) == NULL, ENOENT);
    CHECK_EQ(name_look(mem, name).found, 0);
    CHECK_SOUND(mem);
}

static void stays_without_users_until_removed(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    char *object = shmheap_alloc_kept(mem, "root", OBJECT_LEN);
    CHECK(object != NULL);
    test_fill(object, OBJECT_LEN, MARK);
    check_name(mem, "root", 1, 1);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    check_name(mem, "root", 0, 1);
    CHECK_REFUSED(shmheap_try_free(mem, object) == -1, EPERM); /* there is no use to give back */
    CHECK(shmheap_reap(mem, SHMHEAP_REAP_SHARED) == 0);
    size_t len = 0;
    CHECK_PTR(shmheap_find(mem, "root", &len), object);
    CHECK(len == OBJECT_LEN && test_filled(object, OBJECT_LEN, MARK));
    CHECK_PTR(shmheap_alloc_named(mem, "root", OBJECT_LEN), object);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    check_name(mem, "root", 0, 1);
    errno = 77;
    CHECK_EQ(shmheap_name_remove(mem, "root"), 0);
    CHECK_EQ(errno, 77);
    check_gone(mem, "root");
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

static void removed_while_in_use_it_goes_with_the_last_user(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 8), other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    char *object = shmheap_alloc_kept(mem, "root", OBJECT_LEN),
         *there = shmheap_alloc_named(other, "root", 1);
    CHECK(object != NULL && there != NULL);
    CHECK_EQ(shmheap_name_remove(mem, "root"), 1);
    check_name(mem, "root", 2, 0);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    check_name(mem, "root", 1, 0);
    CHECK_EQ(shmheap_name_keep(mem, "root"), 0); /* it may be kept again */
    CHECK_EQ(shmheap_try_free(other, there), 0);
    check_name(mem, "root", 0, 1);
    CHECK(shmheap_alloc_named(other, "root", 1) != NULL);
    CHECK_EQ(shmheap_name_remove(mem, "root"), 1);
    CHECK_EQ(shmheap_try_free(other, there), 0);
    check_gone(mem, "root");
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

static void a_name_that_exists_becomes_kept(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    void *object = shmheap_alloc_named(mem, "a", 10), *other = shmheap_alloc_named(mem, "b", 10);
    check_name(mem, "a", 1, 0);
    CHECK_PTR(shmheap_alloc_kept(mem, "a", 10), object);
    check_name(mem, "a", 2, 1);
    CHECK_EQ(shmheap_name_keep(mem, "b"), 0);
    CHECK_EQ(shmheap_name_keep(mem, "b"), 0);
    check_name(mem, "b", 1, 1);
    CHECK_EQ(shmheap_try_free(mem, other), 0);
    check_name(mem, "b", 0, 1);
    shmheap_disconnect(mem);
}

/* A use that its process left behind does not hold what is removed by name, whether it died or left
 * in order. */
static void leave_a_use(void *context)
{
    shmheap_memory_handle own, mem = *(shmheap_memory_handle *)context;
    CHECK_EQ(shmheap_open_fd(&own, shmheap_fd(mem), NULL), 0);
    CHECK(shmheap_alloc_kept(own, "root", 1) != NULL);
    shmheap_disconnect(own);
    CHECK(shmheap_alloc_kept(mem, "root", 1) != NULL); /* and dies with this one */
}

static void departed_users_do_not_hold_what_is_removed(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    test_in_child(leave_a_use, &mem);
    check_name(mem, "root", 2, 1);
    CHECK(shmheap_reap(mem, 0) >= 0);
    CHECK_EQ(name_look(mem, "root").kept, 1);
    test_in_child(leave_a_use, &mem);
    CHECK_EQ(shmheap_name_remove(mem, "root"), 0);
    check_gone(mem, "root");
    /* The same of a name that was not kept. */
    test_in_child(leave_a_use, &mem);
    void *object = shmheap_alloc_named(mem, "root", 1);
    CHECK_EQ(shmheap_name_remove(mem, "root"), 1);
    check_name(mem, "root", 1, 0);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    check_gone(mem, "root");
    shmheap_disconnect(mem);
}

/* A program that opens its root and ends, over and over: what that leaves in the heap does not grow
 * with how often. */
static void uses_of_the_departed_take_bounded_space(void)
{
    enum { ROUNDS = 3000 };
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    void *object = shmheap_alloc_kept(mem, "root", 1);
    uint64_t most = 0;
    for (int i = 0; i < ROUNDS; i++) {
        shmheap_memory_handle own;
        CHECK_EQ(shmheap_open_fd(&own, shmheap_fd(mem), NULL), 0);
        CHECK(shmheap_alloc_kept(own, "root", 1) != NULL);
        shmheap_disconnect(own);
        uint64_t used = test_stat(mem).used_bytes;
        if (i < 100)
            most = used > most ? used : most;
        else
            CHECK_LE(used, most);
    }
    check_name(mem, "root", ROUNDS + 1, 1);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_EQ(shmheap_name_remove(mem, "root"), 0);
    check_gone(mem, "root");
    shmheap_disconnect(mem);
}

static void what_is_refused(void)
{
    char text[300];
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), none = {NULL}, reader;
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    CHECK(shmheap_alloc_kept(mem, "root", 10) != NULL);
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &options), 0);
    memset(text, 'x', sizeof text);
    text[256] = 0;
    struct test_snapshot before = test_snapshot_take(mem);
    int (*const calls[])(shmheap_memory_handle, const char *) = {shmheap_name_keep,
                                                                 shmheap_name_remove};
    for (unsigned i = 0; i < 2; i++) {
        CHECK_REFUSED(calls[i](mem, "none") == -1, ENOENT);
        CHECK_REFUSED(calls[i](mem, "") == -1, EINVAL);
        CHECK_REFUSED(calls[i](mem, NULL) == -1, EINVAL);
        CHECK_REFUSED(calls[i](mem, text) == -1, ENAMETOOLONG);
        CHECK_REFUSED(calls[i](none, "root") == -1, EINVAL);
        CHECK_REFUSED(calls[i](reader, "root") == -1, EACCES);
    }
    CHECK_REFUSED(shmheap_alloc_kept(mem, "root", 11) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_alloc_kept(reader, "root", 10) == NULL, EACCES);
    CHECK_REFUSED(shmheap_alloc_kept(none, "root", 10) == NULL, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK_REFUSED(shmheap_alloc_kept(mem, "big", LEN) == NULL, ENOMEM);
    check_gone(mem, "big");
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(stays_without_users_until_removed),
    TEST(removed_while_in_use_it_goes_with_the_last_user),
    TEST(a_name_that_exists_becomes_kept),
    TEST(departed_users_do_not_hold_what_is_removed),
    TEST(uses_of_the_departed_take_bounded_space),
    TEST(what_is_refused),
};
TEST_MAIN(tests)
