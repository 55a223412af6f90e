/* top.h: the parts of shmheap top.
 *
 *   top.c    the command, its loop and its keys
 *   list.c   the table of heaps
 *   view.c   one heap: figures, map, processes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_TOP_H
#define SHMHEAP_TOOL_TOP_H

#include <stdio.h>

#include "tools/shmheap/live/live.h"

enum top_sort {
    SORT_NAME,
    SORT_SIZE,
    SORT_FILL,
    SORT_FRAGMENTATION,
    SORT_OPERATIONS,
    SORT_PROCESSES,
    SORT_RECOVERIES,
    SORT_WAITS
};

struct top {
    struct live live;
    int sort;      /* enum top_sort */
    int is_turned; /* the least first */
    uint64_t interval_ms;
    int color, utf8;
    char selected[HEAP_NAME_ROOM + 4096]; /* the name of a heap; "": the first */
    int is_open;                          /* the view of the selected heap is shown */
    int by_process;                       /* its map shows processes */
};

/* Pairs of colours. PAIR_KIND + n: the kinds of cells. */
enum { PAIR_HEAD = 1, PAIR_GOOD, PAIR_WARN, PAIR_BAD, PAIR_KIND };

/* top_sort_heaps sorts the heaps of top->live. */
void top_sort_heaps(struct top *top);

/* top_selected is the index of the selected heap; 0 if it is gone. */
size_t top_selected(const struct top *top);

/* list_draw draws the table on the screen; list_print prints it to file, for --once. */
void list_draw(const struct top *top);
void list_print(const struct top *top, FILE *file, int width);

/* view_draw draws the selected heap. */
void view_draw(const struct top *top);

#endif
