/* run.c: shmheap run runs a program whose malloc is a heap.
 *
 * The heap is made before the program starts and removed after its end. Between them the library
 * tools/runner, loaded into the program, connects to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/runner/settings.h"
#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/heaps/shm_folder.h"
#include "tools/shmheap/run/library.h"
#include "tools/shmheap/run/program.h"
#include "tools/shmheap/command_line/say.h"

enum { LEAST_LEN = 1 << 16, MOST_OF_PROGRAM = 200 };

struct run {
    struct program program;
    struct heap_ref ref;
    const char *name; /* as given; NULL: the default */
    uint64_t len;
    struct stat made; /* the heap's file */
    int is_file, cached, children, keep;
    char text[PATH_MAX], library[PATH_MAX], value[2 * PATH_MAX];
};

static int absolute_path(struct run *run)
{
    char folder[PATH_MAX] = "";
    int is_relative = *run->name != '/';
    if (is_relative && !getcwd(folder, sizeof folder))
        return fail("cannot tell the path of this folder: %s", strerror(errno));
    int len =
        snprintf(run->text, sizeof run->text, "%s%s%s", folder, is_relative ? "/" : "", run->name);
    return len < (int)sizeof run->text ? 0 : wrong_usage("the path '%s' is too long", run->name);
}

static int choose_name(struct run *run)
{
    const char *slash = strrchr(run->program.words[0], '/');
    if (run->is_file && *run->name) {
        int status = absolute_path(run);
        return status ? status : heap_ref_set(&run->ref, run->text, 1);
    }
    if (run->name)
        snprintf(run->text, sizeof run->text, "%s", run->name);
    else
        snprintf(run->text, sizeof run->text, "%.*s.%ld", MOST_OF_PROGRAM,
                 slash ? slash + 1 : run->program.words[0], (long)getpid());
    int status = heap_ref_set(&run->ref, run->text, run->is_file);
    if (!status && run->children && strlen(run->ref.name) + RUN_PID_ROOM > NAME_MAX)
        status = wrong_usage("the name '%s' is too long: a child adds .PID to it", run->text);
    return status;
}

static int make_heap(struct run *run, unsigned flags)
{
    const shmheap_options options = run_options(flags & ~(unsigned)RUN_CACHED, run->len);
    const char *name = run->is_file ? run->text : run->ref.name;
    shmheap_memory_handle mem;
    if (shmheap_open(&mem, name, &options))
        return heap_make_fail(&run->ref, run->len, "--len");
    fstat(shmheap_fd(mem), &run->made);
    shmheap_disconnect(mem);
    snprintf(run->value, sizeof run->value, RUN_FORMAT, (long long)getpid(), flags,
             (unsigned long long)run->len, name);
    return 0;
}

/* Removes the heap, if the name still is its name: the user may have removed it, and another
 * program may have given the name to a file of its own. */
static void remove_own(const struct run *run)
{
    struct stat now;
    int fd = heap_ref_fd(&run->ref);
    if (fd < 0)
        return;
    if (fstat(fd, &now) == 0 && now.st_dev == run->made.st_dev && now.st_ino == run->made.st_ino)
        heap_ref_unlink(&run->ref);
    close(fd);
}

/* struct owner is a search for the process that made a heap NAME.PID. */
struct owner {
    int64_t pid;
    int found;
};

static int visit_process(const shmheap_process_info *process, void *context)
{
    struct owner *owner = context;
    owner->found = process->pid == owner->pid;
    return owner->found;
}

static int find_owner(shmheap_memory_handle mem, void *context)
{
    return shmheap_processes(mem, visit_process, context);
}

/* Removes the heap of a descendant that did not do so: it was killed, called _exit, or still runs.
 * Another program's heap may have such a name, but no process of that pid. */
static int remove_child(const char *name, const struct stat *status, int readable, void *context)
{
    const struct run *run = context;
    const char *own = run->ref.name + 1;
    size_t len = strlen(own);
    struct heap_ref ref;
    char *end;
    (void)status;
    if (!readable || strncmp(name, own, len) != 0 || name[len] != '.' ||
        !isdigit((unsigned char)name[len + 1]))
        return 0;
    struct owner owner = {.pid = strtoll(name + len + 1, &end, 10)};
    if (*end || heap_ref_set(&ref, name, 0))
        return 0;
    heap_inspect(&ref, find_owner, &owner);
    if (owner.found)
        heap_ref_unlink(&ref);
    return 0;
}

static int stat_heap(shmheap_memory_handle mem, void *context)
{
    return shmheap_stat(mem, context);
}

static void warn_if_unused(const struct run *run)
{
    shmheap_stats stats;
    if (heap_inspect(&run->ref, stat_heap, &stats) == 0 && stats.allocs == 0)
        fail("'%s' put nothing into the heap: it is statically linked, has special rights "
             "(set-uid), or calls no malloc",
             run->program.words[0]);
}

static int run_program(struct run *run)
{
    int status = 0;
    run->program.library = run->library;
    run->program.variable = RUN_VARIABLE;
    run->program.value = run->value;
    if (!run->name)
        fprintf(stderr, "shmheap run: the heap is %s\n", run->text);
    int failed = program_run(&run->program, &status);
    if (!failed)
        warn_if_unused(run);
    if (failed || !run->keep)
        remove_own(run);
    if (run->children && !run->keep)
        shm_folder_each(remove_child, run);
    return failed ? failed : status;
}

static int start(struct run *run)
{
    unsigned flags =
        (run->cached ? (unsigned)RUN_CACHED : 0u) | (run->children ? (unsigned)RUN_CHILDREN : 0u) |
        (run->keep ? (unsigned)RUN_KEEP : 0u) | (run->is_file ? (unsigned)RUN_FILE : 0u);
    int status = choose_name(run);
    if (!status)
        status = library_find("runner", "SHMHEAP_RUNNER", run->library, sizeof run->library);
    if (status)
        return status;
    program_hold_signals(&run->program);
    status = make_heap(run, flags);
    return status ? status : run_program(run);
}

static int run_run(const struct command *command, int argc, char **argv)
{
    static struct run run = {.len = UINT64_C(1) << 30};
    const struct args_option options[] = {
        {.kind = ARGS_TEXT, .letter = 'n', .name = "name", .to = &run.name},
        {.kind = ARGS_SIZE, .letter = 'l', .name = "len", .to = &run.len},
        {.kind = ARGS_FLAG, .letter = 'c', .name = "cached", .to = &run.cached},
        {.kind = ARGS_FLAG, .letter = 'C', .name = "children", .to = &run.children},
        {.kind = ARGS_FLAG, .letter = 'k', .name = "keep", .to = &run.keep},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &run.is_file},
        {0}};
    int got = args_parse_program(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (optind == argc)
        return wrong_usage("run needs a program to run, after --");
    if (run.len < LEAST_LEN)
        return wrong_usage("--len must be at least 64K");
    if (run.is_file && !run.name)
        return wrong_usage("--file needs a --name: the path of the file");
    if (run.is_file && run.children)
        return wrong_usage("--children makes heaps in shared memory only; leave out --file");
    run.program.words = argv + optind;
    return start(&run);
}

const struct command command_run = {
    "run",
    "run a program whose malloc is a heap, to look at it",
    "usage: shmheap run [OPTION...] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs PROGRAM, and each object that it allocates is a block of a heap: malloc,\n"
    "calloc, realloc, free, aligned_alloc and their relatives, of all its threads. So\n"
    "shmheap top, map, stat and watch show the program at work. For looking and\n"
    "teaching: the program becomes slower. The program needs no special build: the\n"
    "command loads a library into it (LD_PRELOAD). It must be dynamically linked and\n"
    "have no special rights (set-uid). If the program has a malloc of its own, only\n"
    "its calls of the C library's malloc are seen.\n"
    "\n"
    "The heap has the blocks: sizes, places, states. The bytes of the objects stay in\n"
    "the program's own memory, so no other process reads or writes them.\n"
    "\n"
    "  -n, --name NAME  name of the heap (default: PROGRAM.PID, with the pid of\n"
    "                   shmheap run; printed to standard error)\n"
    "  -l, --len SIZE   the heap grows up to this (default: 1G). In a full heap malloc\n"
    "                   fails with ENOMEM, and one line on standard error says so\n"
    "  -c, --cached     each thread caches free blocks (SHMHEAP_CACHED): faster for many\n"
    "                   small objects, but placement is not first fit, and counters of\n"
    "                   operations miss what the caches serve\n"
    "  -C, --children   each descendant of the program has a heap of its own, NAME.PID,\n"
    "                   that is removed when it exits, or when shmheap run ends. Without\n"
    "                   the option a child uses the C library's malloc after fork() or\n"
    "                   exec\n"
    "  -k, --keep       leave the heaps at the end; remove them by shmheap rm NAME\n"
    "  -f, --file       NAME is the path of a file, not a name in shared memory\n"
    "      --help       print this text\n"
    "\n"
    "Signals that other processes send to shmheap run are passed on to the program.\n"
    "The heap is removed at the program's end, however it ends; it stays if shmheap\n"
    "run itself is ended by SIGKILL.\n"
    "\n"
    "Exit status: that of the program (128 plus the signal, if a signal ended it); 1\n"
    "if the program could not be run; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap run -- sqlite3 my.db                 and shmheap top beside it\n"
    "  PYTHONMALLOC=malloc shmheap run -n py -- python3    each object, not pools\n"
    "  shmheap run --children -n make -- make -j4   a heap for each process\n",
    run_run,
};
