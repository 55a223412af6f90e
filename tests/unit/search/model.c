/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/search/model.h"

#include "tests/support/test.h"

uint64_t model_granules(const struct model *model, uint64_t region_len)
{
    return (region_len - 8) / model->granule;
}

uint64_t model_need(const struct model *model, uint64_t len)
{
    uint64_t need = (len + 8 + model->granule - 1) / model->granule;
    return need < model->block_min ? model->block_min : need;
}

static void spans_insert(struct model *model, size_t at, struct model_span span)
{
    if (model->count == model->room) {
        model->room = 2 * model->room;
        model->spans = realloc(model->spans, model->room * sizeof *model->spans);
        CHECK(model->spans != NULL);
    }
    memmove(model->spans + at + 1, model->spans + at, (model->count - at) * sizeof *model->spans);
    model->spans[at] = span;
    model->count++;
}

static void spans_remove(struct model *model, size_t at)
{
    model->count--;
    memmove(model->spans + at, model->spans + at + 1, (model->count - at) * sizeof *model->spans);
}

static size_t spans_find(const struct model *model, uint64_t start)
{
    size_t low = 0, high = model->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (model->spans[middle].start <= start)
            low = middle;
        else
            high = middle;
    }
    CHECK_EQ(model->spans[low].start, start);
    return low;
}

void model_begin(struct model *model, uint64_t region_len, uint64_t granule)
{
    memset(model, 0, sizeof *model);
    model->granule = granule;
    model->block_min = (8 + 8 + granule - 1) / granule;
    model->end = model_granules(model, region_len);
    model->room = 64;
    model->spans = malloc(model->room * sizeof *model->spans);
    CHECK(model->spans != NULL);
    model->spans[0] = (struct model_span){0, model->end, 0};
    model->count = 1;
}

void model_end(struct model *model)
{
    free(model->spans);
    model->spans = NULL;
}

/* The span, whatever its state, becomes a used one of need granules; the rest, if it can be a
 * block, a free one. */
static void span_take(struct model *model, size_t at, uint64_t need)
{
    struct model_span *span = &model->spans[at];
    uint64_t rest = span->size - need;
    span->used = 1;
    if (rest < model->block_min)
        return;
    span->size = need;
    spans_insert(model, at + 1, (struct model_span){span->start + need, rest, 0});
}

uint64_t model_alloc(struct model *model, uint64_t need)
{
    for (size_t i = 0; i < model->count; i++)
        if (!model->spans[i].used && model->spans[i].size >= need) {
            uint64_t start = model->spans[i].start;
            span_take(model, i, need);
            return start;
        }
    return MODEL_NONE;
}

void model_alloc_at(struct model *model, uint64_t start, uint64_t need)
{
    size_t at = 0;
    while (model->spans[at].start + model->spans[at].size <= start)
        at++;
    uint64_t before = start - model->spans[at].start;
    CHECK(!model->spans[at].used && model->spans[at].size - before >= need);
    if (before != 0) {
        CHECK(before >= model->block_min);
        spans_insert(model, at + 1, (struct model_span){start, model->spans[at].size - before, 0});
        model->spans[at++].size = before;
    }
    span_take(model, at, need);
}

static void span_absorb_next(struct model *model, size_t at)
{
    model->spans[at].size += model->spans[at + 1].size;
    spans_remove(model, at + 1);
}

static int span_is_free(const struct model *model, size_t at)
{
    return at < model->count && !model->spans[at].used;
}

void model_free(struct model *model, uint64_t start)
{
    size_t at = spans_find(model, start);
    CHECK(model->spans[at].used);
    model->spans[at].used = 0;
    if (span_is_free(model, at + 1))
        span_absorb_next(model, at);
    if (at > 0 && span_is_free(model, at - 1))
        span_absorb_next(model, at - 1);
}

int model_resize(struct model *model, uint64_t start, uint64_t need)
{
    size_t at = spans_find(model, start);
    uint64_t size = model->spans[at].size;
    int next_free = span_is_free(model, at + 1);
    CHECK(model->spans[at].used);
    /* A rest too small for a block stays, unless there is a free neighbour that it can join. */
    if (need == size || (need < size && size - need < model->block_min && !next_free))
        return 1;
    if (need > size && (!next_free || size + model->spans[at + 1].size < need))
        return 0;
    if (next_free)
        span_absorb_next(model, at);
    span_take(model, at, need);
    return 1;
}

uint64_t model_top(const struct model *model)
{
    const struct model_span *last = &model->spans[model->count - 1];
    return last->used ? model->end : last->start;
}

void model_extend(struct model *model, uint64_t region_len)
{
    uint64_t end = model_granules(model, region_len), more = end - model->end;
    CHECK(end > model->end);
    if (span_is_free(model, model->count - 1))
        model->spans[model->count - 1].size += more;
    else {
        CHECK(more >= model->block_min);
        spans_insert(model, model->count, (struct model_span){model->end, more, 0});
    }
    model->end = end;
}

uint64_t model_size(const struct model *model, uint64_t start)
{
    return model->spans[spans_find(model, start)].size;
}
