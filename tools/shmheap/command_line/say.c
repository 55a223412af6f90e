/* say.c: text for people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/command_line/say.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXTS = 16, TEXT_ROOM = 32 };

static const char *command = "";
static char heap[4096]; /* a copy: the name may be gone when SIGBUS comes */

void say_command(const char *name) { command = name; }

static void line(const char *format, va_list arguments, const char *ending)
{
    fflush(stdout);
    fprintf(stderr, "shmheap%s%s: ", *command ? " " : "", command);
    vfprintf(stderr, format, arguments);
    fputs(ending, stderr);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line(format, arguments, "\n");
    va_end(arguments);
    return STATUS_FAILED;
}

int wrong_usage(const char *format, ...)
{
    char ending[64];
    va_list arguments;
    snprintf(ending, sizeof ending, "; see shmheap %s%s--help\n", command, *command ? " " : "");
    va_start(arguments, format);
    line(format, arguments, ending);
    va_end(arguments);
    return STATUS_USAGE;
}

void say_heap(const char *name) { snprintf(heap, sizeof heap, "%s", name); }

/* In a signal handler, so without stdio. */
static void end_without_memory(int signal)
{
    const char *const parts[] = {
        "shmheap ", command, ": '", heap,
        "' has no memory for a page: it is sparse and its file system is full, or its file was cut "
        "short; see 'df /dev/shm'\n"};
    (void)signal;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
            break;
    _exit(STATUS_FAILED);
}

void say_missing_memory(void)
{
    sigaction(SIGBUS, &(struct sigaction){.sa_handler = end_without_memory}, NULL);
}

int create_fail(const char *file)
{
    switch (errno) {
        case ENOENT:
            return fail("cannot create '%s': its folder does not exist; make it first", file);
        case ENOTDIR:
            return fail("cannot create '%s': a part of the path is no folder", file);
        case EISDIR:
            return fail("cannot create '%s': it is a folder; add the name of a file", file);
        case EACCES:
        case EPERM:
            return fail("cannot create '%s': no permission; use another folder, or another user",
                        file);
        case EROFS:
            return fail("cannot create '%s': its file system is read-only; use another", file);
        case ENAMETOOLONG:
            return fail("cannot create '%s': the path has more than 4095 bytes, or a part of more "
                        "than 255",
                        file);
        case ENOSPC:
        case EDQUOT:
            return fail("no space for '%s'; 'df' shows the space of file systems", file);
        default:
            return fail("cannot create '%s': %s", file, strerror(errno));
    }
}

static char *next_text(void)
{
    static char texts[TEXTS][TEXT_ROOM];
    static unsigned turn;
    return texts[turn++ % TEXTS];
}

const char *size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    char *text = next_text();
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1023.95 && unit < 6) {
        value /= 1024;
        unit++;
    }
    int whole = unit == 0 || value == (double)(uint64_t)value;
    snprintf(text, TEXT_ROOM, "%.*f %s", whole ? 0 : 1, value, units[unit]);
    return text;
}

const char *count_text(uint64_t count)
{
    char *text = next_text();
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *out = text;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

const char *ns_text(uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    char *text = next_text();
    double value = (double)ns;
    unsigned unit = 0;
    while (value >= 999.5 && unit < 3) {
        value /= 1000;
        unit++;
    }
    snprintf(text, TEXT_ROOM, "%.*f %s", unit && value < 100 ? 1 : 0, value, units[unit]);
    return text;
}

const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}
