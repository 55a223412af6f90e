/* kernel.c: what the kernel says of processes, requested once in an execution and then remembered.
 *
 * No process and no namespace changes during an execution. Without this file, a fifth of a run
 * is repeated system calls: stat() of two files for each inspected slot, and reading
 * /proc/PID/task/PID/stat. The functions of the core run for each first question. The linker
 * gives calls to the functions here (--wrap).
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/driver/kernel.h"

#include <stdint.h>

enum { ANSWERS = 16 };

uint32_t __real_shmheap_process_namespace(void);
uint32_t __wrap_shmheap_process_namespace(void);
int __real_shmheap_process_lives(int64_t pid, uint64_t start);
int __wrap_shmheap_process_lives(int64_t pid, uint64_t start);

/* struct answer is that of one process; execution 0: none. */
struct answer {
    uint64_t execution, start;
    int64_t pid;
    int lives;
};

static struct answer answers[ANSWERS];
static uint64_t execution = 1, namespace_execution;
static uint32_t namespace_id;

void kernel_forget(void) { execution++; }

uint32_t __wrap_shmheap_process_namespace(void)
{
    if (namespace_execution != execution) {
        namespace_id = __real_shmheap_process_namespace();
        namespace_execution = execution;
    }
    return namespace_id;
}

int __wrap_shmheap_process_lives(int64_t pid, uint64_t start)
{
    struct answer *answer = &answers[(uint64_t)pid % ANSWERS];
    if (answer->execution != execution || answer->pid != pid || answer->start != start) {
        answer->lives = __real_shmheap_process_lives(pid, start);
        answer->execution = execution;
        answer->pid = pid;
        answer->start = start;
    }
    return answer->lives;
}
