/* screen.h: what standard output can show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SCREEN_H
#define SHMHEAP_TOOL_SCREEN_H

enum screen_color { SCREEN_AUTO, SCREEN_ALWAYS, SCREEN_NEVER };

/* The words of enum screen_color for --color; NULL ends them. */
extern const char *const screen_color_words[];

/* screen_has_color: SCREEN_AUTO gives colours on a terminal, unless TERM is unset or dumb or
 * NO_COLOR is set and not empty. */
int screen_has_color(enum screen_color color);

/* screen_has_utf8 is true if the locale's encoding is UTF-8. */
int screen_has_utf8(void);

/* screen_width is the columns of the terminal, else COLUMNS, else 80. */
int screen_width(void);

/* screen_table_width is the columns of the terminal, else COLUMNS, else enough for every column: a
 * program reads the table. */
int screen_table_width(void);

#endif
