/* Slots of departed and dead processes are given to the next process, and blocks keep the slot that
 * names their owner.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/test.h"

/* More often than there are slots, each time leaving an object behind. */
static void disconnecting_gives_the_slot_back(void)
{
    enum { TIMES = 3000 };
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0), other;
    unsigned own = test_own_slot(mem);
    size_t times = 1100 + test_rounds(TIMES - 1100);
    for (size_t i = 0; i < times; i++) {
        CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
        void *ptr = shmheap_alloc(other, 10);
        CHECK(ptr != NULL);
        test_fill(ptr, 10, i);
        shmheap_disconnect(other);
    }
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(test_stat(mem).used_blocks, times);
    CHECK_EQ(test_own_slot(mem), own);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    for (size_t i = 0; i < times; i++) {
        char *ptr = (char *)shmheap_underlying(mem) + 16 + 32 * i;
        CHECK(test_filled(ptr, 10, i));
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

/* Slots in a pattern: every third one of a living connection, of one that left in order, and of
 * a process that died. Three does not divide 64, so that in no word of 64 slots any other would
 * do. */
enum {
    PATTERN = 200,
    PATTERN_FROM = 2 /* slot 1 is the looker's */,
    KIND_ALIVE = 0,
    KIND_LEFT = 1,
    KIND_DEAD = 2
};

struct pattern {
    shmheap_memory_handle looker, mems[PATTERN];
    uint64_t offsets[PATTERN];
};

/* Every process of the pattern shares an object, which stays when the process dies. */
static void pattern_share(struct pattern *pattern, unsigned i, shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 10);
    CHECK(ptr != NULL && shmheap_ptr_to_handle(mem, ptr).bits != 0);
    pattern->offsets[i] = test_offset(mem, ptr);
    CHECK_EQ(test_own_slot(mem), PATTERN_FROM + i);
}

static void pattern_connect(struct pattern *pattern, unsigned i)
{
    CHECK_EQ(shmheap_open_fd(&pattern->mems[i], shmheap_fd(pattern->looker), NULL), 0);
}

struct pattern_dying {
    struct pattern *pattern;
    unsigned i;
};

static void pattern_take_and_die(void *context)
{
    const struct pattern_dying *dying = context;
    pattern_connect(dying->pattern, dying->i);
    pattern_share(dying->pattern, dying->i, dying->pattern->mems[dying->i]);
}

/* Each takes the next slot. */
static struct pattern *pattern_begin(void)
{
    struct pattern *pattern = test_shared(sizeof *pattern);
    pattern->looker = test_anonymous(1 << 20, 0, 0);
    CHECK_EQ(test_own_slot(pattern->looker), 1);
    for (unsigned i = 0; i < PATTERN; i++) {
        struct pattern_dying dying = {pattern, i};
        if (i % 3 == KIND_DEAD) {
            test_in_child(pattern_take_and_die, &dying);
        } else {
            pattern_connect(pattern, i);
            pattern_share(pattern, i, pattern->mems[i]);
        }
    }
    for (unsigned i = 0; i < PATTERN; i++)
        if (i % 3 == KIND_LEFT)
            shmheap_disconnect(pattern->mems[i]);
    return pattern;
}

/* Each block names its owner's slot: 1023 for a departed, 0 for a dead process. */
static int pattern_check_block(const shmheap_block_info *block, void *context)
{
    const struct pattern *pattern = context;
    for (unsigned i = 0; i < PATTERN; i++)
        if (block->state != SHMHEAP_STATE_FREE && block->offset == pattern->offsets[i])
            CHECK_EQ(block->slot, i % 3 == KIND_ALIVE  ? PATTERN_FROM + i
                                  : i % 3 == KIND_LEFT ? 1023
                                                       : 0);
    return 0;
}

static void slots_go_to_the_next_and_blocks_say_whose_they_were(void)
{
    struct pattern *pattern = pattern_begin();
    const unsigned alive = (PATTERN + 2) / 3, dead = PATTERN / 3;
    CHECK_EQ(test_stat(pattern->looker).processes, 1 + alive);
    CHECK_EQ(test_stat(pattern->looker).dead, dead);
    CHECK_EQ(shmheap_reap(pattern->looker, 0), 0);
    CHECK_EQ(test_stat(pattern->looker).processes, 1 + alive);
    CHECK_EQ(test_stat(pattern->looker).dead, 0);
    CHECK_SOUND(pattern->looker);
    CHECK_EQ(shmheap_walk(pattern->looker, pattern_check_block, pattern), 0);
    for (unsigned i = 0; i < PATTERN; i++)
        if (i % 3 != KIND_ALIVE) { /* the lowest slot that is free */
            pattern_connect(pattern, i);
            CHECK_EQ(test_own_slot(pattern->mems[i]), PATTERN_FROM + i);
        }
    CHECK_EQ(shmheap_reap(pattern->looker, SHMHEAP_REAP_SHARED), dead);
    CHECK_EQ(test_stat(pattern->looker).used_blocks, PATTERN - dead);
    CHECK_SOUND(pattern->looker);
    for (unsigned i = 0; i < PATTERN; i++)
        shmheap_disconnect(pattern->mems[i]);
    shmheap_disconnect(pattern->looker);
    test_unshare(pattern, sizeof *pattern);
}

/* A process that has locked a slot's byte is about to take the slot, though the entry does not say
 * so yet. */
static void a_slot_that_another_is_just_taking_is_left_to_it(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0), other;
    const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 1};
    char path[64];
    CHECK_EQ(test_own_slot(mem), 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", shmheap_fd(mem));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    CHECK_EQ(test_own_slot(other), 3);
    CHECK_EQ(test_stat(mem).processes, 2);
    CHECK(close(fd) == 0);
    shmheap_disconnect(other);
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    CHECK_EQ(test_own_slot(other), 2);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(disconnecting_gives_the_slot_back),
                                    TEST(slots_go_to_the_next_and_blocks_say_whose_they_were),
                                    TEST(a_slot_that_another_is_just_taking_is_left_to_it)};
TEST_MAIN(tests)
