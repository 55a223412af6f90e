/* holder.c: finds the process that keeps a heap's lock. The public interface does not tell, so this
 * file uses the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/processes/holder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "c/src/process/lock.h"
#include "c/src/process/slot.h"

enum { SAMPLES = 10 };
static const struct timespec between = {.tv_nsec = 10 * 1000 * 1000};

/* The slot that holds the lock during all samples, while no operation ends; 0: there is none. */
static unsigned slot_of_holder(shmheap_memory_handle mem)
{
    const struct shmheap *heap = mem.heap;
    uint64_t sequence = load_acquire(&heap->control->sequence);
    unsigned slot = lock_owner_slot(heap);
    for (int i = 0; i < SAMPLES && slot != 0; i++) {
        nanosleep(&between, NULL);
        if (lock_owner_slot(heap) != slot || load_acquire(&heap->control->sequence) != sequence)
            slot = 0;
    }
    return slot < heap->slot_count ? slot : 0;
}

static int process_read(struct holder *holder)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%lld/stat", holder->pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    const char *got = fgets(line, sizeof line, file);
    fclose(file);
    char *name = got ? strchr(line, '(') : NULL, *end = got ? strrchr(line, ')') : NULL;
    if (!name || !end || end < name || end[1] != ' ')
        return 0;
    snprintf(holder->name, sizeof holder->name, "%.*s", (int)(end - name - 1), name + 1);
    holder->state = end[2];
    return 1;
}

int holder_find(const struct heap_ref *ref, struct holder *holder)
{
    int error = errno, found = 0;
    shmheap_memory_handle mem;
    memset(holder, 0, sizeof *holder);
    if (heap_ref_open_now(ref, &mem) == 0) {
        unsigned slot = slot_of_holder(mem);
        holder->pid = slot ? (long long)slot_pid(mem.heap, slot) : 0;
        shmheap_disconnect(mem);
        found = holder->pid > 0 && process_read(holder);
    }
    errno = error;
    return found;
}
