/* terminal.c: draws the blocks of a heap in the terminal, or prints them as JSON.
 *
 * Each line is a part of the region, from low addresses to high. Each cell stands for a fixed
 * number of bytes. Its colour or letter is the kind of most of its used bytes; its shade is how
 * full it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/picture/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/heaps/cells.h"
#include "tools/shmheap/map/shade.h"
#include "tools/shmheap/text/figures.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"

enum {
    GUTTER = 11,             /* columns before a line's cells */
    MARGIN = 7,              /* columns after the cells: how full the line is */
    OWNERS = CELL_KINDS - 3, /* processes with a kind of their own in a map by process */
    KIND_OTHERS = CELL_KINDS - 2,
    KIND_UNOWNED = CELL_KINDS - 1
};

struct map {
    const struct heap_ref *ref;
    struct shading shading;
    uint64_t columns, rows;
    shmheap_stats stats;
    struct cells cells;
    struct shmheap_process_info processes[OWNERS]; /* of the owners; slot 0: not known */
    unsigned owners[OWNERS];                       /* slots, in the order of their first blocks */
    unsigned owner_count;
    uint64_t kind_blocks[CELL_KINDS], kind_bytes[CELL_KINDS];
};

static unsigned owner_kind(struct map *map, unsigned slot)
{
    if (slot == 0 || slot == 1023)
        return KIND_UNOWNED;
    for (unsigned i = 0; i < map->owner_count; i++)
        if (map->owners[i] == slot)
            return i + 1;
    if (map->owner_count == OWNERS)
        return KIND_OTHERS;
    map->owners[map->owner_count++] = slot;
    return map->owner_count;
}

static int add_block(const shmheap_block_info *block, void *context)
{
    struct map *map = context;
    unsigned kind = block->state;
    if (map->shading.by_process && block->state != SHMHEAP_STATE_FREE)
        kind = owner_kind(map, block->slot);
    if (kind >= CELL_KINDS)
        return 0;
    cells_add(&map->cells, block->offset - (block->size - block->len), block->size, kind);
    map->kind_blocks[kind]++;
    map->kind_bytes[kind] += block->size;
    return 0;
}

static int add_process(const shmheap_process_info *process, void *context)
{
    struct map *map = context;
    for (unsigned i = 0; i < map->owner_count; i++)
        if (map->owners[i] == process->slot)
            map->processes[i] = *process;
    return 0;
}

static int inspect(shmheap_memory_handle mem, void *context)
{
    struct map *map = context;
    cells_free(&map->cells);
    memset(map->kind_blocks, 0, sizeof map->kind_blocks);
    memset(map->kind_bytes, 0, sizeof map->kind_bytes);
    map->owner_count = 0;
    if (shmheap_stat(mem, &map->stats) ||
        cells_make(&map->cells, map->stats.len, map->columns * map->rows))
        return -1;
    if (shmheap_walk(mem, add_block, map) < 0)
        return -1;
    return map->shading.by_process ? shmheap_processes(mem, add_process, map) : 0;
}

static const char *kind_text(const struct map *map, unsigned kind)
{
    static char text[64];
    const struct shmheap_process_info *process;
    if (!map->shading.by_process || kind == CELL_FREE)
        return state_text((enum shmheap_state)kind);
    if (kind == KIND_OTHERS)
        return "other slots";
    if (kind == KIND_UNOWNED)
        return "no process";
    process = &map->processes[kind - 1];
    if (process->slot)
        snprintf(text, sizeof text, "%s %lld", process->alive ? "pid" : "dead",
                 (long long)process->pid);
    else
        snprintf(text, sizeof text, "slot %u, gone", map->owners[kind - 1]);
    return text;
}

static void draw_cell(const struct map *map, unsigned kind, unsigned level, int *color)
{
    int wanted = shade_colors[kind];
    if (map->shading.color && wanted != *color)
        printf("\033[38;5;%dm", wanted);
    *color = wanted;
    fputs(shade(&map->shading, kind, level), stdout);
}

static void end_color(const struct map *map)
{
    if (map->shading.color)
        fputs("\033[0m", stdout);
}

static void draw_row(const struct map *map, size_t first)
{
    const struct cells *cells = &map->cells;
    size_t last = first + map->columns < cells->count ? first + map->columns : cells->count;
    uint64_t used = 0, total = 0;
    int color = -1;
    printf("%9s %s", size_text(first * cells->cell_len), map->shading.utf8 ? "▕" : "|");
    for (size_t i = first; i < last; i++) {
        const struct cell *cell = &cells->cell[i];
        draw_cell(map, cell_kind(cell), cell_level(cell), &color);
        for (unsigned kind = 0; kind < CELL_KINDS; kind++) {
            total += cell->bytes[kind];
            used += kind == CELL_FREE ? 0 : cell->bytes[kind];
        }
    }
    end_color(map);
    printf("%*s%s %3.0f %%\n", (int)(map->columns - (last - first)), "",
           map->shading.utf8 ? "▏" : "|", total ? 100.0 * (double)used / (double)total : 0);
}

/* Draws one entry of the legend, on a new line if it does not fit. */
static void draw_entry(const struct map *map, unsigned kind, uint64_t *column)
{
    char text[128];
    int color = -1;
    int len = snprintf(text, sizeof text, " %s %s in %s", kind_text(map, kind),
                       size_text(map->kind_bytes[kind]), count_text(map->kind_blocks[kind]));
    if (*column && *column + (uint64_t)len + 4 > map->columns) {
        printf("\n%*s", GUTTER, "");
        *column = 0;
    } else if (*column) {
        fputs("   ", stdout);
    }
    draw_cell(map, kind, kind == CELL_FREE ? 0 : 4, &color);
    end_color(map);
    fputs(text, stdout);
    *column += (uint64_t)len + 4;
}

static void draw_legend(const struct map *map)
{
    uint64_t column = 0;
    printf("%*s", GUTTER, "");
    for (unsigned kind = 0; kind < CELL_KINDS; kind++)
        if (map->kind_blocks[kind])
            draw_entry(map, kind, &column);
    printf("\n%*sone cell is %s", GUTTER, "", size_text(map->cells.cell_len));
    if (map->shading.color || !map->shading.by_process)
        printf("; the fuller it is, the %s",
               map->shading.utf8 ? "denser: ░▒▓█" : "heavier: : + * # (letters: capital)");
    putchar('\n');
}

static void draw_summary(const struct map *map)
{
    const shmheap_stats *stats = &map->stats;
    printf("%s: %s, %.0f %% used by %s %s; %s free in %s %s, an object of %s fits", map->ref->text,
           size_text(stats->len),
           stats->len ? 100.0 * (double)stats->used_bytes / (double)stats->len : 0,
           count_text(stats->used_blocks), plural(stats->used_blocks, "block", "blocks"),
           size_text(stats->free_bytes), count_text(stats->free_blocks),
           plural(stats->free_blocks, "piece", "pieces"), size_text(stats->largest_free));
    if (stats->max_len > stats->len)
        printf("; may grow to %s", size_text(stats->max_len));
    putchar('\n');
}

static int is_free(const struct map *map, size_t first)
{
    size_t i = first;
    while (i < first + map->columns && i < map->cells.count &&
           cell_kind(&map->cells.cell[i]) == CELL_FREE)
        i++;
    return i == first + map->columns || i == map->cells.count;
}

/* Consecutive free lines are drawn once. Returns the first cell of the next line to draw. */
static size_t skip_free(const struct map *map, size_t first)
{
    size_t next = first + map->columns, lines = 0;
    while (is_free(map, first) && next < map->cells.count && is_free(map, next)) {
        next += map->columns;
        lines++;
    }
    if (lines)
        printf("%9s %s and %zu more %s, all free\n", "", map->shading.utf8 ? "⋮" : ":", lines,
               plural(lines, "line", "lines"));
    return next;
}

static int draw(const struct map *map)
{
    for (size_t first = 0; first < map->cells.count;) {
        draw_row(map, first);
        first = skip_free(map, first);
    }
    draw_legend(map);
    draw_summary(map);
    return 0;
}

static json_t *cell_json(const struct map *map, const struct cell *cell)
{
    json_t *object = json_object();
    for (unsigned kind = 0; kind < CELL_KINDS; kind++)
        if (cell->bytes[kind])
            json_set_count(object, kind_text(map, kind), cell->bytes[kind]);
    return object;
}

static int show_json(const struct map *map)
{
    json_t *object = figures_json(map->ref->text, &map->stats);
    json_t *array = json_array();
    for (size_t i = 0; i < map->cells.count; i++)
        json_array_append_new(array, cell_json(map, &map->cells.cell[i]));
    json_set_count(object, "cell_len", map->cells.cell_len);
    json_object_set_new(object, "cells", array);
    return json_show(object);
}

/* Default: as many columns as the terminal has room for, and 16 lines. */
static void choose_size(struct map *map)
{
    if (map->columns == 0) {
        int room = screen_width() - GUTTER - MARGIN;
        map->columns = room < 16 ? 16 : room > 160 ? 160 : (uint64_t)room;
    }
    if (map->rows == 0)
        map->rows = 16;
}

int terminal_map(const struct heap_ref *ref, const struct terminal_options *options)
{
    struct map map = {
        .ref = ref,
        .shading = {options->by_process, options->color, options->color && screen_has_utf8()},
        .columns = options->columns,
        .rows = options->rows};
    choose_size(&map);
    int status = heap_inspect(ref, inspect, &map) ? heap_fail(ref)
                 : options->json                  ? show_json(&map)
                                                  : draw(&map);
    cells_free(&map.cells);
    return status;
}
