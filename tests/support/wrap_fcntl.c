/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>

#include "tests/support/wrap.h"

int (*wrap_fcntl)(int fd, int command, void *argument);

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return wrap_fcntl != NULL ? wrap_fcntl(fd, command, argument)
                              : __real_fcntl(fd, command, argument);
}

int wrap_fcntl_real(int fd, int command, void *argument)
{
    return __real_fcntl(fd, command, argument);
}
