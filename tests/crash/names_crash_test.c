/* A process dies before each store of each call that changes names: the name is there, whole, or it
 * is not.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

void (*shmheap_store_hook)(void);
static uint64_t stores_left;

static void die_at_store(void)
{
    if (stores_left-- == 0)
        kill(getpid(), SIGKILL);
}

/* struct scene is shared: a call, and before which store to die in it. */
struct scene {
    shmheap_memory_handle mem;
    void (*prepare)(struct scene *scene);
    void (*call)(struct scene *scene);
    uint64_t store;
    int ended; /* 1: the call returned */
    void *object;
};

static void act(void *context)
{
    struct scene *scene = context;
    scene->prepare(scene);
    stores_left = scene->store;
    shmheap_store_hook = die_at_store;
    scene->call(scene);
    shmheap_store_hook = NULL;
    scene->ended = 1;
    kill(getpid(), SIGKILL);
}

/* After the death: sound, the other name untouched, the one concerned whole or not there; and
 * reaped, all is as before. */
static void check_after(struct scene *scene, uint64_t used_before)
{
    CHECK_SOUND(scene->mem);
    char *kept = shmheap_find(scene->mem, "kept", NULL);
    CHECK(kept != NULL && test_filled(kept, 300, 1));
    size_t len = 0;
    void *found = shmheap_find(scene->mem, "it", &len);
    CHECK(found == NULL || len == 100);
    if (found != NULL)
        CHECK(shmheap_ptr_to_handle(scene->mem, found).bits != 0);
    CHECK(shmheap_reap(scene->mem, 0) >= 0);
    CHECK_SOUND(scene->mem);
    CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
    CHECK_EQ(test_stat(scene->mem).used_blocks, used_before);
    CHECK(test_filled(kept, 300, 1));
}

static void die_everywhere(void (*prepare)(struct scene *), void (*call)(struct scene *),
                           unsigned others)
{
    struct scene *scene = test_shared(sizeof *scene);
    char text[32];
    scene->mem = test_anonymous(1 << 20, 0, 0);
    scene->prepare = prepare;
    scene->call = call;
    test_fill(shmheap_alloc_named(scene->mem, "kept", 300), 300, 1);
    for (unsigned i = 0; i < others; i++) {
        snprintf(text, sizeof text, "other %u", i);
        CHECK(shmheap_alloc_named(scene->mem, text, 16) != NULL);
    }
    uint64_t used = test_stat(scene->mem).used_blocks;
    for (scene->store = 0; !scene->ended; scene->store++) {
        int status = test_wait(test_fork(act, scene));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_after(scene, used);
    }
    printf("  %s: %llu deaths\n", others ? "with a table that grows" : "call",
           (unsigned long long)scene->store);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

static void nothing(struct scene *scene) { CHECK(scene->mem.heap != NULL); }
static void make(struct scene *scene)
{
    scene->object = shmheap_alloc_named(scene->mem, "it", 100);
}
static void release(struct scene *scene)
{
    CHECK_EQ(shmheap_try_free(scene->mem, scene->object), 0);
}
static void make_twice(struct scene *scene)
{
    make(scene);
    make(scene);
}

/* In a heap that has never had a name. */
static void making_the_first_name(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->prepare = nothing;
    scene->call = make;
    for (scene->store = 0; !scene->ended; scene->store++) {
        scene->mem = test_anonymous(1 << 20, 0, 0);
        int status = test_wait(test_fork(act, scene));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(shmheap_reap(scene->mem, 0) >= 0);
        CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
        CHECK_EQ(scene->mem.heap->control->names_changes & 1, 0);
        test_check_empty(scene->mem);
        shmheap_disconnect(scene->mem);
    }
    printf("  the first name: %llu deaths\n", (unsigned long long)scene->store);
    test_unshare(scene, sizeof *scene);
}

static void making_a_name(void) { die_everywhere(nothing, make, 0); }
static void making_one_more_than_the_table_takes(void) { die_everywhere(nothing, make, 31); }
static void using_it_once_more(void) { die_everywhere(make, make, 0); }
static void giving_one_use_back(void) { die_everywhere(make_twice, release, 0); }
static void giving_the_last_use_back(void) { die_everywhere(make, release, 0); }

/* As many as need a larger table, which becomes smaller once, at the end. */
enum { MANY = 33 };
static void *many[MANY];

static void make_many(struct scene *scene)
{
    char text[32];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "one of many %u", i);
        CHECK((many[i] = shmheap_alloc_named(scene->mem, text, 16)) != NULL);
    }
}

static void release_many(struct scene *scene)
{
    CHECK_EQ(shmheap_free_many(scene->mem, many, MANY), MANY);
}

static void giving_many_back_at_once(void) { die_everywhere(make_many, release_many, 0); }

/* The fifth user needs a block for more. */
static void use_in_child(void *context) { make(context); }

static void four_users_then(struct scene *scene)
{
    for (int i = 0; i < 4; i++)
        test_in_child(use_in_child, scene);
}

static void the_fifth_user(void) { die_everywhere(four_users_then, make, 0); }

static void five_users(struct scene *scene)
{
    four_users_then(scene);
    make(scene);
}

static void giving_back_from_the_block_of_more(void) { die_everywhere(five_users, release, 0); }

static void reap(struct scene *scene) { CHECK(shmheap_reap(scene->mem, 0) >= 0); }
static void reaping_five(void) { die_everywhere(five_users, reap, 0); }

/* Users that left in order, whose uses reaping adds up: a death there loses none of them. The uses
 * of one of both may count twice. */
enum { USERS = 2 };

static void use_and_leave(void *context)
{
    struct scene *scene = context;
    make(scene);
    shmheap_disconnect(scene->mem);
}

static int count_uses(const shmheap_name_info *name, void *context)
{
    *(uint64_t *)context = name->users;
    return 0;
}

static void adding_up_the_uses_of_departed_processes(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->prepare = nothing;
    scene->call = reap;
    for (scene->store = 0; !scene->ended; scene->store++) {
        uint64_t uses = 0;
        scene->mem = test_anonymous(1 << 20, 0, 0);
        for (int i = 0; i < USERS; i++)
            test_in_child(use_and_leave, scene);
        int status = test_wait(test_fork(act, scene));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK_SOUND(scene->mem);
        CHECK_EQ(shmheap_names(scene->mem, count_uses, &uses), 0);
        CHECK_LE(USERS, uses);
        CHECK_LE(uses, scene->ended ? USERS : USERS + 1);
        scene->object = shmheap_find(scene->mem, "it", NULL);
        while (uses-- > 0)
            release(scene);
        CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
        CHECK_EQ(shmheap_reap(scene->mem, 0), 0);
        test_check_empty(scene->mem);
        shmheap_disconnect(scene->mem);
    }
    printf("  uses added up: %llu deaths\n", (unsigned long long)scene->store);
    test_unshare(scene, sizeof *scene);
}

/* A reader without the lock must be able to tell that names came or went meanwhile: while their
 * number changes the count of changes is odd, and afterwards it is another even number. */
static const struct control *watched;
static uint64_t names_before;
static int odd; /* -1: the number has not changed yet */

static void note_changes(void)
{
    if (odd < 0 && watched->names_count != names_before)
        odd = watched->names_changes & 1;
}

static void check_announced(struct scene *scene, void (*call)(struct scene *))
{
    const uint64_t changes = watched->names_changes;
    names_before = watched->names_count;
    odd = -1;
    CHECK(!(changes & 1));
    shmheap_store_hook = note_changes;
    call(scene);
    shmheap_store_hook = NULL;
    CHECK_EQ(odd, 1);
    CHECK(changes < watched->names_changes && !(watched->names_changes & 1));
}

static void changes_are_announced(void)
{
    struct scene scene = {.mem = test_anonymous(1 << 20, 0, 0)};
    watched = scene.mem.heap->control;
    for (int i = 0; i < 3; i++) {
        check_announced(&scene, make);
        check_announced(&scene, release);
    }
    shmheap_disconnect(scene.mem);
}

static const struct test tests[] = {TEST(making_the_first_name),
                                    TEST(making_a_name),
                                    TEST(making_one_more_than_the_table_takes),
                                    TEST(using_it_once_more),
                                    TEST(giving_one_use_back),
                                    TEST(giving_the_last_use_back),
                                    TEST(giving_many_back_at_once),
                                    TEST(the_fifth_user),
                                    TEST(giving_back_from_the_block_of_more),
                                    TEST(reaping_five),
                                    TEST(adding_up_the_uses_of_departed_processes),
                                    TEST(changes_are_announced)};
TEST_MAIN(tests)
