/* bits.c: start and boundary bits, and searches in the words of a chunk, for any words at all.
 *
 * A search is compared with the plain definition: each bit after the other.
 * SPDX-License-Identifier: Apache-2.0 */
#include "frame/proof.h"

#include "frame/core.h"

#include "c/src/block/bits.c"
#include "c/src/free_set/free_set.h"

void (*shmheap_store_hook)(void);

enum { CHUNKS = 2, GRANULES = CHUNKS * CHUNK_GRANULES };

static struct chunk_bits our_bits[CHUNKS + 1];
static struct shmheap our_heap;

/* Two chunks with any bits, and the chunk behind the last one, whose bits are 0. */
static void chunks_any(void)
{
    for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
        our_bits[chunk].start = any_u64();
        our_bits[chunk].boundary = any_u64();
    }
    our_heap.bits = our_bits;
    our_heap.end = GRANULES;
}

static int start_at(uint64_t granule) { return our_bits[granule / 64].start >> granule % 64 & 1; }

/* So many granules from granule on, or before it, are no starts, and the next one is: the span. */
PROOF(span)
{
    chunks_any();
    uint64_t granule = any_in(0, CHUNK_GRANULES - 1), behind = any_in(1, 64);
    unsigned span = bits_span(&our_heap, granule);
    HOLDS(span >= 1 && span <= SPAN_FAR);
    if (behind < span)
        HOLDS(!start_at(granule + behind));
    if (behind == span)
        HOLDS(start_at(granule + behind));
}

PROOF(span_back)
{
    chunks_any();
    uint64_t granule = any_in(CHUNK_GRANULES, GRANULES - 1), before = any_in(1, 64);
    unsigned span = bits_span_back(&our_heap, granule);
    HOLDS(span >= 1 && span <= SPAN_FAR);
    if (before < span)
        HOLDS(!start_at(granule - before));
    if (before == span)
        HOLDS(start_at(granule - before));
}

/* starts_clear changes the bits of its range, and no others. */
PROOF(clear)
{
    chunks_any();
    uint64_t from = any_in(0, GRANULES - 1), to = any_in(0, GRANULES),
             any = any_in(0, GRANULES - 1);
    GIVEN(from <= to);
    int was = start_at(any);
    starts_clear(&our_heap, from, to);
    HOLDS(start_at(any) == (was && !(any >= from && any < to)));
    HOLDS(our_bits[CHUNKS].start == 0);
}

/* The run masks leave the bits that begin a run of n ones, and no others. */
PROOF(run_masks)
{
    uint64_t ones = any_u64(), n = any_in(1, RUN_MASK_MAX), left = ones;
    for (unsigned i = 0; i < RUN_MASK_STEPS; i++)
        left &= left >> run_masks[n].shifts[i];
    unsigned bit = (unsigned)any_in(0, 63);
    uint64_t run = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    int is_run = bit + n <= 64 && (ones >> bit & run) == run;
    HOLDS((int)(left >> bit & 1) == is_run);
}

/* binned_maybe has each free block of the size: start and boundary bits at its ends. */
PROOF(maybe)
{
    chunks_any();
    uint64_t granule = any_in(0, CHUNK_GRANULES - 1), size = any_in(1, BINS - 1);
    uint64_t next = granule + size, last = next - 1;
    uint64_t may = binned_maybe(our_bits, our_bits[0].start, our_bits[1].start, size);
    int ends = start_at(granule) && start_at(next) &&
               (our_bits[0].boundary & bit_of(granule)) != 0 &&
               (our_bits[last / 64].boundary & bit_of(last)) != 0;
    HOLDS((int)(may >> granule & 1) == ends);
}
