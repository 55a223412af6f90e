/* snapshot.c: reads what a picture of a heap shows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/map/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned size_class(uint64_t size)
{
    unsigned class = 0;
    while (size >>= 1)
        class ++;
    return class < SIZE_CLASSES ? class : SIZE_CLASSES - 1;
}

static void tally_add(struct tally *tally, uint64_t bytes)
{
    tally->blocks++;
    tally->bytes += bytes;
}

static int add_block(const shmheap_block_info *block, void *context)
{
    struct snapshot *snapshot = context;
    if ((unsigned)block->state >= SEGMENT_STATES)
        return 0;
    struct owner *owner = &snapshot->owners[block_owner(block)];
    int is_free = block->state == SHMHEAP_STATE_FREE;
    owner->blocks++;
    owner->bytes += block->size;
    tally_add(&snapshot->states[block->state], block->size);
    tally_add(&(is_free ? snapshot->holes : snapshot->used)[size_class(block->size)], block->size);
    if (!is_free)
        snapshot->used_end = block->offset + block->len;
    return segments_add(&snapshot->segments, block) ? ENOMEM : 0;
}

static int add_process(const shmheap_process_info *process, void *context)
{
    struct snapshot *snapshot = context;
    if (process->slot == 0 || process->slot >= OWNER_DEPARTED)
        return 0;
    snapshot->owners[process->slot].is_known = 1;
    snapshot->owners[process->slot].process = *process;
    return 0;
}

static int add_name(const shmheap_name_info *name, void *context)
{
    struct snapshot *snapshot = context;
    snapshot->names_in_heap++;
    if (snapshot->name_count == MOST_NAMES)
        return 0;
    snapshot->names[snapshot->name_count++] = *name;
    return 0;
}

static int name_order(const void *a, const void *b)
{
    uint64_t x = ((const shmheap_name_info *)a)->offset, y = ((const shmheap_name_info *)b)->offset;
    return (x > y) - (x < y);
}

/* Gives colours to the processes that hold the most bytes. */
static void rank_owners(struct snapshot *snapshot)
{
    struct owner *owners = snapshot->owners;
    for (unsigned slot = 0; slot < OWNERS; slot++)
        owners[slot].color = COLOR_OTHERS;
    owners[OWNER_DIED].color = COLOR_DIED;
    owners[OWNER_DEPARTED].color = COLOR_DEPARTED;
    owners[OWNER_NONE].color = COLOR_NONE;
    for (snapshot->ranked_count = 0; snapshot->ranked_count < OWNER_COLORS;) {
        unsigned most = OWNER_DIED;
        for (unsigned slot = 1; slot < OWNER_DEPARTED; slot++)
            if (owners[slot].blocks && owners[slot].color == COLOR_OTHERS &&
                (most == OWNER_DIED || owners[slot].bytes > owners[most].bytes))
                most = slot;
        if (most == OWNER_DIED)
            return;
        owners[most].color = snapshot->ranked_count;
        snapshot->ranked[snapshot->ranked_count++] = most;
    }
}

static void forget(struct snapshot *snapshot)
{
    size_t most = snapshot->segments.most;
    shmheap_name_info *names = snapshot->names;
    segments_free(&snapshot->segments);
    memset(snapshot, 0, sizeof *snapshot);
    snapshot->segments.most = most;
    snapshot->names = names;
}

/* heap_inspect may call it twice. */
static int inspect(shmheap_memory_handle mem, void *context)
{
    struct snapshot *snapshot = context;
    forget(snapshot);
    if (shmheap_stat(mem, &snapshot->stats))
        return -1;
    int stopped = shmheap_walk(mem, add_block, snapshot);
    if (stopped > 0)
        errno = stopped;
    if (stopped || shmheap_processes(mem, add_process, snapshot) ||
        shmheap_names(mem, add_name, snapshot))
        return -1;
    return 0;
}

static int start(size_t most, struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof *snapshot);
    snapshot->segments.most = most;
    snapshot->names = calloc(MOST_NAMES, sizeof *snapshot->names);
    if (snapshot->names)
        return 0;
    errno = ENOMEM;
    return -1;
}

static int finish(struct snapshot *snapshot)
{
    if (snapshot->name_count)
        qsort(snapshot->names, snapshot->name_count, sizeof *snapshot->names, name_order);
    rank_owners(snapshot);
    return 0;
}

int snapshot_read(const struct heap_ref *ref, size_t most, struct snapshot *snapshot)
{
    if (start(most, snapshot) || heap_inspect(ref, inspect, snapshot))
        return -1;
    return finish(snapshot);
}

int snapshot_read_from(shmheap_memory_handle mem, size_t most, struct snapshot *snapshot)
{
    if (start(most, snapshot) || inspect(mem, snapshot))
        return -1;
    return finish(snapshot);
}

void snapshot_free(struct snapshot *snapshot)
{
    segments_free(&snapshot->segments);
    free(snapshot->names);
    snapshot->names = NULL;
}

const char *owner_text(const struct snapshot *snapshot, unsigned owner)
{
    static char text[64];
    const shmheap_process_info *process = &snapshot->owners[owner].process;
    if (owner == OWNER_DIED)
        return "dead processes whose slots were reused";
    if (owner == OWNER_DEPARTED)
        return "processes that disconnected";
    if (owner == OWNER_NONE)
        return "no single process";
    if (snapshot->owners[owner].is_known)
        snprintf(text, sizeof text, "pid %lld (%.16s)%s", (long long)process->pid, process->name,
                 process->alive ? "" : ", dead");
    else
        snprintf(text, sizeof text, "slot %u, gone", owner);
    return text;
}
