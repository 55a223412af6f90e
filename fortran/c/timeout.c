/* The default wait of Fortran's allocate. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "ShmemHeap.h"

/* INT64_MIN: not set yet. Any thread reads and writes it. */
static int64_t timeout = INT64_MIN;

/* A text that is no number of milliseconds counts as 0. */
static int32_t timeout_of_environment(void)
{
    const char *text = getenv("SHMEM_HEAP_ALLOC_TIMEOUT_MS");
    char *end;
    if (text == NULL || *text == '\0')
        return 0;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && value >= INT32_MIN && value <= INT32_MAX ? (int32_t)value
                                                                                  : 0;
}

int32_t ShmemHeap_alloc_timeout(void)
{
    int64_t said = __atomic_load_n(&timeout, __ATOMIC_RELAXED), environment;
    if (said != INT64_MIN)
        return (int32_t)said;
    environment = timeout_of_environment();
    /* If another thread has set a timeout meanwhile, it stays. */
    if (__atomic_compare_exchange_n(&timeout, &said, environment, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        return (int32_t)environment;
    return (int32_t)said;
}

void ShmemHeap_set_alloc_timeout(int32_t timeout_ms)
{
    __atomic_store_n(&timeout, timeout_ms, __ATOMIC_RELAXED);
}
