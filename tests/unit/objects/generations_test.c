/* A handle names one life of an object: however the object's place is freed and taken again, and
 * however often the object was sent, no old handle becomes valid.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { LEN = 65536, OBJECT_LEN = 100, SENDS = 60, LIVES = 180, SPAN = 3, HANDLES = SPAN * SENDS };
enum { GENERATIONS = 1 << 15 }; /* generations repeat after so many */

struct scene {
    shmheap_memory_handle mem;
    void *objects[SPAN]; /* neighbours */
    shmheap_object_handle old[HANDLES];
    unsigned count;
};

/* The objects from first to last are sent and received, which moves their generations ahead of the
 * heap's. */
static void scene_begin(struct scene *scene, unsigned flags, unsigned first, unsigned last)
{
    memset(scene, 0, sizeof *scene);
    scene->mem = test_anonymous_with(LEN, 0, flags);
    for (unsigned i = 0; i < SPAN; i++)
        CHECK((scene->objects[i] = shmheap_alloc(scene->mem, OBJECT_LEN)) != NULL);
    for (unsigned i = first; i <= last; i++)
        for (unsigned send = 0; send < SENDS; send++) {
            shmheap_object_handle handle = shmheap_send(scene->mem, scene->objects[i]);
            CHECK(handle.bits != 0);
            CHECK_PTR(shmheap_receive(scene->mem, handle), scene->objects[i]);
            CHECK_REFUSED(shmheap_handle_to_ptr(scene->mem, handle) == NULL, ESTALE);
            scene->old[scene->count++] = handle;
        }
}

/* New objects in the old places: no old handle is one of theirs, neither to share nor to receive.
 * */
static void check_lives(struct scene *scene)
{
    for (unsigned life = 0; life < LIVES; life++) {
        void *now[SPAN];
        for (unsigned i = 0; i < SPAN; i++) {
            CHECK((now[i] = shmheap_alloc(scene->mem, OBJECT_LEN)) != NULL);
            shmheap_object_handle shared = shmheap_ptr_to_handle(scene->mem, now[i]),
                                  sent = shmheap_send(scene->mem, now[i]);
            for (unsigned k = 0; k < scene->count; k++)
                CHECK(scene->old[k].bits != shared.bits && scene->old[k].bits != sent.bits);
            CHECK_PTR(shmheap_receive(scene->mem, sent), now[i]);
        }
        for (unsigned i = 0; i < SPAN; i++)
            CHECK_EQ(shmheap_try_free(scene->mem, now[i]), 0);
    }
    CHECK_SOUND(scene->mem);
    shmheap_disconnect(scene->mem);
}

static void objects_freed_one_by_one(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct scene scene;
        scene_begin(&scene, i * SHMHEAP_CACHED, 0, SPAN - 1);
        for (unsigned k = 0; k < SPAN; k++)
            CHECK_EQ(shmheap_try_free(scene.mem, scene.objects[k]), 0);
        check_lives(&scene);
    }
}

/* The generations of all blocks of a span count, not only the first one's. */
static void objects_freed_as_a_span(void)
{
    for (unsigned sent = 0; sent < SPAN; sent++) {
        struct scene scene;
        scene_begin(&scene, 0, sent, sent);
        CHECK_EQ(shmheap_free_many(scene.mem, scene.objects, SPAN), SPAN);
        check_lives(&scene);
    }
}

/* Each object that is made in a place has another generation than the last one there. */
static void objects_made_one_by_one(void)
{
    for (unsigned i = 0; i < 2; i++) {
        shmheap_memory_handle mem = test_anonymous_with(LEN, 0, i * SHMHEAP_CACHED);
        uint64_t last = 0;
        for (unsigned life = 0; life < LIVES; life++) {
            void *object = shmheap_alloc(mem, OBJECT_LEN);
            uint64_t bits = shmheap_ptr_to_handle(mem, object).bits;
            CHECK(bits != 0 && bits != last);
            last = bits;
            CHECK_EQ(shmheap_try_free(mem, object), 0);
        }
        shmheap_disconnect(mem);
    }
}

struct seen {
    unsigned blocks, last;
};

/* The blocks in the order of their addresses, in which they were made. */
static int follows(const shmheap_block_info *block, void *context)
{
    struct seen *seen = context;
    if (block->state != SHMHEAP_STATE_USED)
        return 0;
    CHECK(seen->blocks == 0 || block->generation == (seen->last + 1) % GENERATIONS);
    seen->last = block->generation;
    seen->blocks++;
    return 0;
}

/* Each allocation takes the next generation, though no block was freed since the last one. */
static void objects_made_in_a_row(void)
{
    shmheap_memory_handle mem = test_anonymous_with(LEN, 0, 0);
    struct seen seen = {0, 0};
    for (unsigned i = 0; i < LIVES; i++)
        CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    CHECK_EQ(shmheap_walk(mem, follows, &seen), 0);
    CHECK_EQ(seen.blocks, LIVES);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(objects_freed_one_by_one), TEST(objects_freed_as_a_span),
                                    TEST(objects_made_one_by_one), TEST(objects_made_in_a_row)};
TEST_MAIN(tests)
