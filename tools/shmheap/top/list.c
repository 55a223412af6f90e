/* list.c: the table of heaps of shmheap top.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/table.h"
#include "tools/shmheap/top/top.h"

static const struct column columns[] = {
    {"HEAP", 4, 0, 1},  {"SIZE", 10, 5, 0},   {"FILL", 6, 0, 0},     {"FRAG", 6, 2, 0},
    {"OPS/S", 9, 0, 0}, {"ALLOC/S", 9, 9, 0}, {"BYTES/S", 10, 8, 0}, {"PROC", 5, 1, 0},
    {"DEAD", 5, 4, 0},  {"RECOV", 7, 3, 0},   {"LOCKED", 6, 7, 0},   {"WAITS", 6, 6, 0},
};

enum { COLUMNS_COUNT = sizeof columns / sizeof *columns, CELL_ROOM = 32, TOP_LINES = 3 };

static double operations(const struct live_heap *heap) { return heap->allocs + heap->frees; }

/* The figure by which the table is sorted. */
static double figure(const struct live_heap *heap, int sort)
{
    switch (sort) {
        case SORT_SIZE:
            return (double)heap->stats.len;
        case SORT_FILL:
            return live_fill(heap);
        case SORT_FRAGMENTATION:
            return live_fragmentation(heap);
        case SORT_OPERATIONS:
            return operations(heap);
        case SORT_PROCESSES:
            return heap->stats.processes;
        case SORT_RECOVERIES:
            return (double)heap->stats.recoveries;
        default:
            return live_waits(heap);
    }
}

static int order(const void *a, const void *b, void *context)
{
    const struct live_heap *x = a, *y = b;
    const struct top *top = context;
    int by_name = strcmp(x->name, y->name);
    if (top->sort == SORT_NAME)
        return top->is_turned ? -by_name : by_name;
    double one = figure(x, top->sort), two = figure(y, top->sort);
    int by_figure = (one < two) - (one > two);
    return by_figure == 0 ? by_name : top->is_turned ? -by_figure : by_figure;
}

void top_sort_heaps(struct top *top)
{
    if (top->live.count)
        qsort_r(top->live.heaps, top->live.count, sizeof *top->live.heaps, order, top);
}

size_t top_selected(const struct top *top)
{
    for (size_t i = 0; i < top->live.count; i++)
        if (!strcmp(top->live.heaps[i].name, top->selected))
            return i;
    return 0;
}

/* 12345 -> "12.3k" */
static void rate_text(char *text, double rate)
{
    static const char units[] = " kMG";
    unsigned unit = 0;
    for (; rate >= (unit ? 999.95 : 9999.5) && unit < 3; unit++)
        rate /= 1000;
    snprintf(text, CELL_ROOM, "%.*f%.*s", unit != 0, rate, unit != 0, units + unit);
}

static void percent_text(char *text, double percent)
{
    snprintf(text, CELL_ROOM, "%.0f %%", percent);
}

static void fill_cells(const struct live_heap *heap, char (*cells)[CELL_ROOM])
{
    const shmheap_stats *stats = &heap->stats;
    snprintf(cells[1], CELL_ROOM, "%s", size_text(stats->len));
    percent_text(cells[2], live_fill(heap));
    percent_text(cells[3], live_fragmentation(heap));
    strcpy(cells[4], "-");
    strcpy(cells[5], "-");
    strcpy(cells[6], "-");
    if (heap->has_rates) {
        rate_text(cells[4], operations(heap));
        rate_text(cells[5], heap->allocs);
        snprintf(cells[6], CELL_ROOM, "%s", size_text((uint64_t)heap->alloc_bytes));
    }
    snprintf(cells[7], CELL_ROOM, "%u", stats->processes);
    snprintf(cells[8], CELL_ROOM, "%u", stats->dead);
    snprintf(cells[9], CELL_ROOM, "%s", count_text(stats->recoveries));
    strcpy(cells[10], "-");
    strcpy(cells[11], "-");
    if (heap->probes.count) {
        percent_text(cells[10], live_held(heap));
        percent_text(cells[11], live_waits(heap));
    }
}

static const char *row_text(const struct table *table, const struct live_heap *heap, char *line)
{
    char cells[COLUMNS_COUNT][CELL_ROOM], name[1100];
    const char *texts[COLUMNS_COUNT] = {escape_printable(name, sizeof name, heap->name)};
    for (int i = 1; i < COLUMNS_COUNT; i++) {
        strcpy(cells[i], i == 2 ? "?" : "");
        texts[i] = cells[i];
    }
    if (heap->is_seen)
        fill_cells(heap, cells);
    return table_line(table, texts, line);
}

static void fit(struct table *table, const struct top *top, int width)
{
    int name_width = 4;
    char name[1100];
    for (size_t i = 0; i < top->live.count; i++) {
        int own = text_width(escape_printable(name, sizeof name, top->live.heaps[i].name));
        name_width = own > name_width ? own : name_width;
    }
    table_fit(table, columns, COLUMNS_COUNT, 0, width, name_width);
}

void list_print(const struct top *top, FILE *file, int width)
{
    struct table table;
    char line[TABLE_ROOM];
    fit(&table, top, width);
    fprintf(file, "%s\n", table_title(&table, line));
    for (size_t i = 0; i < top->live.count; i++)
        fprintf(file, "%s\n", row_text(&table, &top->live.heaps[i], line));
}

static void head_draw(const struct top *top)
{
    char now[16] = "";
    time_t seconds = time(NULL);
    struct tm parts;
    double rate = 0;
    unsigned processes = 0;
    char text[CELL_ROOM];
    if (localtime_r(&seconds, &parts))
        strftime(now, sizeof now, "%H:%M:%S", &parts);
    for (size_t i = 0; i < top->live.count; i++) {
        rate += operations(&top->live.heaps[i]);
        processes += top->live.heaps[i].stats.processes;
    }
    rate_text(text, rate);
    attron(A_BOLD);
    mvprintw(0, 0, "shmheap %s", now);
    attroff(A_BOLD);
    printw("  %zu %s, %u connected, %s ops/s", top->live.count,
           plural(top->live.count, "heap", "heaps"), processes, text);
}

static int row_color(const struct live_heap *heap)
{
    if (!heap->is_seen || live_fill(heap) >= 95)
        return COLOR_PAIR(PAIR_BAD);
    return heap->stats.dead || live_fill(heap) >= 80 ? COLOR_PAIR(PAIR_WARN) : A_NORMAL;
}

/* A whole line of the screen: the bar of the title or of the selected heap reaches its end. */
static void line_draw(int y, const char *text, int attributes)
{
    attron(attributes);
    mvprintw(y, 0, "%s%*s", text, COLS > text_width(text) ? COLS - text_width(text) : 0, "");
    attroff(attributes);
}

void list_draw(const struct top *top)
{
    struct table table;
    char line[TABLE_ROOM];
    size_t selected = top_selected(top), room = LINES > TOP_LINES ? (size_t)(LINES - TOP_LINES) : 1;
    size_t first = selected >= room ? selected - room + 1 : 0;
    fit(&table, top, COLS);
    head_draw(top);
    line_draw(1, table_title(&table, line), COLOR_PAIR(PAIR_HEAD) | (int)A_REVERSE);
    for (size_t i = first; i < top->live.count && i < first + room; i++) {
        const struct live_heap *heap = &top->live.heaps[i];
        line_draw(2 + (int)(i - first), row_text(&table, heap, line),
                  i == selected ? (int)A_REVERSE : row_color(heap));
    }
    if (top->live.count == 0)
        mvaddstr(2, 0, "no heaps that you may read");
}
