/* inspection.c: shmheap_check, shmheap_stat, shmheap_walk, shmheap_names, shmheap_processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../inspect/inspect.h"

/* Notes a failure of the library; not a -1 that visit returned, which has no such errno. */
static int noted(enum error_call call, shmheap_memory_handle mem, int result)
{
    return result == -1 && error_state.error == errno ? call_failed(call, mem.heap) : result;
}

int shmheap_names(shmheap_memory_handle mem, int (*visit)(const shmheap_name_info *, void *),
                  void *context)
{
    if (visit == NULL || !usable(mem))
        return call_argument_null(CALL_NAMES, mem, ARGUMENT_VISIT);
    error_forget();
    return noted(CALL_NAMES, mem, inspect_names(mem.heap, visit, context));
}

int shmheap_check(shmheap_memory_handle mem, shmheap_report *report)
{
    shmheap_report unseen;
    if (!usable(mem))
        return call_not_open(CALL_CHECK);
    error_forget();
    return noted(CALL_CHECK, mem, inspect_check(mem.heap, report != NULL ? report : &unseen));
}

int shmheap_stat(shmheap_memory_handle mem, shmheap_stats *stats)
{
    shmheap_stats found;
    if (stats == NULL || !usable(mem))
        return call_argument_null(CALL_STAT, mem, ARGUMENT_STATS);
    error_forget();
    if (inspect_stat(mem.heap, &found) != 0)
        return call_failed(CALL_STAT, mem.heap);
    *stats = found;
    return 0;
}

int shmheap_walk(shmheap_memory_handle mem, int (*visit)(const shmheap_block_info *, void *),
                 void *context)
{
    if (visit == NULL || !usable(mem))
        return call_argument_null(CALL_WALK, mem, ARGUMENT_VISIT);
    error_forget();
    return noted(CALL_WALK, mem, inspect_walk(mem.heap, visit, context));
}

int shmheap_processes(shmheap_memory_handle mem, int (*visit)(const shmheap_process_info *, void *),
                      void *context)
{
    if (visit == NULL || !usable(mem))
        return call_argument_null(CALL_PROCESSES, mem, ARGUMENT_VISIT);
    error_forget();
    return noted(CALL_PROCESSES, mem, inspect_processes(mem.heap, visit, context));
}
