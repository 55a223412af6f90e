/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/search/held.h"

#include <linux/futex.h>

#include "c/src/segment/connection.h"

enum { MANY_MAX = 512 };

void held_for_all(unsigned cores, void (*run)(uint64_t granule))
{
    for (unsigned core = 0; core < cores; core++)
        for (uint64_t granule = 8; granule <= 16; granule += 8) {
            test_choose_core(core);
            run(granule);
        }
}

int held_begin(struct held *held, uint64_t len, uint64_t granule)
{
    const shmheap_options options = {.len = (size_t)len,
                                     .alignment = (size_t)granule,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE};
    held->granule = granule;
    if (options.len != len || shmheap_open(&held->mem, NULL, &options) != 0) {
        CHECK(options.len != len || errno == EFBIG || errno == ENOMEM || errno == ENOSPC);
        printf("  skipped: no room here for a sparse heap of %llu MiB\n",
               (unsigned long long)len >> 20);
        return 0;
    }
    model_begin(&held->model, len, granule);
    return 1;
}

void held_end(struct held *held)
{
    shmheap_disconnect(held->mem);
    model_end(&held->model);
}

void *held_payload(const struct held *held, uint64_t start)
{
    return (unsigned char *)shmheap_underlying(held->mem) + 16 + start * held->granule;
}

static size_t len_of(const struct held *held, uint64_t need)
{
    return (size_t)(need * held->granule - 8);
}

static void check_place(const struct held *held, const void *ptr, uint64_t start)
{
    if (start == MODEL_NONE) {
        CHECK_PTR(ptr, NULL);
        CHECK_EQ(errno, ENOMEM);
        return;
    }
    CHECK_PTR(ptr, held_payload(held, start));
    CHECK_EQ(shmheap_usable_size(held->mem, ptr), len_of(held, model_size(&held->model, start)));
}

uint64_t held_alloc(struct held *held, uint64_t need)
{
    void *ptr = shmheap_alloc(held->mem, len_of(held, need));
    uint64_t start = model_alloc(&held->model, need);
    check_place(held, ptr, start);
    return start;
}

uint64_t held_take(struct held *held, uint64_t need)
{
    uint64_t start = held_alloc(held, need);
    CHECK(start != MODEL_NONE);
    return start;
}

size_t held_alloc_many(struct held *held, uint64_t need, size_t count, uint64_t *starts)
{
    void *ptrs[MANY_MAX];
    CHECK_LE(count, MANY_MAX);
    size_t got = shmheap_alloc_many(held->mem, len_of(held, need), count, ptrs);
    for (size_t i = 0; i < got; i++)
        check_place(held, ptrs[i], starts[i] = model_alloc(&held->model, need));
    if (got < count)
        CHECK(model_alloc(&held->model, need) == MODEL_NONE);
    return got;
}

enum place { WHEREVER_IT_LIES, ANYWHERE };

/* The place in the first free span with room: for the object wherever the aligned place lies; or
 * where the span happens to have it. The span at the end is the last one. */
static uint64_t aligned_place(const struct held *held, uint64_t need, uint64_t alignment,
                              enum place place)
{
    const struct model *model = &held->model;
    uint64_t step = alignment / held->granule;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_span *span = &model->spans[i];
        uint64_t address = (uint64_t)(uintptr_t)held_payload(held, span->start);
        uint64_t gap = (alignment - address % alignment) % alignment / held->granule;
        if (gap != 0 && gap < model->block_min)
            gap += step;
        uint64_t enough =
            place == WHEREVER_IT_LIES ? need + step + model->block_min - 1 : gap + need;
        if (!span->used && span->size >= enough)
            return span->start + gap;
    }
    return MODEL_NONE;
}

uint64_t held_alloc_aligned(struct held *held, uint64_t need, uint64_t alignment)
{
    uint64_t start = MODEL_NONE;
    for (int place = WHEREVER_IT_LIES; place <= ANYWHERE && start == MODEL_NONE; place++)
        start = aligned_place(held, need, alignment, (enum place)place);
    if (start != MODEL_NONE)
        model_alloc_at(&held->model, start, need);
    check_place(held, shmheap_aligned_alloc(held->mem, (size_t)alignment, len_of(held, need)),
                start);
    return start;
}

void held_free(struct held *held, uint64_t start)
{
    CHECK_EQ(shmheap_try_free(held->mem, held_payload(held, start)), 0);
    model_free(&held->model, start);
}

void held_free_many(struct held *held, const uint64_t *starts, size_t count)
{
    void *ptrs[MANY_MAX];
    CHECK_LE(count, MANY_MAX);
    for (size_t i = 0; i < count; i++) {
        ptrs[i] = held_payload(held, starts[i]);
        model_free(&held->model, starts[i]);
    }
    CHECK_EQ(shmheap_free_many(held->mem, ptrs, count), count);
}

uint64_t held_resize(struct held *held, uint64_t start, uint64_t need)
{
    void *ptr = shmheap_realloc(held->mem, held_payload(held, start), len_of(held, need));
    if (model_resize(&held->model, start, need)) {
        check_place(held, ptr, start);
        return start;
    }
    uint64_t moved = model_alloc(&held->model, need);
    check_place(held, ptr, moved);
    if (moved == MODEL_NONE)
        return start;
    model_free(&held->model, start);
    return moved;
}

void held_compare(const struct held *held) { held_compare_blocks(held->mem, &held->model); }

void held_compare_blocks(shmheap_memory_handle mem, const struct model *model)
{
    struct test_blocks blocks = test_blocks_take(mem);
    CHECK_EQ(blocks.count, model->count);
    for (size_t i = 0; i < blocks.count; i++) {
        const struct model_span *span = &model->spans[i];
        CHECK_EQ(blocks.blocks[i].offset, 16 + span->start * model->granule);
        CHECK_EQ(blocks.blocks[i].size, span->size * model->granule);
        CHECK_EQ(blocks.blocks[i].state != SHMHEAP_STATE_FREE, span->used);
    }
    test_blocks_drop(&blocks);
}

static void overwrite_index(struct shmheap *heap, unsigned char byte)
{
    uint64_t chunks = (heap->end + CHUNK_GRANULES - 1) / CHUNK_GRANULES, groups = chunks;
    memset(heap->bits, byte, (size_t)(chunks * sizeof *heap->bits));
    for (unsigned level = 0; level < heap->layout.bin_levels; level++) {
        groups = (groups + WORD_BITS - 1) / WORD_BITS;
        memset(heap->bin[level], byte, (size_t)(groups * BINS * sizeof *heap->bin[level]));
    }
    for (unsigned level = 0; level < heap->layout.levels; level++, chunks /= NODE_CHILDREN) {
        chunks = (chunks + NODE_CHILDREN - 1) / NODE_CHILDREN * NODE_CHILDREN;
        memset(heap->level[level], byte, (size_t)(chunks * sizeof *heap->level[level]));
    }
    memset(heap->control->first, byte, sizeof heap->control->first);
    heap->control->top = heap->control->free_blocks = heap->control->used_granules =
        heap->control->frees = byte;
}

void held_recover_from(struct held *held, unsigned char byte)
{
    uint64_t recoveries = test_stat(held->mem).recoveries;
    overwrite_index(held->mem.heap, byte);
    __atomic_store_n(&held->mem.heap->control->lock, (uint64_t)FUTEX_OWNER_DIED, __ATOMIC_RELEASE);
    CHECK_EQ(test_stat(held->mem).recoveries, recoveries + 1);
    CHECK_SOUND(held->mem);
}
