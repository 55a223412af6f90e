/* aftermath.c: what must hold after a run: a sound heap, known results, nothing lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tests/schedule/schedule.h"

enum { BLOCKS_MAX = 256, NAMES_MAX = 16 };

/* Outcome ----------------------------------------------------------------- */

static uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 29;
}

/* Not the generations: they count the calls of all actors. */
static int block_mix(const shmheap_block_info *block, void *context)
{
    uint64_t *sum = context;
    *sum = mix(*sum, block->offset);
    *sum = mix(*sum, block->size);
    *sum = mix(*sum, (uint64_t)block->state << 16 | block->slot);
    if (stage->tells)
        printf("         block %llu, %llu bytes, state %d, slot %u\n",
               (unsigned long long)block->offset, (unsigned long long)block->size,
               (int)block->state, block->slot);
    return 0;
}

/* The results of a dead actor are not compared: its last call may be done without a result. */
uint64_t aftermath_outcome(void)
{
    uint64_t sum = 1;
    for (unsigned i = 0; i < stage->count; i++) {
        const struct actor *actor = &stage->actors[i];
        sum = mix(sum, actor->state == ACTOR_DEAD);
        for (unsigned k = 0; k < actor->result_count && actor->state != ACTOR_DEAD; k++) {
            sum = mix(sum, actor->results[k]);
            if (stage->tells)
                printf("         result of %u: %#llx\n", i, (unsigned long long)actor->results[k]);
        }
    }
    if (shmheap_walk(director_mem, block_mix, &sum) != 0)
        stage_fail("the blocks cannot be walked");
    return sum;
}

/* Soundness --------------------------------------------------------------- */

void aftermath_sound(void)
{
    shmheap_report report;
    memset(&report, 0, sizeof report);
    int result = shmheap_check(director_mem, &report);
    if (result != 0)
        stage_fail("shmheap_check is %d: rule %u at %llu, expected %#llx, found %#llx: %s", result,
                   report.rule, (unsigned long long)report.offset,
                   (unsigned long long)report.expected, (unsigned long long)report.found,
                   report.text);
}

/* Emptying ---------------------------------------------------------------- */

static struct {
    shmheap_block_info blocks[BLOCKS_MAX];
    unsigned block_count;
    char names[NAMES_MAX][256];
    unsigned name_count;
} left;

static int block_add(const shmheap_block_info *block, void *context)
{
    (void)context;
    if (block->state != SHMHEAP_STATE_FREE && left.block_count < BLOCKS_MAX)
        left.blocks[left.block_count++] = *block;
    return 0;
}

static int name_add(const shmheap_name_info *name, void *context)
{
    (void)context;
    if (left.name_count < NAMES_MAX)
        memcpy(left.names[left.name_count++], name->name, sizeof name->name);
    return 0;
}

static void names_empty(void)
{
    left.name_count = 0;
    if (shmheap_names(director_mem, name_add, NULL) != 0)
        stage_fail("the names cannot be listed");
    for (unsigned i = 0; i < left.name_count; i++)
        if (shmheap_name_remove(director_mem, left.names[i]) != 0)
            stage_fail("the name %s cannot be removed", left.names[i]);
}

/* The handle under which the object in transit can be received. */
static shmheap_object_handle handle_of(const shmheap_block_info *block)
{
    const struct shmheap *heap = director_mem.heap;
    uint64_t granule = (block->offset - 16) >> heap->shift;
    shmheap_object_handle handle = {
        heap->handle_tag | (uint64_t)block->generation << HANDLE_GENERATION_SHIFT | granule};
    return handle;
}

static void block_empty(const shmheap_block_info *block)
{
    char *ptr = (char *)shmheap_underlying(director_mem) + block->offset;
    if (block->state == SHMHEAP_STATE_SENT &&
        shmheap_receive(director_mem, handle_of(block)) != ptr)
        stage_fail("the object at %llu cannot be received", (unsigned long long)block->offset);
    if (shmheap_try_free(director_mem, ptr) != 0)
        stage_fail("the block at %llu, state %d, cannot be freed",
                   (unsigned long long)block->offset, (int)block->state);
}

/* All actors have disconnected or died. */
void aftermath_empty(void)
{
    shmheap_stats stats;
    if (shmheap_reap(director_mem, SHMHEAP_REAP_SHARED) < 0)
        stage_fail("reaping fails");
    names_empty();
    left.block_count = 0;
    if (shmheap_walk(director_mem, block_add, NULL) != 0)
        stage_fail("the blocks cannot be walked");
    for (unsigned i = 0; i < left.block_count && stage->failure[0] == 0; i++)
        block_empty(&left.blocks[i]);
    aftermath_sound();
    if (shmheap_stat(director_mem, &stats) != 0 || stats.used_blocks != 0 || stats.used_bytes != 0)
        stage_fail("the heap is not empty: %llu blocks are left",
                   (unsigned long long)stats.used_blocks);
    if (stats.processes != 1 || stats.dead != 0)
        stage_fail("slots are left: %u of living processes, %u of dead ones", stats.processes,
                   stats.dead);
}
