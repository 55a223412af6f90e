/* rm.c: shmheap rm, remove a heap that nobody uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <shmheap.h>

#include "commands.h"
#include "heap.h"
#include "say.h"
#include "who.h"

/* is_heap: 0 when it can be opened as one, or STATUS_FAILED having said what it is. Its connection has to be gone
 * again before anybody asks whether the heap is in use. */
static int is_heap(const struct heap_ref *ref)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, SHMHEAP_READ_ONLY, &mem) == 0) {
        shmheap_disconnect(mem);
        return 0;
    }
    if (errno == EPROTONOSUPPORT)
        return 0; /* connections are locks on the file in every version */
    if (errno == EBADMSG)
        return fail("'%s' is no heap, or a damaged one; --force removes it all the same", ref->text);
    if (errno == ETIMEDOUT)
        return fail("'%s' was never finished: its creator died, or is still at it; --force removes it", ref->text);
    return heap_fail(ref);
}

static int is_unused(const struct heap_ref *ref)
{
    char who[256];
    int fd = heap_ref_fd(ref);
    if (fd < 0)
        return heap_fail(ref);
    int in_use = shmheap_in_use(fd);
    int status = 0;
    if (in_use < 0)
        status = fail("cannot tell whether '%s' is in use: %s", ref->text, strerror(errno));
    else if (in_use && who_maps(fd, who, sizeof who))
        status = fail("'%s' is in use by %s; end that first, or use --force", ref->text, who);
    else if (in_use)
        status = fail("'%s' is in use by a process that you may not see; let its owner end it, or use --force",
                      ref->text);
    close(fd);
    return status;
}

static int remove_heap(const struct heap_ref *ref, int force)
{
    int status = force ? 0 : is_heap(ref);
    if (!status && !force)
        status = is_unused(ref);
    if (!status && heap_ref_unlink(ref))
        status = heap_fail(ref);
    return status;
}

static int rm_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'F'}, {"file", no_argument, NULL, 'f'}, {0}};
    int force = 0, is_file = 0, worst = 0, got;
    while ((got = args_next(command, argc, argv, "Ff", options)) > ARGS_END) {
        force |= got == 'F';
        is_file |= got == 'f';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (optind == argc)
        return wrong_usage("rm wants the name of a heap");
    for (; optind < argc; optind++) {
        struct heap_ref ref;
        int status = heap_ref_set(&ref, argv[optind], is_file);
        if (!status)
            status = remove_heap(&ref, force);
        worst = status > worst ? status : worst;
    }
    return worst;
}

const struct command command_rm = {
    "rm",
    "remove heaps that nobody uses",
    "usage: shmheap rm [--force] [--file] NAME...\n"
    "\n"
    "Removes the name of a heap, and with it the memory, unless a process is connected: then it says\n"
    "which. What is no heap is not removed either.\n"
    "\n"
    "  -F, --force  remove the name in any case, also of what is damaged. Who is connected goes on\n"
    "               unharmed, and the memory is freed with the last of them.\n"
    "  -f, --file   NAME is the path of a file, not a name in shared memory\n"
    "      --help   this text\n"
    "\n"
    "Examples:\n"
    "  shmheap rm orders\n"
    "  shmheap ls --json | jq -r '.[] | select(.processes == 0) | .name' | xargs shmheap rm\n",
    rm_run,
};
