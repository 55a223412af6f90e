/* serve_absent_test.c: the command serve of a tool without libmicrohttpd says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/shmheap/commands/commands.h"

/* The exit status of `serve ARGUMENT`; *said is what it prints to standard error. */
static int status_of(char *argument, char *said, size_t room)
{
    char name[] = "serve";
    char *argv[] = {name, argument, NULL};
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert(file && saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    optind = 0; /* getopt_long begins anew */
    int status = command_serve.run(&command_serve, argument ? 2 : 1, argv);
    assert(dup2(saved, STDERR_FILENO) >= 0 && close(saved) == 0);
    rewind(file);
    said[fread(said, 1, room - 1, file)] = '\0';
    fclose(file);
    return status;
}

int main(void)
{
    static char help[] = "--help", wrong[] = "--nonsense";
    char said[512];
    assert(status_of(NULL, said, sizeof said) == 1);
    assert(strstr(said, "built without libmicrohttpd") && strstr(said, "shmheap top"));
    assert(status_of(help, said, sizeof said) == 0 && *said == '\0');
    assert(status_of(wrong, said, sizeof said) == 2 && strstr(said, "not an option"));
    assert(strstr(command_serve.summary, "not in this build"));
    return 0;
}
