/* connect.h: making, opening and ending connections; the process's register of them; fork.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each returns a connection, or NULL with errno and everything as before. */
#ifndef SHMHEAP_CONNECT_H
#define SHMHEAP_CONNECT_H

#include "../segment/connection.h"
#include "shmheap.h"

struct shmheap *connect_open(const char *name, const shmheap_options *options);
struct shmheap *connect_make_sealed(const shmheap_options *options);
struct shmheap *connect_fd(int fd, const shmheap_options *options);
struct shmheap *connect_make_at(void *memory, uint64_t bytes, const shmheap_options *options);
struct shmheap *connect_attach_at(void *memory, uint64_t bytes);
void connect_close(struct shmheap *heap);

/* connect_lend is a descriptor of the heap's file for the caller to pass on, of a description that
 * no lock is on, made when first asked for; it is closed with the connection. -1 with errno ENOTSUP
 * (no file), EACCES (writable, of a read-only connection), or as open() says. */
int connect_lend(struct shmheap *heap, int writable);

#endif
