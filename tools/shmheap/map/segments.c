/* segments.c: the blocks of a heap in the order of addresses, with small neighbours combined.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/map/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

unsigned block_owner(const shmheap_block_info *block)
{
    int is_held = block->state == SHMHEAP_STATE_USED || block->state == SHMHEAP_STATE_SHARED ||
                  block->state == SHMHEAP_STATE_CACHED;
    return is_held && block->slot <= OWNER_DEPARTED ? block->slot : OWNER_NONE;
}

/* The vote of Boyer and Moore: an owner of more than half of the owned bytes wins in any order. */
static void vote(struct segment *into, unsigned owner, uint64_t weight)
{
    if (owner == OWNER_NONE)
        return;
    if (into->owner == owner) {
        into->weight += weight;
    } else if (into->owner == OWNER_NONE || weight > into->weight) {
        into->weight = into->owner == OWNER_NONE ? weight : weight - into->weight;
        into->owner = owner;
    } else {
        into->weight -= weight;
    }
}

static void combine(struct segment *into, const struct segment *next)
{
    uint64_t end = next->offset + next->size;
    into->blocks += next->blocks;
    for (int state = 0; state < SEGMENT_STATES; state++)
        into->bytes[state] += next->bytes[state];
    if (end > into->offset + into->size)
        into->size = end - into->offset;
    vote(into, next->owner, next->weight);
}

/* Whether next, which follows last, belongs to the same segment. */
static int is_joined(const struct segment *last, const struct segment *next, uint64_t cell_len)
{
    return last->size < 2 * cell_len && next->size < cell_len &&
           !(last->blocks == 1 && last->size >= cell_len) &&
           last->offset / cell_len == next->offset / cell_len;
}

void segments_coarsen(struct segments *segments, uint64_t cell_len)
{
    size_t kept = 0;
    if (cell_len <= segments->cell_len)
        return;
    segments->cell_len = cell_len;
    for (size_t i = 1; i < segments->count; i++) {
        if (is_joined(&segments->list[kept], &segments->list[i], cell_len))
            combine(&segments->list[kept], &segments->list[i]);
        else
            segments->list[++kept] = segments->list[i];
    }
    if (segments->count)
        segments->count = kept + 1;
}

static int make_room(struct segments *segments)
{
    while (segments->count >= segments->most)
        segments_coarsen(segments, 2 * segments->cell_len);
    if (segments->count < segments->room)
        return 0;
    size_t room = segments->room ? 2 * segments->room : 256;
    struct segment *bigger = reallocarray(segments->list, room, sizeof *bigger);
    if (!bigger) {
        errno = ENOMEM;
        return -1;
    }
    segments->list = bigger;
    segments->room = room;
    return 0;
}

int segments_add(struct segments *segments, const shmheap_block_info *block)
{
    struct segment next = {.offset = block->offset - (block->size - block->len),
                           .size = block->size,
                           .blocks = 1,
                           .owner = block_owner(block)};
    if ((unsigned)block->state >= SEGMENT_STATES)
        return 0;
    next.bytes[block->state] = block->size;
    next.weight = next.owner == OWNER_NONE ? 0 : block->size;
    if (segments->cell_len == 0)
        segments->cell_len = 1;
    if (segments->count) {
        struct segment *last = &segments->list[segments->count - 1];
        if (is_joined(last, &next, segments->cell_len)) {
            combine(last, &next);
            return 0;
        }
    }
    if (make_room(segments))
        return -1;
    segments->list[segments->count++] = next;
    return 0;
}

void segments_free(struct segments *segments)
{
    free(segments->list);
    memset(segments, 0, sizeof *segments);
}

enum shmheap_state segment_state(const struct segment *segment)
{
    int most = SHMHEAP_STATE_FREE;
    for (int state = 1; state < SEGMENT_STATES; state++)
        if (segment->bytes[state] &&
            (most == SHMHEAP_STATE_FREE || segment->bytes[state] > segment->bytes[most]))
            most = state;
    return (enum shmheap_state)most;
}

uint64_t segment_used(const struct segment *segment)
{
    uint64_t used = 0;
    for (int state = 1; state < SEGMENT_STATES; state++)
        used += segment->bytes[state];
    return used;
}
