/* block.c: headers, granules and pointers, alignment, and the walk over any bytes at all.
 * SPDX-License-Identifier: Apache-2.0 */
#include "frame/scene.h"

#include "c/src/block/bits.c"

PROOF(select)
{
    uint64_t condition = any_u64(), yes = any_u64(), no = any_u64();
    HOLDS(opaque_copy(yes) == yes);
    HOLDS(select_u64_of_core(condition, yes, no) == select_u64(condition, yes, no));
}

/* A header is its parts, and says what its state says. */
PROOF(header)
{
    struct block in = {any_in(0, HEADER_SIZE_MASK), (unsigned)any_in(0, HEADER_STATE_MASK),
                       (unsigned)any_in(0, HEADER_SLOT_MASK), (unsigned)any_in(0, GENERATION_MASK)};
    uint64_t header = header_make(in.size, in.state, in.slot, in.generation);
    struct block out = header_open(header);
    HOLDS(out.size == in.size && out.state == in.state);
    HOLDS(out.slot == in.slot && out.generation == in.generation);
    int live = in.state == SHMHEAP_STATE_USED || in.state == SHMHEAP_STATE_SHARED;
    HOLDS(header_is_live(header) == live);
    HOLDS(in.size >= UPPER_SIZES || upper_is_live(header_upper(header)) == live);
    HOLDS(header_is_free(header) == (in.state == 0 && in.slot == 0 && in.generation == 0));
    HOLDS(header_is_free(header_free(in.size)) && header_size(header_free(in.size)) == in.size);
}

/* A connection to a heap of any length. */
static void connect_any(void) { scene_connect(any_in(1, GRANULES)); }

/* A pointer names a block if and only if a payload can begin there. */
PROOF(pointer)
{
    connect_any();
    uint64_t granule = any_in(0, GRANULES - 1);
    GIVEN(granule < our_heap.end);
    HOLDS(block_of_pointer(&our_heap, block_payload(&our_heap, granule)) == granule);
    HOLDS((unsigned char *)block_payload(&our_heap, granule) ==
          (unsigned char *)block_header(&our_heap, granule) + HEADER_SIZE);
    uintptr_t address = (uintptr_t)any_u64();
    uint64_t found = block_of_pointer(&our_heap, (const void *)address);
    HOLDS(found == GRANULE_NONE || found < our_heap.end);
    if (found != GRANULE_NONE)
        HOLDS(address == (uintptr_t)block_payload(&our_heap, found));
}

/* A block for any length is the shortest that has room for it. */
PROOF(granules)
{
    connect_any();
    size_t len = (size_t)any_u64();
    uint64_t size = block_granules(&our_heap, len);
    if (len > SIZE_MAX / 2) {
        HOLDS(size == 0);
        return;
    }
    HOLDS(size >= BLOCK_MIN && block_payload_len(&our_heap, size) >= len);
    HOLDS(size == BLOCK_MIN || block_payload_len(&our_heap, size - 1) < len);
}

/* The first place from granule on that is aligned, with no gap or one that a block fits in. */
PROOF(align)
{
    connect_any();
    uint64_t granule = any_in(0, GRANULES - 1), alignment = UINT64_C(1)
                                                            << any_in(SHIFT == 3 ? 4 : 5, 24);
    uint64_t at = block_align(&our_heap, granule, alignment), gap = at - granule;
    uint64_t address = (uint64_t)(uintptr_t)region + block_payload_off(&our_heap, at);
    HOLDS(at >= granule && address % alignment == 0);
    HOLDS(gap == 0 || gap >= BLOCK_MIN);
    HOLDS(gap < (alignment >> SHIFT) + BLOCK_MIN);
}

/* Whatever bytes the region has: the walk reads nothing outside it, and ends. */
PROOF(walk)
{
    any_bytes(region, sizeof region);
    scene_connect(any_in(1, GRANULES));
    struct block_step step = {0, 0, 0};
    enum block_walk walk;
    uint64_t steps = 0;
    while ((walk = block_walk_at(&our_heap, &step, our_heap.end)) == BLOCK_WALK_BLOCK) {
        HOLDS(step.size >= BLOCK_MIN && step.granule + step.size <= our_heap.end);
        block_walk_next(&step);
        steps++;
    }
    HOLDS(steps * BLOCK_MIN <= our_heap.end);
    HOLDS((walk == BLOCK_WALK_END) == (step.granule == our_heap.end));
}
