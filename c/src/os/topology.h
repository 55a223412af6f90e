/* topology.h: the socket (CPU package) of the calling thread, and memory on its nodes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_TOPOLOGY_H
#define SHMHEAP_TOPOLOGY_H

#include <stddef.h>

#include "../base/prefix.h"

enum {
    TOPOLOGY_CPUS = 8192,
    TOPOLOGY_NODES = 1024,
    TOPOLOGY_LONG_BITS = 8 * sizeof(unsigned long)
};

/* The system's description of its processors. */
#define TOPOLOGY_CPU_FOLDER "/sys/devices/system/cpu"

/* struct topology is where a thread runs: its socket and that one's NUMA nodes. */
struct topology {
    int socket; /* the package's id */
    /* NUMA nodes of the processors, as bits; none: unknown */
    unsigned long nodes[TOPOLOGY_NODES / TOPOLOGY_LONG_BITS];
};

/* topology_of_cpus finds the socket of the processors in a set (bits of TOPOLOGY_CPUS): 0; -1 with
 * errno EXDEV when they belong to several sockets, ENOTSUP when the system does not tell. */
int topology_of_cpus(struct topology *topology, const char *folder, const unsigned long *cpus);

/* topology_of_caller does so for the processors that the calling thread may run on. */
int topology_of_caller(struct topology *topology);

/* topology_place makes the kernel prefer these nodes for pages of memory that it has not given yet.
 * A hint: errors are ignored. */
void topology_place(const struct topology *topology, void *memory, size_t len);

/* topology_name makes "name.socketN": 0, or -1 with errno ENAMETOOLONG. */
int topology_name(char *out, size_t room, const char *name, int socket);

#endif
