/* kernel.c: what the kernel says of processes, requested once and then remembered: of this process
 * before the first execution, of another in each execution in which its pid occurs.
 *
 * No process and no namespace changes during an execution. Without this file, a fifth of a run
 * is repeated system calls: stat() of two files for each inspected slot, and reading
 * /proc/PID/task/PID/stat. The functions of the core run for each first question. The linker
 * gives calls to the functions here (--wrap). The first execution makes as many loads as any
 * other, so an input of fuzz_torn, whose peer counts loads, repeats alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/driver/kernel.h"

#include <stdint.h>
#include <unistd.h>

enum { ANSWERS = 16 };

uint64_t shmheap_process_start(void); /* of the core */
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
static struct answer own; /* of this process */
static uint64_t execution = 1;
static uint32_t namespace_id;

void kernel_forget(void)
{
    execution++;
    if (own.pid != 0)
        return;
    own.pid = getpid();
    own.start = shmheap_process_start();
    own.lives = __real_shmheap_process_lives(own.pid, own.start);
    namespace_id = __real_shmheap_process_namespace();
}

uint32_t __wrap_shmheap_process_namespace(void)
{
    return own.pid != 0 ? namespace_id : __real_shmheap_process_namespace();
}

int __wrap_shmheap_process_lives(int64_t pid, uint64_t start)
{
    struct answer *answer = &answers[(uint64_t)pid % ANSWERS];
    if (pid == own.pid && start == own.start && pid != 0)
        return own.lives;
    if (answer->execution != execution || answer->pid != pid || answer->start != start) {
        answer->lives = __real_shmheap_process_lives(pid, start);
        answer->execution = execution;
        answer->pid = pid;
        answer->start = start;
    }
    return answer->lives;
}
