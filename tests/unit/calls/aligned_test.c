/* shmheap_aligned_alloc.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { OBJECTS = 64, ROUNDS = 20000 };

struct object {
    char *ptr;
    size_t len;
    uint64_t mark;
};

static void each_power_of_two_up_to_the_page_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t granule = 8; granule <= 16; granule += 8)
        for (size_t alignment = 1; alignment <= page; alignment *= 2) {
            shmheap_memory_handle mem = test_anonymous(1 << 20, 0, granule);
            for (size_t len = 0; len < 300; len += 7) {
                char *ptr = shmheap_aligned_alloc(mem, alignment, len);
                CHECK(ptr != NULL);
                CHECK_EQ((uintptr_t)ptr % alignment, 0);
                CHECK_EQ((uintptr_t)ptr % granule, 0);
                CHECK(shmheap_usable_size(mem, ptr) >= len);
                test_fill(ptr, len, len);
            }
            CHECK_SOUND(mem);
            shmheap_disconnect(mem);
        }
}

static void other_alignments_are_refused(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t wrong[] = {0,  3,   5,    6,        7,         12,       24,
                      48, 100, 4095, 2 * page, page + 16, SIZE_MAX, SIZE_MAX / 2 + 1};
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    struct test_snapshot before = test_snapshot_take(mem);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_REFUSED(shmheap_aligned_alloc(mem, wrong[i], 10) == NULL, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    shmheap_disconnect(mem);
}

/* In every process and at every mapping. */
static void alignment_holds_in_another_mapping(void)
{
    const char *name = test_name();
    shmheap_memory_handle a = shmheap_create(name, 65536), b = test_connect(name);
    CHECK(shmheap_underlying(a) != shmheap_underlying(b));
    for (size_t alignment = 32; alignment <= 4096; alignment *= 2) {
        void *ptr = shmheap_aligned_alloc(a, alignment, 100);
        CHECK(ptr != NULL);
        void *there = shmheap_handle_to_ptr(b, shmheap_ptr_to_handle(a, ptr));
        CHECK(there != NULL);
        CHECK_EQ((uintptr_t)there % alignment, 0);
    }
    shmheap_disconnect(b);
    shmheap_destroy(name, a);
}

/* Where no block is large enough for any position of the object, but one has it at the right place
 * by chance. */
static void an_exact_place_is_found(void)
{
    for (size_t granule = 8; granule <= 16; granule += 8) {
        shmheap_memory_handle mem = test_anonymous(65536, 0, granule);
        char *target = shmheap_aligned_alloc(mem, 1024, 1024 - 8);
        CHECK(target != NULL);
        while (shmheap_alloc(mem, 8) != NULL)
            continue;
        CHECK_REFUSED(shmheap_aligned_alloc(mem, 1024, 1024 - 8) == NULL, ENOMEM);
        shmheap_free(mem, target);
        CHECK_REFUSED(shmheap_aligned_alloc(mem, 1024, 1024) == NULL, ENOMEM);
        CHECK_PTR(shmheap_aligned_alloc(mem, 1024, 1024 - 8), target);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* A place that happens to be right is taken only where no block would do anyhow, be it the one that
 * growing makes. */
static void an_exact_place_comes_last(void)
{
    for (size_t granule = 8; granule <= 16; granule += 8) {
        shmheap_memory_handle mem = test_anonymous(16384, 65536, granule);
        char *target = shmheap_aligned_alloc(mem, 1024, 1024 - 8), *rest, *grown;
        CHECK(target != NULL);
        while ((char *)shmheap_alloc(mem, 8) <
               target) /* what lies before it, and one block behind */
            continue;
        CHECK_EQ(shmheap_try_free(mem, target), 0);
        CHECK((rest = shmheap_aligned_alloc(mem, 1024, 1024 - 8)) != NULL);
        CHECK(rest > target);
        CHECK_PTR(shmheap_aligned_alloc(mem, 512, 256), target); /* there it fits anyhow */
        shmheap_free(mem, target);
        CHECK_PTR(shmheap_alloc(mem, 1024 - 8), target);
        while (test_stat(mem).largest_free >= 1000)
            CHECK(shmheap_alloc(mem, 400) != NULL);
        shmheap_free(mem, target);
        CHECK_EQ(test_stat(mem).grows, 0);
        CHECK((grown = shmheap_aligned_alloc(mem, 1024, 1024 - 8)) != NULL);
        CHECK_EQ(test_stat(mem).grows, 1);
        CHECK(grown > rest);
        CHECK_PTR(shmheap_alloc(mem, 1024 - 8), target);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* A heap that may grow does so for aligned objects as well. */
static void growth_for_an_aligned_object(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 20, 0);
    for (unsigned i = 0; i < 100; i++) {
        void *ptr = shmheap_aligned_alloc(mem, 4096, 4096);
        CHECK(ptr != NULL);
        CHECK_EQ((uintptr_t)ptr % 4096, 0);
    }
    CHECK(test_stat(mem).grows > 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void replace_object(shmheap_memory_handle mem, struct object *object,
                           struct test_random *random, uint64_t mark)
{
    if (object->ptr) {
        CHECK(test_filled(object->ptr, object->len, object->mark));
        CHECK_EQ(shmheap_try_free(mem, object->ptr), 0);
    }
    size_t alignment = (size_t)1 << test_random_below(random, 13);
    object->len = test_random_below(random, 600);
    object->mark = mark;
    object->ptr = shmheap_aligned_alloc(mem, alignment, object->len);
    if (!object->ptr)
        return;
    CHECK_EQ((uintptr_t)object->ptr % alignment, 0);
    test_fill(object->ptr, object->len, mark);
}

static void random_mixture(void)
{
    struct test_random random = test_random_begin(1);
    for (size_t granule = 8; granule <= 16; granule += 8) {
        shmheap_memory_handle mem = test_anonymous(65536, 0, granule);
        struct object objects[OBJECTS];
        memset(objects, 0, sizeof objects);
        for (size_t i = 0; i < ROUNDS; i++) {
            replace_object(mem, &objects[test_random_below(&random, OBJECTS)], &random, i);
            if (i % 16 == 0)
                CHECK_SOUND(mem);
        }
        for (size_t i = 0; i < OBJECTS; i++)
            shmheap_free(mem, objects[i].ptr);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
}

/* The rule, block by block ------------------------------------------------ */

enum { RULE_BLOCKS = 3000 };

struct rule {
    shmheap_block_info blocks[RULE_BLOCKS * 2];
    size_t count;
    char *region;
};

static int rule_note(const shmheap_block_info *info, void *context)
{
    struct rule *rule = context;
    CHECK(rule->count < sizeof rule->blocks / sizeof *rule->blocks);
    if (info->state == SHMHEAP_STATE_FREE)
        rule->blocks[rule->count++] = *info;
    return 0;
}

/* The lowest free block that has room for need bytes with their header, wherever the aligned place
 * is; else the lowest where that is so by chance. What lies before the object is a block, or
 * nothing. */
static char *rule_place(const struct rule *rule, size_t alignment, size_t need, size_t granule)
{
    const size_t least = granule == 8 ? 16 : granule;
    for (int anyhow = 1; anyhow >= 0; anyhow--)
        for (size_t i = 0; i < rule->count; i++) {
            const shmheap_block_info *block = &rule->blocks[i];
            uintptr_t from = (uintptr_t)rule->region + block->offset;
            uintptr_t at = (from + alignment - 1) & ~(alignment - 1);
            if (at != from && at - from < least)
                at += alignment;
            if (block->size >= (anyhow ? need + alignment + least - granule : need + (at - from)))
                return rule->region + (at - (uintptr_t)rule->region);
        }
    return NULL;
}

/* Holes of sizes from one granule up to more than a chunk of the index has, where most aligned
 * places are inside of objects: each object comes where the rule puts it. */
static void aligned_objects_come_where_the_rule_says(void)
{
    static void *objects[RULE_BLOCKS];
    struct rule *rule = malloc(sizeof *rule);
    size_t by_chance = 0, refused = 0;
    CHECK(rule != NULL);
    for (unsigned round = 0; round < test_rounds(24); round++) {
        struct test_random random = test_random_begin(round + 1);
        static const size_t longests[] = {100, 900, 5000};
        const size_t granule = round % 2 ? 8 : 16, longest = longests[round % 3];
        shmheap_memory_handle mem = test_anonymous(RULE_BLOCKS * longest / 2, 0, granule);
        size_t count = 0;
        while (count < RULE_BLOCKS &&
               (objects[count] = shmheap_alloc(mem, test_random_below(&random, longest))) != NULL)
            count++;
        for (size_t len = longest; len != 0; len /= 2)
            while (shmheap_alloc(mem, len) != NULL)
                continue;
        for (size_t i = 0; i < count; i++)
            if (test_random_below(&random, 3) == 0)
                CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
        for (unsigned i = 0; i < 60; i++) {
            size_t alignment = 2 * granule << test_random_below(&random, granule == 8 ? 9 : 8);
            size_t len = test_random_below(&random, longest),
                   need = (len + 8 + granule - 1) & ~(granule - 1);
            need = granule == 8 && need < 16 ? 16 : need;
            rule->count = 0;
            rule->region = shmheap_underlying(mem);
            CHECK_EQ(shmheap_walk(mem, rule_note, rule), 0);
            char *place = rule_place(rule, alignment, need, granule),
                 *ptr = shmheap_aligned_alloc(mem, alignment, len);
            CHECK_PTR(ptr, place);
            refused += place == NULL;
            by_chance +=
                rule->count > 64 && place != NULL && test_stat(mem).largest_free < need + alignment;
            if (i % 16 == 0)
                CHECK_SOUND(mem);
        }
        shmheap_disconnect(mem);
    }
    /* A sanitizer's few rounds need not meet each kind of place. */
    CHECK(by_chance != 0 || test_rounds(24) < 24);
    CHECK(refused != 0 || test_rounds(24) < 24);
    free(rule);
}

/* [ pad ][ hole ][ guard ][ top ]| for many lengths of the first, the second and the last: the
 * object fits into hole or top at any offset, or happens to fit, or does not fit. A top block in
 * which it happens to fit comes after such a hole. */
static void the_top_block_comes_last_too(void)
{
    enum { ALIGNMENT = 64, LEN = 40, STEP = 16, PADS = 4, LENS = 10 };
    struct rule *rule = malloc(sizeof *rule);
    size_t top_fits = 0;
    CHECK(rule != NULL);
    for (size_t i = 0; i < PADS * LENS * LENS; i++) {
        shmheap_memory_handle mem = test_anonymous(4096, 0, 16);
        size_t pad = i % PADS * STEP, hole_len = 8 + i / PADS % LENS * STEP,
               top_len = i / PADS / LENS * STEP;
        CHECK(shmheap_alloc(mem, pad) != NULL);
        void *hole = shmheap_alloc(mem, hole_len);
        size_t left = test_stat(mem).largest_free;
        CHECK(left > top_len && shmheap_alloc(mem, left - top_len) != NULL);
        CHECK_EQ(shmheap_try_free(mem, hole), 0);
        rule->count = 0;
        rule->region = shmheap_underlying(mem);
        CHECK_EQ(shmheap_walk(mem, rule_note, rule), 0);
        char *place = rule_place(rule, ALIGNMENT, LEN + 8, 16);
        CHECK_PTR(shmheap_aligned_alloc(mem, ALIGNMENT, LEN), place);
        top_fits += place != NULL && place > (char *)hole + hole_len;
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
    CHECK(top_fits != 0);
    free(rule);
}

enum { FAR_LEN = 16 << 20, FAR_OBJECT = 1000, FAR_LOW = 100, FAR_ALIGNMENT = 4096 };

/* Where an aligned object fits into the block of this object; NULL: nowhere. */
static char *fitting(char *object)
{
    char *at = object + (-(uintptr_t)object & (FAR_ALIGNMENT - 1));
    return at + OBJECTS <= object + FAR_OBJECT ? at : NULL;
}

/* Low free blocks that do not suit, and one that does, so far behind that the index has no word for
 * both below its second level. */
static void a_place_far_behind_is_found(void)
{
    static char *objects[FAR_LEN / FAR_OBJECT];
    shmheap_memory_handle mem = test_anonymous(FAR_LEN, 0, 16);
    size_t count = 0, low = 0, place;
    while ((objects[count] = shmheap_alloc(mem, FAR_OBJECT)) != NULL)
        count++;
    while (shmheap_alloc(mem, 8) != NULL)
        ;
    for (size_t i = 0; low < FAR_LOW; i += 2) /* no two neighbours */
        if (fitting(objects[i]) == NULL) {
            shmheap_free(mem, objects[i]);
            low++;
        }
    for (place = count * 3 / 4; fitting(objects[place]) == NULL; place++)
        ;
    shmheap_free(mem, objects[place]);
    CHECK_PTR(shmheap_aligned_alloc(mem, FAR_ALIGNMENT, OBJECTS), fitting(objects[place]));
    CHECK_REFUSED(shmheap_aligned_alloc(mem, FAR_ALIGNMENT, OBJECTS) == NULL, ENOMEM);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(each_power_of_two_up_to_the_page_size),
                                    TEST(other_alignments_are_refused),
                                    TEST(alignment_holds_in_another_mapping),
                                    TEST(an_exact_place_is_found),
                                    TEST(an_exact_place_comes_last),
                                    TEST(growth_for_an_aligned_object),
                                    TEST(random_mixture),
                                    TEST(aligned_objects_come_where_the_rule_says),
                                    TEST(the_top_block_comes_last_too),
                                    TEST(a_place_far_behind_is_found)};
TEST_MAIN(tests)
