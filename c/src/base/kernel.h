/* kernel.h: the few numbers of the kernel's interface that the library uses and that C libraries do not have. Its headers are not there for every
 * C library (musl's compiler on Debian does not find them); these numbers never change.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_KERNEL_H
#define SHMHEAP_KERNEL_H

#if defined(__has_include)
#if __has_include(<linux/futex.h>)
#define KERNEL_HAS_HEADERS 1
#endif
#endif

#if defined(KERNEL_HAS_HEADERS)
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#else

/* futex(2) */
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u

/* get_robust_list(2) */
struct robust_list {
    struct robust_list *next;
};
struct robust_list_head {
    struct robust_list list;
    long futex_offset;
    struct robust_list *list_op_pending;
};

/* membarrier(2) */
#define MEMBARRIER_CMD_GLOBAL_EXPEDITED (1 << 1)
#define MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED (1 << 2)

/* statfs(2) */
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6

/* mbind(2) */
#define MPOL_PREFERRED 1

#endif

#endif
