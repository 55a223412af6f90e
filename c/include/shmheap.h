/* shmheap.h: a heap in memory that several processes share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Any connected process allocates, any frees. Pointers are good in the process (and for the
 * connection) that got them; from process to process an object travels as a handle, 8 bytes that
 * may be copied anywhere, also into the heap itself. Placement is exact first fit.
 *
 * Conventions of this page
 *   Failure    A call that fails returns NULL, -1, or a handle of zero bits, sets errno, and has
 *              changed nothing. Besides those that a comment lists, every call that changes the
 *              heap may fail with
 *                EINVAL     the connection is not open, or an argument is outside its range;
 *                EACCES     the connection is read-only;
 *                EBADMSG    the memory holds what no sound heap can hold, and the call left it so;
 *                ETIMEDOUT  the heap's lock was not to be had for 30 s: a live process holds it
 *                           (stopped in a debugger?), or far too many want it;
 *                EAGAIN     after fork(): the child found all slots of the heap taken.
 *              Calls that succeed leave errno alone.
 *   Threads    Any thread may make any call at any time, except that no other call may use a
 *              connection during and after its shmheap_disconnect or shmheap_destroy. No call may
 *              be made from a signal handler, nor between vfork() and exec. Deferred cancellation
 *              has no effect inside a call; asynchronous cancellation inside a call is not allowed.
 *              Every wait has a limit, and no wait for one heap delays fork() or another heap.
 *              A thread with a stack of 32 KiB can make every call.
 *   Processes  Every call may be made while other processes make any call on the same heap. A
 *              process may be killed at any instruction: the next caller finds that out, rebuilds
 *              what has to be rebuilt from the headers of the blocks and goes on.
 *   Files      A heap with a name of shm_open() or in a file (SHMHEAP_FILE) lives as long as that
 *              file, also without processes. After kill -9 of every process, in the midst of any
 *              calls, it opens again: sound, each call that was finished in it, each that was not
 *              done or undone, with its kept names (shmheap_alloc_kept) and the objects they lead
 *              to. Take a handle of each object that other processes are to find
 *              (shmheap_ptr_to_handle): shmheap_reap, and an alloc in a heap with SHMHEAP_REAP,
 *              free those objects of the dead of which no handle was taken, even where kept objects
 *              lead to them by offsets. A heap does not survive a loss of power or a crash of the
 *              kernel: the kernel writes a file's pages to the disk in any order, at any time.
 *              msync() and fsync() do not help, since processes change the heap between one page
 *              and the next. Take copies then: shmheap_copy, or `shmheap copy`.
 *   fork       A child made by fork(), _Fork() or clone() uses its parent's connections. Before its
 *              first call that takes the lock (a change, but also shmheap_stat, _walk, _check,
 *              _names and _processes) it takes a slot of its own. Where it cannot, that call fails:
 *              EMFILE (no descriptors left), EACCES (setuid, or a mode that shuts the user out),
 *              ENOENT (no /proc), EBADF (see Descriptors). The child holds none of its parent's
 *              objects, so it cannot send them (EPERM), and has none of its parent's uses of names:
 *              it calls shmheap_alloc_named itself. Memory that the child has a copy of
 *              (MAP_PRIVATE) is a heap of the child's own from then on.
 *              A child of _Fork() or clone() in a process with threads must not use malloc(). Of
 *              the calls here, those use it that open with SHMHEAP_SOCKET or in private memory,
 *              shmheap_socket and shmheap_copy; and a thread's first call on a connection with
 *              SHMHEAP_CACHED in a program with more than 32 keys of pthread_key_create().
 *   Descriptors
 *              A connection has one descriptor, close-on-exec, and one more for each of shmheap_fd
 *              and shmheap_fd_writable once they were called. All are closed when it ends. A
 *              program may close them (closefrom): the connection stays. The library opens the file
 *              anew by its name when it needs to. Where no name leads to the file
 *              (SHMHEAP_ANONYMOUS) it needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN for that.
 *              Without them, the heap then cannot grow (ENOMEM), and a child's calls that take the
 *              lock fail with EBADF. The process tells the living from the dead by pid and start
 *              time, takes each process of another PID namespace for alive, and leaves it to
 *              another process to reap: it cannot see whether children claim what the dead held.
 *              On overlayfs and FUSE the kernel keeps locks by descriptors alone. There the pid
 *              tells whether a process lives, so exec is not noticed. A program that closes the
 *              descriptors keeps its name all the same: SHMHEAP_TAKE_OVER and
 *              shmheap_unlink_unused see its pid, unless it is of another PID namespace, or only
 *              reads. But shmheap_in_use says 0, and the program's children have no claim on what
 *              it held: after its death shmheap_reap frees that.
 *   Leaving    What becomes of what a process holds, by how the process ends:
 *
 *              how                          its objects      shared (1),      its uses      its caches
 *                                                            sent             of names
 *              shmheap_disconnect,          stay             stay             anyone's      given back
 *              return from main, exit,                                        to free
 *              dlclose of the library
 *              _exit, quick_exit, exec,     stay until       stay             stay until    free when
 *              abort, a signal (kill -9)    shmheap_reap                      shmheap_reap  needed
 *
 *              (1) A handle was taken. shmheap_reap with SHMHEAP_REAP_SHARED frees those of the
 *              dead.
 *              "Anyone's to free": see shmheap_alloc_named. A child knows the objects and names
 *              that its parent had when it forked. So shmheap_reap leaves all that a dead process
 *              held alone, while such a child, or a child of that child, lives and has neither
 *              called exec nor disconnected. This covers what the dead process allocated after the
 *              fork, too, if it had a slot when it forked. After dlclose
 *              memory and slots of open connections stay taken until the process ends.
 *              In memory of the caller (shmheap_create_at) exec is not noticed: the process lives.
 *   Trust      Other processes that can write the memory are not trusted: whatever they write, no
 *              call here reads or writes outside the heap's memory, loops without end or aborts.
 *              Who truncates the file below a heap raises SIGBUS in its users (memfd heaps are
 *              sealed against that).
 *   Memory     The library reserves the memory of a heap before it uses it, unless SHMHEAP_SPARSE
 *              is set. A call that cannot get it fails with an errno, leaves nothing behind, and
 *              harms nothing; a later access to the heap does not raise SIGBUS for want of memory.
 *              The library keeps to the size of the file system, RLIMIT_FSIZE, the machine's memory
 *              and the memory limits of the process's control groups (versions 1 and 2). Where the
 *              file system has no fallocate(2) (ext2, ext3, NFS before 4.2), it writes zeros, which
 *              takes as long as the disk needs. Restrictions:
 *                - ZFS, and other file systems that copy on write or compress, reserve nothing, or
 *                  not for a second change. On btrfs the library switches copying off for the file
 *                  of a new heap (chattr +C): the promise holds until a snapshot or a reflink of it
 *                  is made. On XFS, too, it ends with a reflink.
 *                - On hugetlbfs the kernel does not apply RLIMIT_FSIZE: mapping a file makes it longer.
 *                - NFS, CIFS and FUSE promise what their server promises; a thin volume or a sparse
 *                  image promises nothing.
 *                - A copy of a heap's file may have holes where the heap's file has none.
 *                - A heap in a disk file that may still grow has holes. When another program reads
 *                  the file on a disk that is full, the kernel may join a hole and reserved pages
 *                  (large folios: XFS, ext4 from Linux 6.16), and a store then raises SIGBUS.
 *                - The limits of control groups above a container, or whose files are not mounted
 *                  below /sys/fs/cgroup, memory bound to some NUMA nodes, and an upper layer of
 *                  overlayfs that lies in memory are not seen in full.
 *                  Several processes that take the last memory at the same time may still meet the
 *                  kernel's OOM killer.
 *   Units      Sizes and lengths are bytes.
 */
#ifndef SHMHEAP_H
#define SHMHEAP_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SHMHEAP_API __attribute__((visibility("default")))
#else
#define SHMHEAP_API
#endif

/* The version of this header: major * 10000 + minor * 100 + patch. While major is 0, a program runs
 * with a library of the same minor version and of its own patch or a later one; then, of the same
 * major version and of its own minor or a later one. */
#define SHMHEAP_VERSION 100

#ifdef __cplusplus
extern "C" {
#endif

struct shmheap;

/* shmheap_memory_handle is a connection of this process to a heap. A copy is the same connection.
 * Means nothing in another process, but for a child made by fork(). */
typedef struct shmheap_memory_handle {
    struct shmheap *heap;
} shmheap_memory_handle;

/* shmheap_object_handle names an object in every process connected to its heap, for as long as the
 * object lives. Zero bits are the null handle. It may be copied bit by bit, over pipes, into files
 * or into the heap. Its 64 bits are: 13 of the heap's identity, 15 of a stamp that changes with
 * each allocation, 36 of the position; so a handle of a freed object is refused, also where another
 * object has taken its place (until the stamp has gone round after exactly a multiple of 32,768
 * allocations). */
typedef struct shmheap_object_handle {
    uint64_t bits;
} shmheap_object_handle;

/* Flags of shmheap_options. */
enum shmheap_flags {
    SHMHEAP_CREATE = 1 << 0,    /* make the heap when there is none of that name */
    SHMHEAP_EXCLUSIVE = 1 << 1, /* with SHMHEAP_CREATE: EEXIST when there is one */
    SHMHEAP_READ_ONLY =
        1 << 2, /* connect without the right to write: handles resolve, the heap can be
                                    looked at, and changes fail with EACCES */
    SHMHEAP_CACHED =
        1
        << 3, /* for this connection: each thread keeps free blocks of up to 2.5 KiB (alignment 8) or 5 KiB (16)
                                    for itself, at most 1 MiB of them or 1/64 of the heap, whichever is less. Many times as fast, but where
                                    an object lies is no longer first fit: what no thread keeps is placed by best fit, which fills a heap
                                    better. What is kept goes back when the thread ends, when the connection is closed, and when
                                    anybody's alloc would fail, all but 128 bytes for each thread that caches and lives.
                                    Taking a handle while another thread or process resizes the object is safe.
                                    Racing misuse of one object (a double free, or a free or a send against taking
                                    a handle) may go undetected on such a connection. The object's memory may then
                                    be handed out twice, its handle be stale (ESTALE), or later calls fail with
                                    EBADMSG. No such race makes a call store an old size: the block list stays whole.
                                    Nothing is kept where the kernel has no membarrier(2) (before Linux 4.16), in
                                    heaps below 64 KiB, nor in heaps whose max_len is above 64 GiB (32 GiB with
                                    alignment 8) */
    SHMHEAP_REAP =
        1
        << 4, /* when creating: in this heap, an alloc that would fail first does as shmheap_reap(mem, 0). With n
                                    processes, more than 16, it may notice a death n * n * 64 ns late: 64 ms with a thousand */
    SHMHEAP_SPARSE =
        1 << 5, /* when creating or growing, do not reserve the memory: faster, but when
                                    the file system or the machine runs out of it, touching the heap
                                    raises SIGBUS, or the kernel kills a process */
    SHMHEAP_HUGE_PAGES =
        1
        << 6, /* ask the kernel for huge pages also in small and sparse heaps, in those that were made without, and
                                    however long it takes; never an error. Unasked, making or growing one of 16 MiB and more asks for them (from
                                    Linux 6.1 on), but for no longer than half a second for each GiB, an eighth when growing; for two
                                    megabytes that got none an alloc asks that is the first of its process to use them: about one
                                    millisecond, several in a virtual machine that lacks memory, without the lock. prctl(PR_SET_THP_DISABLE) prevents it all */
    SHMHEAP_ANONYMOUS =
        1 << 7, /* with SHMHEAP_CREATE: a heap without a name, in a memfd that cannot be
                                    shrunk; others get it by fork() or through shmheap_fd() */
    SHMHEAP_FILE =
        1
        << 8, /* the name is the path of a file, not a name for shm_open(). Also on hugetlbfs: the file and its
                                    mapping are whole huge pages then */
    SHMHEAP_TAKE_OVER =
        1
        << 9, /* with SHMHEAP_CREATE: a heap of that name that no process uses any more is replaced by a new
                                    one, and so is an empty file; with SHMHEAP_EXCLUSIVE, too, EEXIST only where a process uses it.
                                    What is no heap (EBADMSG), or of another version (EPROTONOSUPPORT), stays */
    SHMHEAP_NO_DUMP = 1 << 11, /* keep the heap out of this process's core dumps (MADV_DONTDUMP) */
    SHMHEAP_SOCKET =
        1
        << 10 /* the heap of the caller's socket (CPU package): ".socketN" is added to the name, N as
                                    shmheap_socket() tells, and the memory of a new heap lies on the socket's NUMA nodes as
                                    far as they have any. Failure: EXDEV, ENOTSUP as there; ENAMETOOLONG */
};

/* shmheap_options: how to open or make a heap. Zero-initialise; zero means the default. */
typedef struct shmheap_options {
    size_t len;     /* bytes of the region at creation, at least 128 (0: 1 MiB; in the caller's own
                            memory all of it). An object of len - 80 bytes fits in the empty heap. */
    size_t max_len; /* bytes to which the region may grow by itself (0: it never grows) */
    size_t alignment;    /* of every object: 8 or 16 (0: 16) */
    unsigned flags;      /* enum shmheap_flags, or'ed */
    unsigned mode;       /* permission bits of a new heap, exactly, whatever the umask (0: 0600) */
    unsigned timeout_ms; /* how long to wait for a heap that is still being created (0: 2000) */
} shmheap_options;

/* Opening and closing ------------------------------------------------------------------------- */

/* shmheap_version is the SHMHEAP_VERSION of the library that the program runs with. */
SHMHEAP_API unsigned shmheap_version(void);

/* shmheap_create makes a heap whose region has len bytes, at least 128, under a name that is passed
 * to shm_open() as it is ("/name"), and connects to it. Memory for all of it is reserved at once.
 * An object of len - 80 bytes fits afterwards.
 * Failure: a handle that shmheap_valid denies, nothing made, and errno
 *   EEXIST     there is something of that name (unless a creator has left it that died before it
 *              was done);
 *   EINVAL     len below 128, or name NULL, empty or no name for shm_open();
 *   ENOMEM     len is more than can be mapped (RLIMIT_AS; RLIMIT_MEMLOCK after
 *              mlockall(MCL_FUTURE), for which max_len counts), or the kernel found no memory;
 *   EFBIG      len is more than can be described, or than RLIMIT_FSIZE or the file system allow;
 *   ENOSPC     the file system, the machine, or a control group of the process (a container's
 *              memory limit) has not that much memory left;
 *   EDQUOT     the user's quota is used up;
 *   EINTR      signals came faster than the kernel reserves one page;
 *   or what shm_open(), ftruncate(), mmap() report (EACCES, EMFILE, ENAMETOOLONG ...). */
SHMHEAP_API shmheap_memory_handle shmheap_create(const char *name, size_t len);

/* shmheap_connect connects to the heap of that name, for reading and writing. While another process
 * is creating the heap, it sleeps until that is done, 2 s at most.
 * Failure: a handle that shmheap_valid denies, and errno
 *   ENOENT           there is no such heap;
 *   EACCES           no permission to read and write it;
 *   EBADMSG          what has that name is no heap, or one that was cut short or damaged;
 *   EPROTONOSUPPORT  a heap in another version of the format;
 *   ETIMEDOUT        its creation was not finished in that time; its creator may have died: then a
 *                    call with SHMHEAP_CREATE replaces what is left (but not an empty file, for
 *                    which it needs SHMHEAP_TAKE_OVER);
 *   EAGAIN           as many processes are connected as the heap can have slots (1,022), or there
 *                    is no memory for more slots;
 *   ENOMEM           the heap is more than can be mapped, as for shmheap_create;
 *   or what shm_open() and mmap() report. */
SHMHEAP_API shmheap_memory_handle shmheap_connect(const char *name);

/* shmheap_open does what shmheap_create and shmheap_connect do, as options say (NULL: all defaults,
 * that is, connect). With SHMHEAP_CREATE alone it creates, or connects to what is there, whose
 * sizes and alignment then hold. With SHMHEAP_ANONYMOUS name may be NULL; it shows in /proc only.
 * Success: 0, and *out is the connection. Failure: -1, *out is a handle that shmheap_valid denies,
 * errno as for shmheap_create and shmheap_connect, and
 *   EINVAL     out NULL, alignment not 8 or 16, max_len below len, unknown or contradicting flags
 *              (SHMHEAP_READ_ONLY or no SHMHEAP_CREATE where a heap would have to be made ...);
 *   EBUSY      with SHMHEAP_CREATE, for timeout_ms the name was neither free nor led to a heap: other
 *              processes made and removed it, or it is a symbolic link that leads nowhere. */
SHMHEAP_API int shmheap_open(shmheap_memory_handle *out, const char *name,
                             const shmheap_options *options);

/* shmheap_create_sealed makes a heap without a name, as SHMHEAP_CREATE and SHMHEAP_ANONYMOUS do, that
 * this connection alone can write. The kernel refuses every later write to the file and every later
 * mapping to write it, by any process (F_SEAL_FUTURE_WRITE). Other processes connect with
 * SHMHEAP_READ_ONLY. The seal comes before the heap's contents: what another thread wrote to the
 * file before, by way of /proc/self/fd, is gone.
 * Success: 0. Failure: -1, *out is a handle that shmheap_valid denies, errno as for shmheap_open, and
 *   ENOTSUP  the kernel has no such seal (before Linux 5.1);
 *   EBUSY    another thread has connected to the file before the seal. */
SHMHEAP_API int shmheap_create_sealed(shmheap_memory_handle *out, const shmheap_options *options);

/* shmheap_socket is the id of the socket (CPU package) that the calling thread runs on, 0 or more.
 * Failure: -1, errno
 *   EXDEV    it may run on processors of several: bind it to one first (taskset, numactl, mpirun
 *            --bind-to socket ...);
 *   ENOTSUP  the system does not tell (no /sys). */
SHMHEAP_API int shmheap_socket(void);

/* shmheap_open_fd connects to the heap in the file that the descriptor fd refers to: a memfd got by
 * inheritance or over a socket, or any open heap. fd itself is neither kept nor closed. Of the
 * options SHMHEAP_READ_ONLY, _CACHED, _HUGE_PAGES, _NO_DUMP and timeout_ms count. Needs /proc. It
 * opens the file anew, so the caller needs the file's permissions, but fd itself may be one that
 * can only read.
 * Success: 0. Failure: -1, *out is a handle that shmheap_valid denies, errno as for
 * shmheap_connect; EBADF fd is no open descriptor. */
SHMHEAP_API int shmheap_open_fd(shmheap_memory_handle *out, int fd, const shmheap_options *options);

/* shmheap_create_at makes a heap inside memory of the caller, bytes long, aligned to 16 (or to 8
 * for alignment 8): an array, a segment of another library, a window of MPI. With len 0 the region
 * takes all that remains after control data and index. Flags other than SHMHEAP_CACHED and
 * SHMHEAP_REAP are EINVAL. The memory stays the caller's: it must outlive the connections, and what
 * it held before is lost. Here the living are told from the dead by pid and start time: a process
 * in another PID namespace is never taken for dead, and what it held when it died is found by those
 * of its own namespace.
 * Success: 0. Failure: -1, the memory untouched, and errno EINVAL (memory NULL, misaligned, or not
 * mapped as far as bytes) or ENOMEM (bytes too few for a region of len, or for any: about 2 KiB is
 * the least). */
SHMHEAP_API int shmheap_create_at(shmheap_memory_handle *out, void *memory, size_t bytes,
                                  const shmheap_options *options);

/* shmheap_attach_at connects to the heap that shmheap_create_at made in this memory, perhaps in
 * another process and at another address. Success: 0. Failure: -1, errno EINVAL (memory NULL,
 * misaligned, or not mapped as far as bytes), EBADMSG (no heap there, or bytes are fewer than it
 * has), EPROTONOSUPPORT, EAGAIN (slots full). */
SHMHEAP_API int shmheap_attach_at(shmheap_memory_handle *out, void *memory, size_t bytes);

/* shmheap_disconnect ends the connection: its mapping is gone when the call returns, its pointers
 * mean nothing, and its slot is free for another. Objects stay, for others. Other connections of
 * the process stay. A handle that is not valid is ignored; errno EINVAL then. */
SHMHEAP_API void shmheap_disconnect(shmheap_memory_handle mem);

/* shmheap_destroy removes the name (of shm_open(), or the path where mem was opened with
 * SHMHEAP_FILE; with SHMHEAP_SOCKET, the name as it was given to shmheap_open) if it still is that
 * of this heap, and disconnects in any case. Other connected processes go on unharmed; the memory
 * is freed with the last of them. A name NULL is skipped. Success leaves errno alone, so a caller
 * that wants to know sets it to 0 before. Where the name was not removed, errno
 *   ESTALE   another file has it now: a heap of another job, for example, after an administrator
 *            removed this heap's name;
 *   ENOENT   nothing has it any more;
 *   ENOTSUP  the heap lies in the caller's memory and has no name;
 *   EINVAL   mem is not valid, and nothing was done;
 *   or what shm_open() and shm_unlink() report (EACCES ...).
 * Processes that destroy, take over or remove unused heaps keep out of each other's way. One case
 * remains: a process that removes the name by force (shm_unlink(), shmheap_unlink, rm) between the
 * last look at the name and its removal, and another that makes a heap of this name in the same
 * moment; then the new heap loses its name. */
SHMHEAP_API void shmheap_destroy(const char *name, shmheap_memory_handle mem);

/* shmheap_unlink removes a name of shm_open(), whatever file has it now, as shm_unlink() does;
 * shmheap_destroy removes only that of its heap. 0, or -1 with errno ENOENT, EACCES, EINVAL (name
 * NULL). */
SHMHEAP_API int shmheap_unlink(const char *name);

/* shmheap_unlink_unused does so only where nobody is connected, in one step: who connects at that
 * moment either keeps the name from being removed or finds none. 0, or -1 with errno EBUSY
 * (somebody is), ENOENT, EACCES, EINVAL, EBADMSG (no heap), EPROTONOSUPPORT (a heap in another
 * version of the format). */
SHMHEAP_API int shmheap_unlink_unused(const char *name);

/* shmheap_copy makes a copy of the heap in a new file of this path, to be opened with SHMHEAP_FILE,
 * while other processes go on using the heap. The copy's blocks, names and figures are those of one
 * instant: it is the heap as it would be had all its processes been killed then.
 *   - Handles mean the same objects in both, since the copy has the heap's identity; so a process
 *     that opens both must not mix them up.
 *   - Kept names and names in use are there; uses and unshared objects of processes are given back
 *     by shmheap_reap, as after a death.
 *   - Of an object that a process writes meanwhile, with locks of its own or without, the copy has
 *     some of what was written. To have several objects as they belong together, hold the lock that
 *     protects them during the call.
 *   - Free memory is not copied: the file has holes there, and the copy is a heap with
 *     SHMHEAP_SPARSE.
 *   - The file has the permissions of the heap's file, less the umask.
 *   - The heap's file gets no memory that it did not have.
 * A copy is on the disk when the call returns; the heap's own file is not protected against a crash
 * of the kernel or a loss of power.
 * Success: 0. Failure: -1, no file of this path left behind, errno
 *   EEXIST   there is something of this path;
 *   EINVAL   mem is not valid, path NULL or empty;
 *   EBADF    the program closed the connection's descriptor, and no name leads to the file;
 *   ENOTSUP  the heap lies in the caller's memory;
 *   EFBIG    the file would be longer than RLIMIT_FSIZE allows;
 *   EAGAIN   on read-only connections as for shmheap_walk; else the heap changed faster than it
 *            could be written;
 *   EBADMSG, ETIMEDOUT, ENOMEM, or what open(), pwrite(), fsync() and linkat() report (ENOSPC,
 *   EACCES, ENOENT ...).
 * Other calls on the heap wait while the call compares: some tenths of a second for each GiB in
 * use. A caller that dies inside leaves no file; where the file system has no O_TMPFILE, a file of
 * this path that is no heap, and which SHMHEAP_TAKE_OVER replaces. */
SHMHEAP_API int shmheap_copy(shmheap_memory_handle mem, const char *path);

/* shmheap_valid tells whether mem is an open connection: 1 or 0. Never fails, never sets errno. A
 * copy of a handle that was disconnected is denied until a later connection of the process takes
 * its place. */
SHMHEAP_API int shmheap_valid(shmheap_memory_handle mem);

/* shmheap_fd is a descriptor of the heap's file, to be passed on to another process (which then
 * calls shmheap_open_fd). It can only read the file, carries none of the heap's locks, stays the
 * heap's own until the connection ends, and is close-on-exec. Needs /proc. This does not keep the
 * receiver from writing, since shmheap_open_fd opens the file anew: only the file's permissions do.
 * A heap with mode 0600 refuses processes of other users (EACCES). shmheap_fd_writable is another
 * such descriptor that can write, for example to add seals to a memfd; EACCES on a read-only
 * connection. A program that writes the file through it is a peer as any other.
 * Failure: -1, errno EINVAL, ENOTSUP (a heap in the caller's memory), EBADF (the program has closed
 * the heap's descriptor, and no name leads to the file), or what open() reports (EMFILE, EACCES
 * after setuid ...). */
SHMHEAP_API int shmheap_fd(shmheap_memory_handle mem);
SHMHEAP_API int shmheap_fd_writable(shmheap_memory_handle mem);

/* shmheap_underlying is where the region begins in this process, aligned to 64 bytes for heaps that
 * have a file; NULL with errno EINVAL when mem is not valid. What lies there is the heap's; the
 * address serves for computing offsets. */
SHMHEAP_API void *shmheap_underlying(shmheap_memory_handle mem);

/* Allocating ---------------------------------------------------------------------------------- */

/* shmheap_alloc gives an object of at least sz bytes, aligned to the heap's alignment (8 or 16),
 * with undefined contents: in the free block of lowest address that is large enough. sz 0 gives a
 * smallest object (8 bytes). A heap that may grow does so when nothing fits. The object lives until
 * it is freed, also beyond the process.
 * Failure: NULL, errno ENOMEM (nothing fits, and growing is not possible: max_len is reached, or a
 * limit under "Memory" above). A caller that dies inside has the object or has not; nothing else is
 * lost. */
SHMHEAP_API void *shmheap_alloc(shmheap_memory_handle mem, size_t sz);

/* shmheap_alloc_wait is shmheap_alloc, but where nothing fits it waits until somebody frees
 * something, and tries again: for timeout_ms milliseconds at most, 0: not at all, negative: without
 * a limit. A free wakes one waiting thread, if the largest free block serves one. On connections
 * with SHMHEAP_CACHED the blocks that are freed first go back to the heap at once. After some
 * hundred such calls, or more in a heap of many blocks, they may be kept again; then the waiting
 * thread takes them by its own look. It sleeps, and looks once a second, ten times where
 * connections cache: a process may have died between freeing and waking.
 * Failure: NULL, errno ENOMEM (at once: it could not fit even if the heap were empty and had grown
 * to max_len; or timeout_ms is 0), or ETIMEDOUT (not enough was freed in time). Signals do not end
 * the waiting. */
SHMHEAP_API void *shmheap_alloc_wait(shmheap_memory_handle mem, size_t sz, int timeout_ms);

/* shmheap_alloc_many gives up to count objects of at least sz bytes each, where count calls of
 * shmheap_alloc would have put them (on a connection with SHMHEAP_CACHED: were nothing kept), and
 * stores them in ptrs: faster than one by one, since the lock is taken once for some hundred. The
 * number of objects, which are the caller's: count, or fewer with errno ENOMEM and the like
 * (EINVAL: ptrs NULL). Of what ptrs points to only that many entries are written. A caller that
 * dies inside has some of them. */
SHMHEAP_API size_t shmheap_alloc_many(shmheap_memory_handle mem, size_t sz, size_t count,
                                      void **ptrs);

/* shmheap_calloc is shmheap_alloc of count * size bytes, all zero. ENOMEM also when the product
 * overflows. */
SHMHEAP_API void *shmheap_calloc(shmheap_memory_handle mem, size_t count, size_t size);

/* shmheap_aligned_alloc gives an object of at least size bytes at a multiple of alignment, a power
 * of two up to the page size (EINVAL otherwise), in every process that maps the heap: in the lowest
 * free block where it fits whatever the block's own alignment is, or else in the lowest where it
 * happens to fit. For heaps in the caller's memory that memory must itself be so aligned (EINVAL).
 * Freed and resized as any other; resizing keeps only the heap's alignment.
 * Cost: as shmheap_alloc where a free block is longer than size and alignment together, and where
 * the heap can grow. Else the call goes through the free blocks of at least size bytes, from the
 * lowest on, until the object fits in one: some ten nanoseconds for each 1 KiB of the heap
 * (alignment 8: 512 bytes) that holds such blocks, and so much more than shmheap_alloc in a heap of
 * many. It holds the heap's lock meanwhile. */
SHMHEAP_API void *shmheap_aligned_alloc(shmheap_memory_handle mem, size_t alignment, size_t size);

/* shmheap_realloc makes the object at ptr size bytes long: in place when it shrinks or when the
 * free space behind it suffices, which keeps its handles valid; otherwise by moving it, which makes
 * them stale. The lesser of both lengths keeps its contents. An object resized in place stays with
 * the process that holds it, a moved one is the caller's: a process that resizes the objects of
 * others takes handles of them. ptr NULL: shmheap_alloc. size 0: a smallest object.
 * Failure: NULL, the object untouched, errno ENOMEM, or EINVAL as for shmheap_free. A caller that
 * dies inside leaves the old object, or the new, or (between copying and freeing) both; when
 * shrinking, an old object of which the bytes to be cut off may have changed. */
SHMHEAP_API void *shmheap_realloc(shmheap_memory_handle mem, void *ptr, size_t size);

/* shmheap_free gives an object back; it merges with free neighbours at once. ptr NULL: nothing
 * happens. Any process may free any object. A ptr that is not the start of a live object (freed
 * already, inside an object, foreign) is recognised: errno EINVAL, and the heap is untouched. Of an
 * object with a name this is one use less: see shmheap_alloc_named. */
SHMHEAP_API void shmheap_free(shmheap_memory_handle mem, void *ptr);

/* shmheap_try_free is shmheap_free for those who want to know: 0, or -1 with errno EINVAL, or
 * EPERM: the object has a name, and this process has no use of it to give back. */
SHMHEAP_API int shmheap_try_free(shmheap_memory_handle mem, void *ptr);

/* shmheap_free_many frees count objects, in turn; entries NULL are skipped. How many entries were
 * NULL or freed: count, or fewer with errno EINVAL: the others are no live objects (or occur twice)
 * and are left alone. Some hundred are freed under one lock; faster still when the objects lie in
 * the order of their addresses. */
SHMHEAP_API size_t shmheap_free_many(shmheap_memory_handle mem, void *const *ptrs, size_t count);

/* shmheap_usable_size is how many bytes the object at ptr can hold, at least what was asked for. 0
 * for NULL; 0 with errno EINVAL for what is not the start of a live object. */
SHMHEAP_API size_t shmheap_usable_size(shmheap_memory_handle mem, const void *ptr);

/* Handles ------------------------------------------------------------------------------------- */

/* shmheap_ptr_to_handle is the handle of the object at ptr, which must be what an allocating call
 * or shmheap_handle_to_ptr returned. The object is marked as shared from then on. On a read-only
 * connection EACCES unless it is shared already. Takes no lock.
 * Failure: the null handle; errno EINVAL (ptr NULL, inside an object, freed, foreign). */
SHMHEAP_API shmheap_object_handle shmheap_ptr_to_handle(shmheap_memory_handle mem, void *ptr);

/* shmheap_handle_to_ptr is where the object lies in this process. Takes no lock. Who resolves a
 * handle while another frees the object gets the pointer or ESTALE.
 * Failure: NULL; errno ESTALE (the object was freed) or EINVAL (the null handle, of another heap,
 * or no handle at all). */
SHMHEAP_API void *shmheap_handle_to_ptr(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* Holding ------------------------------------------------------------------------------------- */

/* An object is held by the process that allocated or received it, on that connection, until a
 * process frees it or the holder sends it. What a process held when it died stays as it is until
 * somebody asks for it with shmheap_reap. */

/* shmheap_send puts the object at ptr, which this connection holds, in transit: nobody holds it,
 * and its handle, which is returned, is good for shmheap_receive alone. Earlier handles are stale,
 * and ptr must not be used any more. A death of the sender afterwards changes nothing, and reaping
 * leaves it alone. Takes no lock.
 * Failure: the null handle; errno EINVAL (ptr is not the start of a live object) or EPERM (another
 * holds it). */
SHMHEAP_API shmheap_object_handle shmheap_send(shmheap_memory_handle mem, void *ptr);

/* shmheap_receive claims an object in transit for this connection and returns where it lies in this
 * process. Of all who claim it, one succeeds. Takes no lock.
 * Failure: NULL; errno ESTALE (somebody has claimed it, or it was never sent) or EINVAL (the null
 * handle, of another heap, or no handle at all). */
SHMHEAP_API void *shmheap_receive(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* shmheap_send_labelled is shmheap_send, but first writes count words, 1 at least, to the end of the
 * object: the last of them fills its last 8 bytes. A receiver can tell by them what the object is.
 * Failure: as shmheap_send, and errno EINVAL (words NULL, count 0) or EBADMSG (the object is
 * shorter than count words, or its header is damaged). Then the object is held as before, and its
 * last bytes may hold the words. */
SHMHEAP_API shmheap_object_handle shmheap_send_labelled(shmheap_memory_handle mem, void *ptr,
                                                        const uint64_t *words, size_t count);

/* shmheap_receive_labelled is shmheap_receive, but claims the object only where its last 8 bytes are
 * label and it can hold least bytes. It looks before it claims, so a refused call changes nothing.
 * It looks at the label again after the claim: another object may lie there by then under the same
 * handle (see shmheap_object_handle). An object with another label is put back (ESTALE). A death
 * between claim and putting back leaves an object that the dead process held.
 * Failure: as shmheap_receive, and errno ENOMSG (another label), ERANGE (the object is shorter) or
 * EBADMSG (the object's header is damaged). */
SHMHEAP_API void *shmheap_receive_labelled(shmheap_memory_handle mem, shmheap_object_handle hdl,
                                           uint64_t label, size_t least);

/* shmheap_put_back undoes a shmheap_receive or shmheap_receive_labelled of this connection: the object
 * is in transit again, under the same handle hdl, as if it had not been claimed. For a receiver that
 * finds, once the object is its own, that it is none that it can use. The caller has not passed the
 * object on, and does not use its pointer any more. Takes no lock.
 * Returns 0. Failure: -1; errno ESTALE (this connection does not hold the object so), EINVAL (the null
 * handle, of another heap, or no handle at all) or EACCES (a read-only connection). */
SHMHEAP_API int shmheap_put_back(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* shmheap_peek copies bytes of an object in transit to buffer, and leaves the object as it is.
 * offset is where they begin: that many bytes behind the object's start or, below 0, before its
 * end. bytes may be 0, to learn the length; then buffer may be NULL.
 * Returns how many bytes the object can hold, which is never 0.
 * Failure: 0, buffer holds anything, errno
 *   ESTALE   the object is not in transit, or a process claimed it during the call;
 *   ERANGE   the bytes do not all lie in the object;
 *   EINVAL   the null handle, a handle of another heap, no handle at all, or buffer NULL;
 *   EBADMSG  the object's header is damaged.
 * Threads and processes: also on read-only connections; takes no lock. Where shmheap_receive of the
 * same handle succeeds later, the object was in transit all the time between, and its bytes are
 * those that were copied, unless a process wrote to an object that it does not hold, or unless
 * 32,768 objects were allocated in the heap meanwhile (see shmheap_object_handle). So a receiver can
 * look at an object, and refuse it, before it claims it. A receiver that relies on what it saw looks
 * again after the claim, and may undo the claim by shmheap_put_back.
 * A death inside changes nothing.
 * Cost: the copy. */
SHMHEAP_API size_t shmheap_peek(shmheap_memory_handle mem, shmheap_object_handle hdl,
                                ptrdiff_t offset, void *buffer, size_t bytes);

/* Flags of shmheap_reap. */
enum shmheap_reap_flags {
    SHMHEAP_REAP_SHARED = 1 /* also objects of which a handle was taken */
};

/* shmheap_reap frees the objects held by processes that died, those of which only the dead can
 * know: no handle of them was ever taken (with SHMHEAP_REAP_SHARED: also the others), and they are
 * not in transit. Those of processes that disconnected in order stay. Cost: three walks over the
 * blocks, under the heap's lock: some 20 ms for a million blocks.
 * Success: how many blocks were freed: the objects, and what the dead kept in caches. Failure: -1,
 * errno EINVAL (unknown flags). */
SHMHEAP_API long shmheap_reap(shmheap_memory_handle mem, unsigned flags);

/* Names --------------------------------------------------------------------------------------- */

/* shmheap_alloc_named gives the object of this name, 1 to 255 bytes, and makes it, of size bytes,
 * if there is none: always the same object for all processes, aligned as any other, with undefined
 * contents when just made. Counts the caller as a user: each success is to be followed by one
 * shmheap_free of the object, which counts down; the last one frees object and name, unless the
 * name is kept. Uses of a process that died are given back by shmheap_reap; those of one that left
 * in order may be given back by any process that has no use of its own to give. The object cannot
 * be resized or sent (EINVAL). A process without a use cannot free it (EPERM). Costs some more than
 * an alloc, and the same with a million names.
 * Failure: NULL, nothing changed, errno
 *   EINVAL        name NULL or empty, or the object there is shorter than size (shmheap_find tells
 *                 how long it is);
 *   ENAMETOOLONG  more than 255 bytes;
 *   ENOMEM        no space for object, name and table.
 * A caller that dies inside leaves no name, or a whole one that it uses. */
SHMHEAP_API void *shmheap_alloc_named(shmheap_memory_handle mem, const char *name, size_t size);

/* shmheap_alloc_kept does what shmheap_alloc_named does, and the name is kept from then on: it
 * stays without users, through exits and deaths of all processes, until shmheap_name_remove removes
 * it by name. So a heap in a file has roots to come back to. The objects that it leads to are not
 * kept by that: see Files. A name that exists already becomes kept. The caller counts as a user,
 * too; a use that it does not give back does no harm. Failure: as shmheap_alloc_named. A caller
 * that dies inside leaves no name, or a whole one that it uses; a new one is kept from its first
 * instant. */
SHMHEAP_API void *shmheap_alloc_kept(shmheap_memory_handle mem, const char *name, size_t size);

/* shmheap_name_keep makes a name that exists a kept one, as shmheap_alloc_kept does, without
 * counting a use. Keeping a kept name changes nothing. Success: 0. Failure: -1, nothing changed,
 * errno ENOENT (there is none of this name), EINVAL, ENAMETOOLONG. A caller that dies inside leaves
 * the name kept or as it was. */
SHMHEAP_API int shmheap_name_keep(shmheap_memory_handle mem, const char *name);

/* shmheap_name_remove removes a name, kept or not: it is kept no longer, and the uses of processes
 * that left in order count no longer, nor those of processes that died, unless children that they
 * forked live on. Without uses of living processes object and name are gone when it returns; else the last of these uses
 * that is given back frees both, as with shmheap_alloc_named. Until then the name is found, and may
 * be kept again.
 * Success: 0, the name is gone; 1, living processes still use it. Failure: -1, nothing changed,
 * errno ENOENT (there is none of this name), EINVAL, ENAMETOOLONG. A caller that dies inside leaves
 * a whole name, or none. */
SHMHEAP_API int shmheap_name_remove(shmheap_memory_handle mem, const char *name);

/* shmheap_find is the object of this name, without counting: who uses it must know that it stays.
 * *size (which may be NULL) is what was asked for when it was made. Also on read-only connections.
 * Takes no lock, unless names change at the same time.
 * Failure: NULL, errno ENOENT (there is none), EINVAL, ENAMETOOLONG; EAGAIN on read-only
 * connections as for shmheap_walk. */
SHMHEAP_API void *shmheap_find(shmheap_memory_handle mem, const char *name, size_t *size);

/* shmheap_name_info: a name as shmheap_names shows it. */
typedef struct shmheap_name_info {
    char name[256];       /* NUL-terminated */
    uint64_t name_len;    /* bytes without the NUL */
    uint64_t offset, len; /* of its object: bytes from shmheap_underlying(), bytes asked for */
    uint64_t users;       /* uses that have not been given back */
    uint64_t kept;        /* 1: stays without users, until shmheap_name_remove; else 0 */
} shmheap_name_info;

/* shmheap_names calls visit for each name, in no particular order, until visit returns other than
 * 0. As shmheap_walk, also in what it returns. Cost: a walk over the blocks, which gives the heap's
 * lock back every 16,384 blocks. */
SHMHEAP_API int shmheap_names(shmheap_memory_handle mem,
                              int (*visit)(const shmheap_name_info *name, void *context),
                              void *context);

/* Looking ------------------------------------------------------------------------------------- */

/* States of a block. */
enum shmheap_state {
    SHMHEAP_STATE_FREE = 0,
    SHMHEAP_STATE_USED = 1,     /* by the process in the slot */
    SHMHEAP_STATE_SHARED = 2,   /* used, and a handle of it was taken */
    SHMHEAP_STATE_SENT = 3,     /* in transit, owned by nobody */
    SHMHEAP_STATE_CACHED = 4,   /* free, kept by the process in the slot */
    SHMHEAP_STATE_INTERNAL = 5, /* the heap's own */
    SHMHEAP_STATE_NAMED = 6     /* an object with a name, held by those who use it */
};

/* shmheap_block_info: a block as shmheap_walk shows it. */
typedef struct shmheap_block_info {
    uint64_t offset; /* of the payload, bytes from shmheap_underlying() */
    uint64_t size;   /* bytes of the block with its header of 8 */
    uint64_t len;    /* bytes of payload */
    enum shmheap_state state;
    unsigned
        slot; /* who holds it (1 to 1022), 0: a process that is gone, 1023: one that left in order */
    unsigned stamp; /* changes with each allocation */
} shmheap_block_info;

/* shmheap_walk calls visit for each block, free ones too, in the order of addresses, until visit
 * returns other than 0 or all are visited. Blocks are read in batches under the lock; visit itself
 * runs without it and may call anything. If it disconnects, the walk ends early: with 0, or -1 and
 * errno EINVAL. Blocks that live throughout are visited exactly once; each is shown as it was in its
 * batch.
 * Success: 0, or what visit returned. Failure: -1. On read-only connections also EAGAIN: the heap
 * changed too fast under the reader, or a process died in it and nobody who can write has come
 * since. */
SHMHEAP_API int shmheap_walk(shmheap_memory_handle mem,
                             int (*visit)(const shmheap_block_info *block, void *context),
                             void *context);

/* shmheap_stats: figures of a heap at one instant. */
typedef struct shmheap_stats {
    uint64_t len, max_len; /* bytes of the region now, and at most */
    uint64_t
        segment_len; /* bytes of the whole segment now: control, index and region (not the slots behind it) */
    uint64_t alignment; /* 8 or 16 */
    uint64_t id;        /* random, of this heap */
    uint64_t used_blocks,
        used_bytes; /* blocks that are not free, those in caches too; their bytes with headers */
    uint64_t free_blocks, free_bytes; /* free blocks; their bytes with headers */
    uint64_t largest_free;     /* bytes of the largest object that fits now without growing */
    uint64_t high_water_bytes; /* the most that used_bytes ever was */
    uint64_t allocs, frees;    /* operations since creation */
    uint64_t failed_allocs;    /* for want of space */
    uint64_t grows;            /* how often the region grew */
    uint64_t recoveries;       /* how often a process died holding the lock */
    uint64_t last_recovery_ns; /* what the last recovery took, nanoseconds */
    uint64_t created_ns;       /* nanoseconds since 1970 */
    uint32_t processes;        /* connections of live processes that can write, this one too */
    uint32_t dead;             /* slots of processes that died */
    uint32_t slots;            /* connections that the heap has room for */
    uint32_t lock_slot; /* the slot that held the lock when looked at, 0: none; never this call's */
    uint64_t alloc_bytes; /* of all allocs since creation, with headers */
} shmheap_stats;

/* shmheap_stat fills *stats. used_*, free_* and largest_free cost no walk. 0, or -1 (EINVAL when
 * stats is NULL, EAGAIN as for shmheap_walk). */
SHMHEAP_API int shmheap_stat(shmheap_memory_handle mem, shmheap_stats *stats);

/* shmheap_process_info: a slot that is taken. */
typedef struct shmheap_process_info {
    unsigned slot;          /* 1 to 1022 */
    int64_t pid;            /* in the process's own PID namespace */
    char name[16];          /* as in /proc/PID/comm, NUL-terminated */
    uint64_t connected_ns;  /* nanoseconds since 1970 */
    int alive;              /* 1 alive, 0 dead */
    int self;               /* 1: the slot of this connection */
    uint64_t blocks, bytes; /* of blocks that it holds, with headers */
    uint64_t cached_blocks,
        cached_bytes; /* those of them that are free, in the caches of its threads */
} shmheap_process_info;

/* shmheap_processes calls visit for each slot in use until visit returns other than 0. What visit may
 * do: as for shmheap_walk.
 * Success: 0 or what visit returned. Failure: -1. Connections that are read-only hold no slot.
 * Cost: a walk over the blocks for each 128 slots in use, which gives the heap's lock back every
 * 16,384 blocks. So of a block that other processes free, resize or hand over meanwhile the figures
 * may tell an earlier or a later holder and size. */
SHMHEAP_API int shmheap_processes(shmheap_memory_handle mem,
                                  int (*visit)(const shmheap_process_info *process, void *context),
                                  void *context);

/* shmheap_report: what shmheap_check found. */
typedef struct shmheap_report {
    unsigned rule;   /* 0: sound. Otherwise the number of the rule that is broken (FORMAT.md) */
    uint64_t offset; /* of the block or place concerned, bytes from shmheap_underlying() */
    uint64_t expected, found; /* what the rule asks for, and what is there */
    uint64_t blocks;          /* blocks walked */
    uint64_t used_bytes, free_bytes;
    char text[128]; /* the rule in words, NUL-terminated */
} shmheap_report;

/* shmheap_check walks every block, holds the index and all figures against them, and reports the
 * first rule that is broken. 0: sound. 1: not, see *report (which may be NULL). -1: could not look
 * (EINVAL, ETIMEDOUT; EAGAIN as for shmheap_walk; EBADMSG the region's length is none that it can
 * have, rule 2). Bounded by the region's size, changes nothing but that it recovers first where a
 * process died. Cost: a walk over the blocks, all under the heap's lock, since the blocks and the
 * index agree at one instant only: some 20 ms for a million blocks, during which changes wait. */
SHMHEAP_API int shmheap_check(shmheap_memory_handle mem, shmheap_report *report);

/* shmheap_in_use tells whether any connection to the heap in the file that fd refers to is open, in
 * any process, readers too: 1 or 0; -1 with errno of fcntl(). For tools that remove heaps. */
SHMHEAP_API int shmheap_in_use(int fd);

#ifdef __cplusplus
}
#endif

#endif
