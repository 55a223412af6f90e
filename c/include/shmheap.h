/* shmheap.h: a heap in memory that several processes share.
 *
 * Any connected process allocates, and any process frees. A pointer is valid in one process, for
 * one connection. An object travels between processes as a handle: 8 bytes that may be copied
 * anywhere, also into the heap. Placement is exact first fit.
 *
 * Contents (each call's name begins with shmheap_)
 *   Version, errors    version error_text
 *   Opening            create connect open create_sealed open_fd create_at attach_at socket
 *   Closing            disconnect destroy unlink unlink_unused in_use
 *   The connection     valid fd fd_writable underlying
 *   Allocating         alloc alloc_wait alloc_many calloc aligned_alloc realloc
 *   Freeing            free try_free free_many usable_size
 *   Handles            ptr_to_handle handle_to_ptr
 *   Ownership          send receive send_labelled receive_labelled put_back peek reap
 *   Names              alloc_named alloc_kept name_keep name_remove find names
 *   Inspecting         walk stat processes check copy
 *
 * Conventions. A call's comment says what differs from them. docs/behaviour.md has the details.
 *   Units      Sizes, lengths and offsets are bytes. A call of type int returns 0.
 *   Failure    A call that fails returns NULL, -1, 0 (size_t) or a handle of zero bits (also in a
 *              parameter out), sets errno, and has changed nothing. A call that succeeds leaves
 *              errno alone. Besides its own errors, each call that changes the heap may fail with
 *                EINVAL     the connection is not open, or an argument is outside its range;
 *                EACCES     the connection is read-only;
 *                EBADMSG    the memory is damaged, and the call left it as it was;
 *                ETIMEDOUT  the heap's lock stayed taken for 30 s: a live process holds it (stopped
 *                           in a debugger?), or far too many processes want it;
 *                EAGAIN     after fork(): no slot (entry of a connection) is free for the child.
 *   Readers    On a read-only connection, the calls that inspect a heap may fail with EAGAIN: the
 *              heap changes too fast, a process in it is stopped, or died and no writer came since.
 *   Threads    Any thread of any process may make any call at any time, except: on a connection
 *              during and after its shmheap_disconnect or shmheap_destroy; in a signal handler;
 *              between vfork() and exec. A thread must not leave a call by asynchronous
 *              cancellation, or by longjmp() or an exception from a signal handler. Deferred
 *              cancellation has no effect in a call. A stack of 32 KiB suffices.
 *   Waiting    Every wait has a limit, unless shmheap_alloc_wait is called without one. No wait for
 *              one heap delays fork() or another heap.
 *   Death      A process may be killed at any instruction. Its call is then done or not done. The
 *              next caller detects the death, repairs the heap from the blocks' headers, goes on.
 *   Cost       Logarithmic to allocate and free; linear for aligned objects, and from 16 GiB on.
 *   Files      A heap with a name of shm_open(), or in a file (SHMHEAP_FILE), lives as long as that
 *              file, also without processes. After kill -9 of every process it opens again: sound,
 *              with all finished calls, its kept names and their objects. It does not survive a
 *              loss of power or a crash of the kernel, and msync() does not help: use shmheap_copy.
 *   Leaving    A process leaves in order by shmheap_disconnect, return from main, exit, or dlclose
 *              if that unloads the library (never after SHMHEAP_CACHED was used). It dies by _exit,
 *              quick_exit, exec, abort or a signal (kill -9). Of what it held,
 *                              when it left in order    when it died
 *              objects         stay                     stay until shmheap_reap
 *              shared objects  stay                     stay (SHMHEAP_REAP_SHARED frees them)
 *              sent objects    stay                     stay
 *              uses of names   any process may free     stay until shmheap_reap
 *              cached blocks   are given back           are freed when an allocation needs them
 *              An object is shared once a handle of it was taken: so take one of each object that
 *              other processes are to find, even if a kept object leads to it by an offset. With
 *              SHMHEAP_REAP an allocation reaps, too. Reaping spares what a dead process held while
 *              a child of it, or of such a child, lives connected and has not called exec.
 *   fork       A child made by fork(), _Fork() or clone() uses its parent's connections. Its first
 *              call that takes the lock takes a slot for it, and may fail with EMFILE, ENOMEM,
 *              EACCES (setuid, the file's mode), ENOENT (no /proc), EBADF (see Closed). The child
 *              holds none of its parent's objects, so it cannot send them (EPERM), and none of its
 *              uses of names: it calls shmheap_alloc_named itself.
 *   Closed     A program may close a connection's descriptors (closefrom), which are close-on-exec.
 *              The library then opens the file by its name. Where that is impossible, a process
 *              without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE cannot grow the heap (ENOMEM), and
 *              its children's calls that take the lock fail with EBADF.
 *   Trust      A buggy or hostile peer may write anything into the memory: no call accesses memory
 *              outside the heap, loops forever or aborts. A process that truncates the file raises
 *              SIGBUS in its users, also at exit; a memfd heap is sealed against it (SECURITY.md).
 *   Memory     Without SHMHEAP_SPARSE the library reserves memory before it uses it, within the
 *              limits of file system, RLIMIT_FSIZE, machine and control groups. A call that cannot
 *              get it fails with an errno, and no later access raises SIGBUS. docs/behaviour.md
 *              lists the file systems that restrict this promise (ZFS, reflinks, NFS, ...).
 * SPDX-License-Identifier: Apache-2.0
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

/* The version of this header: major * 10000 + minor * 100 + patch. See docs/versions.md. */
#define SHMHEAP_VERSION 100

#ifdef __cplusplus
extern "C" {
#endif

/* Types, flags, options ----------------------------------------------------------------------- */

struct shmheap;

/* shmheap_memory_handle is a connection of this process to a heap. A copy is the same connection.
 * Another process cannot use it, except a child made by fork(). */
typedef struct shmheap_memory_handle {
    struct shmheap *heap;
} shmheap_memory_handle;

/* shmheap_object_handle names an object in every process connected to its heap, while the object
 * lives. Zero bits are the null handle. It may be copied bit by bit, through pipes, files or the
 * heap. Its 64 bits: 13 of the heap's identity, 15 of a generation that changes with each
 * allocation, 36 of the position. So a handle of a freed object is refused, also where another
 * object lies there now. Exception: a multiple of 32,768 allocations came between. */
typedef struct shmheap_object_handle {
    uint64_t bits;
} shmheap_object_handle;

/* Flags of shmheap_options. */
enum shmheap_flags {
    SHMHEAP_CREATE = 1 << 0,    /* make the heap if none has that name */
    SHMHEAP_EXCLUSIVE = 1 << 1, /* with SHMHEAP_CREATE: EEXIST if a heap has that name */
    SHMHEAP_READ_ONLY = 1 << 2, /* handles resolve, inspecting works, changes fail with EACCES */
    /* For this connection: each thread caches free blocks of up to 2.5 KiB (alignment 8) or 5 KiB
     * (16), within 2 MiB and half of the heap. Much faster, but placement is not first fit: an
     * object comes from the cache, or from the best-fitting free block, and its block may be an
     * eighth larger. Blocks go back when the thread ends, when the connection closes, and before an
     * allocation of any process fails, except 128 bytes for each caching thread. Racing misuse of
     * one object (a double free; a free or send while a handle is taken) may go undetected. Its
     * memory may then be handed out twice, its handle be stale (ESTALE), or later calls fail with
     * EBADMSG. The block list stays whole. Taking a handle during a resize is safe. No effect
     * before Linux 4.16, in heaps below 64 KiB, with max_len above 64 GiB (alignment 8: 32). */
    SHMHEAP_CACHED = 1 << 3,
    /* When creating: in this heap, an allocation reaps (shmheap_reap(mem, 0)) before it fails. With
     * n > 16 processes it may detect a death n * n * 64 ns late: 64 ms with 1,000. */
    SHMHEAP_REAP = 1 << 4,
    /* When creating or growing: do not reserve memory. Faster, but when memory runs out, touching
     * the heap raises SIGBUS, or the kernel kills a process. */
    SHMHEAP_SPARSE = 1 << 5,
    /* Request huge pages for any heap: small, sparse, or made without the flag. Never an error.
     * Without it, heaps of 16 MiB and more request them, for a limited time: docs/behaviour.md. */
    SHMHEAP_HUGE_PAGES = 1 << 6,
    /* With SHMHEAP_CREATE: a heap without a name, in a memfd that cannot shrink. Other processes
     * get it by fork() or through shmheap_fd(). */
    SHMHEAP_ANONYMOUS = 1 << 7,
    SHMHEAP_FILE = 1 << 8, /* the name is a path, also on hugetlbfs (whole huge pages then) */
    /* With SHMHEAP_CREATE: replace a heap of that name that no process uses, or an empty file. With
     * SHMHEAP_EXCLUSIVE, EEXIST means a process uses it. A file that is no heap (EBADMSG), or a
     * heap in another format version (EPROTONOSUPPORT), stays. */
    SHMHEAP_TAKE_OVER = 1 << 9,
    SHMHEAP_NO_DUMP = 1 << 11, /* keep it out of this process's core dumps (MADV_DONTDUMP) */
    /* The heap of the caller's socket (CPU package) N: ".socketN" is added to the name, N from
     * shmheap_socket(). The memory of a new heap lies on the socket's NUMA nodes, as far as they
     * have any. Errors: EXDEV, ENOTSUP as shmheap_socket; ENAMETOOLONG. */
    SHMHEAP_SOCKET = 1 << 10
};

/* shmheap_options says how to open or make a heap. Zero-initialise it; zero means the default. */
typedef struct shmheap_options {
    size_t len;          /* bytes of the region, where objects lie; from 128 (0: 1 MiB, or all) */
    size_t max_len;      /* bytes to which the region may grow by itself (0: it never grows) */
    size_t alignment;    /* of every object: 8 or 16 (0: 16) */
    unsigned flags;      /* enum shmheap_flags, or'ed */
    unsigned mode;       /* permission bits of a new heap, whatever the umask (0: 0600) */
    unsigned timeout_ms; /* how long to wait for a heap that is still being created (0: 2000) */
} shmheap_options;

/* Version, errors, opening -------------------------------------------------------------------- */

/* shmheap_version returns the SHMHEAP_VERSION of the library that the program runs with. */
SHMHEAP_API unsigned shmheap_version(void);

/* shmheap_error_text says why this thread's last failed call failed: the call, the heap's name, the
 * cause, the errno, what to do. Empty: none failed. A success keeps it, and so does fork(). At most
 * 399 printable bytes and a NUL, valid until the thread's next failure, or its end. The words may
 * change. Signal handlers may call it. docs/troubleshooting.md has all texts. */
SHMHEAP_API const char *shmheap_error_text(void);

/* shmheap_create makes a heap and connects to it.
 *   name     goes to shm_open() unchanged: "/name".
 *   len      of the region, at least 128. An object of len - 80 bytes then fits.
 *   Errors   EEXIST  the name is in use (a heap whose creator died half-way is replaced);
 *            EINVAL  len below 128, or name NULL, empty or no name for shm_open();
 *            ENOMEM  len cannot be mapped (RLIMIT_AS; RLIMIT_MEMLOCK after mlockall(MCL_FUTURE),
 *                    for which max_len counts), or the kernel found no memory;
 *            EFBIG   len exceeds 1 TiB, RLIMIT_FSIZE or the file system's limit;
 *            ENOSPC  file system, machine or control group lack the memory (EDQUOT: the quota);
 *            EINTR   signals came faster than the kernel reserves one page;
 *            and those of shm_open(), ftruncate(), mmap() (EACCES, EMFILE, ENAMETOOLONG, ...).
 *   Death    may leave an unfinished heap, to be replaced by the next call, or an empty file. */
SHMHEAP_API shmheap_memory_handle shmheap_create(const char *name, size_t len);

/* shmheap_connect connects to a heap by name, to read and write. It waits up to 2 s for its maker.
 *   Errors   ENOENT     no heap has that name (EACCES: no permission to read and write it);
 *            EBADMSG    the file is no heap, or a heap that was cut short or damaged;
 *            ETIMEDOUT  it was not finished in time. If its creator died, a call with
 *                       SHMHEAP_CREATE replaces it (SHMHEAP_TAKE_OVER, if the file is empty);
 *            EAGAIN     all slots (1,022) are taken, or there is no memory for more slots;
 *            EPROTONOSUPPORT (another format), ENOMEM as shmheap_create; those of shm_open(). */
SHMHEAP_API shmheap_memory_handle shmheap_connect(const char *name);

/* shmheap_open creates or connects, as options say (NULL: all defaults, that is, connect). With
 * SHMHEAP_CREATE alone it creates, or connects to an existing heap, whose sizes and alignment then
 * hold. With SHMHEAP_ANONYMOUS name may be NULL; it shows in /proc only (249 bytes at most).
 *   Errors   of shmheap_create and shmheap_connect, and
 *            EINVAL  out NULL, alignment not 8 or 16, max_len below len, mode above 07777, flags
 *                    that are unknown or contradict (SHMHEAP_CREATE with _READ_ONLY, or _EXCLUSIVE,
 *                    _TAKE_OVER or _ANONYMOUS without; _ANONYMOUS with _FILE, _SOCKET, _TAKE_OVER);
 *            EBUSY   with SHMHEAP_CREATE: for timeout_ms, other processes made and removed the
 *                    name, or it is a path and a symbolic link that leads nowhere. */
SHMHEAP_API int shmheap_open(shmheap_memory_handle *out, const char *name,
                             const shmheap_options *options);

/* shmheap_create_sealed makes a heap without a name (as SHMHEAP_CREATE | SHMHEAP_ANONYMOUS) that
 * this connection alone can write. The kernel refuses every later write or writable mapping of the
 * file, by any process (F_SEAL_FUTURE_WRITE). Other processes connect with SHMHEAP_READ_ONLY (else
 * EPERM). Bytes that another thread wrote before the seal, through /proc/self/fd, are lost.
 *   Errors   of shmheap_open; ENOTSUP (before Linux 5.1), EBUSY (a connection before the seal). */
SHMHEAP_API int shmheap_create_sealed(shmheap_memory_handle *out, const shmheap_options *options);

/* shmheap_open_fd connects to the heap in the file of the descriptor fd: a memfd got by inheritance
 * or over a socket, or any open heap. It opens the file anew through /proc, so the caller needs the
 * file's permissions; a read-only fd suffices. It neither keeps nor closes fd.
 *   options  timeout_ms, and the flags SHMHEAP_READ_ONLY, _CACHED, _HUGE_PAGES, _NO_DUMP.
 *   Errors   of shmheap_connect, EBADF, EINVAL (flags), EPERM (sealed, or no F_SEAL_SHRINK). */
SHMHEAP_API int shmheap_open_fd(shmheap_memory_handle *out, int fd, const shmheap_options *options);

/* shmheap_create_at makes a heap inside memory of the caller: an array, a segment of another
 * library, an MPI window. The memory is writable, stays the caller's and outlives all connections.
 * Its contents are lost. With len 0 the region takes all bytes after control data and index.
 *   memory   aligned to 16 (to 8 with alignment 8), of bytes bytes, about 2 KiB at least.
 *   options  of the flags, SHMHEAP_CACHED and SHMHEAP_REAP only.
 *   Errors   EINVAL (memory NULL, misaligned, or not mapped as far as bytes), ENOMEM (too few).
 *   Death    is told by pid and start time: exec is not noticed, and a process in another PID or
 *            time namespace is never taken for dead. Processes of its own namespaces reap it. */
SHMHEAP_API int shmheap_create_at(shmheap_memory_handle *out, void *memory, size_t bytes,
                                  const shmheap_options *options);

/* shmheap_attach_at connects to a heap that shmheap_create_at made, in any process, at any address.
 *   Errors   EINVAL as there, EBADMSG (no heap, too few bytes), EPROTONOSUPPORT, EAGAIN (slots). */
SHMHEAP_API int shmheap_attach_at(shmheap_memory_handle *out, void *memory, size_t bytes);

/* shmheap_socket returns the id, 0 or more, of the socket (CPU package) that the calling thread
 * runs on; or -1. Errors: EXDEV (the thread may run on several sockets: bind it to one first, with
 * taskset, numactl, mpirun --bind-to socket ...), ENOTSUP (the system does not tell: no /sys). */
SHMHEAP_API int shmheap_socket(void);

/* Closing ------------------------------------------------------------------------------------- */

/* shmheap_disconnect removes the mapping, so that all pointers are invalid, and gives its slot
 * back. Objects and other connections of the process stay. Errors: EINVAL (mem is not valid). */
SHMHEAP_API void shmheap_disconnect(shmheap_memory_handle mem);

/* shmheap_destroy removes the heap's name, if the name still is this heap's, and disconnects in any
 * case. The last connected process frees the memory. To detect an error, set errno to 0 before.
 *   name     as it was given to shmheap_open. NULL: disconnect only.
 *   Errors   ESTALE   another file has the name now, and keeps it;
 *            ENOENT   no file has the name;
 *            ENOTSUP  the heap lies in the caller's memory and has no name;
 *            EINVAL   mem is not valid; nothing was done; or those of shm_unlink() (EACCES, ...).
 *   Races    Calls that destroy, take over or remove unused heaps exclude each other. But when a
 *            process removes the name by force (shm_unlink(), shmheap_unlink, rm) in the midst of
 *            this call, and another makes a heap of the name, that heap may lose its name. */
SHMHEAP_API void shmheap_destroy(const char *name, shmheap_memory_handle mem);

/* shmheap_unlink is shm_unlink(). Errors: ENOENT, EACCES, ENAMETOOLONG, EINVAL (name NULL). */
SHMHEAP_API int shmheap_unlink(const char *name);

/* shmheap_unlink_unused removes a name of shm_open() if no process is connected, in one step: a
 * process that connects meanwhile either prevents the removal or finds no name. Errors: EBUSY (a
 * process is connected), ENOENT, EACCES, EINVAL, EBADMSG, EPROTONOSUPPORT as shmheap_connect. */
SHMHEAP_API int shmheap_unlink_unused(const char *name);

/* shmheap_in_use tells whether any process, readers too, has a connection to the heap in the file
 * of fd: 1, 0, or -1 with errno of fcntl(). It misses a process that closed its descriptors. */
SHMHEAP_API int shmheap_in_use(int fd);

/* The connection ------------------------------------------------------------------------------ */

/* shmheap_valid tells whether mem, from a call of this library or zeros, is an open connection: 1
 * or 0. A copy of a disconnected handle is denied until a later connection reuses it. */
SHMHEAP_API int shmheap_valid(shmheap_memory_handle mem);

/* shmheap_fd returns a descriptor of the heap's file, to pass to another process, which calls
 * shmheap_open_fd. It is read-only, close-on-exec, carries no lock, and belongs to the connection.
 * A receiver can still write the heap, since shmheap_open_fd opens the file anew: only the file's
 * permissions prevent that (mode 0600: EACCES for other users). shmheap_fd_writable returns one
 * that can write, for example to add seals to a memfd; a process that uses it is a peer.
 *   Errors   EINVAL; EACCES (shmheap_fd_writable on a read-only connection); ENOTSUP (a heap in the
 *            caller's memory); EBADF (the program closed the heap's descriptor, and no name leads
 *            to the file); those of open() through /proc (EMFILE, EACCES after setuid, ...). */
SHMHEAP_API int shmheap_fd(shmheap_memory_handle mem);
SHMHEAP_API int shmheap_fd_writable(shmheap_memory_handle mem);

/* shmheap_underlying returns where the region begins in this process, to compute offsets; aligned
 * to 64 for heaps that have a file. The bytes there are the heap's. NULL: mem is not valid. */
SHMHEAP_API void *shmheap_underlying(shmheap_memory_handle mem);

/* Allocating ---------------------------------------------------------------------------------- */

/* shmheap_alloc returns an object of at least sz bytes, with undefined contents, aligned to the
 * heap's alignment (8 or 16), in the lowest free block that is large enough. sz 0 gives the
 * smallest object (8 bytes). If nothing fits, a heap with max_len grows. Objects outlive processes.
 *   Errors   ENOMEM (nothing fits, and the heap cannot grow: max_len, or a limit under Memory). */
SHMHEAP_API void *shmheap_alloc(shmheap_memory_handle mem, size_t sz);

/* shmheap_alloc_wait is shmheap_alloc, but if nothing fits it waits until memory is freed.
 *   timeout_ms  ms to wait for memory, besides the lock; 0: none; < 0: no limit. No signal ends it.
 *   Errors   ENOMEM (at once: sz does not fit even in the empty, fully grown heap; or timeout_ms is
 *            0), ETIMEDOUT (not enough was freed in time).
 *   Cost     A free wakes one waiting thread if the largest free block serves one. A waiter also
 *            retries once a second (ten times with cached connections), in case that a process died
 *            between freeing and waking. docs/behaviour.md: caches while threads wait. */
SHMHEAP_API void *shmheap_alloc_wait(shmheap_memory_handle mem, size_t sz, int timeout_ms);

/* shmheap_alloc_many stores up to count objects of at least sz bytes in ptrs, where count calls of
 * shmheap_alloc would place them (with SHMHEAP_CACHED: as if nothing were cached).
 *   Returns  how many entries of ptrs it wrote: count, or fewer with an errno.
 *   Errors   as shmheap_alloc; EINVAL (ptrs NULL).
 *   Death    leaves the process some of the objects.
 *   Cost     one lock for some hundred objects. */
SHMHEAP_API size_t shmheap_alloc_many(shmheap_memory_handle mem, size_t sz, size_t count,
                                      void **ptrs);

/* shmheap_calloc is shmheap_alloc of count * size bytes, all zero. ENOMEM if that overflows. */
SHMHEAP_API void *shmheap_calloc(shmheap_memory_handle mem, size_t count, size_t size);

/* shmheap_aligned_alloc is shmheap_alloc at a multiple of alignment, in every process: in the
 * lowest free block where it fits at any offset, else in the lowest where it happens to fit. The
 * object is freed and resized as any other; resizing keeps only the heap's alignment.
 *   alignment  a power of two up to the page size.
 *   Errors   as shmheap_alloc; EINVAL (alignment, or a heap in memory that is less aligned).
 *   Cost     as shmheap_alloc if a free block has size + alignment bytes or the heap can grow. Else
 *            the call searches the free blocks of size bytes and more from the lowest, under the
 *            heap's lock: linear in the part of the heap that has such blocks, at some 10 ns for
 *            each 1 KiB (512 bytes with alignment 8). */
SHMHEAP_API void *shmheap_aligned_alloc(shmheap_memory_handle mem, size_t alignment, size_t size);

/* shmheap_realloc makes the object at ptr size bytes long. It resizes in place when the object
 * shrinks or the free space behind it suffices; handles and holder then stay. Else it moves the
 * object; old handles are stale, and the caller holds the new object. A growing object may move
 * into a block of the thread's cache though it could stay. Contents stay up to the lesser length.
 * ptr NULL: shmheap_alloc. size 0: the smallest object.
 *   Errors   ENOMEM, and EINVAL as shmheap_free.
 *   Death    leaves the old object, the new one, or (between copying and freeing) both; when
 *            shrinking, an old object whose bytes beyond size may have changed. */
SHMHEAP_API void *shmheap_realloc(shmheap_memory_handle mem, void *ptr, size_t size);

/* Freeing ------------------------------------------------------------------------------------- */

/* shmheap_free frees an object of any process, and merges it with free neighbours at once. ptr
 * NULL: does nothing. Of an object with a name it gives back one use: see shmheap_alloc_named.
 *   Errors   EINVAL (ptr is not the start of a live object: freed, sent, inside an object, or of
 *            another heap), EPERM (a named object, and this process has no use to give back). */
SHMHEAP_API void shmheap_free(shmheap_memory_handle mem, void *ptr);

/* shmheap_try_free is shmheap_free, and returns 0, or -1 with its errno. */
SHMHEAP_API int shmheap_try_free(shmheap_memory_handle mem, void *ptr);

/* shmheap_free_many frees count objects, in turn, and skips NULL entries.
 *   Returns  how many entries were NULL or freed: count, or fewer with an errno.
 *   Errors   EINVAL (the rest are no live objects, or occur twice; the call left them alone).
 *   Death    leaves some of the objects.
 *   Cost     one lock for some hundred objects; less if they are sorted by address. */
SHMHEAP_API size_t shmheap_free_many(shmheap_memory_handle mem, void *const *ptrs, size_t count);

/* shmheap_usable_size returns how many bytes the object at ptr can hold, at least those requested.
 * 0 for NULL; 0 with EINVAL if ptr is not the start of a live object. */
SHMHEAP_API size_t shmheap_usable_size(shmheap_memory_handle mem, const void *ptr);

/* Handles. These calls take no lock ----------------------------------------------------------- */

/* shmheap_ptr_to_handle returns the handle of an object, and marks it as shared. ptr is the pointer
 * that an allocating call or shmheap_handle_to_ptr returned. Errors: EINVAL (ptr NULL, or as
 * shmheap_free), EACCES (a read-only connection, and the object is not yet shared). */
SHMHEAP_API shmheap_object_handle shmheap_ptr_to_handle(shmheap_memory_handle mem, void *ptr);

/* shmheap_handle_to_ptr returns the object's place in this process. Errors: ESTALE (the object is
 * freed, being freed, or in transit), EINVAL (hdl is null, of another heap, or no handle). */
SHMHEAP_API void *shmheap_handle_to_ptr(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* Ownership ----------------------------------------------------------------------------------- */
/* A connection holds an object that it allocated or received, until a process frees it or the
 * connection sends it. No process holds an object in transit: one that was sent and not received.
 * These calls take no lock, except shmheap_reap. */

/* shmheap_send puts an object that this connection holds in transit, and returns the handle for
 * shmheap_receive. Earlier handles are stale, and ptr must not be used again. A later death of the
 * sender changes nothing, and shmheap_reap leaves the object alone.
 *   Errors   EINVAL as shmheap_free, EPERM (another connection holds it). */
SHMHEAP_API shmheap_object_handle shmheap_send(shmheap_memory_handle mem, void *ptr);

/* shmheap_receive claims an object in transit and returns its place here. One caller succeeds.
 *   Errors   ESTALE (already claimed, or never sent), EINVAL as shmheap_handle_to_ptr. */
SHMHEAP_API void *shmheap_receive(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* shmheap_send_labelled writes count words, at least 1, to the end of the object, the last word to
 * its last 8 bytes, and then does as shmheap_send. A receiver learns from them what the object is.
 *   Errors   as shmheap_send; EINVAL (words NULL, count 0), EBADMSG (too short for the words, or a
 *            bad header). The connection still holds the object, which may hold the words. */
SHMHEAP_API shmheap_object_handle shmheap_send_labelled(shmheap_memory_handle mem, void *ptr,
                                                        const uint64_t *words, size_t count);

/* shmheap_receive_labelled is shmheap_receive, if the object's last 8 bytes are label and it holds
 * least bytes or more. It checks before it claims, so a refused call changes nothing. It checks the
 * label again after, since another object may have come under that handle (see
 * shmheap_object_handle), and puts such an object back (ESTALE).
 *   Errors   as shmheap_receive; ENOMSG (another label), ERANGE (shorter), EBADMSG (bad header).
 *   Death    between claiming and putting back leaves an object that the dead process held. */
SHMHEAP_API void *shmheap_receive_labelled(shmheap_memory_handle mem, shmheap_object_handle hdl,
                                           uint64_t label, size_t least);

/* shmheap_put_back undoes a receive of this connection: the object is in transit again under hdl.
 * For a receiver that cannot use the object. It does not use the pointer again.
 *   Errors   ESTALE (the connection does not hold it), EINVAL as shmheap_handle_to_ptr, EACCES. */
SHMHEAP_API int shmheap_put_back(shmheap_memory_handle mem, shmheap_object_handle hdl);

/* shmheap_peek copies bytes of an object in transit to buffer and leaves the object alone. For a
 * receiver that inspects an object, and perhaps refuses it, before it claims it.
 *   offset   where they begin: from the object's start or, below 0, from its end.
 *   bytes    may be 0, to learn the length; buffer may then be NULL.
 *   Returns  how many bytes the object can hold, never 0. On failure, buffer holds anything.
 *   Errors   ESTALE (not in transit, or claimed meanwhile), ERANGE (bytes beyond the object),
 *            EINVAL as shmheap_handle_to_ptr or buffer NULL, EBADMSG (its header is damaged).
 *   Threads  Read-only connections, too. If shmheap_receive of hdl succeeds later, the object was
 *            in transit all the time, with the bytes copied, unless a process wrote to an object
 *            that it does not hold or 32,768 objects were allocated meanwhile. A receiver that
 *            relies on the bytes checks them again after the claim (see shmheap_put_back). */
SHMHEAP_API size_t shmheap_peek(shmheap_memory_handle mem, shmheap_object_handle hdl,
                                ptrdiff_t offset, void *buffer, size_t bytes);

enum shmheap_reap_flags {
    SHMHEAP_REAP_SHARED = 1 /* also objects of which a handle was taken */
};

/* shmheap_reap frees the objects that dead processes held, if no handle of them was taken and they
 * are not in transit. It also frees what dead processes cached, and gives their uses of names back.
 * Objects of processes that disconnected stay. See Leaving.
 *   flags    0 or SHMHEAP_REAP_SHARED, else EINVAL.
 *   Returns  how many blocks it freed, cached ones too; or -1.
 *   Cost     three walks over the blocks under the heap's lock: 20 ms for a million blocks. */
SHMHEAP_API long shmheap_reap(shmheap_memory_handle mem, unsigned flags);

/* Names --------------------------------------------------------------------------------------- */
/* A name has 1 to 255 bytes. Errors of each call: EINVAL (name NULL or empty), ENAMETOOLONG, and,
 * if it does not make names, ENOENT (no such name). A death leaves a whole name, or none. */

/* shmheap_alloc_named returns the object of this name, and makes it, of size bytes, if there is
 * none. The contents of a new object are undefined. Each success adds a use of the process. One
 * shmheap_free gives one use back; the last one frees object and name, unless the name is kept. A
 * process without a use cannot free the object (EPERM). shmheap_reap gives the uses of dead
 * processes back. Any process without a use of its own can give back those of processes that
 * disconnected. The object cannot be resized or sent (EINVAL).
 *   Errors   EINVAL (the object is shorter than size), ENOMEM (object, name and table do not fit).
 *   Death    leaves no name, or a whole one that the dead process uses.
 *   Cost     about seven times shmheap_alloc, for any number of names. */
SHMHEAP_API void *shmheap_alloc_named(shmheap_memory_handle mem, const char *name, size_t size);

/* shmheap_alloc_kept is shmheap_alloc_named, and keeps the name, new or not: it stays without
 * users, also after all processes end, until shmheap_name_remove. So a heap in a file has roots.
 * The objects that it leads to are not kept: see Leaving. The caller counts as a user, too; a
 * use that it does not give back does no harm. A new name is kept from its first instant. */
SHMHEAP_API void *shmheap_alloc_kept(shmheap_memory_handle mem, const char *name, size_t size);

/* shmheap_name_keep keeps an existing name, as shmheap_alloc_kept does, without adding a use. */
SHMHEAP_API int shmheap_name_keep(shmheap_memory_handle mem, const char *name);

/* shmheap_name_remove makes a name not kept, and drops the uses of processes that disconnected or
 * died (unless forked children of a dead process live on). If no live process uses the name, object
 * and name are freed; else the last use frees them. Until then it is found and may be kept again.
 *   Returns  0: the name is gone; 1: live processes still use it. */
SHMHEAP_API int shmheap_name_remove(shmheap_memory_handle mem, const char *name);

/* shmheap_find returns the object of this name without adding a use: so another use, or a kept
 * name, has to make it stay. *size (or NULL): the size requested when it was made. Read-only
 * connections, too. Takes no lock, unless names change meanwhile. Errors: see Readers. */
SHMHEAP_API void *shmheap_find(shmheap_memory_handle mem, const char *name, size_t *size);

/* shmheap_name_info is a name as shmheap_names shows it. */
typedef struct shmheap_name_info {
    char name[256];       /* NUL-terminated */
    uint64_t name_len;    /* bytes without the NUL */
    uint64_t offset, len; /* of its object: bytes from shmheap_underlying(), bytes requested */
    uint64_t users;       /* uses that have not been given back */
    uint64_t kept;        /* 1: stays without users, until shmheap_name_remove; else 0 */
} shmheap_name_info;

/* shmheap_names calls visit for each name, in any order, and otherwise does as shmheap_walk. Cost:
 * a walk over the blocks, which releases the heap's lock every 16,384 blocks. */
SHMHEAP_API int shmheap_names(shmheap_memory_handle mem,
                              int (*visit)(const shmheap_name_info *name, void *context),
                              void *context);

/* Inspecting, also on read-only connections: see Readers -------------------------------------- */

/* States of a block. */
enum shmheap_state {
    SHMHEAP_STATE_FREE = 0,
    SHMHEAP_STATE_USED = 1,     /* held by the process in the slot */
    SHMHEAP_STATE_SHARED = 2,   /* used, and a handle of it was taken */
    SHMHEAP_STATE_SENT = 3,     /* in transit: no process holds it */
    SHMHEAP_STATE_CACHED = 4,   /* free, kept by the process in the slot */
    SHMHEAP_STATE_INTERNAL = 5, /* the heap's own */
    SHMHEAP_STATE_NAMED = 6     /* an object with a name, held by the processes that use it */
};

/* shmheap_block_info is a block as shmheap_walk shows it. */
typedef struct shmheap_block_info {
    uint64_t offset; /* of the payload, bytes from shmheap_underlying() */
    uint64_t size;   /* bytes of the block with its header of 8 */
    uint64_t len;    /* bytes of payload */
    enum shmheap_state state;
    unsigned slot;       /* the holder's, 1 to 1022; 0: its process died; 1023: it disconnected */
    unsigned generation; /* changes with each allocation */
} shmheap_block_info;

/* shmheap_walk calls visit for each block, free ones too, in the order of addresses, until visit
 * returns other than 0. It reads batches under the lock. visit runs without it and may call
 * anything. If visit disconnects, the walk ends: with 0, or -1 and EINVAL. A block that lives
 * throughout is visited once, as it was in its batch. Returns 0, what visit returned, or -1. */
SHMHEAP_API int shmheap_walk(shmheap_memory_handle mem,
                             int (*visit)(const shmheap_block_info *block, void *context),
                             void *context);

/* shmheap_stats holds figures of a heap at one instant. */
typedef struct shmheap_stats {
    uint64_t len, max_len; /* bytes of the region now, and at most */
    uint64_t segment_len;  /* bytes of control, index and region now (without the slots behind) */
    uint64_t alignment;    /* 8 or 16 */
    uint64_t id;           /* random, of this heap */
    uint64_t used_blocks, used_bytes; /* blocks not free, and cached ones; bytes with headers */
    uint64_t free_blocks, free_bytes; /* free blocks; their bytes with headers */
    uint64_t largest_free;     /* bytes of the largest object that fits now without growing */
    uint64_t high_water_bytes; /* the most that used_bytes ever was */
    uint64_t allocs, frees;    /* operations since creation */
    uint64_t failed_allocs;    /* for want of space */
    uint64_t grows;            /* how often the region grew */
    uint64_t recoveries;       /* how often a process died holding the lock */
    uint64_t last_recovery_ns; /* duration of the last recovery, nanoseconds */
    uint64_t created_ns;       /* nanoseconds since 1970 */
    uint32_t processes;        /* connections of live processes that can write, this one too */
    uint32_t dead;             /* slots of processes that died */
    uint32_t slots;            /* connections that the heap has room for */
    uint32_t lock_slot;        /* the slot that held the lock, never for this call; 0: none */
    uint64_t alloc_bytes;      /* of all allocs since creation, with headers */
} shmheap_stats;

/* shmheap_stat fills *stats, without a walk. Errors: EINVAL (stats NULL). */
SHMHEAP_API int shmheap_stat(shmheap_memory_handle mem, shmheap_stats *stats);

/* shmheap_process_info is a taken slot. */
typedef struct shmheap_process_info {
    unsigned slot;                        /* 1 to 1022 */
    int64_t pid;                          /* in the process's own PID namespace */
    char name[16];                        /* as in /proc/PID/comm, NUL-terminated */
    uint64_t connected_ns;                /* nanoseconds since 1970 */
    int alive;                            /* 1 alive, 0 dead */
    int self;                             /* 1: the slot of this connection */
    uint64_t blocks, bytes;               /* of blocks that it holds, with headers */
    uint64_t cached_blocks, cached_bytes; /* those of them that are free, in its threads' caches */
} shmheap_process_info;

/* shmheap_processes calls visit for each taken slot, and otherwise does as shmheap_walk. A
 * read-only connection has no slot. Cost: a walk over the blocks for each 128 slots, which releases
 * the heap's lock every 16,384 blocks: one that changes may count for another holder or size. */
SHMHEAP_API int shmheap_processes(shmheap_memory_handle mem,
                                  int (*visit)(const shmheap_process_info *process, void *context),
                                  void *context);

/* shmheap_report is what shmheap_check found. */
typedef struct shmheap_report {
    unsigned rule;            /* 0: sound; else the number of the broken rule (FORMAT.md) */
    uint64_t offset;          /* of the block or place, bytes from shmheap_underlying() */
    uint64_t expected, found; /* what the rule requires, and what is there */
    uint64_t blocks;          /* blocks walked */
    uint64_t used_bytes, free_bytes;
    char text[128]; /* the rule in words, NUL-terminated */
} shmheap_report;

/* shmheap_check compares every block, the index and all figures, and reports the first broken rule.
 * It changes nothing, except that it first recovers if a process died. The region's size bounds it.
 *   Returns  0: sound; 1: broken, see *report (may be NULL); -1: could not check.
 *   Errors   EINVAL, ETIMEDOUT, EBADMSG (the region's length is impossible: rule 2).
 *   Cost     one walk under the lock: 20 ms for a million blocks, 25 ms for a GiB with memory. */
SHMHEAP_API int shmheap_check(shmheap_memory_handle mem, shmheap_report *report);

/* shmheap_copy copies the heap of one instant to a new file, to be opened with SHMHEAP_FILE, while
 * other processes use the heap. The copy is the heap as if all processes had been killed at that
 * instant; handles mean the same objects in both. The copy is on the disk on return; on failure no
 * file is left. docs/behaviour.md says what a copy contains.
 *   path     of the new file. It gets the permissions of the heap's file, less the umask.
 *   Errors   EEXIST (the path exists), EINVAL (mem is not valid, path NULL or empty), EBADF as
 *            shmheap_fd, ENOTSUP (the heap lies in the caller's memory), EFBIG (RLIMIT_FSIZE),
 *            EAGAIN (read-only: see Readers; or the heap changes too fast), EBADMSG,
 *            ETIMEDOUT, ENOMEM, and those of open(), pwrite(), fsync(), linkat(), getrandom().
 *   Death    leaves no file; without O_TMPFILE, one that is no heap (SHMHEAP_TAKE_OVER helps).
 *   Cost     Other calls wait: tenths of a second for a GiB in use; 1.25 s beside 64 writers. */
SHMHEAP_API int shmheap_copy(shmheap_memory_handle mem, const char *path);

#ifdef __cplusplus
}
#endif

#endif
