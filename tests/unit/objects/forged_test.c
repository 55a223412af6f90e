/* Bytes inside an object look like the object's own header: no call takes the place behind them for
 * an object.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { LEN = 1 << 20, WARM = 64, OBJECT_LEN = 200, INSIDE = 64 };

/* Writes a copy of the object's header in front of the place inside it. */
static char *forge(char *object)
{
    memcpy(object + INSIDE - HEADER_SIZE, object - HEADER_SIZE, HEADER_SIZE);
    return object + INSIDE;
}

static void check_no_object(shmheap_memory_handle mem, char *place)
{
    void *places[] = {place};
    CHECK_REFUSED(shmheap_try_free(mem, place) == -1, EINVAL);
    CHECK_REFUSED(shmheap_free_many(mem, places, 1) == 0, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, place, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, place, OBJECT_LEN + 100) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_usable_size(mem, place) == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, place).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send(mem, place).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(mem, place, &(uint64_t){1}, 1).bits == 0, EINVAL);
}

/* A handle of the place inside: one of the object, moved by so many granules. */
static shmheap_object_handle moved(shmheap_memory_handle mem, shmheap_object_handle handle)
{
    handle.bits += INSIDE >> mem.heap->shift;
    return handle;
}

static void a_forged_header(unsigned flags, size_t alignment)
{
    shmheap_memory_handle mem = test_anonymous_with(LEN, alignment, flags);
    void *warm[WARM];
    for (unsigned i = 0; i < WARM; i++) /* a cache then has blocks and room of this size */
        CHECK((warm[i] = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
    for (unsigned i = 0; i < WARM; i++)
        CHECK_EQ(shmheap_try_free(mem, warm[i]), 0);
    char *object = shmheap_alloc(mem, OBJECT_LEN), *place = forge(object);
    check_no_object(mem, place);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, object);
    forge(object); /* in state shared */
    check_no_object(mem, place);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, moved(mem, handle)) == NULL, ESTALE);
    shmheap_object_handle sent = shmheap_send(mem, object);
    forge(object); /* in transit */
    CHECK_REFUSED(shmheap_receive(mem, moved(mem, sent)) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_peek(mem, moved(mem, sent), 0, &(char){0}, 1) == 0, ESTALE);
    check_no_object(mem, place);
    CHECK_PTR(shmheap_receive(mem, sent), object);
    forge(object);
    CHECK_REFUSED(shmheap_put_back(mem, moved(mem, sent)) == -1, ESTALE);
    CHECK_SOUND(mem);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    shmheap_disconnect(mem);
}

static void in_an_object(void)
{
    a_forged_header(0, 8);
    a_forged_header(0, 16);
}
static void in_an_object_of_a_cache(void)
{
    a_forged_header(SHMHEAP_CACHED, 8);
    a_forged_header(SHMHEAP_CACHED, 16);
}

/* An object of a process that departed stays, also where its bytes look like a cache's line. */
static void an_object_like_the_line_of_a_cache(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), leaving = test_connect_again(mem, 0);
    struct cache_line *line = shmheap_alloc(leaving, sizeof *line);
    CHECK(line != NULL);
    memset(line, 0, sizeof *line);
    line->kind = INTERNAL_CACHE;
    char *there = (char *)shmheap_underlying(mem) + test_offset(leaving, line);
    shmheap_disconnect(leaving);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_EQ(shmheap_usable_size(mem, there), sizeof *line);
    CHECK_EQ(shmheap_try_free(mem, there), 0);
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(in_an_object), TEST(in_an_object_of_a_cache),
                                    TEST(an_object_like_the_line_of_a_cache)};
TEST_MAIN(tests)
