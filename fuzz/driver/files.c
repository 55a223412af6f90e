/* files.c: reads kept inputs.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/driver/files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef void visit_function(const char *path, const uint8_t *bytes, size_t len);

void files_die(const char *program, const char *what, const char *path)
{
    fprintf(stderr, "%s: cannot %s %s\n", program, what, path);
    exit(1);
}

void *files_room(const char *program, size_t len)
{
    void *bytes = malloc(len ? len : 1);
    if (!bytes)
        files_die(program, "get", "memory");
    return bytes;
}

static void file_visit(const char *program, const char *path, visit_function *visit)
{
    static uint8_t bytes[FILES_INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        files_die(program, "read", path);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint8_t *exact = files_room(program, len);
    memcpy(exact, bytes, len);
    visit(path, exact, len);
    free(exact);
}

static void folder_visit(const char *program, const char *path, visit_function *visit)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    if (!folder)
        files_die(program, "open", path);
    while ((entry = readdir(folder))) {
        char child[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        files_each(program, child, visit);
    }
    closedir(folder);
}

void files_each(const char *program, const char *path, visit_function *visit)
{
    struct stat status;
    if (stat(path, &status))
        files_die(program, "find", path);
    if (S_ISDIR(status.st_mode))
        folder_visit(program, path, visit);
    else
        file_visit(program, path, visit);
}
