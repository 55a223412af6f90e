/* progress.c: the progress of a replay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/replay/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"

enum { BAR = 32 };

static int is_drawn(const struct plan *plan) { return !plan->quiet && isatty(STDERR_FILENO); }

void progress_draw(const struct plan *plan, uint64_t calls, unsigned alive, uint64_t ns)
{
    uint64_t all = plan->calls_each * plan->processes;
    uint64_t done = all ? calls * BAR / all : BAR;
    if (!is_drawn(plan))
        return;
    fputs("\r  ", stderr);
    for (uint64_t i = 0; i < BAR; i++)
        fputs(screen_has_utf8() ? (i < done ? "█" : "░") : (i < done ? "#" : "."), stderr);
    fprintf(stderr, " %3.0f %%  %.1f million calls/s  %u running \033[K",
            all ? 100.0 * (double)calls / (double)all : 100,
            ns ? (double)calls * 1e3 / (double)ns : 0, alive);
    fflush(stderr);
}

void progress_end(const struct plan *plan)
{
    if (is_drawn(plan))
        fputs("\r\033[K", stderr);
}

void progress_note(const struct plan *plan, const char *format, ...)
{
    va_list arguments;
    if (plan->quiet)
        return;
    progress_end(plan);
    va_start(arguments, format);
    fputs("  ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}
