/* reap.c: shmheap reap returns the objects of dead processes to their heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/text/json.h"
#include "tools/shmheap/command_line/say.h"

static int reap(const struct heap_ref *ref, unsigned flags, long *blocks)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, 0, &mem))
        return -1;
    *blocks = shmheap_reap(mem, flags);
    int error = errno;
    shmheap_disconnect(mem);
    errno = error;
    return *blocks < 0 ? -1 : 0;
}

static int show_json(const struct heap_ref *ref, long blocks)
{
    json_t *object = json_object();
    json_set_text(object, "name", ref->text);
    json_set_count(object, "blocks", (uint64_t)blocks);
    return json_show(object);
}

static int show_text(const struct heap_ref *ref, long blocks)
{
    if (blocks == 0)
        printf("%s: no dead process holds unshared objects\n", ref->text);
    else
        printf("%s: %s %s of dead processes freed\n", ref->text, count_text((uint64_t)blocks),
               plural((uint64_t)blocks, "block", "blocks"));
    return 0;
}

static int reap_run(const struct command *command, int argc, char **argv)
{
    struct heap_ref ref;
    long blocks = 0;
    int json = 0, is_file = 0, is_shared = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &json},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {.kind = ARGS_FLAG, .letter = 's', .name = "shared", .to = &is_shared},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("reap needs the name of one heap");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    if (reap(&ref, is_shared ? SHMHEAP_REAP_SHARED : 0u, &blocks))
        return heap_fail(&ref);
    return json ? show_json(&ref, blocks) : show_text(&ref, blocks);
}

const struct command command_reap = {
    "reap",
    "return the objects of dead processes to their heap",
    "usage: shmheap reap [--shared] [--json] [--file] NAME\n"
    "\n"
    "Frees the objects that a dead process allocated and did not share: no process\n"
    "ever took a handle of the object, and the object was not being sent. Objects of\n"
    "a process that disconnected before it ended stay.\n"
    "\n"
    "  -s, --shared  also free objects of which a handle was taken; use it only when\n"
    "                no process needs them any more\n"
    "  -j, --json    print one object: name, blocks\n"
    "  -f, --file    NAME is the path of a file, not a name in shared memory\n"
    "      --help    print this text\n"
    "\n"
    "Exit status: 0; 1 the heap could not be opened or is damaged; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap stat orders     which processes are dead, and what they hold\n"
    "  shmheap reap orders\n",
    reap_run,
};
