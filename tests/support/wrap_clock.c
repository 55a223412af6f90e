/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/wrap.h"

struct timespec wrap_clock;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC || wrap_clock.tv_sec == 0)
        return __real_clock_gettime(clock, now);
    *now = wrap_clock;
    return 0;
}

void wrap_clock_stop(void) { __real_clock_gettime(CLOCK_MONOTONIC, &wrap_clock); }
