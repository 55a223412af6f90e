/* Two calls on one object at once have the results of one after the other, in either order: here
 * one call comes right before each store of the other.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { LEN = 65536, OBJECT_LEN = 400, SHORT = 100, LONG = 700, STORES_MOST = 200, BLOCKS = 8 };

void (*shmheap_store_hook)(void);

/* struct scene is private: an object of mine between a neighbour and a hole, and a second
 * connection of this process. */
struct scene {
    shmheap_memory_handle mem, other;
    char *before, *object, *behind, *there; /* there: the object, as the other connection sees it */
    shmheap_object_handle sent;
};

/* struct results is private: of two calls, and the blocks afterwards. */
struct results {
    int mine, others; /* 0, or errno */
    unsigned count;
    shmheap_block_info blocks[BLOCKS];
};

typedef int (*call)(struct scene *scene);

static int of(int good) { return good ? 0 : errno; }
static char *seen_by_other(const struct scene *scene, const char *ptr)
{
    return (char *)shmheap_underlying(scene->other) + test_offset(scene->mem, ptr);
}

static int share(struct scene *scene)
{
    return of(shmheap_ptr_to_handle(scene->mem, scene->object).bits != 0);
}
static int other_shares(struct scene *scene)
{
    return of(shmheap_ptr_to_handle(scene->other, scene->there).bits != 0);
}
static int send(struct scene *scene)
{
    return of(shmheap_send(scene->mem, scene->object).bits != 0);
}
static int send_labelled(struct scene *scene)
{
    return of(shmheap_send_labelled(scene->mem, scene->object, &(uint64_t){5}, 1).bits != 0);
}
static int receive(struct scene *scene)
{
    return of(shmheap_receive(scene->mem, scene->sent) != NULL);
}
static int receive_labelled(struct scene *scene)
{
    return of(shmheap_receive_labelled(scene->mem, scene->sent, 5, 0) != NULL);
}
static int other_receives(struct scene *scene)
{
    return of(shmheap_receive(scene->other, scene->sent) != NULL);
}
static int put_back(struct scene *scene)
{
    return of(shmheap_put_back(scene->mem, scene->sent) == 0);
}
static int other_frees(struct scene *scene)
{
    return of(shmheap_try_free(scene->other, scene->there) == 0);
}
static int shorten(struct scene *scene)
{
    return of(shmheap_realloc(scene->mem, scene->object, SHORT) == scene->object);
}
static int lengthen(struct scene *scene)
{
    return of(shmheap_realloc(scene->mem, scene->object, LONG) == scene->object);
}
static int other_shortens(struct scene *scene)
{
    return of(shmheap_realloc(scene->other, scene->there, SHORT) == scene->there);
}
static int other_lengthens(struct scene *scene)
{
    return of(shmheap_realloc(scene->other, scene->there, LONG) == scene->there);
}
static int reap(struct scene *scene) { return of(shmheap_reap(scene->other, 0) >= 0); }

/* What the object is when the calls begin. */
enum state { USED, SENT, RECEIVED, DEPARTED };

static void scene_begin(struct scene *scene, enum state state)
{
    scene->mem = test_anonymous(LEN, 0, 0);
    scene->other = test_connect_again(scene->mem, 0);
    test_own_slot(scene->other);
    shmheap_memory_handle leaving = test_connect_again(scene->mem, 0);
    scene->before = shmheap_alloc(scene->other, OBJECT_LEN);
    scene->object = state == DEPARTED ? shmheap_alloc(leaving, OBJECT_LEN)
                                      : shmheap_alloc(scene->mem, OBJECT_LEN);
    CHECK(scene->before != NULL && scene->object != NULL);
    if (state == DEPARTED)
        scene->object =
            (char *)shmheap_underlying(scene->mem) + test_offset(leaving, scene->object);
    char *hole = shmheap_alloc(scene->other, OBJECT_LEN);
    CHECK((scene->behind = shmheap_alloc(scene->other, OBJECT_LEN)) != NULL);
    CHECK_EQ(shmheap_try_free(scene->other, hole), 0);
    scene->there = seen_by_other(scene, scene->object);
    scene->sent.bits = 0;
    if (state == SENT || state == RECEIVED)
        CHECK((scene->sent = shmheap_send_labelled(scene->mem, scene->object, &(uint64_t){5}, 1))
                  .bits != 0);
    if (state == RECEIVED)
        CHECK_PTR(shmheap_receive(scene->mem, scene->sent), scene->object);
    shmheap_disconnect(leaving);
}

static int block_note(const shmheap_block_info *block, void *context)
{
    struct results *results = context;
    CHECK(results->count < BLOCKS);
    results->blocks[results->count] = *block;
    results->blocks[results->count++].generation = 0; /* begins at random */
    return 0;
}

static void scene_end(struct scene *scene, struct results *results)
{
    results->count = 0;
    CHECK_EQ(shmheap_walk(scene->mem, block_note, results), 0);
    CHECK_SOUND(scene->mem);
    shmheap_disconnect(scene->other);
    shmheap_disconnect(scene->mem);
}

static struct results in_order(enum state state, call mine, call others, int mine_is_first)
{
    struct scene scene;
    struct results results;
    scene_begin(&scene, state);
    results.mine = mine_is_first ? mine(&scene) : 0;
    results.others = others(&scene);
    results.mine = mine_is_first ? results.mine : mine(&scene);
    scene_end(&scene, &results);
    return results;
}

static struct scene *scene_now;
static call call_now;
static unsigned stores, at;
static int result_now, needs_lock;

static void other_comes(void)
{
    if (stores++ != at)
        return;
    if (needs_lock && *(volatile uint64_t *)&scene_now->mem.heap->control->lock != 0) {
        at++; /* it would wait for the lock */
        return;
    }
    shmheap_store_hook = NULL;
    result_now = call_now(scene_now);
}

/* The other call comes before the store, if there are so many: 1, or 0. */
static int race(enum state state, call mine, call others, struct results *results)
{
    struct scene scene;
    scene_begin(&scene, state);
    scene_now = &scene;
    call_now = others;
    stores = 0;
    shmheap_store_hook = other_comes;
    results->mine = mine(&scene);
    int came = shmheap_store_hook == NULL;
    shmheap_store_hook = NULL;
    results->others = result_now;
    scene_end(&scene, results);
    return came;
}

static int same(const struct results *a, const struct results *b)
{
    if (a->mine != b->mine || a->others != b->others || a->count != b->count)
        return 0;
    for (unsigned i = 0; i < a->count; i++) {
        const shmheap_block_info *one = &a->blocks[i], *two = &b->blocks[i];
        if (one->offset != two->offset || one->size != two->size || one->state != two->state ||
            one->slot != two->slot)
            return 0;
    }
    return 1;
}

static void check_pair(const char *name, enum state state, call mine, call others, int locks)
{
    struct results first = in_order(state, mine, others, 1),
                   second = in_order(state, mine, others, 0), results;
    unsigned races = 0;
    needs_lock = locks;
    for (at = 0; at < STORES_MOST && race(state, mine, others, &results); at++, races++)
        if (!same(&results, &first) && !same(&results, &second))
            test_fail(__FILE__, __LINE__,
                      "%s: before store %u the results are %d and %d, in no order possible", name,
                      at, results.mine, results.others);
    CHECK(races > 0 && at < STORES_MOST);
}

#define PAIR(state, mine, others, locks) check_pair(#mine " " #others, state, mine, others, locks)

static void sharing(void)
{
    PAIR(USED, share, other_shares, 0);
    PAIR(USED, share, other_frees, 1);
    PAIR(USED, share, send, 0);
    PAIR(USED, share, other_shortens, 1);
    PAIR(USED, share, other_lengthens, 1);
}
static void sending(void)
{
    PAIR(USED, send, other_shares, 0);
    PAIR(USED, send, other_frees, 1);
    PAIR(USED, send, send, 0);
    PAIR(USED, send, other_shortens, 1);
    PAIR(USED, send_labelled, other_shares, 0);
    PAIR(USED, send_labelled, other_frees, 1);
}
static void receiving(void)
{
    PAIR(SENT, receive, other_receives, 0);
    PAIR(SENT, receive_labelled, other_receives, 0);
}
static void putting_back(void)
{
    PAIR(RECEIVED, put_back, other_shares, 0);
    PAIR(RECEIVED, put_back, other_frees, 1);
    PAIR(RECEIVED, put_back, send, 0);
    PAIR(RECEIVED, put_back, put_back, 0);
}
static void resizing(void)
{
    PAIR(USED, shorten, other_shares, 0);
    PAIR(USED, lengthen, other_shares, 0);
}
static void relabelling(void) { PAIR(DEPARTED, reap, share, 0); }

static const struct test tests[] = {TEST(sharing),      TEST(sending),  TEST(receiving),
                                    TEST(putting_back), TEST(resizing), TEST(relabelling)};
TEST_MAIN(tests)
