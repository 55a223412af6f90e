/* table.h: tables that fit the screen: columns that do not fit are left out, the least important
 * first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_TABLE_H
#define SHMHEAP_TOOL_TABLE_H

#include <stddef.h>

enum { TABLE_COLUMNS = 16, TABLE_ROOM = 2048 };

/* struct column is a column. rank: of the columns that do not fit, the one with the highest rank is
 * left out first; 0: never. */
struct column {
    const char *title;
    int width; /* of the screen */
    int rank;
    int is_left; /* aligned left, else right */
};

/* struct table is a choice of columns. A cell wider than its column is cut; '~' marks the cut. */
struct table {
    const struct column *columns;
    int count;
    int indent;               /* columns of the screen before the table */
    int width[TABLE_COLUMNS]; /* 0: left out */
};

/* table_fit chooses the columns that fit width columns of the screen. The first column gets
 * first_width, or at least a quarter of the screen if the other ones leave no more room. */
void table_fit(struct table *table, const struct column *columns, int count, int indent, int width,
               int first_width);

/* table_line writes one line, without its end, to line[TABLE_ROOM]. table_title writes the titles.
 * Both return line. */
const char *table_line(const struct table *table, const char *const *cells, char *line);
const char *table_title(const struct table *table, char *line);

/* text_width is how many columns of the screen a text of UTF-8 takes, one for each character. */
int text_width(const char *text);

#endif
