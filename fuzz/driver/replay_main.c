/* replay_main.c: runs each kept input once, without a fuzzer: REPLAY [--print-c] FILE_OR_FOLDER...
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/driver/input.h"

enum { INPUT_MAX = 1 << 20 };

extern int world_printing __attribute__((weak));
static unsigned replayed;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "replay: cannot %s %s\n", what, path);
    exit(1);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    if (!file || !bytes)
        die("read", path);
    size_t len = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    uint8_t *exact =
        malloc(len ? len : 1); /* exact size, so that a sanitizer detects a read beyond its end */
    if (!exact)
        die("copy", path);
    memcpy(exact, bytes, len);
    free(bytes);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    replayed++;
}

static void replay(const char *path)
{
    struct stat status;
    if (stat(path, &status))
        die("find", path);
    if (!S_ISDIR(status.st_mode)) {
        replay_file(path);
        return;
    }
    DIR *folder = opendir(path);
    struct dirent *entry;
    if (!folder)
        die("open", path);
    while ((entry = readdir(folder))) {
        char child[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        replay(child);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--print-c") != 0)
            replay(argv[i]);
        else if (&world_printing)
            world_printing = 1;
        else
            die("print inputs as C programs in", argv[0]);
    if (!replayed)
        die("find any input in", argc > 1 ? argv[1] : "no arguments");
    fprintf(stderr, "%u inputs\n", replayed);
    return 0;
}
