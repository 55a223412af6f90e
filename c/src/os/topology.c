/* topology.c: sockets and NUMA nodes from sysfs, and the placement of memory by mbind(2).
 * SPDX-License-Identifier: Apache-2.0 */
#include "topology.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/kernel.h"

enum { CPU_PATH_ROOM = 4096 };

/* A system that does not number its packages says -1: they count as one. */
static int socket_of_cpu(const char *folder, unsigned cpu, int *socket)
{
    char path[CPU_PATH_ROOM], text[32];
    if (snprintf(path, sizeof path, "%s/cpu%u/topology/physical_package_id", folder, cpu) >=
        (int)sizeof path)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return -1;
    text[got] = 0;
    char *end;
    long value = strtol(text, &end, 10);
    *socket = value > 0 && value <= 1 << 20 ? (int)value : 0;
    return end != text ? 0 : -1;
}

/* The processor's folder has a link to its node: node0, node1 ... */
static void add_nodes_of_cpu(struct topology *topology, const char *folder, unsigned cpu)
{
    char path[CPU_PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/cpu%u", folder, cpu) >= (int)sizeof path)
        return;
    DIR *entries = opendir(path);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        unsigned node;
        char rest;
        if (sscanf(entry->d_name, "node%u%c", &node, &rest) == 1 && node < TOPOLOGY_NODES)
            topology->nodes[node / TOPOLOGY_LONG_BITS] |= 1ul << node % TOPOLOGY_LONG_BITS;
    }
    closedir(entries);
}

int topology_of_cpus(struct topology *topology, const char *folder, const unsigned long *cpus)
{
    memset(topology, 0, sizeof *topology);
    topology->socket = -1;
    for (unsigned cpu = 0; cpu < TOPOLOGY_CPUS; cpu++) {
        int socket;
        if (!(cpus[cpu / TOPOLOGY_LONG_BITS] >> cpu % TOPOLOGY_LONG_BITS & 1))
            continue;
        if (socket_of_cpu(folder, cpu, &socket) != 0)
            continue; /* allowed but absent */
        if (topology->socket >= 0 && socket != topology->socket) {
            errno = EXDEV;
            return -1;
        }
        topology->socket = socket;
        add_nodes_of_cpu(topology, folder, cpu);
    }
    if (topology->socket >= 0)
        return 0;
    return error_cause(ENOTSUP, CAUSE_NO_TOPOLOGY, 0, 0);
}

int topology_of_caller(struct topology *topology)
{
    unsigned long cpus[TOPOLOGY_CPUS / TOPOLOGY_LONG_BITS] = {0};
    int before = errno;
    if (syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus) < 0 ||
        topology_of_cpus(topology, TOPOLOGY_CPU_FOLDER, cpus) != 0)
        return -1;
    errno = before;
    return 0;
}

void topology_place(const struct topology *topology, void *memory, size_t len)
{
    static const unsigned long none[TOPOLOGY_NODES / TOPOLOGY_LONG_BITS];
    int before = errno;
    if (memcmp(topology->nodes, none, sizeof none) == 0)
        return;
    const unsigned long *nodes = topology->nodes, count = TOPOLOGY_NODES;
    if (syscall(SYS_mbind, memory, len, KERNEL_PREFERRED_MANY, nodes, count, 0) != 0)
        syscall(SYS_mbind, memory, len, MPOL_PREFERRED, nodes, count, 0); /* the lowest node */
    errno = before;
}

int topology_name(char *out, size_t room, const char *name, int socket)
{
    if (snprintf(out, room, "%s.socket%d", name, socket) < (int)room)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}
