/* inspection.c: shmheap_check, shmheap_stat, shmheap_walk, shmheap_names, shmheap_processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../inspect/inspect.h"

int shmheap_names(shmheap_memory_handle mem, int (*visit)(const shmheap_name_info *, void *),
                  void *context)
{
    return visit != NULL && usable(mem) ? inspect_names(mem.heap, visit, context) : fail(EINVAL);
}

int shmheap_check(shmheap_memory_handle mem, shmheap_report *report)
{
    shmheap_report unseen;
    return usable(mem) ? inspect_check(mem.heap, report != NULL ? report : &unseen) : fail(EINVAL);
}

int shmheap_stat(shmheap_memory_handle mem, shmheap_stats *stats)
{
    shmheap_stats found;
    if (stats == NULL || !usable(mem))
        return fail(EINVAL);
    if (inspect_stat(mem.heap, &found) != 0)
        return -1;
    *stats = found;
    return 0;
}

int shmheap_walk(shmheap_memory_handle mem, int (*visit)(const shmheap_block_info *, void *),
                 void *context)
{
    return visit != NULL && usable(mem) ? inspect_walk(mem.heap, visit, context) : fail(EINVAL);
}

int shmheap_processes(shmheap_memory_handle mem, int (*visit)(const shmheap_process_info *, void *),
                      void *context)
{
    return visit != NULL && usable(mem) ? inspect_processes(mem.heap, visit, context)
                                        : fail(EINVAL);
}
