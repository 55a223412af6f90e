/* pause.c: pauses of random length below a limit that doubles, by the monotonic clock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "pause.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "../base/platform.h"

enum { PAUSE_FIRST_NS = 100000, PAUSE_MOST_NS = 100000000 };

struct pause pause_begin(unsigned limit_ms)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    struct pause pause = {now + limit_ms * UINT64_C(1000000), PAUSE_FIRST_NS,
                          now ^ (uint64_t)getpid() << 32};
    return pause;
}

/* xorshift64 (Marsaglia, 2003) */
static uint64_t random_next(uint64_t *state)
{
    *state |= *state == 0;
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint64_t pause_ns(struct pause *pause)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now >= pause->limit)
        return 0;
    uint64_t left = pause->limit - now,
             length = pause->next / 2 + random_next(&pause->random) % (pause->next / 2);
    if (pause->next < PAUSE_MOST_NS)
        pause->next *= 2;
    return length < left ? length : left;
}

unsigned pause_left_ms(const struct pause *pause)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    return now < pause->limit ? (unsigned)((pause->limit - now + 999999) / 1000000) : 0;
}

int pause_sleep(struct pause *pause)
{
    int before = errno;
    uint64_t length = pause_ns(pause);
    if (length == 0)
        return 0;
    struct timespec time = timespec_of(length);
    nanosleep(&time, NULL);
    errno = before;
    return 1;
}
