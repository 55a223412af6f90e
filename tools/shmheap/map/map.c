/* map.c: shmheap map draws the blocks of a heap in the terminal, or writes a picture to a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/picture/terminal.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"

enum picture { PICTURE_SVG, PICTURE_HTML };

/* "-" is standard output. A regular file that could not be written whole is removed. */
static int write_file(const char *path, enum picture picture, const char *name,
                      struct snapshot *snapshot)
{
    int is_stdout = !strcmp(path, "-");
    FILE *file = is_stdout ? stdout : fopen(path, "we");
    if (!file)
        return create_fail(path);
    if (picture == PICTURE_SVG)
        svg_write(file, name, snapshot);
    else
        html_write(file, name, snapshot);
    struct stat status;
    int is_regular = !is_stdout && fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    int failed = fflush(file) != 0 || ferror(file), error = errno;
    if (!is_stdout && fclose(file) && !failed) {
        failed = 1;
        error = errno;
    }
    if (failed && is_regular)
        remove(path);
    return failed ? fail("cannot write '%s': %s", path, strerror(error)) : 0;
}

static int draw_picture(const struct heap_ref *ref, enum picture picture, const char *path)
{
    static struct snapshot snapshot;
    size_t most = picture == PICTURE_SVG ? SVG_SEGMENTS : HTML_SEGMENTS;
    int status = snapshot_read(ref, most, &snapshot)
                     ? heap_fail(ref)
                     : write_file(path, picture, ref->text, &snapshot);
    snapshot_free(&snapshot);
    return status;
}

static int draw_pictures(const struct heap_ref *ref, const char *svg, const char *html)
{
    int status = svg ? draw_picture(ref, PICTURE_SVG, svg) : 0;
    return !status && html ? draw_picture(ref, PICTURE_HTML, html) : status;
}

static int map_run(const struct command *command, int argc, char **argv)
{
    static const char *const owners[] = {"state", "process", NULL};
    struct terminal_options terminal = {0};
    struct heap_ref ref;
    const char *svg = NULL, *html = NULL;
    int color = SCREEN_AUTO, is_file = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &terminal.json},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {ARGS_NUMBER, 0, "columns", &terminal.columns, 1, 1000, NULL},
        {ARGS_NUMBER, 0, "rows", &terminal.rows, 1, 1000, NULL},
        {.kind = ARGS_WORD, .name = "by", .to = &terminal.by_process, .words = owners},
        {.kind = ARGS_WORD, .name = "color", .to = &color, .words = screen_color_words},
        {.kind = ARGS_TEXT, .name = "svg", .to = &svg},
        {.kind = ARGS_TEXT, .name = "html", .to = &html},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("map needs the name of one heap");
    if (terminal.json && (svg || html))
        return wrong_usage("--json prints, --svg and --html write a file; use one of them");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    terminal.color = screen_has_color((enum screen_color)color);
    return svg || html ? draw_pictures(&ref, svg, html) : terminal_map(&ref, &terminal);
}

const struct command command_map = {
    "map",
    "draw the blocks of a heap in the terminal, or as SVG or HTML",
    "usage: shmheap map [OPTION...] NAME\n"
    "       shmheap map [--svg FILE] [--html FILE] [--file] NAME\n"
    "\n"
    "Draws the heap from its first byte to its last. A cell stands for a fixed number\n"
    "of bytes. Its colour is the state of most of its used bytes; its shade is how\n"
    "full the cell is. The map has colours on a terminal, unless NO_COLOR is set.\n"
    "Otherwise it has plain characters: . : + * # from empty to full, and letters,\n"
    "capital where a cell is two thirds full: s S shared, h H sent, not yet received,\n"
    "c C in a cache, i I internal to the heap, n N named.\n"
    "\n"
    "      --by WHAT      state (default), or process: the process that allocated the\n"
    "                     block, by the slots that shmheap stat lists\n"
    "      --columns N    cells in a line (default: the width of the terminal)\n"
    "      --rows N       lines (default: 16)\n"
    "      --color WHEN   auto (default), always, never\n"
    "      --svg FILE     write a picture, to scale: states, owners, a legend,\n"
    "                     histograms of blocks and holes; the pointer shows sizes,\n"
    "                     owners and names. It shows the heap to its last used block\n"
    "      --html FILE    write a page that shows the picture and zooms into it; the\n"
    "                     file needs no other file and no network\n"
    "  -j, --json         print the figures of shmheap stat, and the bytes of each\n"
    "                     state in each cell\n"
    "  -f, --file         NAME is the path of a file, not a name in shared memory\n"
    "      --help         print this text\n"
    "\n"
    "FILE may be - for standard output; a file that exists is replaced. With more\n"
    "than some thousand blocks, small neighbours share a box; files are below 1 MiB.\n"
    "\n"
    "Examples:\n"
    "  shmheap map orders\n"
    "  shmheap map --by process orders\n"
    "  shmheap map --html orders.html orders && xdg-open orders.html\n"
    "  watch --color shmheap map --color=always orders\n",
    map_run,
};
