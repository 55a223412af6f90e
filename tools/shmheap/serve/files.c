/* files.c: the files of the page. tools/BUILD makes string literals of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "tools/shmheap/serve/serve.h"

static const char serve_html[] =
#include "tools/generated/serve_html.inc"
    ;
static const char serve_css[] =
#include "tools/generated/serve_css.inc"
    ;
static const char serve_js[] =
#include "tools/generated/serve_js.inc"
    ;
static const char heap_js[] =
#include "tools/generated/heap_js.inc"
    ;
static const char table_js[] =
#include "tools/generated/table_js.inc"
    ;
static const char plots_js[] =
#include "tools/generated/plots_js.inc"
    ;
static const char icon_svg[] =
#include "tools/generated/icon_svg.inc"
    ;
static const char page_css[] =
#include "tools/generated/page_css.inc"
    ;
static const char map_js[] =
#include "tools/generated/map_js.inc"
    ;
static const char charts_js[] =
#include "tools/generated/charts_js.inc"
    ;
static const char uplot_js[] =
#include "tools/generated/uPlot_js.inc"
    ;
static const char uplot_css[] =
#include "tools/generated/uPlot_css.inc"
    ;
static const char uplot_licence[] =
#include "tools/generated/uPlot_txt.inc"
    ;

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define PLAIN "text/plain; charset=utf-8"
#define TEXT(array) array, sizeof(array) - 1

static const struct page_file files[] = {
    {"/", HTML, TEXT(serve_html)},
    {"/serve.css", CSS, TEXT(serve_css)},
    {"/serve.js", JS, TEXT(serve_js)},
    {"/heap.js", JS, TEXT(heap_js)},
    {"/table.js", JS, TEXT(table_js)},
    {"/plots.js", JS, TEXT(plots_js)},
    {"/icon.svg", "image/svg+xml", TEXT(icon_svg)},
    {"/page.css", CSS, TEXT(page_css)},
    {"/map.js", JS, TEXT(map_js)},
    {"/charts.js", JS, TEXT(charts_js)},
    {"/uPlot.js", JS, TEXT(uplot_js)},
    {"/uPlot.css", CSS, TEXT(uplot_css)},
    {"/uPlot.txt", PLAIN, TEXT(uplot_licence)},
};

const struct page_file *page_file_find(const char *path)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(files[i].path, path))
            return &files[i];
    return NULL;
}
