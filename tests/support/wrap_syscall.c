/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>

#include "tests/support/wrap.h"

long (*wrap_syscall)(long number, long *arguments);

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
/* As the C library's, it reads six arguments however many the caller passed: AddressSanitizer sees
 * a load from the caller's frame. */
__attribute__((no_sanitize_address)) long __wrap_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    return wrap_syscall != NULL ? wrap_syscall(number, arguments)
                                : wrap_syscall_real(number, arguments);
}

long wrap_syscall_real(long number, const long *a)
{
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
