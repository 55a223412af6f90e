/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/wait/sleepers.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/base/kernel.h"
#include "tests/support/wrap.h"

struct scene *scene;
int waiter = -1;

static long count_wakes(long number, long *a)
{
    /* Each connection maps the word elsewhere, at the same place in a page. */
    int is_ours = number == SYS_futex && scene != NULL &&
                  ((uintptr_t)a[0] ^ (uintptr_t)scene->futex) % 4096 == 0;
    if (is_ours && a[1] == FUTEX_WAIT_BITSET && waiter >= 0) {
        a[3] = 0;
        scene->asleep[waiter] = 1;
    }
    long result = wrap_syscall_real(number, a);
    if (is_ours && a[1] == FUTEX_WAKE_BITSET && result > 0)
        __atomic_fetch_add(&scene->woken, result, __ATOMIC_SEQ_CST);
    return result;
}

long woken(void) { return __atomic_load_n(&scene->woken, __ATOMIC_SEQ_CST); }

int sleeps(int number) { return scene->asleep[number] && test_state(scene->pids[number]) == 'S'; }

void until_it_sleeps(int number)
{
    while (!sleeps(number))
        sched_yield();
}

void scene_begin(void)
{
    scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(LEN, 0, 0);
    CHECK((scene->large = shmheap_alloc(scene->mem, 2 * EACH)) != NULL);
    wrap_syscall = count_wakes;
}

void scene_end(void)
{
    wrap_syscall = NULL;
    CHECK_SOUND(scene->mem);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
    scene = NULL;
}
