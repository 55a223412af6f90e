/* record.c: shmheap record runs a program and writes its allocations to a trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/record/convert.h"
#include "tools/shmheap/text/json.h"
#include "tools/shmheap/run/library.h"
#include "tools/shmheap/run/program.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/recorder/raw.h"

enum { MOST_SHOWN = 8 };

struct recording {
    const char *output;
    int fd, is_new; /* the output, opened before the program runs; it did not exist */
    int json;
    struct program program;
    char library[PATH_MAX];
    char folder[PATH_MAX];
    int status; /* of the program, as a shell reports it */
    size_t file_len;
};

static char *join_command(char **words)
{
    size_t len = 1;
    for (char **word = words; *word; word++)
        len += strlen(*word) + 1;
    char *text = malloc(len), *at = text;
    if (!text)
        return NULL;
    *at = '\0';
    for (char **word = words; *word; word++) {
        at = stpcpy(at, *word);
        if (word[1])
            *at++ = ' ';
    }
    *at = '\0';
    return text;
}

/* Before the program runs, which may take hours. An old trace keeps its contents until then. */
static int output_open(struct recording *recording)
{
    recording->fd = open(recording->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    recording->is_new = recording->fd >= 0;
    if (recording->fd < 0 && errno == EEXIST)
        recording->fd = open(recording->output, O_WRONLY | O_CLOEXEC);
    return recording->fd >= 0 ? 0 : create_fail(recording->output);
}

/* Where nothing was recorded, the output is as before. */
static int output_close(struct recording *recording, int status)
{
    if (status && recording->is_new && !recording->file_len)
        unlink(recording->output);
    close(recording->fd);
    return status;
}

static int write_all(int fd, const unsigned char *bytes, size_t len)
{
    if (ftruncate(fd, 0) && errno != EINVAL) /* EINVAL: a pipe or a device */
        return -1;
    while (len) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote < 0 && errno != EINTR)
            return -1;
        bytes += wrote < 0 ? 0 : wrote;
        len -= wrote < 0 ? 0 : (size_t)wrote;
    }
    return 0;
}

static int save(struct recording *recording, const struct converted *converted)
{
    unsigned char *bytes = NULL;
    char *command = join_command(recording->program.words);
    int failed = !command || trace_save(command, converted->streams, converted->count, &bytes,
                                        &recording->file_len);
    free(command);
    if (failed)
        return fail("not enough memory for the trace");
    failed = write_all(recording->fd, bytes, recording->file_len);
    free(bytes);
    return failed ? fail("cannot write '%s': %s; choose another file with -o", recording->output,
                         strerror(errno))
                  : 0;
}

static json_t *stream_json(const struct trace_writer *stream)
{
    json_t *object = json_object();
    json_set_count(object, "pid", stream->pid);
    json_set_text(object, "name", stream->name);
    json_set_flag(object, "cut", stream->cut != 0);
    json_set_count(object, "events", stream->totals.events);
    json_set_count(object, "objects", stream->totals.objects);
    json_set_count(object, "bytes", stream->totals.bytes);
    json_set_count(object, "peak_live", stream->totals.peak_live);
    json_set_count(object, "live", stream->totals.live);
    json_set_count(object, "threads", stream->totals.threads);
    json_set_count(object, "dropped", stream->totals.dropped);
    return object;
}

static int show_json(const struct recording *recording, const struct converted *converted)
{
    json_t *object = json_object(), *array = json_array();
    for (size_t i = 0; i < converted->count; i++)
        json_array_append_new(array, stream_json(&converted->streams[i]));
    json_set_text(object, "file", recording->output);
    json_set_count(object, "file_len", recording->file_len);
    json_set_count(object, "status", (uint64_t)recording->status);
    json_object_set_new(object, "streams", array);
    return json_show(object);
}

static void show_stream(const struct trace_writer *stream)
{
    const struct trace_totals *totals = &stream->totals;
    fprintf(stderr, "  %-15.15s %7llu  %s %s, %s %s, %s live at most, %s %s%s\n", stream->name,
            (unsigned long long)stream->pid, count_text(totals->events),
            plural(totals->events, "call", "calls"), count_text(totals->objects),
            plural(totals->objects, "object", "objects"), size_text(totals->peak_live),
            count_text(totals->threads), plural(totals->threads, "thread", "threads"),
            stream->cut ? ", incomplete: no space to write" : "");
}

static int stream_order(const void *a, const void *b)
{
    uint64_t x = ((const struct trace_writer *)a)->totals.events,
             y = ((const struct trace_writer *)b)->totals.events;
    return (x < y) - (x > y);
}

/* Prints to standard error: standard output belongs to the program. The trace is already written,
 * so the streams may be sorted. */
static void show_text(const struct recording *recording, const struct converted *converted)
{
    uint64_t events = 0;
    qsort(converted->streams, converted->count, sizeof *converted->streams, stream_order);
    for (size_t i = 0; i < converted->count; i++) {
        events += converted->streams[i].totals.events;
        if (i < MOST_SHOWN)
            show_stream(&converted->streams[i]);
    }
    if (converted->count > MOST_SHOWN)
        fprintf(stderr, "  and %zu more with fewer calls\n", converted->count - MOST_SHOWN);
    fprintf(stderr, "%s: %s calls of %zu %s in %s\n", recording->output, count_text(events),
            converted->count, plural(converted->count, "process", "processes"),
            size_text(recording->file_len));
}

static int finish(struct recording *recording)
{
    struct converted converted;
    int status = 0;
    if (convert_folder(recording->folder, &converted))
        status = fail("cannot read the recorded calls: %s", strerror(errno));
    else if (converted.count == 0)
        status = fail("'%s' recorded no calls: it allocates nothing, is statically linked, has "
                      "special rights (set-uid), or %s is full",
                      recording->program.words[0], recording->folder);
    else
        status = save(recording, &converted);
    if (!status && recording->json)
        status = show_json(recording, &converted);
    else if (!status)
        show_text(recording, &converted);
    convert_free(&converted);
    return status ? status : recording->status;
}

static int record(struct recording *recording)
{
    const char *temporary = getenv("TMPDIR");
    if (library_find("recorder", "SHMHEAP_RECORDER", recording->library, sizeof recording->library))
        return STATUS_FAILED;
    program_hold_signals(&recording->program);
    snprintf(recording->folder, sizeof recording->folder, "%s/shmheap-record.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(recording->folder))
        return fail("cannot create '%s': %s; set TMPDIR to a folder that you may write to",
                    recording->folder, strerror(errno));
    recording->program.library = recording->library;
    recording->program.variable = RAW_FOLDER_VARIABLE;
    recording->program.value = recording->folder;
    int status = output_open(recording);
    if (!status) {
        status = program_run(&recording->program, &recording->status);
        status = output_close(recording, status ? status : finish(recording));
    }
    convert_remove(recording->folder);
    return status;
}

static int record_run(const struct command *command, int argc, char **argv)
{
    struct recording recording = {.output = "shmheap.trace"};
    const struct args_option options[] = {
        {.kind = ARGS_TEXT, .letter = 'o', .name = "output", .to = &recording.output},
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &recording.json},
        {0}};
    int got = args_parse_program(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (optind == argc)
        return wrong_usage("record needs a program to run, after --");
    recording.program.words = argv + optind;
    return record(&recording);
}

const struct command command_record = {
    "record",
    "run a program and record its allocations",
    "usage: shmheap record [-o FILE] [--json] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs PROGRAM and writes a trace for shmheap replay. The trace holds each malloc,\n"
    "calloc, realloc, free, aligned_alloc, posix_memalign and memalign of the\n"
    "program, its threads and its children: sizes and order, no contents. The program\n"
    "needs no special build: the command loads a library into it (LD_PRELOAD). It\n"
    "must be dynamically linked and have no special rights (set-uid). If the program\n"
    "has a malloc of its own, only its calls of the C library's malloc are recorded.\n"
    "\n"
    "  -o, --output FILE  the trace (default: shmheap.trace); an old one is replaced\n"
    "  -j, --json         print the figures as one object on standard output, after\n"
    "                     the program's own output\n"
    "      --help         print this text\n"
    "\n"
    "The figures go to standard error. Exit status: that of the program (128 plus the\n"
    "signal, if a signal ended it); 1 if the program could not be recorded.\n"
    "\n"
    "Examples:\n"
    "  shmheap record -- python3 -c 'import json'\n"
    "  shmheap record -o cc.trace -- gcc -O2 -c big.c      with the children of gcc\n"
    "  PYTHONMALLOC=malloc shmheap record -- python3 x.py  each object, not pools\n",
    record_run,
};
