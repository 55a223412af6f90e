/* wrap.h: functions of the C library that a test replaces in the core. A test that names one in the
 * wrap list of its BUILD file, and uses the variable of this header, links the replacement from
 * here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_WRAP_H
#define TESTS_SUPPORT_WRAP_H

#include <time.h>

/* clock_gettime: while tv_sec is not 0, the monotonic clock stands there. */
extern struct timespec wrap_clock;
/* Stops the monotonic clock at its present time. */
void wrap_clock_stop(void);

/* syscall: each call goes to the function, if there is one. It may change the arguments, and calls
 * wrap_syscall_real. */
extern long (*wrap_syscall)(long number, long *arguments);
long wrap_syscall_real(long number, const long *arguments);

/* fcntl, likewise. */
extern int (*wrap_fcntl)(int fd, int command, void *argument);
int wrap_fcntl_real(int fd, int command, void *argument);

#endif
