/* kernel.c: what the kernel says of processes and of mapped memory, requested once and then
 * remembered: of this process and of the arena before the first execution, of another process in
 * each execution in which its pid occurs.
 *
 * No process, no namespace and no mapping of the arena changes during an execution. Without this
 * file, a quarter of a run is repeated system calls: stat() of two files for each inspected slot,
 * reading /proc/PID/task/PID/stat, mremap(), msync() and munmap() for each connection. The
 * functions of the core run for each first question. The linker gives calls to the functions here
 * (--wrap). The first execution makes as many loads as any other, so an input of fuzz_torn, whose
 * peer counts loads, repeats alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/driver/kernel.h"

#include <unistd.h>

enum { ANSWERS = 16, MAPPINGS = 2 };

uint64_t shmheap_process_start(void); /* of the core */
int __real_shmheap_process_memory_is_private(const void *address);
int __wrap_shmheap_process_memory_is_private(const void *address);
int __real_shmheap_process_memory_probe(const void *memory, uint64_t bytes);
int __wrap_shmheap_process_memory_probe(const void *memory, uint64_t bytes);
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

/* struct mapping is memory with the kernel's answers, equal for each byte of it. */
static struct mapping {
    uintptr_t from, len;
    int is_private, probe;
} mappings[MAPPINGS];
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

void kernel_mapped(unsigned number, const void *memory, uint64_t len)
{
    struct mapping *mapping = &mappings[number];
    mapping->from = (uintptr_t)memory;
    mapping->len = (uintptr_t)len;
    mapping->is_private = __real_shmheap_process_memory_is_private(memory);
    mapping->probe = __real_shmheap_process_memory_probe(memory, len);
}

/* Returns the mapping that has all these bytes; NULL: none. */
static const struct mapping *mapping_of(const void *memory, uint64_t bytes)
{
    for (unsigned i = 0; i < MAPPINGS; i++) {
        uintptr_t before = (uintptr_t)memory - mappings[i].from;
        if (before < mappings[i].len && bytes <= mappings[i].len - before)
            return &mappings[i];
    }
    return NULL;
}

int __wrap_shmheap_process_memory_is_private(const void *address)
{
    const struct mapping *mapping = mapping_of(address, 1);
    return mapping ? mapping->is_private : __real_shmheap_process_memory_is_private(address);
}

int __wrap_shmheap_process_memory_probe(const void *memory, uint64_t bytes)
{
    const struct mapping *mapping = mapping_of(memory, bytes);
    return mapping ? mapping->probe : __real_shmheap_process_memory_probe(memory, bytes);
}
