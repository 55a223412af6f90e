/* huge_kernel.c: the calls that the model answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/huge/huge_kernel.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "c/src/base/kernel.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

struct huge_kernel kernel;

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    if (mode != 0 || len != 1) {
        kernel.reserved += mode == 0 ? (uint64_t)len : 0;
        return kernel.is_vast ? 0 : __real_fallocate(fd, mode, from, len);
    }
    kernel.bytes++;
    if (kernel.bytes_error != 0 || kernel.in_row < kernel.interrupted) {
        kernel.in_row++;
        errno = kernel.bytes_error != 0 ? kernel.bytes_error : EINTR;
        return -1;
    }
    kernel.in_row = 0;
    kernel.has_byte = 1;
    kernel.byte_at = (uint64_t)from;
    return __real_fallocate(fd, mode, from, len);
}

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    kernel.advised += advice == MADV_HUGEPAGE;
    if (advice != MADV_COLLAPSE)
        return __real_madvise(at, len, advice);
    int result = kernel.pages_error != 0 ? -1 : 0;
    if (result != 0)
        errno = kernel.pages_error;
    if (len != HUGE_PAGE) {
        kernel.collapsed += len;
        return result;
    }
    wrap_clock.tv_nsec += kernel.page_ns;
    wrap_clock.tv_sec += wrap_clock.tv_nsec / 1000000000;
    wrap_clock.tv_nsec %= 1000000000;
    CHECK_EQ((uintptr_t)at % HUGE_PAGE, 0);
    if (!kernel.has_byte) {
        kernel.touched++;
        return result;
    }
    if (kernel.filled++ == 0) {
        kernel.first = kernel.next = kernel.byte_at;
        kernel.base = (char *)at - kernel.byte_at;
    }
    if (kernel.is_vast)
        CHECK_LE(kernel.next, kernel.byte_at);
    else
        CHECK_EQ(kernel.byte_at, kernel.next);
    CHECK_PTR(at, kernel.base + kernel.byte_at);
    kernel.has_byte = 0;
    kernel.next += HUGE_PAGE;
    return result;
}

int __real_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status)
{
    int result = __real_fstatfs(fd, status);
    if (kernel.on_disk)
        status->f_type = EXT4_SUPER_MAGIC;
    return result;
}
