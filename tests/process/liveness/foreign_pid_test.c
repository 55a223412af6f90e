/* The pid of another namespace, or of one that is not known, tells nothing about a process here:
 * its holder counts as living, also where no process of that number lives. Needs no namespace. Nor
 * does a process's name tell that it has ended.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { BYTES = 1 << 20 };

static void hold_and_die(void *context)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_attach_at(&mem, context, BYTES), 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    _exit(0); /* as a death */
}

static uint64_t namespace_of(uint64_t word)
{
    return word >> SLOT_NAMESPACE_SHIFT & SLOT_NAMESPACE_MASK;
}

static uint64_t with_namespace(uint64_t word, uint64_t number)
{
    const uint64_t mask = (uint64_t)SLOT_NAMESPACE_MASK << SLOT_NAMESPACE_SHIFT;
    return (word & ~mask) | (number << SLOT_NAMESPACE_SHIFT & mask);
}

static void of_another_namespace(void)
{
    void *memory = test_shared(BYTES);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    test_in_child(hold_and_die, memory);
    unsigned slot = 1;
    while (slot == mem.heap->slot || slot_state_of(mem.heap, slot) != SLOT_TAKEN)
        slot++;
    uint64_t *word = &slot_entry(mem.heap, slot)->word, right = *word, own = namespace_of(right);
    CHECK(own != 0);
    const uint64_t others[] = {0, own ^ 1, own ^ 0x800000, own ^ 0xffffff};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        *word = with_namespace(right, others[i]);
        CHECK_EQ(test_stat(mem).dead, 0);
        CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
        CHECK_EQ(*word, with_namespace(right, others[i]));
    }
    *word = right;
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    test_unshare(memory, BYTES);
}

/* The pid was given to another process since: another start time. */
static void of_a_process_that_began_later(void)
{
    void *memory = test_shared(BYTES);
    shmheap_memory_handle mem, other;
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    CHECK_EQ(shmheap_attach_at(&other, memory, BYTES), 0);
    CHECK(shmheap_alloc(other, 100) != NULL);
    uint64_t *ticks = &slot_entry(mem.heap, other.heap->slot)->start_ticks, right = *ticks;
    CHECK_EQ(test_stat(mem).dead, 0);
    *ticks = right - 1;
    CHECK_EQ(test_stat(mem).dead, 1);
    *ticks = right;
    CHECK_EQ(test_stat(mem).dead, 0);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
    test_unshare(memory, BYTES);
}

/* struct stage is shared by a process and the child that has a name. */
struct stage {
    void *memory;
    int holds; /* the child has an object */
};

static void hold_with_a_name(void *context)
{
    struct stage *stage = context;
    shmheap_memory_handle mem;
    CHECK_EQ(prctl(PR_SET_NAME, "a) Z 1 1"), 0);
    CHECK_EQ(shmheap_attach_at(&mem, stage->memory, BYTES), 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    __atomic_store_n(&stage->holds, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
}

/* In /proc/PID/stat the name stands between brackets, before the state. This one reads as if the
 * process had ended. */
static void of_a_process_named_like_a_zombie(void)
{
    struct stage *stage = test_shared(sizeof *stage);
    shmheap_memory_handle mem;
    stage->memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&mem, stage->memory, BYTES, NULL), 0);
    pid_t child = test_fork(hold_with_a_name, stage);
    while (!__atomic_load_n(&stage->holds, __ATOMIC_ACQUIRE))
        sched_yield();
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(shmheap_reap(mem, 0), 0);
    test_kill(child);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    test_unshare(stage->memory, BYTES);
    test_unshare(stage, sizeof *stage);
}

static const struct test tests[] = {TEST(of_another_namespace), TEST(of_a_process_that_began_later),
                                    TEST(of_a_process_named_like_a_zombie)};
TEST_MAIN(tests)
