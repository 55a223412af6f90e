/* count.c: churn for callgrind, which counts only inside measured_alloc and measured_free.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Usage: count [LIVE [STEPS [exact|cached [BYTES]]]]; see count.sh. BYTES: of the heap, for each
 * live object; 484 is twice their mean size. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmheap.h>

void *measured_alloc(shmheap_memory_handle heap, size_t size);
void measured_free(shmheap_memory_handle heap, void *object);

__attribute__((noinline)) void *measured_alloc(shmheap_memory_handle heap, size_t size)
{
    void *object = shmheap_alloc(heap, size);
    /* Prevents a tail call: the count ends when this function returns. */
    __asm__ __volatile__("" ::: "memory");
    return object;
}

__attribute__((noinline)) void measured_free(shmheap_memory_handle heap, void *object)
{
    shmheap_free(heap, object);
    __asm__ __volatile__("" ::: "memory");
}

/* splitmix64: the same numbers on every machine, so that counts repeat. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Log-uniform, 16 to 1024: a random octave and a random place in it. */
static size_t random_size(uint64_t *state)
{
    uint64_t bits = random_next(state);
    size_t low = (size_t)16 << (bits >> 32) % 6;
    return low + (size_t)(bits & 0xffffffff) % low;
}

static void *must(void *object)
{
    if (object == NULL) {
        perror("count");
        exit(1);
    }
    return object;
}

static void churn(shmheap_memory_handle heap, void **objects, size_t live, size_t steps,
                  int measured)
{
    static uint64_t state = 1;
    for (size_t i = 0; i < steps; i++) {
        void **it = &objects[random_next(&state) % live];
        size_t size = random_size(&state);
        if (measured) {
            measured_free(heap, *it);
            *it = must(measured_alloc(heap, size));
        } else {
            shmheap_free(heap, *it);
            *it = must(shmheap_alloc(heap, size));
        }
    }
}

int main(int argc, char **argv)
{
    size_t live = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    size_t steps = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    shmheap_options options = {.len = argc > 4 ? live * strtoul(argv[4], NULL, 10)
                                               : live * 700 + 65536,
                               .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle heap;
    if (argc > 3 && strcmp(argv[3], "cached") == 0)
        options.flags |= SHMHEAP_CACHED;
    if (live == 0 || steps == 0 || shmheap_open(&heap, NULL, &options) != 0) {
        perror("count [LIVE [STEPS [cached]]]");
        return 1;
    }
    void **objects = must(calloc(live, sizeof *objects));
    uint64_t state = 2;
    for (size_t i = 0; i < live; i++)
        objects[i] = must(shmheap_alloc(heap, random_size(&state)));
    churn(heap, objects, live, 2 * live + 50000, 0);
    churn(heap, objects, live, steps, 1);
    free(objects);
    shmheap_disconnect(heap);
    return 0;
}
