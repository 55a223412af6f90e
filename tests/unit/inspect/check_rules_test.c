/* The checker itself: for each numbered rule of FORMAT.md, heaps in which a peer has broken that
 * rule and no other, and the report names it, and the place.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The writes go to the places that FORMAT.md names, computed by layout.h from the segment's own
 * first bytes, as another program would; nothing of the connection is used. Each is undone
 * afterwards, and then the heap is sound again. */
#include <unistd.h>

#include "c/src/inspect/check.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/unit/inspect/breaks.h"
#include "tests/unit/inspect/target.h"

/* Breaking -------------------------------------------------------------- */

/* Reporting ------------------------------------------------------------- */

static void check_reported(shmheap_memory_handle mem, unsigned rule, unsigned way, uint64_t off)
{
    shmheap_report report;
    int result = shmheap_check(mem, &report);
    if (result != 1 || report.rule != rule || report.offset != off)
        test_fail(__FILE__, __LINE__,
                  "rule %u, way %u: shmheap_check is %d and names rule %u at %llu, not at %llu: %s",
                  rule, way, result, report.rule, (unsigned long long)report.offset,
                  (unsigned long long)off, report.text);
    CHECK(report.expected != report.found ||
          rule == 6); /* which gives a state and a slot's number */
    CHECK(strlen(report.text) > 10);
}

/* How many ways there were. A connection without the right to write sees the same. */
static unsigned break_all_ways(struct target *target, shmheap_memory_handle reader, unsigned rule,
                               uint64_t (*write)(struct target *, unsigned))
{
    unsigned done = 0;
    for (unsigned way = 0; way <= WAYS_MAX; way++) {
        uint64_t off = write(target, way);
        if (off == no_such_way)
            continue;
        check_reported(target->mem, rule, way, off);
        if (shmheap_valid(reader))
            check_reported(reader, rule, way, off);
        undo(target);
        CHECK_SOUND(target->mem);
        done++;
    }
    CHECK(done > 0 || (target->list && write == break_firsts));
    return done;
}

static void each_rule(struct target *target)
{
    const shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle reader = {NULL};
    unsigned done = 0;
    if (shmheap_fd(target->mem) >= 0)
        CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(target->mem), &options), 0);
    for (size_t i = 0; i < BREAKS; i++)
        done += break_all_ways(target, reader, breaks[i].rule, breaks[i].write);
    printf("  granule %u, %s, %s: %u damages\n", 1u << target->shift,
           target->list ? "list" : "size bins and tree",
           shmheap_valid(reader) ? "in a file, with a reader" : "in memory", done);
    if (shmheap_valid(reader))
        shmheap_disconnect(reader);
}

static void each_rule_is_reported(void)
{
    struct target target = {.list = 0};
    test_choose_core(0);
    for (int form = 0; form < 4; form++) {
        const size_t alignment = form % 2 == 0 ? 8 : 16;
        target.list = form / 2;
        target_in_file(&target, alignment);
        each_rule(&target);
        target_end(&target);
        target_in_memory(&target, alignment);
        each_rule(&target);
        target_end(&target);
    }
}

/* The same with a heap whose last block is in use: the top block is empty and lies at the end. */
static void the_top_block_of_a_full_heap(void)
{
    struct target target = {.list = 0};
    target_in_file(&target, 16);
    CHECK(shmheap_alloc(target.mem,
                        ((target.granules - target.top) << target.shift) - HEADER_SIZE) != NULL);
    CHECK_SOUND(target.mem);
    CHECK_EQ(target.control->top, target.granules);
    const uint64_t tops[] = {target.top, 0, target.granules + 1};
    for (unsigned i = 0; i < 3; i++) {
        poke_u64(&target, &target.control->top, tops[i]);
        check_reported(target.mem, 8, i, payload_off(&target, target.granules));
        undo(&target);
    }
    target_end(&target);
}

/* shmheap_check cannot report rule 2: every call that enters the heap reads the region's length,
 * and refuses. So shmheap_check says that it could not check, and check_heap, given such a heap,
 * names the rule. */
static void an_impossible_length(void)
{
    struct target target = {.list = 0};
    target_in_file(&target, 16);
    const uint64_t lens[] = {0,       REGION_LEN_MIN - 1, LEN - 1,   LEN - 4096,
                             MAX_LEN, MAX_LEN + 1,        UINT64_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        shmheap_report report;
        poke_u64(&target, &target.control->len, lens[i]);
        CHECK_REFUSED(shmheap_check(target.mem, &report) == -1, EBADMSG);
        CHECK_EQ(check_heap(target.mem.heap, &report), 1);
        CHECK_EQ(report.rule, 2);
        CHECK_EQ(report.expected, LEN);
        CHECK_EQ(report.found, lens[i]);
        undo(&target);
        CHECK_SOUND(target.mem);
    }
    target_end(&target);
}

static const struct test tests[] = {TEST(each_rule_is_reported), TEST(the_top_block_of_a_full_heap),
                                    TEST(an_impossible_length)};

TEST_MAIN(tests)
