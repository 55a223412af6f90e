/* options.c: the checks of a caller's options, and their defaults.
 * SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <string.h>

#include "../base/error.h"
#include "../os/process.h"

enum {
    LEN_DEFAULT = 1 << 20,
    MODE_DEFAULT = 0600,
    TIMEOUT_MS_DEFAULT = 2000,
    FLAGS_KNOWN = (SHMHEAP_NO_DUMP << 1) - 1 /* the highest flag of shmheap.h and all below */
};

static int invalid(enum cause cause, uint64_t first, uint64_t second)
{
    return error_cause(EINVAL, cause, first, second);
}

int options_check_flags(unsigned flags)
{
    if ((flags & ~(unsigned)FLAGS_KNOWN) != 0)
        return invalid(CAUSE_FLAGS_UNKNOWN, flags & ~(unsigned)FLAGS_KNOWN, 0);
    if ((flags & (SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER | SHMHEAP_ANONYMOUS)) &&
        !(flags & SHMHEAP_CREATE))
        return invalid(CAUSE_FLAGS_OF_CREATE, flags, 0);
    if ((flags & SHMHEAP_READ_ONLY) && (flags & SHMHEAP_CREATE))
        return invalid(CAUSE_FLAGS_READ_ONLY, flags, 0);
    if ((flags & SHMHEAP_ANONYMOUS) &&
        (flags & (SHMHEAP_FILE | SHMHEAP_TAKE_OVER | SHMHEAP_SOCKET)))
        return invalid(CAUSE_FLAGS_ANONYMOUS, flags, 0);
    return 0;
}

int options_plan(struct segment_plan *plan, const shmheap_options *options)
{
    memset(plan, 0, sizeof *plan);
    plan->len = options->len != 0 ? options->len : LEN_DEFAULT;
    plan->max_len = options->max_len != 0 ? options->max_len : plan->len;
    plan->shift = options->alignment == 8 ? 3 : 4;
    plan->flags = (options->flags & SHMHEAP_SPARSE ? FORMAT_SPARSE : 0) |
                  (options->flags & SHMHEAP_REAP ? FORMAT_REAP : 0);
    plan->slot_count = SLOTS_MAX;
    plan->region_align = FILE_ALIGN;
    if (plan->len < REGION_LEN_MIN)
        return invalid(CAUSE_LEN, plan->len, REGION_LEN_MIN);
    if (plan->max_len < plan->len)
        return invalid(CAUSE_MAX_LEN, plan->max_len, plan->len);
    if (options->alignment != 0 && options->alignment != 8 && options->alignment != 16)
        return invalid(CAUSE_ALIGNMENT, options->alignment, 0);
    if (options->mode > 07777)
        return invalid(CAUSE_MODE, options->mode, 0);
    return 0;
}

unsigned options_timeout(const shmheap_options *options)
{
    return options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
}

unsigned options_mode(const shmheap_options *options)
{
    return options->mode != 0 ? options->mode : MODE_DEFAULT;
}

/* The slot table takes at most about a sixteenth of the memory. */
static uint32_t slots_for(uint64_t bytes)
{
    uint64_t slots = bytes / (16 * SLOT_SIZE);
    return (uint32_t)(slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots);
}

int options_memory_is_fit(const void *memory, uint64_t bytes, unsigned alignment)
{
    return memory != NULL && (uintptr_t)memory % alignment == 0 &&
           (bytes == 0 || process_memory_probe(memory, bytes) != 0);
}

int options_plan_at(struct segment_plan *plan, void *memory, uint64_t bytes,
                    const shmheap_options *options)
{
    const unsigned allowed = SHMHEAP_CACHED | SHMHEAP_REAP;
    if ((options->flags & ~allowed) != 0)
        return invalid(CAUSE_FLAGS_NOT_HERE, options->flags & ~allowed, 0);
    if (options_plan(plan, options) != 0)
        return -1;
    plan->slot_count = slots_for(bytes);
    plan->region_align = 16;
    if (!options_memory_is_fit(memory, bytes, plan->shift == 3 ? 8 : 16))
        return invalid(CAUSE_MEMORY, (uintptr_t)memory, bytes);
    if (options->len == 0) {
        plan->len =
            segment_region_fitting(bytes, plan->shift, plan->slot_count, plan->region_align);
        plan->max_len = plan->len;
    }
    return plan->len != 0 ? 0 : error_cause(ENOMEM, CAUSE_MEMORY_FEW, bytes, 0);
}
