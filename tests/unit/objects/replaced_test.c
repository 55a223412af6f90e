/* An object in transit is replaced by another one at any load of a call that reads it: the call
 * gives the first object or none, and leaves the other one in transit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { LEN = 65536, OBJECT_LEN = 120, LABEL = 5, OTHER_LABEL = 6 };

void (*shmheap_load_hook)(const void *word);

/* struct scene is private: an object in transit with a label, and a connection that replaces it. */
struct scene {
    shmheap_memory_handle mem, other;
    char *object, *there; /* there: as the other connection sees it */
    shmheap_object_handle sent;
};

static struct scene *scene_now;
static void (*replace_now)(struct scene *scene);
static unsigned loads, at;
static int replaced;

static void replace_at_load(const void *word)
{
    (void)word;
    if (loads++ != at)
        return;
    shmheap_load_hook = NULL;
    replace_now(scene_now);
}

static void scene_begin(struct scene *scene, void (*replace)(struct scene *))
{
    scene->mem = test_anonymous(LEN, 0, 0);
    scene->other = test_connect_again(scene->mem, 0);
    test_own_slot(scene->other);
    CHECK((scene->object = shmheap_alloc(scene->mem, OBJECT_LEN)) != NULL);
    test_fill(scene->object, OBJECT_LEN, 1);
    scene->there =
        (char *)shmheap_underlying(scene->other) + test_offset(scene->mem, scene->object);
    scene->sent = shmheap_send_labelled(scene->mem, scene->object, &(uint64_t){LABEL}, 1);
    CHECK(scene->sent.bits != 0);
    scene_now = scene;
    replace_now = replace;
    loads = 0;
    replaced = 0;
    shmheap_load_hook = replace_at_load;
}

/* 1: the object was replaced meanwhile. */
static int scene_end(struct scene *scene)
{
    int came = shmheap_load_hook == NULL;
    shmheap_load_hook = NULL;
    CHECK_SOUND(scene->mem);
    shmheap_disconnect(scene->other);
    shmheap_disconnect(scene->mem);
    return came;
}

/* Nothing, where this process has received the object already. */
static void replace(struct scene *scene)
{
    if (shmheap_receive(scene->other, scene->sent) == NULL)
        return;
    replaced = 1;
    CHECK_EQ(shmheap_try_free(scene->other, scene->there), 0);
    CHECK_PTR(shmheap_alloc(scene->other, OBJECT_LEN), scene->there);
    test_fill(scene->there, OBJECT_LEN, 2);
    CHECK(shmheap_send_labelled(scene->other, scene->there, &(uint64_t){OTHER_LABEL}, 1).bits != 0);
}

/* The generations have wrapped around, so that the new object has the old one's header. */
static void replace_by_its_like(struct scene *scene)
{
    uint64_t *header = (uint64_t *)(void *)(scene->there - HEADER_SIZE), before = *header;
    replace(scene);
    if (replaced)
        *header = before;
}

static void a_peek_sees_one_object(void)
{
    unsigned seen = 0, gone = 0;
    for (at = 0;; at++) {
        struct scene scene;
        char bytes[OBJECT_LEN - sizeof(uint64_t)];
        scene_begin(&scene, replace);
        errno = 0;
        size_t len = shmheap_peek(scene.mem, scene.sent, 0, bytes, sizeof bytes);
        if (len != 0)
            CHECK(test_filled(bytes, sizeof bytes, 1));
        else
            CHECK_EQ(errno, ESTALE);
        ++*(len != 0 ? &seen : &gone);
        if (!scene_end(&scene))
            break;
    }
    CHECK(gone > OBJECT_LEN / sizeof(uint64_t) && seen > 0);
}

static void a_label_is_that_of_the_object(void)
{
    unsigned received = 0, refused = 0;
    for (at = 0;; at++) {
        struct scene scene;
        scene_begin(&scene, replace_by_its_like);
        errno = 0;
        char *ptr = shmheap_receive_labelled(scene.mem, scene.sent, LABEL, 1);
        int came = shmheap_load_hook == NULL;
        shmheap_load_hook = NULL;
        CHECK(ptr != NULL ? !replaced : errno == ESTALE || errno == ENOMSG);
        if (ptr == NULL) /* the other object can still be received */
            CHECK_PTR(shmheap_receive_labelled(scene.other, scene.sent, OTHER_LABEL, 1),
                      scene.there);
        ++*(ptr != NULL ? &received : &refused);
        shmheap_load_hook = came ? NULL : replace_at_load;
        if (!scene_end(&scene))
            break;
    }
    CHECK(refused > 2 && received > 1);
}

static const struct test tests[] = {TEST(a_peek_sees_one_object),
                                    TEST(a_label_is_that_of_the_object)};
TEST_MAIN(tests)
