/* table.c: tables that fit the screen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/table.h"

#include <stdio.h>
#include <string.h>

enum { GAP = 2, FIRST_LEAST = 8 };

int text_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static int sum(const struct table *table)
{
    int width = table->indent - GAP;
    for (int i = 0; i < table->count; i++)
        width += table->width[i] ? table->width[i] + GAP : 0;
    return width;
}

static int find_least_important(const struct table *table)
{
    int found = -1;
    for (int i = 0; i < table->count; i++)
        if (table->width[i] && table->columns[i].rank &&
            (found < 0 || table->columns[i].rank >= table->columns[found].rank))
            found = i;
    return found;
}

void table_fit(struct table *table, const struct column *columns, int count, int indent, int width,
               int first_width)
{
    int out;
    memset(table, 0, sizeof *table);
    table->columns = columns;
    table->count = count < TABLE_COLUMNS ? count : TABLE_COLUMNS;
    table->indent = indent;
    for (int i = 0; i < table->count; i++)
        table->width[i] = columns[i].width;
    int least = width / 4 > FIRST_LEAST ? width / 4 : FIRST_LEAST;
    least = first_width < least ? first_width : least;
    if (table->width[0] < least)
        table->width[0] = least;
    while (sum(table) > width && (out = find_least_important(table)) >= 0)
        table->width[out] = 0;
    int room = width - sum(table);
    if (table->width[0] && table->width[0] < first_width && room > 0)
        table->width[0] +=
            first_width - table->width[0] < room ? first_width - table->width[0] : room;
}

/* Appends the first `width` characters of text. */
static size_t put(char *line, size_t len, const char *text, int width)
{
    while (*text && len + 1 < TABLE_ROOM) {
        if (((unsigned char)*text & 0xc0) != 0x80 && width-- == 0)
            break;
        line[len++] = *text++;
    }
    return len;
}

static size_t pad(char *line, size_t len, int width)
{
    while (width-- > 0 && len + 1 < TABLE_ROOM)
        line[len++] = ' ';
    return len;
}

const char *table_line(const struct table *table, const char *const *cells, char *line)
{
    size_t len = pad(line, 0, table->indent);
    int is_first = 1;
    for (int i = 0; i < table->count; i++) {
        int width = table->width[i], text = text_width(cells[i]);
        if (width == 0)
            continue;
        len = pad(line, len, is_first ? 0 : GAP);
        is_first = 0;
        if (!table->columns[i].is_left)
            len = pad(line, len, width - text);
        len = put(line, len, cells[i], text > width ? width - 1 : width);
        if (text > width)
            len = put(line, len, "~", 1);
        if (table->columns[i].is_left)
            len = pad(line, len, width - text);
    }
    while (len && line[len - 1] == ' ')
        len--;
    line[len] = '\0';
    return line;
}

const char *table_title(const struct table *table, char *line)
{
    const char *titles[TABLE_COLUMNS];
    for (int i = 0; i < table->count; i++)
        titles[i] = table->columns[i].title;
    return table_line(table, titles, line);
}
