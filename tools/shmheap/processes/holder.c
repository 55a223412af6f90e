/* holder.c: finds the process that keeps a heap's lock. The public interface does not tell, so this
 * file uses the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/processes/holder.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "c/src/process/lock.h"
#include "c/src/process/slot.h"
#include "tools/shmheap/heaps/process_name.h"

enum { SAMPLES = 10 };
static const struct timespec between = {.tv_nsec = 10 * 1000 * 1000};

/* struct found is what the last search found: the message after it does not search again. */
static struct {
    uint64_t sequence;
    char text[4096]; /* the heap's name or path; empty: nothing */
    struct holder holder;
} found;

/* The slot that holds the lock during all samples, while no operation ends; 0: there is none. */
static unsigned slot_of_holder(const struct shmheap *heap, int samples, uint64_t sequence)
{
    unsigned slot = lock_owner_slot(heap);
    for (int i = 0; i < samples && slot != 0; i++) {
        nanosleep(&between, NULL);
        if (lock_owner_slot(heap) != slot || load_acquire(&heap->control->sequence) != sequence)
            slot = 0;
    }
    return slot < heap->slot_count ? slot : 0;
}

/* The lock was sampled before, and no operation has ended since. */
static int was_sampled(const struct heap_ref *ref, uint64_t sequence)
{
    return found.text[0] && !strcmp(found.text, ref->text) && found.sequence == sequence;
}

static int holder_read(const struct heap_ref *ref, shmheap_memory_handle mem)
{
    uint64_t sequence = load_acquire(&mem.heap->control->sequence);
    unsigned slot = slot_of_holder(mem.heap, was_sampled(ref, sequence) ? 0 : SAMPLES, sequence);
    struct holder *holder = &found.holder;
    found.text[0] = '\0';
    holder->pid = slot ? (long long)slot_pid(mem.heap, slot) : 0;
    holder->state =
        holder->pid > 0 ? process_name(holder->pid, holder->name, sizeof holder->name) : '\0';
    if (!holder->state)
        return 0;
    found.sequence = sequence;
    if (strlen(ref->text) < sizeof found.text)
        strcpy(found.text, ref->text);
    return 1;
}

const struct holder *holder_find(const struct heap_ref *ref)
{
    int error = errno, is_held = 0;
    shmheap_memory_handle mem;
    if (heap_ref_open_now(ref, &mem) == 0) {
        is_held = holder_read(ref, mem);
        shmheap_disconnect(mem);
    }
    errno = error;
    return is_held ? &found.holder : NULL;
}
