/* svg.c: the map of a heap as SVG, to scale.
 *
 * A strip shows the whole region. The lines below it show the region from its first byte to a
 * little beyond the last block in use: the free end of a large heap would leave no room for the
 * blocks. The upper two thirds of a line show states, the lower third shows owners.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"

enum {
    LEFT = 96,
    WIDTH = PICTURE_WIDTH - LEFT - PICTURE_MARGIN, /* of a line */
    STRIP_TOP = 74,
    STRIP_HEIGHT = 14,
    LINES = 16,
    LINES_TOP = STRIP_TOP + STRIP_HEIGHT + 26,
    LINE_PITCH = 30,
    STATE_HEIGHT = 16,
    OWNER_HEIGHT = 8,
    CELLS = 240, /* in a line: a segment of small blocks is about 4 pixels wide */
    TITLE_NAMES = 3,
    TITLE_NAME_ROOM = 100 /* longer names are cut */
};

struct view {
    FILE *file;
    const struct snapshot *snapshot;
    uint64_t line_len; /* bytes in a line */
    unsigned lines;
};

/* One line for each 256 bytes, at most LINES; a line's length is a multiple of 16. */
static void view_choose(struct view *view)
{
    uint64_t len = view->snapshot->stats.len, shown = view->snapshot->used_end;
    shown += shown / 15 + 16;
    if (shown > len || shown > len / 4 * 3)
        shown = len;
    view->lines = shown / 256 < LINES ? (unsigned)(shown / 256) + 1 : LINES;
    view->line_len = (shown / view->lines + 16) / 16 * 16;
}

static uint64_t view_len(const struct view *view)
{
    uint64_t len = view->line_len * view->lines;
    return len < view->snapshot->stats.len ? len : view->snapshot->stats.len;
}

static void box(FILE *file, double x, double y, double width, double height)
{
    fprintf(file, "M%.7g %.7gh%.7gv%gh-%.7gz", x, y, width, height, width);
}

/* The path of bytes [begin, end): one box in each line. A box that would be too narrow to see gets
 * 0.8 pixels. */
static void bytes_path(const struct view *view, uint64_t begin, uint64_t end, double top,
                       double height)
{
    double scale = (double)WIDTH / (double)view->line_len;
    fputs(" d=\"", view->file);
    while (begin < end) {
        uint64_t line = begin / view->line_len, stop = (line + 1) * view->line_len;
        stop = stop < end ? stop : end;
        double x = (double)(begin - line * view->line_len) * scale;
        double width = (double)(stop - begin) * scale;
        width = width < 0.8 ? 0.8 : width;
        x = x > WIDTH - width ? WIDTH - width : x;
        box(view->file, (double)(int64_t)(x * 10) / 10, LINES_TOP + LINE_PITCH * (int)line + top,
            (double)(int64_t)(width * 10 + 1) / 10, height);
        begin = stop;
    }
    putc('"', view->file);
}

static void names_write(const struct view *view, const struct segment *segment)
{
    const struct snapshot *snapshot = view->snapshot;
    char text[TITLE_NAME_ROOM];
    unsigned shown = 0;
    for (size_t i = 0; i < snapshot->name_count && shown < TITLE_NAMES; i++) {
        const shmheap_name_info *name = &snapshot->names[i];
        if (name->offset < segment->offset || name->offset >= segment->offset + segment->size)
            continue;
        fputs(shown++ ? ", " : "\nname ", view->file);
        escape_xml(view->file, escape_printable(text, sizeof text, name->name));
    }
    if (shown && shown < segment->blocks && shown == TITLE_NAMES)
        fputs(", ...", view->file);
}

static void title_write(const struct view *view, const struct segment *segment)
{
    FILE *file = view->file;
    uint64_t used = segment_used(segment);
    fprintf(file, "<title>%s: ", count_text(segment->offset));
    if (segment->blocks == 1)
        fprintf(file, "%s, %s", state_text(segment_state(segment)), size_text(segment->size));
    else
        fprintf(file, "%s blocks, %s of %s in use, mostly %s", count_text(segment->blocks),
                size_text(used), size_text(segment->size), state_text(segment_state(segment)));
    if (segment->owner != OWNER_NONE) {
        fputc('\n', file);
        escape_xml(file, owner_text(view->snapshot, segment->owner));
    }
    names_write(view, segment);
    fputs("</title>", file);
}

static void state_path(const struct view *view, uint64_t begin, uint64_t end, int state, double top,
                       double height)
{
    fprintf(view->file, "<path class=\"s%d\"", state);
    bytes_path(view, begin, end, top, height);
    fputs("/>", view->file);
}

/* The states of a segment, one above the other; the height of each is its share of the bytes. */
static void states_write(const struct view *view, const struct segment *segment, uint64_t end)
{
    double bottom = STATE_HEIGHT;
    for (int state = SEGMENT_STATES - 1; state > 0; state--) {
        double height = STATE_HEIGHT * (double)segment->bytes[state] / (double)(segment->size | 1);
        height = (double)(int)(height * 10 + 0.5) / 10;
        if (segment->bytes[state] == 0 || height <= 0)
            continue;
        bottom -= height;
        state_path(view, segment->offset, end, state, bottom < 0 ? 0 : bottom, height);
    }
}

/* Classes: s0 to s6 states, o0 to o13 owners. */
static void segment_write(const struct view *view, const struct segment *segment)
{
    uint64_t end = segment->offset + segment->size;
    unsigned color = view->snapshot->owners[segment->owner].color;
    end = end < view_len(view) ? end : view_len(view);
    if (segment->offset >= end)
        return;
    fputs("<g>", view->file);
    title_write(view, segment);
    state_path(view, segment->offset, end, segment->blocks == 1 ? (int)segment_state(segment) : 0,
               0, STATE_HEIGHT);
    if (segment->blocks > 1)
        states_write(view, segment, end);
    if (segment->owner != OWNER_NONE) {
        fprintf(view->file, "<path class=\"o%u\"", color);
        bytes_path(view, segment->offset, end, STATE_HEIGHT, OWNER_HEIGHT);
        fputs("/>", view->file);
    }
    fputs("</g>\n", view->file);
}

/* Free segments first: a used one that is widened to be seen lies above its free neighbours. */
static void segments_write(const struct view *view)
{
    const struct segments *segments = &view->snapshot->segments;
    fprintf(view->file, "<g transform=\"translate(%d 0)\">\n", LEFT);
    for (int used = 0; used < 2; used++)
        for (size_t i = 0; i < segments->count; i++)
            if ((segment_used(&segments->list[i]) != 0) == used)
                segment_write(view, &segments->list[i]);
    fputs("</g>\n", view->file);
}

static void lines_write(const struct view *view)
{
    for (unsigned line = 0; line < view->lines; line++) {
        int y = LINES_TOP + LINE_PITCH * (int)line;
        fprintf(view->file,
                "<text class=\"n\" x=\"%d\" y=\"%d\">%s</text>"
                "<path class=\"o%d\" d=\"M%d %dh%dv%dh-%dz\"/>\n",
                LEFT - 8, y + STATE_HEIGHT, size_text(line * view->line_len), COLOR_NONE, LEFT,
                y + STATE_HEIGHT, WIDTH, OWNER_HEIGHT, WIDTH);
    }
}

/* The whole region in one strip: how much of each part is in use. */
static void strip_write(const struct view *view)
{
    const struct snapshot *snapshot = view->snapshot;
    double scale = (double)WIDTH / (double)(snapshot->stats.len ? snapshot->stats.len : 1);
    fprintf(view->file,
            "<text class=\"n\" x=\"%d\" y=\"%d\">all of it</text>"
            "<path class=\"s0\" d=\"M%d %dh%dv%dh-%dz\"/><path class=\"s1\" d=\"",
            LEFT - 8, STRIP_TOP + 11, LEFT, STRIP_TOP, WIDTH, STRIP_HEIGHT, WIDTH);
    for (int x = 0; x < WIDTH; x += 2) {
        uint64_t begin = (uint64_t)(x / scale), end = (uint64_t)((x + 2) / scale), used = 0;
        for (size_t i = 0; i < snapshot->segments.count; i++) {
            const struct segment *segment = &snapshot->segments.list[i];
            uint64_t from = segment->offset > begin ? segment->offset : begin;
            uint64_t to = segment->offset + segment->size;
            to = to < end ? to : end;
            if (from < to && segment->size)
                used += (uint64_t)((double)segment_used(segment) * (double)(to - from) /
                                   (double)segment->size);
        }
        double height = STRIP_HEIGHT * (double)used / (double)(end > begin ? end - begin : 1);
        if (used)
            box(view->file, LEFT + x, STRIP_TOP + STRIP_HEIGHT - (height < 1 ? 1 : height), 2,
                height < 1 ? 1 : height);
    }
    fputs("\"/>\n", view->file);
}

/* What part of the strip the lines show. */
static void bracket_write(const struct view *view)
{
    uint64_t len = view->snapshot->stats.len, shown = view_len(view);
    int width = (int)((double)WIDTH * (double)shown / (double)(len ? len : 1));
    int y = STRIP_TOP + STRIP_HEIGHT;
    if (shown >= len)
        return;
    fprintf(view->file, "<path class=\"b\" d=\"M%d %dv4h%dv-4\"/>", LEFT, y, width < 2 ? 2 : width);
    fprintf(view->file,
            "<text x=\"%d\" y=\"%d\">The lines below show the first %s; the other %s are "
            "free.</text>\n",
            LEFT, y + 19, size_text(shown), size_text(len - shown));
}

static void head_write(FILE *file, const char *name, const struct snapshot *snapshot, int height)
{
    char text[1100];
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\">\n",
            PICTURE_WIDTH, height, PICTURE_WIDTH, height);
    styles_write(file);
    fprintf(file, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", PICTURE_WIDTH, height);
    fprintf(file, "<text class=\"h\" x=\"%d\" y=\"32\">Heap ", PICTURE_MARGIN);
    escape_xml(file, escape_printable(text, sizeof text, name));
    fprintf(file, "</text>\n<text x=\"%d\" y=\"54\">", PICTURE_MARGIN);
    summary_write(file, snapshot);
    fputs("</text>\n", file);
}

void svg_write(FILE *file, const char *name, struct snapshot *snapshot)
{
    struct view view = {file, snapshot, 0, 0};
    view_choose(&view);
    segments_coarsen(&snapshot->segments, view.line_len / CELLS);
    int height;
    char *charts = charts_make(snapshot, LINES_TOP + LINE_PITCH * (int)view.lines + 12, &height);
    head_write(file, name, snapshot, height);
    strip_write(&view);
    bracket_write(&view);
    lines_write(&view);
    segments_write(&view);
    fputs(charts ? charts : "", file);
    fputs("</svg>\n", file);
    free(charts);
}
