/* connect.h: opens and closes connections.
 *
 * Each call that opens returns a connection, or NULL with errno and all as it was before.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CONNECT_H
#define SHMHEAP_CONNECT_H

#include "../segment/connection.h"
#include "shmheap.h"

/* connect_open opens or makes the heap of a name, path or socket. */
struct shmheap *connect_open(const char *name, const shmheap_options *options);

/* connect_make_sealed makes a heap without a name that only this connection can write. */
struct shmheap *connect_make_sealed(const shmheap_options *options);

/* connect_fd connects to the heap in the file of fd. */
struct shmheap *connect_fd(int fd, const shmheap_options *options);

/* These make a heap in the caller's memory, and connect to one there. */
struct shmheap *connect_make_at(void *memory, uint64_t bytes, const shmheap_options *options);
struct shmheap *connect_attach_at(void *memory, uint64_t bytes);

/* connect_close gives back caches and slot, and unmaps. */
void connect_close(struct shmheap *heap);

/* connect_lend returns a descriptor of the heap's file that the caller may pass on. No lock is
 * on its open file description. The first call opens it; disconnecting closes it. Returns -1
 * with errno ENOTSUP (there is no file), EACCES (writable, on a read-only connection), EBADF (the
 * descriptor was closed and no name leads to the file), or an errno of open(). */
int connect_lend(struct shmheap *heap, int writable);

#endif
