/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cost/counted.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>

void (*shmheap_load_hook)(const void *word);

struct counted counted;
const uint32_t *waited_on;
const void *lock_word;
uint64_t loads_before, loads_longest;

static void count_load(const void *word)
{
    counted.loads += word != NULL;
    if (word != lock_word || word == NULL)
        return;
    loads_longest =
        counted.loads - loads_before > loads_longest ? counted.loads - loads_before : loads_longest;
    loads_before = counted.loads;
}

static long count_syscall(long number, long *a)
{
    long result = wrap_syscall_real(number, a);
    counted.barriers += number == SYS_membarrier;
    if (number == SYS_futex && (uint32_t *)a[0] == waited_on &&
        ((int)a[1] == FUTEX_WAKE || (int)a[1] == FUTEX_WAKE_BITSET)) {
        counted.wakes++;
        counted.woken += result > 0 ? (uint64_t)result : 0;
    }
    return result;
}

static int count_fcntl(int fd, int command, void *argument)
{
    counted.lock_questions += command == F_OFD_GETLK;
    return wrap_fcntl_real(fd, command, argument);
}

void count_begin(void)
{
    memset(&counted, 0, sizeof counted);
    shmheap_load_hook = count_load;
    wrap_syscall = count_syscall;
    wrap_fcntl = count_fcntl;
}

void count_end(void) { shmheap_load_hook = NULL; }

shmheap_memory_handle full_heap(unsigned flags, void **an_object)
{
    shmheap_memory_handle mem;
    shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    unsigned count = 0;
    for (void *ptr; (ptr = shmheap_alloc(mem, OBJECT_LEN)) != NULL; count++)
        *an_object = ptr;
    CHECK(count > OBJECTS / 2);
    return mem;
}

void pairs(shmheap_memory_handle mem, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        void *ptr = shmheap_alloc(mem, 100);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
}
