/* edit.c: writes of a hostile peer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "c/src/segment/connection.h"
#include "fuzz/hostile/hostile.h"
#include "fuzz/world/world.h"

enum {
    AREA_CONTROL,
    AREA_SLOTS,
    AREA_INDEX,
    AREA_HEADERS,
    AREA_OBJECT,
    AREA_HEADER_OF,
    AREA_BACK,
    AREA_ANY
};
enum { HOW_LOCK = 15 }; /* only this kind writes the lock: calls wait for the owner in it */

struct edit edit_decode(struct input *input)
{
    unsigned head = input_byte(input);
    struct edit edit = {head & 7, head >> 3 & 15, input_byte(input), input_two(input), 0};
    edit.word = input_word(input, 8);
    return edit;
}

/* The edit may write the lock. */
static int edit_is_of_lock(const struct edit *edit) { return edit->how == HOW_LOCK; }

/* The offset from the segment's start. If a side is connected, the layout divides it into areas. */
static size_t edit_offset(const struct hostile *hostile, const struct edit *edit)
{
    const struct layout *layout = &hostile->layout;
    uint64_t object = hostile->kept[edit->which % HOSTILE_KEPT];
    if (layout->region_off == 0)
        return edit->at;
    switch (edit->area) {
        case AREA_CONTROL:
            return edit->at % CONTROL_SIZE;
        case AREA_SLOTS:
            return layout->slots_off + edit->at % (layout->bits_off - layout->slots_off);
        case AREA_INDEX:
            return layout->bits_off + edit->at % (layout->region_off - layout->bits_off);
        case AREA_HEADERS:
            return layout->region_off + REGION_LEAD + edit->at % 2048;
        case AREA_OBJECT:
            return layout->region_off + object + edit->at % 256;
        case AREA_HEADER_OF:
            return layout->region_off + object - HEADER_SIZE;
        case AREA_BACK: /* counted from the end */
            return hostile->bytes - 8 - edit->at % (hostile->bytes - 8);
        default:
            return edit->at * 16u + edit->which;
    }
}

uint64_t *edit_place(const struct hostile *hostile, const struct edit *edit)
{
    size_t offset = edit_offset(hostile, edit) & ~(size_t)7;
    if (offset > hostile->bytes - 8)
        return NULL;
    if (offset == offsetof(struct control, lock) && !edit_is_of_lock(edit))
        return NULL;
    return (uint64_t *)(void *)(hostile->memory[0] + offset);
}

uint64_t edit_value(const struct hostile *hostile, const struct edit *edit, uint64_t old)
{
    uint64_t small = edit->word & 0xffff, other;
    switch (edit->how) {
        case 0:
            return edit->word;
        case 1:
            return old + 1;
        case 2:
            return old - 1;
        case 3:
            return old ^ UINT64_C(1) << (edit->word & 63);
        case 4:
            return 0;
        case 5:
            return UINT64_MAX;
        case 6:
            return small;
        case 7: /* a header with a size, a state and a slot */
            return small | (edit->word >> 16 & 0x3fff) << HEADER_STATE_SHIFT;
        case 8: /* changes the size only */
            return (old & ~HEADER_SIZE_MASK) | small;
        case 9: /* changes all but the size */
            return (old & HEADER_SIZE_MASK) | edit->word << HEADER_SIZE_BITS;
        case 10:
            return hostile->bytes - small;
        case 11: /* copies another word */
            memcpy(&other, hostile->memory[0] + small * 8 % (hostile->bytes - 7), sizeof other);
            return other;
        case 12:
            return old + edit->word % 4096 - 2048;
        case 13:
            return (old & 0xffffffff) | edit->word << 32;
        case 14:
            return (old & ~UINT64_C(0xffffffff)) | (uint32_t)edit->word;
        default:
            return edit->word;
    }
}

void edit_do(const struct hostile *hostile, struct input *input)
{
    struct edit edit = edit_decode(input);
    uint64_t *place = edit_place(hostile, &edit);
    if (!place)
        return;
    *place = edit_value(hostile, &edit, *place);
    SAY("*(unsigned long *)((char *)memory[0] + %zu) = 0x%llxu;",
        (size_t)((unsigned char *)place - hostile->memory[0]), (unsigned long long)*place);
}
