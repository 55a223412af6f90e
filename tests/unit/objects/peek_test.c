/* Looking at an object in transit: the bytes are those that were sent, the length is the object's,
 * and nothing changes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/test.h"

enum { LEN = 65536, ROUNDS = 20000, LAG = 2, LONGEST = 16384 };

static shmheap_object_handle sent_of(shmheap_memory_handle mem, size_t len, unsigned seed)
{
    char *ptr = shmheap_alloc(mem, len);
    CHECK(ptr != NULL);
    test_fill(ptr, shmheap_usable_size(mem, ptr), seed);
    shmheap_object_handle handle = shmheap_send(mem, ptr);
    CHECK(handle.bits != 0);
    return handle;
}

/* Each part of objects of many lengths, seen from another mapping, which may be read-only. */
static void every_part(size_t alignment, unsigned flags)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, alignment), there;
    shmheap_options options = {0};
    options.flags = flags;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd(mem), &options), 0);
    for (size_t len = 0; len < 80; len += 7) {
        shmheap_object_handle handle = sent_of(mem, len, (unsigned)len);
        char whole[256], part[256], expected[256];
        size_t room = shmheap_peek(there, handle, 0, NULL, 0);
        CHECK(room >= len && room >= 8 && room < len + 32);
        CHECK_EQ(shmheap_peek(there, handle, 0, whole, room), room);
        test_fill(expected, room, (unsigned)len);
        CHECK(memcmp(whole, expected, room) == 0);
        for (size_t from = 0; from <= room; from++)
            for (size_t bytes = 0; bytes <= room - from; bytes++) {
                memset(part, 0x5a, sizeof part);
                CHECK_EQ(shmheap_peek(there, handle, (ptrdiff_t)from, part, bytes), room);
                CHECK(memcmp(part, expected + from, bytes) == 0 && part[bytes] == 0x5a);
                if (from == room)
                    continue;
                CHECK_EQ(shmheap_peek(there, handle, -(ptrdiff_t)(room - from), part, bytes), room);
                CHECK(memcmp(part, expected + from, bytes) == 0);
            }
        char *claimed = shmheap_receive(mem, handle);
        CHECK(claimed != NULL && test_filled(claimed, room, (unsigned)len));
        shmheap_free(mem, claimed);
    }
    CHECK_SOUND(mem);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

static void all_parts(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        every_part(alignment, 0);
        every_part(alignment, SHMHEAP_READ_ONLY);
    }
}

static void parts_outside(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16);
    shmheap_object_handle handle = sent_of(mem, 100, 1);
    char buffer[256];
    size_t room = shmheap_peek(mem, handle, 0, NULL, 0);
    CHECK_REFUSED(shmheap_peek(mem, handle, 0, buffer, room + 1) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, (ptrdiff_t)room + 1, buffer, 0) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, -(ptrdiff_t)room - 1, buffer, 0) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, -8, buffer, 9) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, 8, buffer, SIZE_MAX) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, PTRDIFF_MIN, buffer, SIZE_MAX) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, PTRDIFF_MAX, buffer, 8) == 0, ERANGE);
    CHECK_REFUSED(shmheap_peek(mem, handle, 0, NULL, 8) == 0, EINVAL);
    shmheap_disconnect(mem);
}

/* An object that lies where the region has grown since this connection looked. */
static void behind_the_known_end(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 20, 16), there;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd(mem), NULL), 0);
    shmheap_object_handle handle = sent_of(mem, 100000, 3);
    static char copy[100000], expected[100000];
    errno = 0;
    CHECK(shmheap_peek(there, handle, 0, copy, sizeof copy) >= sizeof copy);
    CHECK_EQ(errno, 0);
    test_fill(expected, sizeof expected, 3);
    CHECK(memcmp(copy, expected, sizeof copy) == 0);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

static const char *race_name;

/* What both processes see: done, looked at one, and then the handles of the objects in transit. */
enum { DONE, LOOKED, FIRST, HANDLES = FIRST + LAG };

static void claim_and_overwrite(shmheap_memory_handle mem, shmheap_object_handle handle)
{
    unsigned char *ptr = shmheap_receive(mem, handle);
    CHECK(ptr != NULL);
    for (size_t i = 0, len = shmheap_usable_size(mem, ptr); i < len; i++)
        ptr[i] = (unsigned char)i;
    shmheap_free(mem, ptr);
}

/* Sends objects that have one byte all over; claims, overwrites and frees each LAG objects
 * later. */
static void sends_without_rest(void *context)
{
    shmheap_memory_handle mem = test_connect(race_name);
    uint64_t *handles = shmheap_alloc_named(mem, "handles", HANDLES * 8);
    shmheap_object_handle sent[LAG] = {{0}};
    (void)context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t len = LONGEST - round % 512;
        unsigned char *ptr = shmheap_alloc(mem, len);
        CHECK(ptr != NULL);
        memset(ptr, (int)(1 + round % 255), shmheap_usable_size(mem, ptr));
        shmheap_object_handle handle = shmheap_send(mem, ptr);
        __atomic_store_n(&handles[FIRST + round % LAG], handle.bits, __ATOMIC_RELEASE);
        while (round == 0 && !__atomic_load_n(&handles[LOOKED], __ATOMIC_ACQUIRE))
            sched_yield(); /* until the other process has looked at one */
        if (round >= LAG)
            claim_and_overwrite(mem, sent[round % LAG]);
        sent[round % LAG] = handle;
    }
    __atomic_store_n(&handles[DONE], 1, __ATOMIC_RELEASE);
    shmheap_free(mem, handles);
    shmheap_disconnect(mem);
}

/* A peek that succeeds shows bytes of one moment: those that were sent. */
static void while_others_claim(void)
{
    race_name = test_name();
    shmheap_memory_handle mem = shmheap_create(race_name, 4 * LEN);
    uint64_t *handles = shmheap_alloc_named(mem, "handles", HANDLES * 8);
    CHECK(handles != NULL);
    memset(handles, 0, HANDLES * 8);
    pid_t child = test_fork(sends_without_rest, NULL);
    uint64_t seen = 0, turn = 0;
    while (!__atomic_load_n(&handles[DONE], __ATOMIC_ACQUIRE)) {
        static unsigned char copy[LONGEST + 64];
        shmheap_object_handle handle = {
            __atomic_load_n(&handles[FIRST + turn++ % LAG], __ATOMIC_ACQUIRE)};
        size_t room = shmheap_peek(mem, handle, 0, NULL, 0);
        if (room == 0 || shmheap_peek(mem, handle, 0, copy, room) != room)
            continue;
        for (size_t i = 1; i < room; i++)
            CHECK_EQ(copy[i], copy[0]);
        seen++;
        __atomic_store_n(&handles[LOOKED], 1, __ATOMIC_RELEASE);
    }
    test_join(child);
    printf("looked at %llu objects\n", (unsigned long long)seen);
    shmheap_free(mem, handles);
    CHECK_SOUND(mem);
    shmheap_destroy(race_name, mem);
}

static const struct test tests[] = {TEST(all_parts), TEST(parts_outside),
                                    TEST(behind_the_known_end), TEST(while_others_claim)};
TEST_MAIN(tests)
