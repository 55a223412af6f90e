/* main.c: the command-line tool shmheap: finds the subcommand and runs it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/command_line/similar.h"

#define VERSION "0.1.0"

static const struct command *const commands[] = {
    &command_ls,    &command_stat,  &command_check,  &command_map,    &command_top,
    &command_watch, &command_serve, &command_run,    &command_names,  &command_copy,
    &command_reap,  &command_rm,    &command_record, &command_replay,
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(void)
{
    puts("shmheap: inspect heaps in shared memory, and replay the allocations of real programs\n"
         "\n"
         "usage: shmheap COMMAND [OPTION...] [ARGUMENT...]\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    puts("\n"
         "shmheap COMMAND --help describes a command, with examples. Most commands take --json.\n"
         "shmheap --version, -V prints the version. NO_COLOR=1 turns colours off.\n"
         "\n"
         "First steps:\n"
         "  shmheap run -- sqlite3           sqlite3, with its objects in a heap\n"
         "  shmheap top                      in another terminal\n"
         "\n"
         "  shmheap record -o ls.trace -- ls -lR /usr/include    the allocations of ls\n"
         "  shmheap replay ls.trace --processes 4 --keep --name try\n"
         "  shmheap ls\n"
         "  shmheap map try\n"
         "  shmheap rm try\n"
         "\n"
         "Exit status: 0; 1 something failed or is not sound; 2 wrong usage.");
    return 0;
}

static const struct command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int refuse(const char *name)
{
    int best = -1, best_distance = 0;
    for (int i = 0; i < COMMANDS; i++) {
        int distance = similar_distance(name, commands[i]->name);
        if (similar_is_near(name, distance) && (best < 0 || distance < best_distance)) {
            best = i;
            best_distance = distance;
        }
    }
    return best < 0 ? wrong_usage("there is no command '%s'", name)
                    : wrong_usage("there is no command '%s'; did you mean '%s'?", name,
                                  commands[best]->name);
}

/* `bazel run` starts a program in another folder and passes the caller's folder in a variable. */
static void enter_caller_folder(void)
{
    const char *folder = getenv("BUILD_WORKING_DIRECTORY");
    if (folder && getenv("BUILD_WORKSPACE_DIRECTORY") && chdir(folder))
        fail("cannot enter '%s'; relative paths start in bazel's folder instead", folder);
}

int main(int argc, char **argv)
{
    enter_caller_folder();
    if (argc < 2)
        return wrong_usage("no command; use ls, stat, top, watch, serve, check, map, run, "
                           "names, copy, reap, rm, record or replay");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return help();
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        return puts("shmheap " VERSION) < 0;
    const struct command *command = find(argv[1]);
    if (!command)
        return refuse(argv[1]);
    say_command(command->name);
    say_missing_memory();
    int status = command->run(command, argc - 1, argv + 1);
    return fflush(stdout) ? fail("cannot write to standard output") : status;
}
