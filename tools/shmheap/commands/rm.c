/* rm.c: shmheap rm removes unused heaps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/commands/rm_stale.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/heaps/shm_folder.h"
#include "tools/shmheap/heaps/stale.h"

static int fail_in_use(const struct heap_ref *ref, const struct stale_report *report)
{
    if (*report->users)
        return fail("'%s' is in use by %s; end that process, or use --force", ref->text,
                    report->users);
    return fail(
        "'%s' is in use by a process that you cannot see (another user's, or in a container); "
        "end it as its owner, or use --force",
        ref->text);
}

static int fail_foreign(const struct heap_ref *ref)
{
    if (ref->is_file)
        return fail("'%s' is no heap; check the path ('rm' removes other files)", ref->text);
    return fail("'%s' is no heap; check the name ('rm %s%s' removes other files)", ref->text,
                shm_folder, ref->name);
}

/* Returns 0 for a file that may be a heap, perhaps a damaged one, else STATUS_FAILED after printing
 * why: a mistyped name or path must not cost another program's file. errno tells why the file is
 * FILE_UNREADABLE. */
static int may_be_heap(const struct heap_ref *ref, const struct stale_report *report)
{
    switch (report->kind) {
        case FILE_EMPTY:
        case FILE_UNFINISHED:
        case FILE_HEAP:
            return 0;
        case FILE_FOREIGN:
            return fail_foreign(ref);
        case FILE_ZEROS:
            errno = ETIMEDOUT; /* as where a command waits for the heap's maker */
            return heap_fail(ref);
        case FILE_UNREADABLE:
            return heap_fail(ref);
        default:
            errno = EBADMSG;
            return heap_fail(ref);
    }
}

/* Returns 0 for an unused heap, else STATUS_FAILED after printing why. */
static int is_unused(const struct heap_ref *ref, const struct stale_report *report)
{
    switch (report->stale) {
        case STALE_UNUSED:
            return 0;
        case STALE_LIVE:
            return fail_in_use(ref, report);
        case STALE_UNFINISHED:
        case STALE_EMPTY:
        case STALE_YOUNG:
            if (may_be_heap(ref, report))
                return STATUS_FAILED;
            return fail(
                "'%s' was never finished: its creator died or is at work; --stale removes it "
                "if it has been unused for %d s, --force removes it now",
                ref->text, STALE_AGE_S);
        case STALE_NO_HEAP:
            if (may_be_heap(ref, report))
                return STATUS_FAILED;
            return fail("'%s' is no heap, or a damaged heap; --force removes it nevertheless",
                        ref->text);
        default:
            return heap_fail(ref);
    }
}

/* struct rm is the options of a removal by name. */
struct rm {
    int is_file, force;
    json_t *outcomes; /* NULL without --json */
};

static int remove_heap(const struct rm *rm, const struct heap_ref *ref)
{
    struct stale_report report;
    errno = 0;
    stale_inspect(ref, &report);
    int status = rm->force ? may_be_heap(ref, &report) : is_unused(ref, &report);
    if (!status && (rm->force ? heap_ref_unlink(ref) : heap_ref_unlink_unused(ref))) {
        status = heap_fail(ref);
        report.stale = STALE_ERROR;
    }
    if (rm->outcomes)
        json_array_append_new(rm->outcomes, rm_outcome(ref, &report, status == 0));
    return status;
}

static int remove_heaps(struct rm *rm, int count, char **names, int json)
{
    int worst = 0;
    rm->outcomes = json ? json_array() : NULL;
    for (int i = 0; i < count; i++) {
        struct heap_ref ref;
        int status = heap_ref_set(&ref, names[i], rm->is_file);
        if (!status)
            status = remove_heap(rm, &ref);
        worst = status > worst ? status : worst;
    }
    if (json && json_show(rm->outcomes) > worst)
        worst = STATUS_FAILED;
    return worst;
}

static int rm_run(const struct command *command, int argc, char **argv)
{
    struct rm_stale how = {0};
    struct rm rm = {0};
    int stale = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'F', .name = "force", .to = &rm.force},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &how.is_file},
        {.kind = ARGS_FLAG, .letter = 's', .name = "stale", .to = &stale},
        {.kind = ARGS_FLAG, .letter = 'n', .name = "dry-run", .to = &how.dry},
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &how.json},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (rm.force && stale)
        return wrong_usage("--force removes any heap, --stale only unused heaps; use one of them");
    if (how.dry && !stale)
        return wrong_usage("--dry-run needs --stale");
    if (optind == argc && (!stale || how.is_file))
        return wrong_usage("rm needs the name of a heap");
    rm.is_file = how.is_file;
    return stale ? rm_stale(&how, argc - optind, argv + optind)
                 : remove_heaps(&rm, argc - optind, argv + optind, how.json);
}

const struct command command_rm = {
    "rm",
    "remove unused heaps",
    "usage: shmheap rm [--force] [--json] [--file] NAME...\n"
    "       shmheap rm --stale [--dry-run] [--json] [[--file] NAME...]\n"
    "\n"
    "Removes the name of a heap and, with it, the memory. If a process is connected,\n"
    "the command names it and removes nothing. It also refuses what is not a heap.\n"
    "\n"
    "  -F, --force    remove the name also of a damaged heap or of one in use. Connected\n"
    "                 processes continue; the memory is freed with the last of them.\n"
    "                 A file that does not begin as a heap stays, also in shared\n"
    "                 memory: remove it by rm(1). For a file of zeros see --stale\n"
    "  -s, --stale    remove the unused heaps among the names given, or among all\n"
    "                 in shared memory that you may read, and list them. A heap is\n"
    "                 unused if no process is connected, not even read-only. An\n"
    "                 unfinished heap is unused if it is a minute old and no process\n"
    "                 has it open. A file of zeros may be an unfinished heap or\n"
    "                 another program's file: it is removed only by name. A heap\n"
    "                 with kept names (see shmheap names) stays, because its program\n"
    "                 wants it to; remove it by 'shmheap rm NAME', without --stale\n"
    "  -n, --dry-run  with --stale: list what would be removed and remove nothing\n"
    "  -j, --json     print an array of objects: name, removed, reason (the heap's state),\n"
    "                 who (the processes), file_len, used_blocks, used_bytes,\n"
    "                 objects, kept_names\n"
    "  -f, --file     NAME is the path of a file, not a name in shared memory\n"
    "      --help     print this text\n"
    "\n"
    "Exit status: 0; 1 something could not be removed (with --stale, a heap in use is\n"
    "no failure); 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap rm orders\n"
    "  shmheap rm --stale --dry-run    which heaps are unused\n",
    rm_run,
};
