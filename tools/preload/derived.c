/* derived.c: the allocating calls that are made of others: of realloc and memalign.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "next.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

EXPORT void *reallocarray(void *memory, size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? refuse() : realloc(memory, total);
}

EXPORT void *valloc(size_t size) { return memalign((size_t)sysconf(_SC_PAGESIZE), size); }

EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return size > SIZE_MAX - page ? refuse() : memalign(page, (size + page - 1) & ~(page - 1));
}
