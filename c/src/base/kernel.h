/* kernel.h: numbers of the kernel's interface that a C library may lack. They never change.
 * The kernel's headers are used where they exist: musl's compiler on Debian does not find them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_KERNEL_H
#define SHMHEAP_KERNEL_H

#if defined(__has_include)
#if __has_include(<linux/futex.h>)
#define KERNEL_HAS_HEADERS 1
#endif
#endif

#include <fcntl.h>

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

/* mbind(2) */
#define MPOL_PREFERRED 1

#endif

/* statfs(2): types of file systems. */
#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif
#ifndef TMPFS_MAGIC
#define TMPFS_MAGIC 0x01021994
#endif
#ifndef HUGETLBFS_MAGIC
#define HUGETLBFS_MAGIC 0x958458f6
#endif
#ifndef RAMFS_MAGIC
#define RAMFS_MAGIC 0x858458f6
#endif
#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683E
#endif
#ifndef EXT4_SUPER_MAGIC
#define EXT4_SUPER_MAGIC 0xEF53 /* ext2 and ext3 too */
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* ioctl(2), as linux/fs.h: the flags of a file. */
#ifndef FS_IOC_GETFLAGS
#define FS_IOC_GETFLAGS _IOR('f', 1, long)
#define FS_IOC_SETFLAGS _IOW('f', 2, long)
#define FS_NOCOW_FL 0x00800000
#endif

/* fcntl(2) */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10 /* Linux 5.1; older kernels refuse it */
#endif

/* madvise(2) and mbind(2): newer than some C libraries. A kernel that lacks one refuses it. */
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18 /* Linux 4.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#define KERNEL_PREFERRED_MANY 5 /* MPOL_PREFERRED_MANY, an enum constant, Linux 5.15 */

#endif
