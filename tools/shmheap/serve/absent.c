/* absent.c: the command serve of a tool that was built without libmicrohttpd.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/command_line/say.h"

static int serve_run(const struct command *command, int argc, char **argv)
{
    const struct args_option options[] = {{0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    return fail("this shmheap was built without libmicrohttpd; install its development files "
                "(Debian: libmicrohttpd-dev) and build it again, or use shmheap top");
}

const struct command command_serve = {
    "serve",
    "show heaps as they change in a browser (not in this build)",
    "usage: shmheap serve\n"
    "\n"
    "This shmheap was built without libmicrohttpd, so it cannot show heaps in a\n"
    "browser. Install the library's development files (Debian: libmicrohttpd-dev) and\n"
    "build it again. shmheap top shows the same figures in a terminal.\n"
    "\n"
    "      --help         print this text\n"
    "\n"
    "Exit status: 1; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap top\n",
    serve_run,
};
