/* keep_lock.c: a process that stops while it holds a heap's lock: keep_lock NAME. Makes the heap,
 * says "ready" and stops. Continued, it unlocks the heap and ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <shmheap.h>
#include <signal.h>
#include <stdio.h>

#include "c/src/recovery/recover.h"

int main(int argc, char **argv)
{
    shmheap_memory_handle mem = shmheap_create(argc > 1 ? argv[1] : "", 1 << 20);
    if (!shmheap_valid(mem) || heap_lock(mem.heap) != 0) {
        perror("keep_lock");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    raise(SIGSTOP);
    heap_unlock(mem.heap);
    return 0;
}
