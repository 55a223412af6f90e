/* free_list.c: numbers of the free list move up and down, and searches find the first that fits.
 *
 * The numbers are any: the functions must also leave a list alone that a peer has written.
 * SPDX-License-Identifier: Apache-2.0 */
#include "frame/proof.h"

#include "frame/core.h"

#include "c/src/block/bits.c"
#include "c/src/free_set/free_list.h"

void (*shmheap_store_hook)(void);

#ifndef COUNT
#define COUNT 64 /* numbers in the list, at most */
#endif

static uint32_t our_numbers[LIST_MAX], were[LIST_MAX];

/* So many numbers, and zeros behind them. */
static void numbers_any(uint64_t count)
{
    for (unsigned i = 0; i < LIST_MAX; i++)
        were[i] = our_numbers[i] = i < count ? (uint32_t)any_u64() : 0;
}

PROOF(drop)
{
    uint64_t count = any_in(1, COUNT), place = any_in(0, COUNT - 1), any = any_in(0, LIST_MAX - 1);
    GIVEN(place < count);
    numbers_any(count);
    numbers_drop(our_numbers, count, place);
    uint32_t expected = any < place ? were[any] : any + 1 < LIST_MAX ? were[any + 1] : 0;
    HOLDS(our_numbers[any] == expected);
}

PROOF(insert)
{
    uint64_t count = any_in(0, COUNT - 1), place = any_in(0, COUNT - 1),
             any = any_in(0, LIST_MAX - 1);
    uint32_t number = (uint32_t)any_u64();
    GIVEN(place <= count);
    numbers_any(count);
    numbers_insert(our_numbers, count, place, number);
    HOLDS(our_numbers[any] == (any < place ? were[any] : any == place ? number : were[any - 1]));
}

/* The places above a bound, and those with a sum. */
PROOF(places)
{
    uint64_t count = any_in(0, LIST_MAX), any = any_in(0, LIST_MAX - 1);
    uint32_t bound = (uint32_t)any_in(0, INT32_MAX), value = (uint32_t)any_u64();
    numbers_any(count);
    int is_above = (int32_t)our_numbers[any] > (int32_t)bound;
    HOLDS((int)(above_of_64(our_numbers, count, bound) >> any & 1) == is_above);
    HOLDS((int)(sums_of_64(our_numbers, NULL, LIST_MAX, value) >> any & 1) ==
          (our_numbers[any] == value));
    HOLDS((int)(sums_of_64(our_numbers, our_numbers, LIST_MAX, value) >> any & 1) ==
          (our_numbers[any] + our_numbers[any] == value));
}
