/* html.c: a page that shows a heap and zooms into it. One file: no network, no other files.
 *
 * The page holds the data as JSON; page/page.js draws the map. Texts from the heap are in the JSON
 * alone, where no '<' stands, or are escaped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tools/shmheap/map/picture.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/text/json.h"

/* tools/BUILD makes string literals of page/page.css and page/page.js. */
static const char page_css[] =
#include "tools/generated/page_css.inc"
    ;
static const char page_js[] =
#include "tools/generated/page_js.inc"
    ;

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

/* By slot: the text and the colour of each owner. */
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

static void data_write(FILE *file, const struct snapshot *snapshot)
{
    const char *states[SEGMENT_STATES];
    json_t *object = json_object();
    for (int i = 0; i < SEGMENT_STATES; i++)
        states[i] = state_text((enum shmheap_state)i);
    json_set_count(object, "len", snapshot->stats.len);
    json_set_count(object, "used_end", snapshot->used_end);
    json_set_count(object, "cell_len", snapshot->segments.cell_len);
    json_set_count(object, "names_in_heap", snapshot->names_in_heap);
    json_object_set_new(object, "states", strings(states, SEGMENT_STATES));
    json_object_set_new(object, "state_colors", strings(state_colors, SEGMENT_STATES));
    json_object_set_new(object, "owner_colors", strings(owner_colors, COLORS));
    json_object_set_new(object, "owners", owners_json(snapshot));
    json_object_set_new(object, "names", names_json(snapshot));
    segments_add_json(object, &snapshot->segments);
    char *text = json_dumps(object, JSON_COMPACT);
    for (const char *at = text; at && *at; at++)
        if (*at == '<') /* no text ends the element <script> */
            fputs("\\u003c", file);
        else
            putc(*at, file);
    free(text);
    json_decref(object);
}

static void head_write(FILE *file, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Heap ",
          file);
    escape_xml(file, title);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>Heap ", page_css);
    escape_xml(file, title);
    fputs("</h1>\n", file);
}

static void charts_write(FILE *file, const struct snapshot *snapshot)
{
    int height;
    char *charts = charts_make(snapshot, 0, &height);
    fprintf(file, "<svg id=\"charts\" viewBox=\"0 0 %d %d\">\n", PICTURE_WIDTH, height);
    styles_write(file);
    fprintf(file, "%s</svg>\n", charts ? charts : "");
    free(charts);
}

void html_write(FILE *file, const char *name, const struct snapshot *snapshot)
{
    char title[1100];
    head_write(file, escape_printable(title, sizeof title, name));
    fputs("<p>", file);
    summary_write(file, snapshot);
    fputs("</p>\n<p id=\"bar\"><label>Colour by <select id=\"by\"><option value=\"both\">state, "
          "owner below</option><option value=\"state\">state</option><option value=\"owner\">owner"
          "</option></select></label> <button id=\"in\">+</button> <button id=\"out\">&minus;"
          "</button> <button id=\"used\">part in use</button> <button id=\"all\">all</button> "
          "<span id=\"range\"></span></p>\n"
          "<noscript><p>The map needs JavaScript; shmheap map --svg does not.</p></noscript>\n"
          "<canvas id=\"strip\"></canvas>\n<canvas id=\"map\" tabindex=\"0\"></canvas>\n"
          "<div id=\"tip\" hidden></div>\n"
          "<p class=\"hint\">Wheel or + and &minus;: zoom. Drag or arrow keys: move. Double click "
          "on a block: zoom to it. 0: all.</p>\n",
          file);
    charts_write(file, snapshot);
    fputs("<script id=\"data\" type=\"application/json\">", file);
    data_write(file, snapshot);
    fprintf(file, "</script>\n<script>\n%s</script>\n</body>\n</html>\n", page_js);
}
