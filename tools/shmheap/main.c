/* main.c: shmheap, the tool for people: finds the subcommand and calls it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "say.h"

#define VERSION "0.1.0"

static const struct command *const commands[] = {
    &command_ls,   &command_stat, &command_check, &command_map,    &command_names,
    &command_copy, &command_reap, &command_rm,    &command_record, &command_replay,
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(void)
{
    puts("shmheap: look at heaps in shared memory, and try them with what real programs allocate\n"
         "\n"
         "usage: shmheap COMMAND [OPTION...] [ARGUMENT...]\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    puts("\n"
         "shmheap COMMAND --help tells more, with examples. Most take --json, for programs.\n"
         "\n"
         "A first walk:\n"
         "  shmheap record -o ls.trace -- ls -lR /usr/include    what ls allocates, and when\n"
         "  shmheap replay ls.trace --processes 4 --keep --name try\n"
         "  shmheap ls\n"
         "  shmheap map try\n"
         "  shmheap rm try\n"
         "\n"
         "Exit status: 0, 1 when something failed or is not sound, 2 for wrong usage.");
    return 0;
}

static const struct command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

/* `bazel run` starts programs in a folder of its own and says where the person is. */
static void go_where_called(void)
{
    const char *folder = getenv("BUILD_WORKING_DIRECTORY");
    if (folder && getenv("BUILD_WORKSPACE_DIRECTORY") && chdir(folder))
        fail("cannot go to '%s'; paths are taken from here", folder);
}

int main(int argc, char **argv)
{
    go_where_called();
    if (argc < 2)
        return wrong_usage(
            "say what to do: ls, stat, check, map, names, copy, reap, rm, record or replay");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return help();
    if (!strcmp(argv[1], "--version"))
        return puts("shmheap " VERSION) < 0;
    const struct command *command = find(argv[1]);
    if (!command)
        return wrong_usage("there is no command '%s'", argv[1]);
    say_command(command->name);
    int status = command->run(command, argc - 1, argv + 1);
    return fflush(stdout) ? fail("could not write to standard output") : status;
}
