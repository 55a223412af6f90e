/* copy.c: shmheap copy copies a heap, also one in use, to a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/command_line/say.h"

/* struct copying is the source and the destination. */
struct copying {
    struct heap_ref ref;
    const char *file;
    int force;
    int reached; /* the heap was opened: later errors concern the file */
};

/* Writes a path beside file that does not exist yet. Returns 0, or -1 with errno. */
static int path_beside(char *path, size_t room, const char *file)
{
    unsigned long long random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -1;
    if ((size_t)snprintf(path, room, "%s.%016llx", file, random) < room)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

/* Replaces file by the copy in one step. */
static int copy_over(shmheap_memory_handle mem, const char *file)
{
    char path[PATH_MAX];
    if (path_beside(path, sizeof path, file) || shmheap_copy(mem, path))
        return -1;
    if (rename(path, file) == 0)
        return 0;
    int error = errno;
    unlink(path);
    errno = error;
    return -1;
}

static int copy_with(struct copying *copying, unsigned flags)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(&copying->ref, flags, &mem))
        return -1;
    copying->reached = 1;
    int failed = copying->force ? copy_over(mem, copying->file) : shmheap_copy(mem, copying->file),
        error = errno;
    shmheap_disconnect(mem);
    errno = error;
    return failed;
}

/* A connection that may write copies under the heap's lock. Without write permission the copy
 * succeeds only if the heap does not change meanwhile. */
static int copy(struct copying *copying)
{
    int failed = copy_with(copying, 0);
    if (failed && !copying->reached && (errno == EACCES || errno == EROFS || errno == EAGAIN))
        failed = copy_with(copying, SHMHEAP_READ_ONLY);
    return failed;
}

static int copy_fail(const struct copying *copying)
{
    const char *file = copying->file;
    if (!copying->reached || errno == EAGAIN || errno == EBADMSG || errno == ETIMEDOUT)
        return heap_fail(&copying->ref);
    switch (errno) {
        case EEXIST:
            return fail("'%s' exists; use another path, or --force to replace it", file);
        case ENOSPC:
        case EDQUOT:
            return fail("no space for '%s'; the incomplete copy was removed; 'df' shows the space "
                        "of file systems",
                        file);
        case EFBIG:
            return fail("'%s' would exceed the limit of file sizes; see ulimit -f", file);
        default:
            return create_fail(file);
    }
}

static int copy_run(const struct command *command, int argc, char **argv)
{
    struct copying copying = {.file = NULL};
    int is_file = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'F', .name = "force", .to = &copying.force},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 2)
        return wrong_usage("copy needs the name of one heap and the path of a file");
    int status = heap_ref_set(&copying.ref, argv[optind], is_file);
    if (status)
        return status;
    copying.file = argv[optind + 1];
    if (!*copying.file)
        return wrong_usage("the path of the copy cannot be empty");
    return copy(&copying) ? copy_fail(&copying) : 0;
}

const struct command command_copy = {
    "copy",
    "copy a heap, also one in use, to a file",
    "usage: shmheap copy [--force] [--file] NAME FILE\n"
    "\n"
    "Writes FILE: the heap as it was at one instant, as if all its processes had been\n"
    "killed then. Programs open FILE with SHMHEAP_FILE; this tool opens it with\n"
    "--file. Handles stay valid in the copy. Free memory is not copied: the file has\n"
    "holes there. When the command ends, FILE is complete and on disk, or does not\n"
    "exist. (A plain cp of a heap in use mixes different instants.)\n"
    "\n"
    "Processes that use the heap wait while the command compares the heap with its\n"
    "copy: some tenths of a second for each GiB in use. Without permission to write\n"
    "the heap, the copy succeeds only if the heap does not change meanwhile.\n"
    "\n"
    "  -F, --force  replace FILE, in one step, when the copy is complete\n"
    "  -f, --file   NAME is the path of a file, not a name in shared memory\n"
    "      --help   print this text\n"
    "\n"
    "Exit status: 0; 1 there is no copy; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap copy orders orders.heap\n"
    "  shmheap check --file orders.heap\n",
    copy_run,
};
