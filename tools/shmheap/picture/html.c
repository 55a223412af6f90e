/* html.c: a page that shows a heap and zooms into it. One file: no network, no other files.
 *
 * The page holds the data as JSON; the scripts of page/ draw it. Texts from the heap are in the
 * JSON alone, where no '<' stands, or are escaped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/text/json.h"

/* tools/BUILD makes string literals of the files in page/. */
static const char page_css[] =
#include "tools/generated/page_css.inc"
    ;
static const char map_js[] =
#include "tools/generated/map_js.inc"
    ;
static const char charts_js[] =
#include "tools/generated/charts_js.inc"
    ;
static const char page_js[] =
#include "tools/generated/page_js.inc"
    ;

static void data_write(FILE *file, const struct snapshot *snapshot)
{
    json_t *object = snapshot_json(snapshot);
    char *text = json_dumps(object, JSON_COMPACT);
    for (const char *at = text; at && *at; at++)
        if (*at == '<') /* no text ends the element <script> */
            fputs("\\u003c", file);
        else
            putc(*at, file);
    free(text);
    json_decref(object);
}

static void head_write(FILE *file, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Heap ",
          file);
    escape_xml(file, title);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>Heap ", page_css);
    escape_xml(file, title);
    fputs("</h1>\n", file);
}

void html_write(FILE *file, const char *name, const struct snapshot *snapshot)
{
    char title[1100];
    head_write(file, escape_printable(title, sizeof title, name));
    fputs("<p>", file);
    summary_write(file, snapshot);
    fputs("</p>\n<p id=\"bar\"><label>Colour by <select id=\"by\"><option value=\"both\">state, "
          "owner below</option><option value=\"state\">state</option><option value=\"owner\">owner"
          "</option></select></label> <button id=\"in\">+</button> <button id=\"out\">&minus;"
          "</button> <button id=\"used\">part in use</button> <button id=\"all\">all</button> "
          "<span id=\"range\"></span></p>\n"
          "<noscript><p>The map needs JavaScript; shmheap map --svg does not.</p></noscript>\n"
          "<canvas id=\"strip\"></canvas>\n<canvas id=\"map\" tabindex=\"0\"></canvas>\n"
          "<div id=\"tip\" hidden></div>\n"
          "<p class=\"hint\">Wheel or + and &minus;: zoom. Drag or arrow keys: move. Double click "
          "on a block: zoom to it. 0: all.</p>\n<div id=\"charts\"></div>\n",
          file);
    fputs("<script id=\"data\" type=\"application/json\">", file);
    data_write(file, snapshot);
    fprintf(file, "</script>\n<script>\n%s%s%s</script>\n</body>\n</html>\n", map_js, charts_js,
            page_js);
}
