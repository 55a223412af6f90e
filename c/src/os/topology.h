/* topology.h: the socket (CPU package) that the caller runs on, and memory that lies there.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_TOPOLOGY_H
#define SHMHEAP_TOPOLOGY_H

#include <stddef.h>

enum {
    TOPOLOGY_CPUS = 8192,
    TOPOLOGY_NODES = 1024,
    TOPOLOGY_LONG_BITS = 8 * sizeof(unsigned long)
};

/* The system's description of its processors. */
#define TOPOLOGY_CPU_FOLDER "/sys/devices/system/cpu"

/* struct scope is private. */
struct scope {
    int socket; /* the package's id */
    unsigned long
        nodes[TOPOLOGY_NODES /
              TOPOLOGY_LONG_BITS]; /* NUMA nodes of the processors given, as bits; none: unknown */
};

/* The one socket to which these processors (bits of TOPOLOGY_CPUS) belong: 0; -1 with errno EXDEV when they belong to several,
 * ENOTSUP when the system does not tell. */
int topology_of_cpus(struct scope *scope, const char *folder, const unsigned long *cpus);

/* The same of those that the calling thread may run on. */
int topology_of_caller(struct scope *scope);

/* topology_place has the pages of memory that are not there yet taken from the scope's nodes while those have any. A wish: errors
 * are ignored. */
void topology_place(const struct scope *scope, void *memory, size_t len);

/* topology_name makes "name.socketN": 0, or -1 with errno ENAMETOOLONG. */
int topology_name(char *out, size_t room, const char *name, int socket);

#endif
