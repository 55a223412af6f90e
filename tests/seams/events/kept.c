/* A kept name that several processes use is removed, and one of them is killed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/events/events.h"

#include <string.h>

enum { ROOT_LEN = 8 };
static const char root[] = "root";

static void *root_find(void) { return shmheap_find(mem, root, NULL); }

static long act_root_make(uint64_t unused)
{
    (void)unused;
    void *ptr = shmheap_alloc_kept(mem, root, ROOT_LEN);
    EXPECT(ptr != NULL || errno == ENOMEM,
           "a kept name is expected to be made where there is space; errno %d (%s)", errno,
           strerror(errno));
    if (ptr == NULL)
        return errno;
    memset(ptr, 7, ROOT_LEN);
    return 0;
}

static long act_root_use(uint64_t unused)
{
    (void)unused;
    void *ptr = shmheap_alloc_named(mem, root, ROOT_LEN);
    EXPECT(ptr != NULL || errno == ENOMEM, "a kept name is expected to be used; errno %d (%s)",
           errno, strerror(errno));
    if (ptr == NULL)
        return errno;
    EXPECT(ptr == root_find(), "a name is expected to lead to one object for all");
    return 0;
}

static long act_root_give_back(uint64_t unused)
{
    (void)unused;
    EXPECT(shmheap_try_free(mem, root_find()) == 0,
           "a use of a name is expected to be given back (errno %d)", errno);
    return 0;
}

/* Whether the name is found, its object as it was written. */
static long act_root_there(uint64_t unused)
{
    static const char expected[ROOT_LEN] = {7, 7, 7, 7, 7, 7, 7, 7};
    (void)unused;
    void *ptr = root_find();
    EXPECT(ptr != NULL || errno == ENOENT, "shmheap_find is expected to fail with ENOENT; errno %d",
           errno);
    EXPECT(ptr == NULL || memcmp(ptr, expected, ROOT_LEN) == 0,
           "a kept object is expected to be as it was written");
    return ptr != NULL;
}

static long act_root_keep(uint64_t expected)
{
    int result = shmheap_name_keep(mem, root);
    EXPECT(expected == 0 ? result == 0 : result == -1 && (uint64_t)errno == expected,
           "shmheap_name_keep is expected to %s; it returns %d, errno %d (%s)",
           expected == 0 ? "succeed" : "fail with ENOENT", result, errno, strerror(errno));
    return 0;
}

static long act_root_remove(uint64_t expected)
{
    int result = shmheap_name_remove(mem, root);
    EXPECT((uint64_t)(int64_t)result == expected || (result == -1 && (uint64_t)errno == expected),
           "shmheap_name_remove is expected to return %s; it returns %d, errno %d",
           expected == 0   ? "0 (without users)"
           : expected == 1 ? "1 (with users)"
                           : "-1 with ENOENT",
           result, errno);
    return 0;
}

static void root_is_gone(unsigned index)
{
    EXPECT(ask(index, act_root_there, 0) == 0, "a name that was removed is expected to be gone");
    ask(index, act_root_keep, ENOENT);
    ask(index, act_root_remove, ENOENT);
}

/* In use by both; removed, it stays as long as one of them uses it. */
static void removed_in_use(void)
{
    ask(stage->witness, act_root_remove, 1);
    EXPECT(ask(stage->witness, act_root_there, 0),
           "a name in use is expected to be found after shmheap_name_remove");
    peer_kill(stage->subject);
    int inherited = oracle_child_lives(stage->subject);
    ask(stage->witness, act_root_remove, 1);
    ask(stage->witness, act_root_give_back, 0);
    stage->names_left = ask(stage->witness, act_root_there, 0) != 0;
    EXPECT(stage->names_left == 0 || inherited,
           "a removed name is expected to go with its last living user");
}

/* Kept, and without users; the name outlives its maker's use, and is removed by another. */
static void removed_by_another(void)
{
    unsigned other = newcomer();
    ask(other, act_root_keep, 0);
    EXPECT(ask(other, act_root_there, 0), "a kept name without users is expected to be found");
    ask(other, act_root_remove, 0);
    root_is_gone(stage->witness);
}

void event_unkept(void)
{
    int full = ask(stage->subject, act_root_make, 0) != 0;
    if (full) {
        root_is_gone(stage->witness);
        peer_kill(stage->subject);
        return;
    }
    if (ask(stage->witness, act_root_use, 0) == 0)
        removed_in_use();
    else
        peer_kill(stage->subject);
    oracle_run();
    if (oracle_child_lives(stage->subject) || ask(stage->witness, act_root_make, 0) != 0)
        return;
    ask(stage->witness, act_root_give_back, 0);
    removed_by_another();
}
