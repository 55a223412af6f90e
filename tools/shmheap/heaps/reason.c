/* reason.c: why a heap could not be opened or inspected, in words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/shmheap/heaps/file_kind.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/heaps/stale.h"
#include "tools/shmheap/processes/holder.h"
#include "tools/shmheap/text/escape.h"

/* Whether all slots are taken. A read-only connection needs no slot. */
static int slots_full(const struct heap_ref *ref, shmheap_stats *stats)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, SHMHEAP_READ_ONLY, &mem))
        return 0;
    int seen = shmheap_stat(mem, stats) == 0;
    shmheap_disconnect(mem);
    return seen && stats->processes + stats->dead >= stats->slots;
}

static __attribute__((format(printf, 1, 2))) const char *reason(const char *format, ...)
{
    static char text[PATH_MAX + 512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static const char *option_of(const struct heap_ref *ref) { return ref->is_file ? "--file " : ""; }

/* The library tells the slot of a holder. The user needs the process. NULL: there is none. */
static const char *reason_held(const struct heap_ref *ref)
{
    const struct holder *holder = holder_find(ref);
    char name[4 * sizeof holder->name];
    if (!holder)
        return NULL;
    int is_stopped = holder->state == 'T' || holder->state == 't';
    return reason("process %lld (%s) holds the lock of the heap '%s'%s end it", holder->pid,
                  escape_printable(name, sizeof name, holder->name), ref->text,
                  is_stopped ? ", and is stopped; continue it with 'kill -CONT', or"
                             : "; wait, or");
}

static const char *reason_again(const struct heap_ref *ref)
{
    shmheap_stats stats;
    const char *held = reason_held(ref);
    if (held)
        return held;
    if (slots_full(ref, &stats))
        return reason("all %u slots of the heap '%s' are taken: by %u live connections and %u dead "
                      "ones; end a process that 'shmheap stat %s%s' lists",
                      stats.slots, ref->text, stats.processes, stats.dead, option_of(ref),
                      ref->text);
    return reason(
        "cannot read the heap '%s' now: it changes too fast, or a process in it is stopped, or "
        "died and you may not write it; try again, or as its owner",
        ref->text);
}

/* Another program's file: no advice to remove it. */
static const char *reason_foreign(const struct heap_ref *ref)
{
    return reason("'%s' is no heap; check the %s", ref->text, ref->is_file ? "path" : "name");
}

static const char *reason_late(const struct heap_ref *ref)
{
    const char *text = ref->text, *option = option_of(ref);
    switch (file_kind_of_ref(ref)) {
        case FILE_EMPTY:
            return reason("'%s' is empty, and so no heap yet: the process that makes it has just "
                          "begun, or died; try again, or 'shmheap rm --force %s%s' removes it",
                          text, option, text);
        case FILE_ZEROS:
            return reason("'%s' has only zeros: it is an unfinished heap or another program's "
                          "file; try again, or, if it is a heap, 'shmheap rm --stale %s%s' removes "
                          "it when it has been unused for %d s",
                          text, option, text, STALE_AGE_S);
        case FILE_FOREIGN:
            return reason_foreign(ref);
        case FILE_UNFINISHED:
            return reason("the heap '%s' was never finished: the process that makes it is at work, "
                          "or died; try again, or 'shmheap rm --force %s%s' removes it",
                          text, option, text);
        default: {
            const char *held = reason_held(ref);
            return held ? held : shmheap_error_text();
        }
    }
}

static const char *reason_no_heap(const struct heap_ref *ref)
{
    const char *text = ref->text;
    switch (file_kind_of_ref(ref)) {
        case FILE_FOLDER:
            return reason("'%s' is a folder, and so no heap; add the name of a file", text);
        case FILE_SPECIAL:
            return reason("'%s' is no heap: it is a pipe, a socket or a device", text);
        case FILE_UNFINISHED:
        case FILE_HEAP:
            return reason("'%s' is no heap, or a damaged heap; remove it if it is yours: 'shmheap "
                          "rm --force %s%s'",
                          text, option_of(ref), text);
        default:
            return reason_foreign(ref);
    }
}

static const char *reason_absent(const struct heap_ref *ref)
{
    return ref->is_file
               ? reason("there is no heap '%s'; compare the path with 'ls', or leave out --file",
                        ref->text)
               : reason("there is no heap '%s'; 'shmheap ls' lists those that are there",
                        ref->text);
}

const char *heap_reason(const struct heap_ref *ref)
{
    const char *text = ref->text;
    switch (errno) {
        case ENOENT:
            return reason_absent(ref);
        case ENOTDIR:
            return reason("there is no heap '%s': a part of the path is no folder", text);
        case EACCES:
        case EPERM:
            return reason("no permission for the heap '%s'; run as the user that created it", text);
        case EBADMSG:
        case EISDIR:
        case ENXIO:
        case ENODEV:
            return reason_no_heap(ref);
        case EPROTONOSUPPORT: /* the library's alone */
            return shmheap_error_text();
        case ETIMEDOUT:
            return reason_late(ref);
        case EAGAIN:
            return reason_again(ref);
        case EBUSY:
            return reason("a process has just connected to the heap '%s'; 'shmheap stat %s%s' "
                          "lists it",
                          text, option_of(ref), text);
        case ENAMETOOLONG:
            return reason("the path of the heap '%s' is too long: it has more than 4095 bytes, or "
                          "a part of more than 255",
                          text);
        case EMFILE:
            return reason("cannot open the heap '%s': this process has no descriptor left; raise "
                          "'ulimit -n'",
                          text);
        case ENOMEM:
            return reason("cannot map the heap '%s': too few addresses or too little memory; raise "
                          "'ulimit -v'",
                          text);
        default:
            return reason("cannot inspect the heap '%s': %s", text, strerror(errno));
    }
}
