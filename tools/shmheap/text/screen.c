/* screen.c: what standard output can show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/screen.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDE = 1000 };

const char *const screen_color_words[] = {"auto", "always", "never", NULL};

int screen_has_color(enum screen_color color)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (color != SCREEN_AUTO)
        return color == SCREEN_ALWAYS;
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

int screen_has_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *text = getenv(variables[i]);
        if (text && *text)
            return strcasestr(text, "utf-8") || strcasestr(text, "utf8");
    }
    return 0;
}

static int known_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    int width = columns ? atoi(columns) : 0;
    return width > 0 ? width : 0;
}

int screen_width(void)
{
    int width = known_width();
    return width ? width : 80;
}

int screen_table_width(void)
{
    int width = known_width();
    return width ? width : WIDE;
}
