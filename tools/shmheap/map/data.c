/* data.c: what a page shows of a heap, as JSON. page/map.js and page/charts.js read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/text/json.h"

static json_t *strings(const char *const *texts, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(texts[i]));
    return array;
}

static json_t *count(uint64_t value) { return json_integer((json_int_t)value); }

/* The percent of a segment's bytes in each state, without free ones. */
static void mix_add(json_t *mixes, const struct segment *segment)
{
    for (int state = 1; state < SEGMENT_STATES; state++) {
        double share = (double)segment->bytes[state] / (double)(segment->size | 1);
        json_array_append_new(mixes, count((uint64_t)(100 * share + 0.5)));
    }
}

/* Six numbers for each segment: offset, size, bytes in use, blocks, state, owner. A segment of
 * several blocks also has six percentages in mixes, in the order of the segments. */
static void segments_add_json(json_t *object, const struct segments *segments)
{
    json_t *array = json_array(), *mixes = json_array();
    for (size_t i = 0; i < segments->count; i++) {
        const struct segment *segment = &segments->list[i];
        json_array_append_new(array, count(segment->offset));
        json_array_append_new(array, count(segment->size));
        json_array_append_new(array, count(segment_used(segment)));
        json_array_append_new(array, count(segment->blocks));
        json_array_append_new(array, count(segment_state(segment)));
        json_array_append_new(array, count(segment->owner));
        if (segment->blocks > 1)
            mix_add(mixes, segment);
    }
    json_object_set_new(object, "segments", array);
    json_object_set_new(object, "mixes", mixes);
}

/* By slot: the text, the colour and the blocks of each owner. */
static json_t *owners_json(const struct snapshot *snapshot)
{
    json_t *object = json_object();
    char text[300], key[16];
    for (unsigned slot = 0; slot < OWNERS; slot++) {
        if (!snapshot->owners[slot].blocks)
            continue;
        json_t *owner = json_object();
        json_set_text(owner, "text",
                      escape_printable(text, sizeof text, owner_text(snapshot, slot)));
        json_set_count(owner, "color", snapshot->owners[slot].color);
        json_set_count(owner, "blocks", snapshot->owners[slot].blocks);
        json_set_count(owner, "bytes", snapshot->owners[slot].bytes);
        snprintf(key, sizeof key, "%u", slot);
        json_object_set_new(object, key, owner);
    }
    return object;
}

static json_t *names_json(const struct snapshot *snapshot)
{
    json_t *array = json_array();
    char text[4 * sizeof snapshot->names->name];
    for (size_t i = 0; i < snapshot->name_count; i++) {
        json_t *name = json_object();
        json_set_text(name, "name", escape_printable(text, sizeof text, snapshot->names[i].name));
        json_set_count(name, "offset", snapshot->names[i].offset);
        json_set_count(name, "len", snapshot->names[i].len);
        json_set_count(name, "users", snapshot->names[i].users);
        json_set_flag(name, "kept", snapshot->names[i].kept != 0);
        json_array_append_new(array, name);
    }
    return array;
}

/* The blocks and bytes of each class of sizes, from the smallest that has blocks to the largest. */
static json_t *histogram_json(const struct tally *tallies)
{
    json_t *object = json_object(), *blocks = json_array(), *bytes = json_array();
    unsigned first = 0, end = SIZE_CLASSES;
    while (first < end && tallies[first].blocks == 0)
        first++;
    while (end > first && tallies[end - 1].blocks == 0)
        end--;
    for (unsigned i = first; i < end; i++) {
        json_array_append_new(blocks, count(tallies[i].blocks));
        json_array_append_new(bytes, count(tallies[i].bytes));
    }
    json_set_count(object, "first", first);
    json_object_set_new(object, "blocks", blocks);
    json_object_set_new(object, "bytes", bytes);
    return object;
}

static json_t *states_json(const struct snapshot *snapshot)
{
    json_t *array = json_array();
    for (int i = 0; i < SEGMENT_STATES; i++) {
        json_t *state = json_object();
        json_set_text(state, "text", state_text((enum shmheap_state)i));
        json_set_count(state, "blocks", snapshot->states[i].blocks);
        json_set_count(state, "bytes", snapshot->states[i].bytes);
        json_array_append_new(array, state);
    }
    return array;
}

json_t *snapshot_json(const struct snapshot *snapshot)
{
    json_t *object = json_object();
    json_set_count(object, "len", snapshot->stats.len);
    json_set_count(object, "used_end", snapshot->used_end);
    json_set_count(object, "cell_len", snapshot->segments.cell_len);
    json_set_count(object, "names_in_heap", snapshot->names_in_heap);
    json_object_set_new(object, "states", states_json(snapshot));
    json_object_set_new(object, "state_colors", strings(state_colors, SEGMENT_STATES));
    json_object_set_new(object, "owner_colors", strings(owner_colors, COLORS));
    json_object_set_new(object, "owners", owners_json(snapshot));
    json_object_set_new(object, "names", names_json(snapshot));
    json_object_set_new(object, "used", histogram_json(snapshot->used));
    json_object_set_new(object, "holes", histogram_json(snapshot->holes));
    segments_add_json(object, &snapshot->segments);
    return object;
}
