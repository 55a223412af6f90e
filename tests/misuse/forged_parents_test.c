/* A hostile peer writes the table of slots of a heap without a file: dead processes that descend
 * from each other, in a chain or a circle. A call looks at each pair of slots a few times at most.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>

#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { BYTES = 2 << 20, LOADS_OF_PAIR = 4 };

#define NO_PROCESS UINT64_C(0x3fffff) /* the highest pid that Linux can be told to give */
#define PID_SHIFT 32
#define PARENT_SHIFT 54

void (*shmheap_load_hook)(const void *word);

static uint64_t loads;

static void count_load(const void *word) { loads += word != NULL; }

/* Each slot but ours is dead, the next one's child, and the last one the child of `last`. */
static void slots_forge(shmheap_memory_handle mem, unsigned last)
{
    struct shmheap *heap = mem.heap;
    uint64_t space = slot_entry(heap, heap->slot)->word & UINT64_C(0xffffff00);
    for (unsigned slot = 1; slot < heap->slot_count; slot++) {
        uint64_t parent = slot + 1 < heap->slot_count ? slot + 1 : last;
        if (slot != heap->slot)
            slot_entry(heap, slot)->word =
                parent << PARENT_SHIFT | NO_PROCESS << PID_SHIFT | space | SLOT_BY_PID | SLOT_TAKEN;
    }
}

static void reap(shmheap_memory_handle mem) { CHECK(shmheap_reap(mem, 0) >= 0); }

static void remove_name(shmheap_memory_handle mem) { CHECK(shmheap_name_remove(mem, "name") >= 0); }

static int see_process(const shmheap_process_info *process, void *context)
{
    return (void)process, (void)context, 0;
}

static void see_processes(shmheap_memory_handle mem)
{
    CHECK(shmheap_processes(mem, see_process, NULL) >= 0);
}

static void check_cost(void (*call)(shmheap_memory_handle), unsigned last)
{
    shmheap_memory_handle mem;
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    CHECK(shmheap_alloc_kept(mem, "name", 10) != NULL);
    unsigned slots = mem.heap->slot_count;
    CHECK(slots > 1000);
    slots_forge(mem, last);
    loads = 0;
    shmheap_load_hook = count_load;
    call(mem);
    shmheap_load_hook = NULL;
    CHECK_LE(loads, (uint64_t)slots * slots * LOADS_OF_PAIR);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    CHECK_EQ(munmap(memory, BYTES), 0);
}

static void check_costs(unsigned last)
{
    check_cost(reap, last);
    check_cost(remove_name, last);
    check_cost(see_processes, last);
}

static void a_chain_of_parents(void) { check_costs(0); }
static void a_circle_of_parents(void) { check_costs(2); }
static void a_parent_beyond_the_table(void) { check_costs(SLOTS_MAX); }

static const struct test tests[] = {TEST(a_chain_of_parents), TEST(a_circle_of_parents),
                                    TEST(a_parent_beyond_the_table)};
TEST_MAIN(tests)
