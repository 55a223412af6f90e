/* charts.c: the legend and the histograms of a picture, as SVG.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"

enum {
    COLUMNS = 3, /* of the legend */
    PITCH = 20,
    CHART_WIDTH = (PICTURE_WIDTH - 3 * PICTURE_MARGIN) / 2,
    BARS_HEIGHT = 120,
    BAR_MOST = 60,   /* width of a bar at most */
    LABEL_WIDTH = 30 /* below narrower bars, each second class has a label */
};

void summary_write(FILE *file, const struct snapshot *snapshot)
{
    const shmheap_stats *stats = &snapshot->stats;
    fprintf(file, "%s, %.0f %% used by %s %s; %s free in %s %s, the largest object that fits: %s",
            size_text(stats->len),
            stats->len ? 100.0 * (double)stats->used_bytes / (double)stats->len : 0,
            count_text(stats->used_blocks), plural(stats->used_blocks, "block", "blocks"),
            size_text(stats->free_bytes), count_text(stats->free_blocks),
            plural(stats->free_blocks, "piece", "pieces"), size_text(stats->largest_free));
    if (stats->max_len > stats->len)
        fprintf(file, "; may grow to %s", size_text(stats->max_len));
    if (snapshot->names_in_heap)
        fprintf(file, "; %s %s", count_text(snapshot->names_in_heap),
                plural(snapshot->names_in_heap, "name", "names"));
}

/* struct entries places the entries of a legend. */
struct entries {
    FILE *file;
    int y, column;
};

static void entry(struct entries *at, const char *class, const char *text,
                  const struct tally *tally)
{
    int x = PICTURE_MARGIN + 76 + at->column * ((PICTURE_WIDTH - PICTURE_MARGIN - 76) / COLUMNS);
    fprintf(at->file, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"14\" height=\"14\"/>", class, x,
            at->y - 12);
    fprintf(at->file, "<text x=\"%d\" y=\"%d\">", x + 20, at->y);
    escape_xml(at->file, text);
    fprintf(at->file, " %s in %s</text>\n", size_text(tally->bytes), count_text(tally->blocks));
    if (++at->column == COLUMNS) {
        at->column = 0;
        at->y += PITCH;
    }
}

static void entries_head(struct entries *at, const char *text)
{
    at->y += at->column ? PITCH : 0;
    at->column = 0;
    fprintf(at->file, "<text x=\"%d\" y=\"%d\">%s</text>\n", PICTURE_MARGIN, at->y, text);
}

/* The owners without a colour of their own. */
static void sums_write(struct entries *at, const struct snapshot *snapshot)
{
    static const char *const texts[] = {"other processes", "processes that disconnected",
                                        "dead processes, slots reused"};
    struct tally sums[3] = {{0, 0}};
    char class[8];
    for (unsigned slot = 0; slot < OWNER_NONE; slot++) {
        const struct owner *owner = &snapshot->owners[slot];
        if (owner->color < COLOR_OTHERS)
            continue;
        sums[owner->color - COLOR_OTHERS].blocks += owner->blocks;
        sums[owner->color - COLOR_OTHERS].bytes += owner->bytes;
    }
    for (int i = 0; i < 3; i++) {
        snprintf(class, sizeof class, "o%d", COLOR_OTHERS + i);
        if (sums[i].blocks)
            entry(at, class, texts[i], &sums[i]);
    }
}

static int legend_write(FILE *file, const struct snapshot *snapshot, int y)
{
    struct entries at = {file, y + 14, 0};
    char class[16], text[300];
    entries_head(&at, "State");
    for (int state = 0; state < SEGMENT_STATES; state++) {
        snprintf(class, sizeof class, "s%d", state);
        if (snapshot->states[state].blocks)
            entry(&at, class, state_text((enum shmheap_state)state), &snapshot->states[state]);
    }
    entries_head(&at, "Owner");
    for (unsigned i = 0; i < snapshot->ranked_count; i++) {
        const struct owner *owner = &snapshot->owners[snapshot->ranked[i]];
        struct tally tally = {owner->blocks, owner->bytes};
        snprintf(class, sizeof class, "o%u", owner->color);
        entry(&at, class,
              escape_printable(text, sizeof text, owner_text(snapshot, snapshot->ranked[i])),
              &tally);
    }
    sums_write(&at, snapshot);
    at.y += at.column ? PITCH : 0;
    fprintf(file,
            "<text x=\"%d\" y=\"%d\">Several small blocks share a box. Heights in it are shares "
            "of the states; the owner is that of most of its bytes.</text>\n",
            PICTURE_MARGIN + 76, at.y);
    return at.y + PITCH;
}

/* 1234, 12k, 1.2M: short enough to stand above a bar. */
static const char *short_count(uint64_t count)
{
    static char text[24];
    static const char units[] = " kMGTPE";
    double value = (double)count;
    unsigned unit = 0;
    for (; value >= (unit ? 999.5 : 9999.5); unit++)
        value /= 1000;
    snprintf(text, sizeof text, "%.*f%.*s", unit && value < 9.95 ? 1 : 0, value, unit != 0,
             units + unit);
    return text;
}

static void bar_write(FILE *file, const struct tally *tally, unsigned class, double x, double width,
                      double height, int base)
{
    fprintf(file,
            "<g><title>%s to %s: %s %s, %s</title><rect fill=\"#56789a\" x=\"%.1f\" "
            "y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></g>"
            "<text class=\"m\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            size_text((uint64_t)1 << class), size_text(((uint64_t)2 << class) - 1),
            count_text(tally->blocks), plural(tally->blocks, "block", "blocks"),
            size_text(tally->bytes), x, base - height, width * 0.9, height, x + width * 0.45,
            base - height - 3, short_count(tally->blocks));
}

/* The label of a class: its least size, in bytes or with K, M, G, T. */
static void label_write(FILE *file, unsigned class, double x, int base)
{
    static const char units[] = " KMGT";
    fprintf(file, "<text class=\"m\" x=\"%.1f\" y=\"%d\">%u%.*s</text>\n", x, base + 13,
            1u << class % 10, class >= 10, units + class / 10);
}

static void histogram_write(FILE *file, const char *title, const struct tally *tallies, int x,
                            int y)
{
    unsigned first = SIZE_CLASSES, last = 0;
    uint64_t most = 1;
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        if (tallies[i].blocks) {
            first = first == SIZE_CLASSES ? i : first;
            last = i;
            most = tallies[i].blocks > most ? tallies[i].blocks : most;
        }
    fprintf(file, "<text x=\"%d\" y=\"%d\">%s</text>\n", x, y + 14,
            first == SIZE_CLASSES ? "" : title);
    if (first == SIZE_CLASSES)
        return;
    double width = (double)CHART_WIDTH / (last - first + 1);
    width = width > BAR_MOST ? BAR_MOST : width;
    int base = y + 44 + BARS_HEIGHT;
    for (unsigned i = first; i <= last; i++) {
        double left = x + (i - first) * width;
        double height = BARS_HEIGHT * (double)tallies[i].blocks / (double)most;
        if (tallies[i].blocks)
            bar_write(file, &tallies[i], i, left, width, height < 1 ? 1 : height, base);
        if (width >= LABEL_WIDTH || (i - first) % 2 == 0)
            label_write(file, i, left + width * 0.45, base);
    }
    fprintf(file, "<path class=\"b\" d=\"M%d %dh%.1f\"/>\n", x, base, width * (last - first + 1));
}

static int histograms_write(FILE *file, const struct snapshot *snapshot, int y)
{
    histogram_write(file, "Blocks in use, by size in bytes (least of each class)", snapshot->used,
                    PICTURE_MARGIN, y);
    histogram_write(file, "Holes (free blocks), by size in bytes", snapshot->holes,
                    2 * PICTURE_MARGIN + CHART_WIDTH, y);
    return y + 44 + BARS_HEIGHT + 30;
}

void styles_write(FILE *file)
{
    fputs("<style>text{font:12px sans-serif;fill:#222}.n{text-anchor:end}.h{font-size:20px}"
          ".m{text-anchor:middle;font-size:10px}.b{fill:none;stroke:#222}",
          file);
    for (int i = 0; i < SEGMENT_STATES; i++)
        fprintf(file, ".s%d{fill:%s}", i, state_colors[i]);
    for (int i = 0; i < COLORS; i++)
        fprintf(file, ".o%d{fill:%s}", i, owner_colors[i]);
    fputs("</style>\n", file);
}

char *charts_make(const struct snapshot *snapshot, int y, int *height)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    *height = y;
    if (!file)
        return NULL;
    *height = histograms_write(file, snapshot, legend_write(file, snapshot, y));
    if (fclose(file) == 0)
        return text;
    free(text);
    return NULL;
}
