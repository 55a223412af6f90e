/* rm.c: shmheap rm, remove a heap that nobody uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include <shmheap.h>

#include "commands.h"
#include "heap.h"
#include "rm_stale.h"
#include "say.h"
#include "stale.h"

static int fail_in_use(const struct heap_ref *ref, const struct stale_look *look)
{
    if (*look->who)
        return fail("'%s' is in use by %s; end that first, or use --force", ref->text, look->who);
    return fail(
        "'%s' is in use by a process that you may not see; let its owner end it, or use --force",
        ref->text);
}

/* 0 when it is a heap that nobody uses, else STATUS_FAILED having said why not. */
static int is_unused(const struct heap_ref *ref)
{
    struct stale_look look;
    stale_look(ref, &look);
    switch (look.stale) {
        case STALE_UNUSED:
            return 0;
        case STALE_LIVE:
            return fail_in_use(ref, &look);
        case STALE_UNFINISHED:
        case STALE_EMPTY:
        case STALE_YOUNG:
            return fail("'%s' was never finished: its creator died, or is still at it; --stale "
                        "removes it when nobody has been "
                        "at it for %d s, --force in any case",
                        ref->text, STALE_AGE_S);
        case STALE_NO_HEAP:
            return fail("'%s' is no heap, or a damaged one; --force removes it all the same",
                        ref->text);
        default:
            return heap_fail(ref);
    }
}

static int remove_heap(const struct heap_ref *ref, int force)
{
    int status = force ? 0 : is_unused(ref);
    if (!status && (force ? heap_ref_unlink(ref) : heap_ref_unlink_unused(ref)))
        status = heap_fail(ref);
    return status;
}

static int remove_heaps(int count, char **names, int is_file, int force)
{
    int worst = 0;
    for (int i = 0; i < count; i++) {
        struct heap_ref ref;
        int status = heap_ref_set(&ref, names[i], is_file);
        if (!status)
            status = remove_heap(&ref, force);
        worst = status > worst ? status : worst;
    }
    return worst;
}

static int rm_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'F'}, {"file", no_argument, NULL, 'f'},
        {"stale", no_argument, NULL, 's'}, {"dry-run", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},  {0}};
    struct rm_stale how = {0};
    int force = 0, stale = 0, got;
    while ((got = args_next(command, argc, argv, "Ffsnj", options)) > ARGS_END) {
        force |= got == 'F';
        stale |= got == 's';
        how.is_file |= got == 'f';
        how.dry |= got == 'n';
        how.json |= got == 'j';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (force && stale)
        return wrong_usage(
            "--force removes in any case, --stale only what nobody uses: give one of them");
    if ((how.dry || how.json) && !stale)
        return wrong_usage("--dry-run and --json go with --stale");
    if (optind == argc && (!stale || how.is_file))
        return wrong_usage("rm wants the name of a heap");
    return stale ? rm_stale(&how, argc - optind, argv + optind)
                 : remove_heaps(argc - optind, argv + optind, how.is_file, force);
}

const struct command command_rm = {
    "rm",
    "remove heaps that nobody uses",
    "usage: shmheap rm [--force] [--file] NAME...\n"
    "       shmheap rm --stale [--dry-run] [--json] [[--file] NAME...]\n"
    "\n"
    "Removes the name of a heap, and with it the memory, unless a process is connected: then it "
    "says\n"
    "which. What is no heap is not removed either.\n"
    "\n"
    "  -F, --force    remove the name in any case, also of what is damaged. Who is connected goes "
    "on\n"
    "                 unharmed, and the memory is freed with the last of them.\n"
    "  -s, --stale    remove the heaps that nobody lives on, and say which: of those named, or of "
    "all in\n"
    "                 shared memory that you may read. No process is connected to them, readers "
    "included;\n"
    "                 or they were never finished, no process has them open, and that for a "
    "minute. A file\n"
    "                 of zeros may be such a one, or another program's: it is removed only by "
    "name. A heap\n"
    "                 that has names that are kept (see shmheap names) stays, named or not: a "
    "program means\n"
    "                 to come back to it. 'shmheap rm NAME', without --stale, removes it.\n"
    "  -n, --dry-run  with --stale: only say what would be removed\n"
    "  -j, --json     with --stale: an array of objects: name, removed, reason, who, file_len, "
    "used_blocks, used_bytes,\n"
    "                 objects, kept_names\n"
    "  -f, --file     NAME is the path of a file, not a name in shared memory\n"
    "      --help     this text\n"
    "\n"
    "Exit status: 0; 1 something could not be removed (with --stale: being in use is no failure); "
    "2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap rm orders\n"
    "  shmheap rm --stale --dry-run    what nobody uses any more\n",
    rm_run,
};
