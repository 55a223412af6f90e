/* sort.c: the sort of cached blocks: insertion sort for few entries, radix sort for many.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sort.h"

#include <string.h>

/* RUN_LEAST: the mean length of runs from which on sorting saves too little. SORT_SHORT: up to so
 * many entries the insertion sort is faster. Digits of addresses, from bit DIGIT_FIRST on; the
 * bits below are equal in all. */
enum { RUN_LEAST = 8, SORT_SHORT = 24, DIGIT_FIRST = 3, DIGIT_BITS = 6, DIGITS = 1 << DIGIT_BITS };

/* One pass: copies `from` into `to`, in the order of the digit at shift. */
static void entries_sort_digit(const struct cache_entry *from, struct cache_entry *to,
                               unsigned count, unsigned shift)
{
    unsigned place[DIGITS + 1] = {0};
    for (unsigned i = 0; i < count; i++)
        place[((uintptr_t)from[i].payload >> shift) % DIGITS + 1]++;
    for (unsigned digit = 1; digit < DIGITS; digit++)
        place[digit] += place[digit - 1];
    for (unsigned i = 0; i < count; i++)
        to[place[((uintptr_t)from[i].payload >> shift) % DIGITS]++] = from[i];
}

static void entries_sort_short(struct cache_entry *entries, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct cache_entry entry = entries[i];
        unsigned k = i;
        for (; k > 0 && entry.payload < entries[k - 1].payload; k--)
            entries[k] = entries[k - 1];
        entries[k] = entry;
    }
}

/* Radix sort. No branch depends on the addresses. */
static void entries_sort_many(struct cache_entry *entries, unsigned count)
{
    struct cache_entry others[SORT_MOST], *from = entries, *to = others;
    uintptr_t differing = 0, disorder = 0;
    for (unsigned i = 1; i < count; i++) {
        differing |= (uintptr_t)entries[i].payload ^ (uintptr_t)entries[i - 1].payload;
        disorder |= entries[i].payload < entries[i - 1].payload;
    }
    if (!disorder)
        return;
    differing >>= DIGIT_FIRST;
    for (unsigned shift = DIGIT_FIRST; differing != 0;
         shift += DIGIT_BITS, differing >>= DIGIT_BITS) {
        if (differing % DIGITS == 0)
            continue;
        entries_sort_digit(from, to, count, shift);
        struct cache_entry *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
}

void entries_sort(struct cache_entry *entries, unsigned count)
{
    if (count <= SORT_SHORT)
        entries_sort_short(entries, count);
    else
        entries_sort_many(entries, count);
}

int entries_are_runs(const struct cache_entry *entries, unsigned count, uint64_t block_size)
{
    unsigned gaps = 0;
    for (unsigned i = 1; i < count; i++)
        gaps += entries[i].payload != entries[i - 1].payload + block_size;
    return gaps <= count / RUN_LEAST;
}
