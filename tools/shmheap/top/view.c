/* view.c: one heap in shmheap top: its figures, its map and its processes, as they change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ncurses.h>
#include <string.h>

#include "tools/shmheap/heaps/cells.h"
#include "tools/shmheap/processes/process_table.h"
#include "tools/shmheap/map/shade.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/top/top.h"

enum { HEAD_LINES = 5, GUTTER = 11, MOST_MAP_LINES = 16 };

struct view {
    const struct top *top;
    shmheap_stats stats;
    struct cells cells;
    struct process_table processes;
    size_t columns, lines; /* of the map */
};

/* In a map by process the kinds are slots modulo the number of kinds. */
static int add_block(const shmheap_block_info *block, void *context)
{
    struct view *view = context;
    unsigned kind = block->state;
    if (view->top->by_process && kind != SHMHEAP_STATE_FREE)
        kind = 1 + block->slot % (CELL_KINDS - 1);
    cells_add(&view->cells, block->offset - (block->size - block->len), block->size, kind);
    return 0;
}

/* Read-only, without recovery: top changes nothing. */
static int view_read(struct view *view, const struct live_heap *heap)
{
    shmheap_memory_handle mem;
    if (heap_ref_open_now(&heap->ref, &mem))
        return -1;
    int failed = shmheap_stat(mem, &view->stats) ||
                 cells_make(&view->cells, view->stats.len, view->columns * view->lines) ||
                 shmheap_walk(mem, add_block, view) || process_table_read(mem, &view->processes);
    shmheap_disconnect(mem);
    return failed ? -1 : 0;
}

static void cell_draw(const struct view *view, const struct cell *cell)
{
    struct shading shading = {view->top->by_process, view->top->color, view->top->utf8};
    unsigned kind = cell_kind(cell);
    int attributes = view->top->color ? COLOR_PAIR(PAIR_KIND + (int)kind) : A_NORMAL;
    attron(attributes);
    addstr(shade(&shading, kind, cell_level(cell)));
    attroff(attributes);
}

static int map_draw(const struct view *view, int y)
{
    const struct cells *cells = &view->cells;
    for (size_t i = 0; i < cells->count; i++) {
        if (i % view->columns == 0)
            mvprintw(y++, 0, "%9s  ", size_text(i * cells->cell_len));
        cell_draw(view, &cells->cell[i]);
    }
    return y;
}

static int legend_draw(const struct view *view, int y)
{
    struct cell cell;
    int column = GUTTER;
    move(y, column);
    if (view->top->by_process)
        addstr("by process: a colour for each slot; s: by state");
    for (unsigned state = 0; state <= SHMHEAP_STATE_NAMED && !view->top->by_process; state++) {
        const char *text = state_text((enum shmheap_state)state);
        memset(&cell, 0, sizeof cell);
        cell.bytes[state] = 1;
        if (column + (int)strlen(text) + 4 > COLS) {
            column = GUTTER;
            y++;
        }
        move(y, column);
        cell_draw(view, &cell);
        printw(" %s", text);
        column += (int)strlen(text) + 4;
    }
    return y + 1;
}

static int processes_draw(const struct view *view, int y)
{
    const struct process_table *table = &view->processes;
    char name[80];
    if (y < LINES - 1 && table->count)
        mvprintw(y++, 0, "%4s  %8s  %-15s  %-5s  %10s", "SLOT", "PID", "PROGRAM", "", "BYTES");
    for (size_t i = 0; i < table->count && y < LINES - 1; i++) {
        const shmheap_process_info *process = &table->processes[i];
        mvprintw(y++, 0, "%4u  %8lld  %-15.15s  %-5s  %10s", process->slot, (long long)process->pid,
                 escape_printable(name, sizeof name, process->name), process->alive ? "" : "dead",
                 size_text(process->bytes));
    }
    return y;
}

static void head_draw(const struct view *view, const struct live_heap *heap)
{
    const shmheap_stats *stats = &view->stats;
    char name[1100];
    attron(A_BOLD);
    mvprintw(0, 0, "%s", escape_printable(name, sizeof name, heap->name));
    attroff(A_BOLD);
    mvprintw(1, 0, "%s, %.0f %% used in %s blocks, %s free in %s", size_text(stats->len),
             live_fill(heap), count_text(stats->used_blocks), size_text(stats->free_bytes),
             count_text(stats->free_blocks));
    mvprintw(2, 0, "%.0f allocs/s, %.0f frees/s, %s/s, fragmentation %.0f %%", heap->allocs,
             heap->frees, size_text((uint64_t)heap->alloc_bytes), live_fragmentation(heap));
    mvprintw(3, 0, "%u connected, %u dead, %s recoveries, locked %.0f %%, waits %.0f %%",
             stats->processes, stats->dead, count_text(stats->recoveries), live_held(heap),
             live_waits(heap));
}

void view_draw(const struct top *top)
{
    const struct live_heap *heap = &top->live.heaps[top_selected(top)];
    int lines = (LINES - HEAD_LINES) / 2;
    struct view view = {.top = top,
                        .columns = COLS > GUTTER + 8 ? (size_t)(COLS - GUTTER) : 8,
                        .lines = lines < 1                ? 1
                                 : lines > MOST_MAP_LINES ? MOST_MAP_LINES
                                                          : (size_t)lines};
    if (view_read(&view, heap)) {
        mvaddstr(0, 0,
                 "the heap cannot be read now: it is gone, it changes too fast, or a "
                 "process died in it");
    } else {
        head_draw(&view, heap);
        int y = map_draw(&view, HEAD_LINES);
        processes_draw(&view, legend_draw(&view, y) + 1);
    }
    cells_free(&view.cells);
    process_table_free(&view.processes);
}
