/* screen.h: what standard output can show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SCREEN_H
#define SHMHEAP_TOOL_SCREEN_H

enum screen_color { SCREEN_AUTO, SCREEN_ALWAYS, SCREEN_NEVER };

/* screen_color_set understands auto, always, never. 0, or STATUS_USAGE having said what is wrong. */
int screen_color_set(enum screen_color *color, const char *text);

/* Colours: on a terminal that is not called dumb, where NO_COLOR is unset or empty. */
int screen_has_color(enum screen_color color);

/* The characters beyond ASCII of the locale's encoding. */
int screen_has_utf8(void);

/* Columns: of the terminal, or what COLUMNS says, or 80. */
int screen_width(void);

#endif
