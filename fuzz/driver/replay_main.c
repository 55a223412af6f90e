/* replay_main.c: runs each kept input once, without a fuzzer: REPLAY [--print-c] FILE_OR_FOLDER...
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fuzz/driver/files.h"
#include "fuzz/driver/input.h"

extern int world_printing __attribute__((weak));
static const char program[] = "replay";
static unsigned replayed;

static void replay(const char *path, const uint8_t *bytes, size_t len)
{
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, len);
    replayed++;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--print-c") != 0)
            files_each(program, argv[i], replay);
        else if (&world_printing)
            world_printing = 1;
        else
            files_die(program, "print inputs as C programs in", argv[0]);
    if (!replayed)
        files_die(program, "find any input in", argc > 1 ? argv[1] : "no arguments");
    fprintf(stderr, "%u inputs\n", replayed);
    return 0;
}
