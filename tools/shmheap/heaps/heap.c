/* heap.c: the heap that the command line names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/heaps/file_kind.h"
#include "tools/shmheap/processes/holder.h"

enum { WAIT_MS = 200 };

int heap_ref_set(struct heap_ref *ref, const char *text, int is_file)
{
    memset(ref, 0, sizeof *ref);
    ref->text = text;
    ref->is_file = is_file;
    if (is_file)
        return *text ? 0 : wrong_usage("the path of a heap cannot be empty");
    const char *bare = *text == '/' ? text + 1 : text;
    if (!*bare)
        return wrong_usage("'%s' is no heap's name: it is empty; 'shmheap ls' lists names", text);
    if (strchr(bare, '/') || strlen(bare) > NAME_MAX)
        return wrong_usage(
            "'%s' is no heap's name (at most 255 characters, '/' only as the first); "
            "for a file, use --file",
            text);
    if (strlen(bare) + 2 > sizeof ref->name)
        return wrong_usage("the name '%s' is too long", text);
    snprintf(ref->name, sizeof ref->name, "/%.*s", HEAP_NAME_ROOM - 2, bare);
    return 0;
}

/* As shmheap_open takes it. */
static const char *name_of(const struct heap_ref *ref)
{
    return ref->is_file ? ref->text : ref->name;
}

static int open_within(const struct heap_ref *ref, unsigned flags, unsigned ms,
                       shmheap_memory_handle *out)
{
    shmheap_options options = {.flags = flags | (ref->is_file ? SHMHEAP_FILE : 0),
                               .timeout_ms = ms};
    say_heap(name_of(ref));
    return shmheap_open(out, name_of(ref), &options);
}

int heap_ref_open(const struct heap_ref *ref, unsigned flags, shmheap_memory_handle *out)
{
    return open_within(ref, flags, WAIT_MS, out);
}

int heap_ref_open_now(const struct heap_ref *ref, shmheap_memory_handle *out)
{
    return open_within(ref, SHMHEAP_READ_ONLY, 1, out);
}

int heap_ref_fd(const struct heap_ref *ref)
{
    say_heap(name_of(ref));
    if (ref->is_file)
        /* O_NONBLOCK: open() of a pipe would wait for a writer. */
        return open(ref->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return shm_open(ref->name, O_RDONLY | O_NONBLOCK, 0);
}

int heap_ref_unlink(const struct heap_ref *ref)
{
    return ref->is_file ? unlink(ref->text) : shmheap_unlink(ref->name);
}

int heap_ref_unlink_unused(const struct heap_ref *ref)
{
    int removed = ref->is_file ? -1 : shmheap_unlink_unused(ref->name);
    /* Files, heaps of other versions and heaps without write permission: the library cannot verify
     * that they are unused, but the caller has. */
    int other = ref->is_file || (removed != 0 && (errno == EPROTONOSUPPORT || errno == EACCES));
    return other ? heap_ref_unlink(ref) : removed;
}

int heap_fail(const struct heap_ref *ref) { return fail("%s", heap_reason(ref)); }

static int exists_fail(const struct heap_ref *ref)
{
    if (file_kind_of_ref(ref) == FILE_FOREIGN)
        return fail("there is a file '%s' already, which is no heap; use another --name",
                    ref->text);
    return fail("there is a %s '%s' already; use another --name, or run 'shmheap rm %s%s'",
                ref->is_file ? "file" : "heap", ref->text, ref->is_file ? "--file " : "",
                ref->text);
}

int heap_make_fail(const struct heap_ref *ref, uint64_t len, const char *less)
{
    if (errno == EEXIST)
        return exists_fail(ref);
    if (errno == ENOSPC || errno == ENOMEM || errno == EFBIG)
        return fail("there is no room for a heap of %s; use a smaller %s", size_text(len), less);
    if (ref->is_file && (errno == ENOENT || errno == ENOTDIR || errno == EISDIR ||
                         errno == EACCES || errno == EROFS || errno == ENAMETOOLONG))
        return create_fail(ref->text);
    return fail("%s", shmheap_error_text());
}

static int inspect_with(const struct heap_ref *ref, unsigned flags,
                        int (*inspect)(shmheap_memory_handle, void *), void *context)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, flags, &mem))
        return -1;
    int result = inspect(mem, context);
    int error = errno;
    shmheap_disconnect(mem);
    errno = error;
    return result;
}

int heap_inspect(const struct heap_ref *ref, int (*inspect)(shmheap_memory_handle, void *),
                 void *context)
{
    int result = inspect_with(ref, SHMHEAP_READ_ONLY, inspect, context);
    if (result != -1 || errno != EAGAIN)
        return result;
    if (holder_find(ref)) {
        errno = ETIMEDOUT; /* a connection that may write would wait, and take a slot */
        return -1;
    }
    return inspect_with(ref, 0, inspect, context);
}

const char *state_text(enum shmheap_state state)
{
    static const char *const texts[] = {"free",   "used",     "shared", "sent",
                                        "cached", "internal", "named"};
    return (unsigned)state < sizeof texts / sizeof *texts ? texts[state] : "unknown";
}
