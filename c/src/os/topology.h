/* topology.h: the socket (CPU package) that the caller runs on, and memory that lies there.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_TOPOLOGY_H
#define SHMHEAP_TOPOLOGY_H

#include <stddef.h>

enum { SCOPE_CPUS = 8192, SCOPE_NODES = 1024, SCOPE_LONG_BITS = 8 * sizeof(unsigned long) };

/* The system's description of its processors. */
#define SCOPE_CPU_FOLDER "/sys/devices/system/cpu"

/* struct scope is private. */
struct scope {
    int socket;                                          /* the package's id */
    unsigned long nodes[SCOPE_NODES / SCOPE_LONG_BITS];  /* NUMA nodes of the processors given, as bits; none: unknown */
};

/* The one socket to which these processors (bits of SCOPE_CPUS) belong: 0; -1 with errno EXDEV when they belong to several,
 * ENOTSUP when the system does not tell. */
int scope_of_cpus(struct scope *scope, const char *folder, const unsigned long *cpus);

/* The same of those that the calling thread may run on. */
int scope_of_caller(struct scope *scope);

/* scope_place has the pages of memory that are not there yet taken from the scope's nodes while those have any. A wish: errors
 * are ignored. */
void scope_place(const struct scope *scope, void *memory, size_t len);

/* scope_name makes "name.socketN": 0, or -1 with errno ENAMETOOLONG. */
int scope_name(char *out, size_t room, const char *name, int socket);

#endif
