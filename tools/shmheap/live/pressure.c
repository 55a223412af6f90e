/* pressure.c: reads the lock and the marks of waiting threads. The public interface has no such
 * figures, so this file uses the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/live/pressure.h"

#include "c/src/process/lock.h"
#include "c/src/process/wait.h"

struct pressure pressure_read(shmheap_memory_handle mem)
{
    const struct control *control = mem.heap->control;
    struct pressure pressure = {lock_owner_slot(mem.heap) != 0, load_u64(&control->waiting) != 0,
                                load_u32(&control->wait_sleepers) != 0};
    return pressure;
}
