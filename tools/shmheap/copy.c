/* copy.c: shmheap copy, a copy of a heap that is in use, in a file.
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

#include "commands.h"
#include "heap.h"
#include "say.h"

/* struct copying is what to copy where. */
struct copying {
    struct heap_ref ref;
    const char *file;
    int force;
    int reached; /* the heap was opened: errors after that are the file's */
};

/* A path beside the file, which nothing has yet: 0, or -1 with errno. */
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

/* The copy takes the place of the file in one step. */
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

/* With the right to write, for a moment of the lock; else as a reader, of a heap that is quiet enough. */
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
            return fail("no space for '%s'; nothing of it is left there", file);
        case EFBIG:
            return fail("'%s' would be longer than files may be; see ulimit -f", file);
        default:
            return fail("cannot make '%s': %s", file, strerror(errno));
    }
}

static int copy_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'F'}, {"file", no_argument, NULL, 'f'}, {0}};
    struct copying copying = {.file = NULL};
    int is_file = 0, got;
    while ((got = args_next(command, argc, argv, "Ff", options)) > ARGS_END) {
        copying.force |= got == 'F';
        is_file |= got == 'f';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (argc - optind != 2)
        return wrong_usage("copy wants the name of one heap and the path of a file");
    int status = heap_ref_set(&copying.ref, argv[optind], is_file);
    if (status)
        return status;
    copying.file = argv[optind + 1];
    return copy(&copying) ? copy_fail(&copying) : 0;
}

const struct command command_copy = {
    "copy",
    "a copy of a heap in a file, also while it is in use",
    "usage: shmheap copy [--force] [--file] NAME FILE\n"
    "\n"
    "FILE is then the heap as it was at one instant, as if all its processes had been killed then. "
    "It is opened\n"
    "with SHMHEAP_FILE, or as --file FILE here. Handles in it mean the same objects. Free memory "
    "is not\n"
    "copied: the file has holes there. FILE is complete and on the disk when the command ends, or "
    "it is not\n"
    "there at all. (A plain cp of a heap in use gives parts of different instants.)\n"
    "\n"
    "Processes that use the heap wait while it is compared with the copy: some tenths of a second "
    "for each\n"
    "GiB in use. Without permission to write the heap, it must not change for as long.\n"
    "\n"
    "  -F, --force  replace FILE, in one step, when the copy is complete\n"
    "  -f, --file   NAME is the path of a file, not a name in shared memory\n"
    "      --help   this text\n"
    "\n"
    "Exit status: 0; 1 there is no copy; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap copy orders orders.heap\n"
    "  shmheap check --file orders.heap\n",
    copy_run,
};
