/* model.h: first fit as a textbook has it: a list of spans in the order of addresses, searched from
 * its start. Counted in granules from the first header. Knows nothing of the heap's code.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_MODEL_H
#define TESTS_UNIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_NONE UINT64_MAX

struct model_span {
    uint64_t start, size;
    int used;
};

/* struct model: the spans tile [0, end) */
struct model {
    struct model_span *spans;
    size_t count, room;
    uint64_t end;
    uint64_t granule;   /* bytes: 8 or 16 */
    uint64_t block_min; /* granules of the smallest block: a header and 8 bytes */
};

void model_begin(struct model *model, uint64_t region_len, uint64_t granule);
void model_end(struct model *model);
uint64_t model_granules(const struct model *model, uint64_t region_len);
/* Granules of a block for an object of len bytes. */
uint64_t model_need(const struct model *model, uint64_t len);
/* Start of the new block in the lowest free span that is large enough, or MODEL_NONE. */
uint64_t model_alloc(struct model *model, uint64_t need);
/* Makes a new block at start, which lies in a free span; what is free before it stays so. */
void model_alloc_at(struct model *model, uint64_t start, uint64_t need);
void model_free(struct model *model, uint64_t start);
/* Makes the block need granules long where it is: 1, or 0 when the free space behind it does not
 * suffice. */
int model_resize(struct model *model, uint64_t start, uint64_t need);
/* More free space at the end. */
void model_extend(struct model *model, uint64_t region_len);
uint64_t model_size(const struct model *model, uint64_t start);
/* Where free space at the end begins; the end if there is none. */
uint64_t model_top(const struct model *model);

#endif
