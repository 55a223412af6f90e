/* check.c: shmheap check, is a heap sound?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <shmheap.h>

#include "commands.h"
#include "heap.h"
#include "json.h"
#include "say.h"

static int look(shmheap_memory_handle mem, void *context)
{
    return shmheap_check(mem, context);
}

/* Recovering first needs the right to write; who has not got it looks on. */
static int check(const struct heap_ref *ref, shmheap_report *report)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, 0, &mem))
        return errno == EACCES || errno == EROFS || errno == EAGAIN ? heap_look(ref, look, report) : -1;
    int result = shmheap_check(mem, report);
    int error = errno;
    shmheap_disconnect(mem);
    errno = error;
    return result;
}

static int show_json(const struct heap_ref *ref, const shmheap_report *report)
{
    json_t *object = json_object();
    json_set_text(object, "name", ref->text);
    json_set_flag(object, "sound", report->rule == 0);
    json_set_count(object, "rule", report->rule);
    json_set_text(object, "text", report->text);
    json_set_count(object, "offset", report->offset);
    json_set_count(object, "expected", report->expected);
    json_set_count(object, "found", report->found);
    json_set_count(object, "blocks", report->blocks);
    json_set_count(object, "used_bytes", report->used_bytes);
    json_set_count(object, "free_bytes", report->free_bytes);
    int status = json_show(object);
    return status ? status : report->rule ? STATUS_FAILED : 0;
}

static int show_text(const struct heap_ref *ref, const shmheap_report *report)
{
    if (report->rule)
        return fail("'%s' is not sound: rule %u (%s) is broken at offset %llu, where %llu should be but %llu is; stop "
                    "its processes, save what you need and make the heap anew",
                    ref->text, report->rule, report->text, (unsigned long long)report->offset,
                    (unsigned long long)report->expected, (unsigned long long)report->found);
    printf("%s is sound: %s %s, %s used, %s free\n", ref->text, count_text(report->blocks),
           plural(report->blocks, "block", "blocks"), size_text(report->used_bytes), size_text(report->free_bytes));
    return 0;
}

static int check_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"file", no_argument, NULL, 'f'}, {0}};
    struct heap_ref ref;
    shmheap_report report = {0};
    int json = 0, is_file = 0, got;
    while ((got = args_next(command, argc, argv, "jf", options)) > ARGS_END) {
        json |= got == 'j';
        is_file |= got == 'f';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("check wants the name of one heap");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    if (check(&ref, &report) < 0)
        return heap_fail(&ref);
    return json ? show_json(&ref, &report) : show_text(&ref, &report);
}

const struct command command_check = {
    "check",
    "walk every block of a heap: is it sound?",
    "usage: shmheap check [--json] [--file] NAME\n"
    "\n"
    "Walks all blocks and holds the index and all figures against them, under the heap's lock, which\n"
    "takes some nanoseconds a block. Where a process died at work on the heap, its work is put in order\n"
    "first, as the next process to use the heap would do. Nothing else is changed.\n"
    "\n"
    "  -j, --json  one object: sound, rule, offset, expected, found, blocks, ...\n"
    "  -f, --file  NAME is the path of a file, not a name in shared memory\n"
    "      --help  this text\n"
    "\n"
    "Exit status: 0 sound; 1 not, or it could not be looked at; 2 wrong usage. The rules' numbers are\n"
    "those of FORMAT.md.\n"
    "\n"
    "Examples:\n"
    "  shmheap check orders\n"
    "  shmheap check orders || mail -s 'heap damaged' admin </dev/null\n",
    check_run,
};
