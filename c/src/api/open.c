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

static int out_missing(enum error_call call, const char *name)
{
    error_cause(EINVAL, CAUSE_ARGUMENT_NULL, ARGUMENT_OUT, 0);
    return call_failed_named(call, name);
}

/* Stores the connection for the caller and ends the call. */
static int hand_out(shmheap_memory_handle *out, struct shmheap *heap, struct call call,
                    const char *name)
{
    out->heap = heap;
    return call_end_named(&call, heap != NULL ? 0 : -1, name);
}

static int open_as(enum error_call which, shmheap_memory_handle *out, const char *name,
                   const shmheap_options *options)
{
    struct call call = call_begin(which);
    return hand_out(out, connect_open(name, options), call, name);
}

int shmheap_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options)
{
    if (out == NULL)
        return out_missing(CALL_OPEN, name);
    return open_as(CALL_OPEN, out, name, options != NULL ? options : &options_default);
}

int shmheap_create_sealed(shmheap_memory_handle *out, const shmheap_options *options)
{
    if (out == NULL)
        return out_missing(CALL_CREATE_SEALED, NULL);
    struct call call = call_begin(CALL_CREATE_SEALED);
    return hand_out(out, connect_make_sealed(options != NULL ? options : &options_default), call,
                    NULL);
}

int shmheap_open_fd(shmheap_memory_handle *out, int fd, const shmheap_options *options)
{
    if (out == NULL)
        return out_missing(CALL_OPEN_FD, NULL);
    struct call call = call_begin(CALL_OPEN_FD);
    return hand_out(out, connect_fd(fd, options != NULL ? options : &options_default), call, NULL);
}

int shmheap_create_at(shmheap_memory_handle *out, void *memory, size_t bytes,
                      const shmheap_options *options)
{
    if (out == NULL)
        return out_missing(CALL_CREATE_AT, NULL);
    struct call call = call_begin(CALL_CREATE_AT);
    return hand_out(out,
                    connect_make_at(memory, bytes, options != NULL ? options : &options_default),
                    call, NULL);
}

int shmheap_attach_at(shmheap_memory_handle *out, void *memory, size_t bytes)
{
    if (out == NULL)
        return out_missing(CALL_ATTACH_AT, NULL);
    struct call call = call_begin(CALL_ATTACH_AT);
    return hand_out(out, connect_attach_at(memory, bytes), call, NULL);
}

shmheap_memory_handle shmheap_create(const char *name, size_t len)
{
    shmheap_memory_handle mem = {NULL};
    shmheap_options options = options_default;
    options.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE;
    options.len = len;
    if (len != 0) {
        open_as(CALL_CREATE, &mem, name, &options);
        return mem;
    }
    error_cause(EINVAL, CAUSE_LEN, 0, REGION_LEN_MIN); /* in options 0 means the default length */
    call_failed_named(CALL_CREATE, name);
    return mem;
}

shmheap_memory_handle shmheap_connect(const char *name)
{
    shmheap_memory_handle mem = {NULL};
    open_as(CALL_CONNECT, &mem, name, &options_default);
    return mem;
}

void shmheap_disconnect(shmheap_memory_handle mem)
{
    if (!usable(mem)) {
        call_not_open(CALL_DISCONNECT);
        return;
    }
    struct call call = call_begin(CALL_DISCONNECT);
    connect_close(mem.heap);
    call_end(&call, 0, NULL);
}

/* 0, or -1 with errno as shmheap_destroy says. */
static int heap_name_remove(const struct shmheap *heap, const char *name)
{
    char of_socket[PATH_MAX];
    if (!heap->has_file) {
        errno = ENOTSUP;
        return -1;
    }
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
        call_not_open(CALL_DESTROY);
        return;
    }
    struct call call = call_begin(CALL_DESTROY);
    /* The fields that identify the file stay valid until the register reuses the entry. */
    int failed = name != NULL && heap_name_remove(mem.heap, name) != 0 ? errno : 0;
    connect_close(mem.heap);
    if (failed == EMFILE || failed == ENFILE) /* closing has made descriptors available */
        failed = heap_name_remove(mem.heap, name) != 0 ? errno : 0;
    errno = failed;
    call_end_named(&call, failed != 0 ? -1 : 0, name);
}

int shmheap_unlink(const char *name)
{
    error_forget();
    if (name == NULL)
        error_cause(EINVAL, CAUSE_NAME_MISSING, 0, 0);
    return name != NULL && file_remove(name, 0) == 0 ? 0 : call_failed_named(CALL_UNLINK, name);
}

int shmheap_unlink_unused(const char *name)
{
    struct call call = call_begin(CALL_UNLINK_UNUSED);
    int removed = name != NULL ? heap_file_remove_unused(name, 0, 0)
                               : error_cause(EINVAL, CAUSE_NAME_MISSING, 0, 0);
    return call_end_named(&call, removed, name);
}

int shmheap_copy(shmheap_memory_handle mem, const char *path)
{
    if (!usable(mem) || path == NULL || path[0] == 0)
        return call_argument_null(CALL_COPY, mem, ARGUMENT_PATH);
    struct call call = call_begin(CALL_COPY);
    int copied = call_end(&call, copy_make(mem.heap, path), mem.heap);
    if (copied != 0)
        error_note_object(path);
    return copied;
}

unsigned shmheap_version(void) { return SHMHEAP_VERSION; }

int shmheap_valid(shmheap_memory_handle mem) { return usable(mem); }

static int fd_lend(shmheap_memory_handle mem, int writable)
{
    const enum error_call which = writable ? CALL_FD_WRITABLE : CALL_FD;
    if (!usable(mem))
        return call_not_open(which);
    struct call call = call_begin(which);
    return call_end(&call, connect_lend(mem.heap, writable), mem.heap);
}

int shmheap_fd(shmheap_memory_handle mem) { return fd_lend(mem, 0); }

int shmheap_fd_writable(shmheap_memory_handle mem) { return fd_lend(mem, 1); }

void *shmheap_underlying(shmheap_memory_handle mem)
{
    return usable(mem) ? mem.heap->region : null(call_not_open(CALL_UNDERLYING));
}

int shmheap_socket(void)
{
    struct topology topology;
    struct call call = call_begin(CALL_SOCKET);
    return call_end(&call, topology_of_caller(&topology) == 0 ? topology.socket : -1, NULL);
}

int shmheap_in_use(int fd)
{
    struct call call = call_begin(CALL_IN_USE);
    return call_end(&call, file_in_use(fd), NULL);
}
