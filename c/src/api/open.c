/* open.c: the calls that open, close, copy and remove a heap, and that describe a connection.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <limits.h>

#include "../connect/connect.h"
#include "../inspect/copy.h"
#include "../os/file.h"

/* shmheap_textbook.h defines a macro of this name. A program may compile this file in one
 * command with its own files and -include that header; the macro is meant for its own files
 * alone. */
#undef shmheap_create

static const shmheap_options options_default;

/* Stores the connection for the caller and ends the call. */
static int hand_out(shmheap_memory_handle *out, struct shmheap *heap, struct call call)
{
    out->heap = heap;
    return call_end(&call, heap != NULL ? 0 : -1);
}

int shmheap_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return hand_out(out, connect_open(name, options != NULL ? options : &options_default), call);
}

int shmheap_create_sealed(shmheap_memory_handle *out, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return hand_out(out, connect_make_sealed(options != NULL ? options : &options_default), call);
}

int shmheap_open_fd(shmheap_memory_handle *out, int fd, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return hand_out(out, connect_fd(fd, options != NULL ? options : &options_default), call);
}

int shmheap_create_at(shmheap_memory_handle *out, void *memory, size_t bytes,
                      const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return hand_out(
        out, connect_make_at(memory, bytes, options != NULL ? options : &options_default), call);
}

int shmheap_attach_at(shmheap_memory_handle *out, void *memory, size_t bytes)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return hand_out(out, connect_attach_at(memory, bytes), call);
}

shmheap_memory_handle shmheap_create(const char *name, size_t len)
{
    shmheap_memory_handle mem = {NULL};
    shmheap_options options = options_default;
    options.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE;
    options.len = len;
    if (len == 0)
        errno = EINVAL; /* in options 0 means the default length */
    else
        shmheap_open(&mem, name, &options);
    return mem;
}

shmheap_memory_handle shmheap_connect(const char *name)
{
    shmheap_memory_handle mem = {NULL};
    shmheap_open(&mem, name, NULL);
    return mem;
}

void shmheap_disconnect(shmheap_memory_handle mem)
{
    if (!usable(mem)) {
        errno = EINVAL;
        return;
    }
    struct call call = call_begin();
    connect_close(mem.heap);
    call_end(&call, 0);
}

/* 0, or -1 with errno as shmheap_destroy says. */
static int heap_name_remove(const struct shmheap *heap, const char *name)
{
    char of_socket[PATH_MAX];
    if (!heap->has_file)
        return fail(ENOTSUP);
    if (heap->is_of_socket) {
        if (topology_name(of_socket, sizeof of_socket, name, heap->socket) != 0)
            return -1;
        name = of_socket;
    }
    return file_remove_own(name, heap->is_path, heap->device, heap->inode);
}

/* Removes the name before it disconnects: while this connection uses the file, no process
 * removes it as an unused heap and gives the name to another heap. */
void shmheap_destroy(const char *name, shmheap_memory_handle mem)
{
    if (!usable(mem)) {
        errno = EINVAL;
        return;
    }
    struct call call = call_begin();
    /* The fields that identify the file stay valid until the register reuses the entry. */
    int failed = name != NULL && heap_name_remove(mem.heap, name) != 0 ? errno : 0;
    connect_close(mem.heap);
    if (failed == EMFILE || failed == ENFILE) /* closing has made descriptors available */
        failed = heap_name_remove(mem.heap, name) != 0 ? errno : 0;
    call_end(&call, 0);
    errno = failed != 0 ? failed : errno;
}

int shmheap_unlink(const char *name) { return name != NULL ? file_remove(name, 0) : fail(EINVAL); }

int shmheap_unlink_unused(const char *name)
{
    struct call call = call_begin();
    return call_end(&call, name != NULL ? heap_file_remove_unused(name, 0, 0) : fail(EINVAL));
}

int shmheap_copy(shmheap_memory_handle mem, const char *path)
{
    if (!usable(mem) || path == NULL || path[0] == 0)
        return fail(EINVAL);
    struct call call = call_begin();
    return call_end(&call, copy_make(mem.heap, path));
}

unsigned shmheap_version(void) { return SHMHEAP_VERSION; }

int shmheap_valid(shmheap_memory_handle mem) { return usable(mem); }

static int fd_lend(shmheap_memory_handle mem, int writable)
{
    if (!usable(mem))
        return fail(EINVAL);
    struct call call = call_begin();
    return call_end(&call, connect_lend(mem.heap, writable));
}

int shmheap_fd(shmheap_memory_handle mem) { return fd_lend(mem, 0); }

int shmheap_fd_writable(shmheap_memory_handle mem) { return fd_lend(mem, 1); }

void *shmheap_underlying(shmheap_memory_handle mem)
{
    return usable(mem) ? mem.heap->region : fail_null(EINVAL);
}

int shmheap_socket(void)
{
    struct topology topology;
    struct call call = call_begin();
    return call_end(&call, topology_of_caller(&topology) == 0 ? topology.socket : -1);
}

int shmheap_in_use(int fd)
{
    struct call call = call_begin();
    return call_end(&call, file_in_use(fd));
}
