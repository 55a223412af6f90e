/* simulated.c: see simulated.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/wait/simulated.h"

#include "tests/support/wrap.h"

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

struct its_clock its_clock;
struct kernel kernel;
struct shmheap *heap;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!its_clock.on || clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    CHECK(++its_clock.reads < 100000); /* else it spins for ever */
    its_clock.now_ns += its_clock.tick_ns;
    if (its_clock.moves > 0) {
        its_clock.moves--;
        heap->control->sequence += 2;
    }
    *now = timespec_of(its_clock.now_ns);
    return 0;
}

static long sleep_on(uint32_t value, const struct timespec *until, unsigned kind)
{
    int number = (int)kernel.sleeps++;
    uint64_t end = (uint64_t)until->tv_sec * 1000 * MS + (uint64_t)until->tv_nsec;
    CHECK(number < SLEEPS_MAX);
    CHECK_EQ(value, (uint32_t)heap->control->lock);
    CHECK_EQ(heap->control->waiting, 1);
    CHECK(kernel.barriers != 0);
    kernel.sleep[number].at_ns = its_clock.now_ns;
    kernel.sleep[number].len_ns = end - its_clock.now_ns;
    kernel.sleep[number].reads = its_clock.reads;
    kernel.sleep[number].kind = kind;
    its_clock.reads = 0;
    if (number == kernel.frees_at)
        heap->control->lock = 0;
    errno = ETIMEDOUT;
    if (number == kernel.woken_at)
        return 0;
    if (number == kernel.interrupted_at)
        errno = EAGAIN;
    else
        its_clock.now_ns = end;
    return -1;
}

static long wake(long most, unsigned kinds)
{
    CHECK_EQ(most, 1);
    CHECK(kernel.wakes < WAKES_MAX);
    if (kernel.takes && kinds == LOCK_WAITER_STARVING)
        heap->control->lock = others_word();
    kernel.wake[kernel.wakes++] = kinds;
    return kinds == LOCK_WAITER_STARVING ? kernel.starving : kernel.others;
}

static long get_list(long thread, void **head)
{
    CHECK_EQ(thread, 0); /* the caller */
    *head = kernel.list;
    errno = ENOSYS;
    return kernel.get_fails ? -1 : 0;
}

static long set_list(void *head, long size)
{
    CHECK_EQ(size, sizeof(struct robust_list_head));
    kernel.registered = head;
    errno = ENOSYS;
    return kernel.set_fails ? -1 : 0;
}

static long barrier(long command, long flags, long processor)
{
    int registers = command == MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
    CHECK(registers || command == MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    CHECK_EQ(flags, 0);
    CHECK_EQ(processor, 0);
    kernel.barriers++;
    errno = ENOSYS;
    return kernel.barrier_fails ? -1 : 0;
}

static long answer(long number, long *a)
{
    if (its_clock.on && number == SYS_futex && a[1] == FUTEX_WAIT_BITSET)
        return sleep_on((uint32_t)a[2], (const struct timespec *)a[3], (unsigned)a[5]);
    if (its_clock.on && number == SYS_futex && a[1] == FUTEX_WAKE_BITSET)
        return wake(a[2], (unsigned)a[5]);
    if (its_clock.on && number == SYS_membarrier)
        return barrier(a[0], a[1], a[2]);
    if (its_clock.on && number == SYS_gettid)
        return TID;
    if (kernel.lists && number == SYS_get_robust_list)
        return get_list(a[0], (void **)a[1]);
    if (kernel.lists && number == SYS_set_robust_list)
        return set_list((void *)a[0], a[1]);
    return wrap_syscall_real(number, a);
}

shmheap_memory_handle simulated_begin(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    test_own_slot(mem);
    heap = mem.heap;
    memset(&kernel, 0, sizeof kernel);
    kernel.woken_at = kernel.interrupted_at = kernel.frees_at = -1;
    memset(&its_clock, 0, sizeof its_clock);
    its_clock.now_ns = 1000000 * MS;
    its_clock.tick_ns = US;
    its_clock.on = 1;
    wrap_syscall = answer;
    heap->control->lock = others_word();
    lock_self_forget();
    lock_self_fill();
    return mem;
}

void simulated_end(shmheap_memory_handle mem)
{
    its_clock.on = 0;
    lock_self_forget();
    heap->control->lock = heap->control->waiting = 0;
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

void robust_lists_begin(void)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.lists = 1;
    wrap_syscall = answer;
    lock_self_forget();
}

void robust_lists_end(void)
{
    kernel.lists = 0;
    lock_self_forget();
}
