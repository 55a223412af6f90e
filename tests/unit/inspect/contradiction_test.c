/* Where headers, top block and index contradict each other, each call that needs them is refused,
 * and changes nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/base/kernel.h"
#include "c/src/block/block.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { OBJECTS = 10, HOLE = 4, LEN = 40000, SPAN = 64 };

/* [ 0 ] ... [ 3 ][ hole ][ 5 ] ... [ 9 ][ top ]   the hole and each object as long as len takes */
struct scene {
    shmheap_memory_handle mem;
    size_t len;
    void *objects[OBJECTS];
};

static struct scene scene_begin(size_t granule, size_t len, int top)
{
    struct scene scene = {.mem = test_anonymous(LEN, 0, granule), .len = len};
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((scene.objects[i] = shmheap_alloc(scene.mem, len)) != NULL);
    while (!top && (scene.objects[OBJECTS - 1] =
                        shmheap_alloc(scene.mem, test_stat(scene.mem).largest_free)) == NULL)
        continue;
    CHECK_EQ(shmheap_try_free(scene.mem, scene.objects[HOLE]), 0);
    return scene;
}

static struct control *control_of(const struct scene *scene) { return scene->mem.heap->control; }
static uint64_t granule_of(const struct scene *scene, unsigned i)
{
    return block_of_pointer(scene->mem.heap, scene->objects[i]);
}

enum {
    ALLOC_HOLE = 1,
    ALLOC_TOP = 2,
    FREE_BEFORE_HOLE = 4,
    FREE_BEHIND_HOLE = 8,
    FREE_LAST = 16,
    GROW_BEFORE_HOLE = 32,
    GROW_LAST = 64,
    FREE_FIRST = 128,
    ALL_TOP = ALLOC_TOP | FREE_LAST | GROW_LAST
};

/* These calls, and the same many at a time, are refused; then what was wrong is mended. */
static void refused(const struct scene *scene, unsigned calls, uint64_t *word, uint64_t wrong)
{
    shmheap_memory_handle mem = scene->mem;
    struct test_snapshot before = test_snapshot_take(mem);
    uint64_t right = *word;
    void *const *objects = scene->objects, *got = NULL;
    *word = wrong;
    if (calls & ALLOC_HOLE) {
        CHECK_REFUSED(shmheap_alloc(mem, scene->len) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_alloc_many(mem, scene->len, 1, &got) == 0, EBADMSG);
    }
    if (calls & ALLOC_TOP) {
        CHECK_REFUSED(shmheap_alloc(mem, scene->len + 1000) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_alloc_many(mem, scene->len + 1000, 1, &got) == 0, EBADMSG);
        CHECK_REFUSED(shmheap_aligned_alloc(mem, 256, scene->len + 1000) == NULL, EBADMSG);
    }
    if (calls & FREE_FIRST)
        CHECK_REFUSED(shmheap_try_free(mem, objects[0]) == -1, EBADMSG);
    if (calls & FREE_BEFORE_HOLE)
        CHECK_REFUSED(shmheap_try_free(mem, objects[HOLE - 1]) == -1, EBADMSG);
    if (calls & FREE_BEHIND_HOLE)
        CHECK_REFUSED(shmheap_try_free(mem, objects[HOLE + 1]) == -1, EBADMSG);
    if (calls & FREE_LAST)
        CHECK_REFUSED(shmheap_try_free(mem, objects[OBJECTS - 1]) == -1, EBADMSG);
    if (calls & GROW_BEFORE_HOLE)
        CHECK_REFUSED(shmheap_realloc(mem, objects[HOLE - 1], scene->len + 100) == NULL, EBADMSG);
    if (calls & GROW_LAST)
        CHECK_REFUSED(shmheap_realloc(mem, objects[OBJECTS - 1], scene->len + 100) == NULL,
                      EBADMSG);
    *word = right;
    CHECK(test_snapshot_same(mem, &before));
    CHECK_SOUND(mem);
    test_snapshot_drop(&before);
}

static void for_all(void (*run)(size_t granule, size_t len))
{
    const size_t lens[] = {40, 500, 900, 3000}; /* small; 63 granules and less; large */
    for (unsigned core = 0; core < TEST_CORES; core++)
        for (size_t j = 0; j < sizeof lens / sizeof *lens; j++) {
            test_choose_core(core);
            run(8, lens[j]);
            run(16, lens[j]);
        }
}

static void wrong_top(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    uint64_t *top = &control_of(&scene)->top, end = scene.mem.heap->end;
    refused(&scene, FREE_LAST | GROW_LAST, top, end);
    refused(&scene, ALL_TOP, top, *top + 1);
    refused(&scene, ALL_TOP, top, *top - 1);
    refused(&scene,
            ALL_TOP | ALLOC_HOLE | FREE_FIRST | FREE_BEFORE_HOLE | FREE_BEHIND_HOLE |
                GROW_BEFORE_HOLE,
            top, end + 1);
    refused(&scene,
            ALL_TOP | ALLOC_HOLE | FREE_FIRST | FREE_BEFORE_HOLE | FREE_BEHIND_HOLE |
                GROW_BEFORE_HOLE,
            top, UINT64_MAX);
    refused(&scene, FREE_FIRST | ALLOC_HOLE, top, granule_of(&scene, 1));
    refused(&scene, ALLOC_HOLE | FREE_BEFORE_HOLE | GROW_BEFORE_HOLE, top,
            granule_of(&scene, HOLE));
    shmheap_disconnect(scene.mem);
}

static void wrong_top_of_a_full_heap(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 0);
    uint64_t *top = &control_of(&scene)->top, end = scene.mem.heap->end;
    const uint64_t wrong[] = {0, end - 1, end + 1, UINT64_MAX, granule_of(&scene, OBJECTS - 1)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(&scene, FREE_LAST, top, wrong[i]);
    shmheap_disconnect(scene.mem);
}

/* Only the header, or the free list, holds the length of a block longer than SPAN granules where no
 * search reads the tree. */
static void wrong_hole(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    uint64_t *header = block_header(scene.mem.heap, granule_of(&scene, HOLE)), right = *header;
    const uint64_t wrong[] = {right + 1,
                              right - 1,
                              0,
                              HEADER_SIZE_MASK,
                              right | UINT64_C(1) << HEADER_STATE_SHIFT,
                              right | UINT64_C(1) << HEADER_GENERATION_SHIFT,
                              scene.mem.heap->end - granule_of(&scene, HOLE)};
    unsigned calls = ALLOC_HOLE;
    if (len < SPAN * granule || control_of(&scene)->listed == 1)
        calls |= FREE_BEFORE_HOLE | FREE_BEHIND_HOLE | GROW_BEFORE_HOLE;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(&scene, calls, header, wrong[i]);
    shmheap_disconnect(scene.mem);
}

/* The free list's one entry: another granule, another size. In size bins and tree the places are
 * 0. */
static void wrong_list(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    struct control *control = control_of(&scene);
    if (control->listed == 1) {
        uint64_t *pair = (uint64_t *)(void *)control->first,
                 *sizes =
                     (uint64_t *)(void *)(control->first + LIST_MAX); /* the second ones are 0 */
        const uint64_t others[] = {*pair - 1,
                                   *pair + 1,
                                   0,
                                   1,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   granule_of(&scene, HOLE - 1) + 1,
                                   control->top + 1,
                                   scene.mem.heap->end + 1};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            refused(&scene, ALLOC_HOLE, pair, others[i]);
        refused(&scene, ALLOC_HOLE, sizes, *sizes + 1);
        refused(&scene, ALLOC_HOLE, sizes, 0x7fffffff);
        refused(&scene, FREE_FIRST, pair, granule_of(&scene, 1) + 1);
        refused(&scene, FREE_BEFORE_HOLE | GROW_BEFORE_HOLE, pair, 0);
        refused(&scene, FREE_BEFORE_HOLE | GROW_BEFORE_HOLE, sizes, *sizes + 1);
    }
    shmheap_disconnect(scene.mem);
}

/* The header and the list's entry agree on a length that ends at the top block, at the region's end
 * or behind it: a length that serves requests that the heap has no room for. */
static void wrong_hole_and_list(size_t granule, size_t len)
{
    for (unsigned top = 0; top <= 1; top++) {
        struct scene scene = scene_begin(granule, len, (int)top);
        struct control *control = control_of(&scene);
        struct shmheap *heap = scene.mem.heap;
        const uint64_t hole = granule_of(&scene, HOLE), end = heap->end,
                       till_top = control->top - hole;
        const uint64_t wrong[] = {till_top,   end - hole, till_top + 1, end - hole + 1,
                                  end + hole, 1 << 20,    0x7fffffff};
        uint64_t *header = block_header(heap, hole), right = *header;
        for (size_t i = 0; control->listed == 1 && i < sizeof wrong / sizeof *wrong; i++) {
            void *got = NULL;
            uint64_t most = heap->layout.granules_max;
            size_t all = block_payload_len(heap, wrong[i] < most ? wrong[i] : most);
            control->first[LIST_MAX] = (uint32_t)wrong[i];
            *header = wrong[i];
            struct test_snapshot before = test_snapshot_take(scene.mem);
            CHECK_REFUSED(shmheap_alloc(scene.mem, all) == NULL, EBADMSG);
            CHECK_REFUSED(shmheap_alloc_many(scene.mem, all, 1, &got) == 0, EBADMSG);
            CHECK_REFUSED(shmheap_alloc(scene.mem, len) == NULL, EBADMSG);
            CHECK_REFUSED(shmheap_alloc_many(scene.mem, len, 1, &got) == 0, EBADMSG);
            CHECK(test_snapshot_same(scene.mem, &before));
            test_snapshot_drop(&before);
        }
        *header = right;
        control->first[LIST_MAX] = (uint32_t)right;
        shmheap_disconnect(scene.mem);
    }
}

/* The bit of the hole's front says that it is no block. */
static void wrong_bits(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    uint64_t at = granule_of(&scene, HOLE), bit = UINT64_C(1) << at % CHUNK_GRANULES;
    struct chunk_bits *bits = &scene.mem.heap->bits[at / CHUNK_GRANULES];
    refused(&scene, ALLOC_HOLE, &bits->start, bits->start & ~bit);
    shmheap_disconnect(scene.mem);
}

static void wrong_object(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    uint64_t *header = block_header(scene.mem.heap, granule_of(&scene, 0)), right = *header,
             end = scene.mem.heap->end;
    const uint64_t rest = right & ~HEADER_SIZE_MASK,
                   wrong[] = {right + 1, right - 1, rest, rest | HEADER_SIZE_MASK,
                              rest | (end + 1)};
    for (size_t i = len < SPAN * granule ? 0 : 2; i < sizeof wrong / sizeof *wrong; i++)
        refused(&scene, FREE_FIRST, header, wrong[i]);
    shmheap_disconnect(scene.mem);
}

static void a_top_block_that_is_none(void) { for_all(wrong_top); }
static void a_top_block_where_none_is(void) { for_all(wrong_top_of_a_full_heap); }
static void a_free_block_with_another_header(void) { for_all(wrong_hole); }
static void a_list_with_other_blocks(void) { for_all(wrong_list); }
/* The owner of the lock has died: recovery believes no header that no process leaves, and the heap
 * is refused until the header is right. */
static void wrong_header_after_a_death(size_t granule, size_t len)
{
    struct scene scene = scene_begin(granule, len, 1);
    struct shmheap *heap = scene.mem.heap;
    uint64_t *free_header = block_header(heap, granule_of(&scene, HOLE)), free_right = *free_header,
             *header = block_header(heap, granule_of(&scene, 0)), right = *header;
    const struct {
        uint64_t *place, value;
    } wrong[] = {{free_header, free_right | UINT64_C(1) << HEADER_GENERATION_SHIFT},
                 {free_header, free_right | UINT64_C(1) << HEADER_SLOT_SHIFT},
                 {free_header, free_right + heap->end},
                 {header, right | (uint64_t)HEADER_STATE_MASK << HEADER_STATE_SHIFT},
                 {header, right & ~HEADER_SIZE_MASK},
                 {header, right + heap->end}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t was = *wrong[i].place, recoveries = test_stat(scene.mem).recoveries;
        *wrong[i].place = wrong[i].value;
        heap->control->lock = FUTEX_OWNER_DIED;
        CHECK_REFUSED(shmheap_alloc(scene.mem, 10) == NULL, EBADMSG);
        CHECK_EQ(heap->control->recoveries, recoveries);
        *wrong[i].place = was;
        CHECK_EQ(test_stat(scene.mem).recoveries, recoveries + 1);
        CHECK_SOUND(scene.mem);
    }
    shmheap_disconnect(scene.mem);
}

static void headers_after_a_death(void) { for_all(wrong_header_after_a_death); }
static void a_list_and_a_header_that_agree(void) { for_all(wrong_hole_and_list); }
static void a_free_block_that_begins_nowhere(void) { for_all(wrong_bits); }
static void an_object_with_another_length(void) { for_all(wrong_object); }

/* A length that the heap cannot have, or that the file does not have. */
static void a_length_that_cannot_be(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 4 * LEN, 0);
    struct control *control = mem.heap->control;
    uint64_t right = control->len, wrong[] = {0, right - SPAN, 2 * right, 8 * LEN, UINT64_MAX};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        control->len = wrong[i];
        CHECK_REFUSED(shmheap_find(mem, "a", NULL) == NULL, EBADMSG);
        control->len = right;
        CHECK_REFUSED(shmheap_find(mem, "a", NULL) == NULL, ENOENT);
    }
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(a_top_block_that_is_none),         TEST(a_top_block_where_none_is),
    TEST(a_free_block_with_another_header), TEST(a_list_with_other_blocks),
    TEST(a_list_and_a_header_that_agree),   TEST(headers_after_a_death),
    TEST(a_free_block_that_begins_nowhere), TEST(an_object_with_another_length),
    TEST(a_length_that_cannot_be)};
TEST_MAIN(tests)
