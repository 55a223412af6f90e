/* top.c: shmheap top shows the heaps of this machine as they change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/map/shade.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"
#include "tools/shmheap/top/top.h"

enum { KEY_MS = 50, ESCAPE = 27 };

static volatile sig_atomic_t must_end;

static void end(int signal)
{
    (void)signal;
    must_end = 1;
}

static const char *const sort_words[] = {
    "name", "size", "fill", "fragmentation", "ops", "processes", "recoveries", "waits", NULL};
/* By index: the key for each order. */
static const char sort_keys[] = "nzfgoprw";

static void colors_start(struct top *top)
{
    static const short eight[] = {COLOR_WHITE, COLOR_BLUE,  COLOR_YELLOW, COLOR_MAGENTA,
                                  COLOR_CYAN,  COLOR_WHITE, COLOR_GREEN,  COLOR_RED};
    top->color = screen_has_color(SCREEN_AUTO) && has_colors();
    if (!top->color)
        return;
    start_color();
    use_default_colors();
    init_pair(PAIR_HEAD, COLOR_CYAN, -1);
    init_pair(PAIR_GOOD, COLOR_GREEN, -1);
    init_pair(PAIR_WARN, COLOR_YELLOW, -1);
    init_pair(PAIR_BAD, COLOR_RED, -1);
    for (int kind = 0; kind < CELL_KINDS; kind++)
        init_pair((short)(PAIR_KIND + kind), COLORS >= 256 ? shade_colors[kind] : eight[kind % 8],
                  -1);
}

static void select_by(struct top *top, int steps)
{
    size_t at = top_selected(top);
    if (top->live.count == 0)
        return;
    if (steps < 0)
        at -= (size_t)-steps < at ? (size_t)-steps : at;
    else
        at = at + (size_t)steps < top->live.count ? at + (size_t)steps : top->live.count - 1;
    snprintf(top->selected, sizeof top->selected, "%s", top->live.heaps[at].name);
}

/* Keys of the list. */
static void list_key(struct top *top, int key)
{
    const char *found = key > 0 && key < 128 ? strchr(sort_keys, key) : NULL;
    if (found) {
        top->is_turned = top->sort == (int)(found - sort_keys) && !top->is_turned;
        top->sort = (int)(found - sort_keys);
        top_sort_heaps(top);
        return;
    }
    switch (key) {
        case KEY_UP:
        case 'k':
            return select_by(top, -1);
        case KEY_DOWN:
        case 'j':
            return select_by(top, 1);
        case KEY_PPAGE:
            return select_by(top, -LINES);
        case KEY_NPAGE:
            return select_by(top, LINES);
        case '\n':
        case '\r':
        case KEY_ENTER:
        case KEY_RIGHT:
            select_by(top, 0);
            top->is_open = top->live.count != 0;
            return;
        default:
            return;
    }
}

static void view_key(struct top *top, int key)
{
    if (key == 's')
        top->by_process = !top->by_process;
    else if (key == ESCAPE || key == KEY_LEFT || key == KEY_BACKSPACE || key == '\b' || key == 127)
        top->is_open = 0;
}

static void handle_key(struct top *top, int key)
{
    if (key == 'q' || key == 'Q')
        must_end = 1;
    else if (key == '+' && top->interval_ms < 60000)
        top->interval_ms *= 2;
    else if (key == '-' && top->interval_ms > 200)
        top->interval_ms /= 2;
    else if (top->is_open)
        view_key(top, key);
    else
        list_key(top, key);
}

static void help_draw(const struct top *top)
{
    char text[160];
    const char *keys =
        top->is_open ? "Esc list  s state/process" : "Enter open  sort: n z f g o p r w";
    snprintf(text, sizeof text, "q quit  %s  + - every %.1f s", keys,
             (double)top->interval_ms / 1000);
    if (!top->is_open && COLS >= 120)
        snprintf(text, sizeof text,
                 "q quit  Enter open  sort by: n name z size f fill g fragmentation o ops "
                 "p processes r recoveries w waits  + - every %.1f s",
                 (double)top->interval_ms / 1000);
    attron(A_DIM);
    mvaddnstr(LINES - 1, 0, text, COLS - 1);
    attroff(A_DIM);
}

static void draw(struct top *top)
{
    erase();
    if (top->is_open && top->live.count)
        view_draw(top);
    else
        list_draw(top);
    help_draw(top);
    refresh();
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the next sample: keys, and probes between them. */
static void wait_for_keys(struct top *top)
{
    uint64_t start = now_ms();
    while (!must_end && now_ms() - start < top->interval_ms) {
        timeout(KEY_MS);
        int key = getch();
        if (key == ERR) {
            live_probe(&top->live);
            continue;
        }
        handle_key(top, key);
        draw(top);
    }
}

static int run(struct top *top)
{
    int status = 0;
    signal(SIGTERM, end);
    signal(SIGINT, end);
    signal(SIGHUP, end);
    if (!newterm(NULL, stdout, stdin))
        return fail("the terminal '%s' is not known; set TERM, or use --once", getenv("TERM"));
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    colors_start(top);
    while (!must_end && !status) {
        top_sort_heaps(top);
        draw(top);
        wait_for_keys(top);
        status = live_update(&top->live);
    }
    endwin();
    return status;
}

static int once(struct top *top)
{
    live_wait(&top->live, (unsigned)top->interval_ms);
    int status = live_update(&top->live);
    top_sort_heaps(top);
    if (!status)
        list_print(top, stdout, screen_table_width());
    return status;
}

static int top_run(const struct command *command, int argc, char **argv)
{
    static struct top top = {.interval_ms = 1000, .sort = SORT_OPERATIONS};
    int is_once = 0;
    const struct args_option options[] = {
        {ARGS_NUMBER, 'i', "interval", &top.interval_ms, 100, 60000, NULL},
        {.kind = ARGS_WORD, .letter = 's', .name = "sort", .to = &top.sort, .words = sort_words},
        {.kind = ARGS_FLAG, .letter = '1', .name = "once", .to = &is_once},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &top.live.is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    top.live.name_count = argc - optind;
    top.live.names = top.live.name_count ? argv + optind : NULL;
    if (top.live.is_file && !top.live.names)
        return wrong_usage("--file needs the path of a heap");
    if (!is_once && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
        return wrong_usage("top needs a terminal; use --once, or shmheap watch --json");
    setlocale(LC_ALL, "");
    top.utf8 = screen_has_utf8();
    int status = live_update(&top.live);
    if (!status)
        status = is_once ? once(&top) : run(&top);
    live_free(&top.live);
    return status;
}

const struct command command_top = {
    "top",
    "show heaps and their processes as they change",
    "usage: shmheap top [OPTION...] [NAME...]\n"
    "\n"
    "Shows the heaps in shared memory that you may read, or those named, and renews\n"
    "the figures each second. It connects read-only and changes nothing.\n"
    "\n"
    "  FILL     part of the heap's bytes in use\n"
    "  FRAG     part of the free bytes outside the largest object that fits\n"
    "  OPS/S    allocs and frees a second, ALLOC/S and BYTES/S of allocs alone. A call\n"
    "           that a thread's cache serves is not counted\n"
    "  PROC     connections that can write; DEAD of processes that died\n"
    "  RECOV    how often a process died inside a call and the heap was repaired\n"
    "  LOCKED   part of 20 inspections a second in which a process held the lock\n"
    "  WAITS    the part in which a thread waited for the lock, or for space\n"
    "\n"
    "Columns that do not fit the screen are left out.\n"
    "\n"
    "Keys: arrows select a heap, Enter opens it: its map and its processes; s shows\n"
    "states or processes in the map, Esc returns. n z f g o p r w sort by name, size,\n"
    "fill, fragmentation, operations, processes, recoveries, waits; a second time, the\n"
    "least first. + and - change the interval. q quits.\n"
    "\n"
    "  -i, --interval MS  milliseconds between samples, 100 to 60000 (default: 1000)\n"
    "  -s, --sort WHAT    name, size, fill, fragmentation, ops (default), processes,\n"
    "                     recoveries, waits\n"
    "  -1, --once         print the table once, after one interval. Programs read\n"
    "                     shmheap watch --json\n"
    "  -f, --file         NAME is the path of a file, not a name in shared memory\n"
    "      --help         print this text\n"
    "\n"
    "Exit status: 0; 1 a heap could not be opened; 2 wrong usage, or no terminal.\n"
    "\n"
    "Examples:\n"
    "  shmheap top\n"
    "  shmheap top --once --sort fill\n",
    top_run,
};
