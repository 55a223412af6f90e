/* error_rows.c: the sentences of shmheap_error_text.
 *
 * docs/troubleshooting.md has the same rows; //tests/unit/errors:sentences_test compares them, and
 * prints the rows that the page lacks. %n is the heap, as a command of the
 * tool takes it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error_rows.h"

#include <errno.h>

struct call_entry {
    const char *name;
    unsigned kinds;
};

static const struct call_entry calls[ERROR_CALLS] = {
    [CALL_NONE] = {"", 0},
    [CALL_CREATE] = {"shmheap_create", KIND_OPEN},
    [CALL_CONNECT] = {"shmheap_connect", KIND_OPEN},
    [CALL_OPEN] = {"shmheap_open", KIND_OPEN},
    [CALL_CREATE_SEALED] = {"shmheap_create_sealed", KIND_OPEN},
    [CALL_OPEN_FD] = {"shmheap_open_fd", KIND_OPEN},
    [CALL_CREATE_AT] = {"shmheap_create_at", KIND_OPEN},
    [CALL_ATTACH_AT] = {"shmheap_attach_at", KIND_OPEN},
    [CALL_SOCKET] = {"shmheap_socket", KIND_SOCKET},
    [CALL_DISCONNECT] = {"shmheap_disconnect", KIND_USE},
    [CALL_DESTROY] = {"shmheap_destroy", KIND_REMOVE},
    [CALL_UNLINK] = {"shmheap_unlink", KIND_REMOVE},
    [CALL_UNLINK_UNUSED] = {"shmheap_unlink_unused", KIND_REMOVE},
    [CALL_IN_USE] = {"shmheap_in_use", KIND_OPEN},
    [CALL_FD] = {"shmheap_fd", KIND_FILE},
    [CALL_FD_WRITABLE] = {"shmheap_fd_writable", KIND_FILE},
    [CALL_UNDERLYING] = {"shmheap_underlying", KIND_USE},
    [CALL_ALLOC] = {"shmheap_alloc", KIND_USE},
    [CALL_ALLOC_WAIT] = {"shmheap_alloc_wait", KIND_USE},
    [CALL_ALLOC_MANY] = {"shmheap_alloc_many", KIND_USE},
    [CALL_CALLOC] = {"shmheap_calloc", KIND_USE},
    [CALL_ALIGNED_ALLOC] = {"shmheap_aligned_alloc", KIND_USE},
    [CALL_REALLOC] = {"shmheap_realloc", KIND_USE},
    [CALL_FREE] = {"shmheap_free", KIND_USE},
    [CALL_FREE_MANY] = {"shmheap_free_many", KIND_USE},
    [CALL_USABLE_SIZE] = {"shmheap_usable_size", KIND_USE},
    [CALL_PTR_TO_HANDLE] = {"shmheap_ptr_to_handle", KIND_USE},
    [CALL_HANDLE_TO_PTR] = {"shmheap_handle_to_ptr", KIND_USE | KIND_HANDLE},
    [CALL_SEND] = {"shmheap_send", KIND_USE | KIND_HANDLE},
    [CALL_RECEIVE] = {"shmheap_receive", KIND_USE | KIND_HANDLE},
    [CALL_SEND_LABELLED] = {"shmheap_send_labelled", KIND_USE | KIND_HANDLE},
    [CALL_RECEIVE_LABELLED] = {"shmheap_receive_labelled", KIND_USE | KIND_HANDLE},
    [CALL_PUT_BACK] = {"shmheap_put_back", KIND_USE | KIND_HANDLE},
    [CALL_PEEK] = {"shmheap_peek", KIND_USE | KIND_HANDLE},
    [CALL_REAP] = {"shmheap_reap", KIND_USE},
    [CALL_ALLOC_NAMED] = {"shmheap_alloc_named", KIND_USE},
    [CALL_ALLOC_KEPT] = {"shmheap_alloc_kept", KIND_USE},
    [CALL_NAME_KEEP] = {"shmheap_name_keep", KIND_USE},
    [CALL_NAME_REMOVE] = {"shmheap_name_remove", KIND_USE},
    [CALL_FIND] = {"shmheap_find", KIND_USE},
    [CALL_NAMES] = {"shmheap_names", KIND_USE},
    [CALL_WALK] = {"shmheap_walk", KIND_USE},
    [CALL_STAT] = {"shmheap_stat", KIND_USE},
    [CALL_PROCESSES] = {"shmheap_processes", KIND_USE},
    [CALL_CHECK] = {"shmheap_check", KIND_USE},
    [CALL_COPY] = {"shmheap_copy", KIND_FILE},
};

/* The first row that matches counts: rows with a cause first, in the order of enum cause. */
static const struct error_row rows[] = {
    {CAUSE_NOT_OPEN, KIND_ANY, EINVAL, "the connection is not open",
     "open the heap first; a disconnect ends all copies of a connection"},
    {CAUSE_READ_ONLY, KIND_ANY, EACCES, "the connection is read-only",
     "open the heap without SHMHEAP_READ_ONLY"},
    {CAUSE_LOCK_HELD, KIND_ANY, ETIMEDOUT, "the heap's lock stayed taken, by slot %u, for %u ms",
     "'shmheap stat %n' names the process; continue it or end it"},
    {CAUSE_SLOTS_TAKEN, KIND_ANY, EAGAIN, "all %u slots for connections are taken",
     "close connections; 'shmheap ls --processes' lists them"},
    {CAUSE_READ_CHANGES, KIND_ANY, EAGAIN,
     "the heap changes too fast, or a process in it is stopped, or died and no writer came since",
     "try again, or make any change on a connection that can write"},
    {CAUSE_SLOTS_MEMORY, KIND_ANY, EAGAIN,
     "all %u slots for connections are taken, and there is no memory for more",
     "close connections ('shmheap ls --processes'), or free memory ('df', 'free')"},
    {CAUSE_ARGUMENT_NULL, KIND_ANY, EINVAL, "the argument %t is NULL, 0 or empty", "pass %a"},
    {CAUSE_NO_PROC, KIND_ANY, ENOENT, "/proc is not mounted, and no name leads to the heap's file",
     "mount /proc, or use a heap with a name that this process can open"},
    {CAUSE_CLOSED, KIND_ANY, EBADF,
     "the program closed the heap's descriptors, and has no permission to open its file by name",
     "do not close them (closefrom), or give the file a wider mode"},
    {CAUSE_MEMORY_LEFT, KIND_ANY, ENOSPC,
     "%u bytes are needed, and the machine or a control group has %u left",
     "end programs, raise the group's limit, or make a smaller heap with a max_len; 'free' shows "
     "the machine's memory"},
    {CAUSE_DISK_LEFT, KIND_ANY, ENOSPC, "%u bytes are needed, and the file system has %u left",
     "remove files there ('df' lists file systems; /dev/shm: 'shmheap ls'), or make a smaller heap "
     "with a max_len"},
    {CAUSE_FILE_LIMIT, KIND_ANY, EFBIG, "the file needs %u bytes, and RLIMIT_FSIZE allows %u",
     "raise 'ulimit -f', or make a smaller heap"},
    {CAUSE_GROW_MEMORY, KIND_USE, ENOMEM,
     "no free block has room for %u bytes, and the heap cannot grow: the machine or a control "
     "group has %u bytes left",
     "free objects, end programs, or raise the group's limit; 'free' shows the machine's memory"},
    {CAUSE_GROW_DISK, KIND_USE, ENOMEM,
     "no free block has room for %u bytes, and the heap cannot grow: its file system has %u bytes "
     "left",
     "free objects, or remove files there; 'df' lists file systems"},
    {CAUSE_GROW_LIMIT, KIND_USE, ENOMEM,
     "no free block has room for %u bytes, and the heap cannot grow: RLIMIT_FSIZE is %u bytes",
     "raise 'ulimit -f', or free objects"},
    {CAUSE_GROW_REFUSED, KIND_USE, ENOMEM,
     "no free block has room for %u bytes, and growing the heap failed with %e",
     "free objects; docs/troubleshooting.md says what prevents the growth"},
    {CAUSE_FLAGS_UNKNOWN, KIND_OPEN, EINVAL, "the flags have unknown bits: %x",
     "compare with enum shmheap_flags; zero-initialise shmheap_options"},
    {CAUSE_FLAGS_OF_CREATE, KIND_OPEN, EINVAL,
     "SHMHEAP_EXCLUSIVE, _TAKE_OVER and _ANONYMOUS need SHMHEAP_CREATE",
     "add SHMHEAP_CREATE, or leave the flag out"},
    {CAUSE_FLAGS_READ_ONLY, KIND_OPEN, EINVAL, "SHMHEAP_CREATE contradicts SHMHEAP_READ_ONLY",
     "leave one of both out"},
    {CAUSE_FLAGS_ANONYMOUS, KIND_OPEN, EINVAL,
     "SHMHEAP_ANONYMOUS contradicts SHMHEAP_FILE, _TAKE_OVER and _SOCKET", "leave one of both out"},
    {CAUSE_FLAGS_NOT_HERE, KIND_OPEN, EINVAL, "flags that this call does not take: %x",
     "leave them out; the call's comment in shmheap.h lists its flags"},
    {CAUSE_LEN, KIND_OPEN, EINVAL, "len is %u, and %u bytes are the least",
     "give a longer len; 0 in options is the default"},
    {CAUSE_MAX_LEN, KIND_OPEN, EINVAL, "max_len is %u, which is below len, %u",
     "raise max_len, or leave it 0: the heap then never grows"},
    {CAUSE_LEN_MOST, KIND_OPEN, EFBIG, "len or max_len is %u, and %u bytes are the most",
     "give a shorter one; alignment 16 allows twice the bytes of 8"},
    {CAUSE_ALIGNMENT, KIND_OPEN, EINVAL, "alignment is %u, and may be 8 or 16",
     "give 8, 16, or 0 for 16"},
    {CAUSE_MODE, KIND_OPEN, EINVAL, "mode has other bits than permissions: %x",
     "give 07777 at most, in octal"},
    {CAUSE_NAME_MISSING, KIND_ANY, EINVAL, "the name is NULL or empty",
     "give a name: \"/name\", or a path for a file"},
    {CAUSE_NAME_LONG, KIND_OPEN, EINVAL, "the name has more than %u bytes", "give a shorter one"},
    {CAUSE_NAME_KEPT, KIND_OPEN, EEXIST, "a process uses the heap of that name",
     "close it there ('shmheap ls --processes' lists connections), or open it without "
     "SHMHEAP_EXCLUSIVE"},
    {CAUSE_MEMORY, KIND_OPEN, EINVAL,
     "the memory at %x is NULL, misaligned, or not mapped as far as %u bytes",
     "pass mapped memory, aligned to 16 (to 8 with alignment 8)"},
    {CAUSE_MEMORY_FEW, KIND_OPEN, ENOMEM, "%u bytes of memory are too few for any region",
     "pass about 2 KiB or more"},
    {CAUSE_MEMORY_SHORT, KIND_OPEN, ENOMEM,
     "a heap of that length needs %u bytes, and the memory has %u",
     "pass more memory, or leave len 0: the region then fills the memory"},
    {CAUSE_MAP, KIND_ANY, ENOMEM, "the kernel refuses to map %u bytes",
     "raise 'ulimit -v' (after mlockall() 'ulimit -l'), or give a smaller max_len"},
    {CAUSE_SEALED, KIND_OPEN, EPERM,
     "the heap is sealed: the connection that made it alone can write",
     "open it with SHMHEAP_READ_ONLY"},
    {CAUSE_SEAL_MISSING, KIND_OPEN, ENOTSUP, "the kernel has no seal against future writes",
     "Linux 5.1 has it; or make the heap with SHMHEAP_ANONYMOUS"},
    {CAUSE_SEAL_LATE, KIND_OPEN, EBUSY, "another thread connected to the heap before it was sealed",
     "do not open descriptors of other threads; try again"},
    {CAUSE_NO_TOPOLOGY, KIND_ANY, ENOTSUP,
     "the system does not tell which socket this thread runs on",
     "mount /sys, or leave SHMHEAP_SOCKET out"},
    {CAUSE_NO_SPACE, KIND_USE, ENOMEM,
     "no free block has room for %u bytes, and the region of %u bytes cannot grow",
     "free objects, reap, or make the heap with a larger len or max_len; 'shmheap map %n' shows "
     "what fills it"},
    {CAUSE_TOO_LARGE, KIND_USE, ENOMEM, "%u bytes never fit: the largest object has %u",
     "make the heap with a larger len or max_len"},
    {CAUSE_OVERFLOW, KIND_USE, ENOMEM, "%u times %u bytes is more than a size_t holds",
     "check the count and the size"},
    {CAUSE_NO_SPACE_TIME, KIND_USE, ETIMEDOUT, "no free block had room for %u bytes within %u ms",
     "wait longer, free objects, or make the heap with a larger len or max_len"},
    {CAUSE_OBJECT_ALIGNMENT, KIND_USE, EINVAL,
     "the alignment %u is no power of two up to the page size",
     "give 1, 2, 4 and so on, at most 4096 where pages have 4 KiB"},
    {CAUSE_MEMORY_ALIGNMENT, KIND_USE, EINVAL,
     "the alignment %u is more than that of the heap's memory, which begins at %x",
     "pass memory with that alignment to shmheap_create_at"},
    {CAUSE_POINTER_NULL, KIND_USE, EINVAL, "the pointer is NULL",
     "check the call that made it: it failed, or the pointer was never stored"},
    {CAUSE_NO_OBJECT, KIND_USE, EINVAL,
     "no live object begins at %x: it was freed or sent, or lies elsewhere",
     "look for a second free of one object; pass the pointer that the allocation returned"},
    {CAUSE_NAMED, KIND_USE, EINVAL, "the object at %x has a name, and cannot be resized or sent",
     "allocate another object, or pass the name on"},
    {CAUSE_NO_USE, KIND_USE, EPERM,
     "the object at %x has a name, and this process has no use of it to give back",
     "call shmheap_alloc_named first: each success adds a use"},
    {CAUSE_NOT_ALL_FREED, KIND_USE, EINVAL, "%u of %u entries are no live objects, or occur twice",
     "look for a second free; all other entries were freed"},
    {CAUSE_HANDLE_NULL, KIND_HANDLE, EINVAL, "the handle is null",
     "check the call that made it: it failed, or the handle was never stored"},
    {CAUSE_HANDLE_FOREIGN, KIND_HANDLE, EINVAL, "%x is a handle of another heap, or no handle",
     "open the same heap in both processes: compare id in 'shmheap stat %n'"},
    {CAUSE_UNSHARED, KIND_USE, EACCES,
     "the connection is read-only, and no handle of the object at %x was taken yet",
     "take the first handle on a connection that can write"},
    {CAUSE_NO_ROOM, KIND_HANDLE, EBADMSG,
     "the object is too short for %u words, or its header is damaged",
     "allocate 8 bytes more for each word; else 'shmheap check %n' names the place"},
    {CAUSE_REAP_FLAGS, KIND_USE, EINVAL, "the flags have unknown bits: %x",
     "pass 0 or SHMHEAP_REAP_SHARED"},
    {CAUSE_NAME_EMPTY, KIND_USE, EINVAL, "the object's name is NULL or empty",
     "give a name of 1 to 255 bytes"},
    {CAUSE_NAME_UNKNOWN, KIND_USE, ENOENT, "no object has that name",
     "make it with shmheap_alloc_named; 'shmheap names %n' lists the names"},
    {CAUSE_NAME_SHORTER, KIND_USE, EINVAL, "the object of that name has fewer than %u bytes",
     "request the size that it was made with, or use another name"},
    {CAUSE_NONE, KIND_OPEN, EEXIST, "something has that name already",
     "connect to it, in C without SHMHEAP_EXCLUSIVE; SHMHEAP_TAKE_OVER replaces a heap that no "
     "process uses; 'shmheap rm %n' removes it"},
    {CAUSE_NONE, KIND_OPEN, ENOENT, "no heap has that name",
     "start the process that makes it first, or open with SHMHEAP_CREATE, a path in a folder that "
     "exists; 'shmheap ls' lists the heaps"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE | KIND_FILE, EACCES, "no permission for the file",
     "run as its owner, or have it made with a wider mode"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE, EPERM,
     "the system does not permit it: the file may be another user's",
     "run as the owner of the file; in /dev/shm only the owner removes it"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE, EBADMSG,
     "this is no heap, or one that was cut short or damaged",
     "'shmheap check %n' tells; remove it if it is yours, and make it anew"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE, EPROTONOSUPPORT,
     "the heap has another version of the format",
     "use one version of shmheap in all processes, or make the heap anew"},
    {CAUSE_NONE, KIND_OPEN, ETIMEDOUT,
     "the process that makes the heap did not finish within timeout_ms",
     "if it died, open with SHMHEAP_CREATE (an empty file: and SHMHEAP_TAKE_OVER); if it is slow, "
     "raise timeout_ms"},
    {CAUSE_NONE, KIND_OPEN, EINVAL, "shm_open() refuses the name",
     "begin it with '/', without another '/'; for a path, SHMHEAP_FILE"},
    {CAUSE_NONE, KIND_REMOVE, EINVAL, "shm_unlink() refuses the name",
     "begin it with '/', without another '/'"},
    {CAUSE_NONE, KIND_USE, ENAMETOOLONG, "the name is longer than 255 bytes", "give a shorter one"},
    {CAUSE_NONE, KIND_ANY, ENAMETOOLONG,
     "the name, or a part of the path, has more than 255 bytes, or the path more than 4095",
     "give a shorter one"},
    {CAUSE_NONE, KIND_OPEN, EBUSY,
     "other processes make and remove the name all the time, or it is a link that leads nowhere",
     "let one process make the heap; look at 'ls -l /dev/shm'"},
    {CAUSE_NONE, KIND_REMOVE, EBUSY, "a process uses the heap",
     "close it there; 'shmheap ls --processes' lists the connections"},
    {CAUSE_NONE, KIND_REMOVE, ENOENT, "no heap has that name", "nothing is left to remove"},
    {CAUSE_NONE, KIND_REMOVE, ESTALE, "another heap has the name now, and keeps it",
     "remove that heap by its own connection"},
    {CAUSE_NONE, KIND_FILE, ENOSPC, "the file system of the path is full",
     "remove files there ('df' lists file systems), or choose another path"},
    {CAUSE_NONE, KIND_OPEN, ENOSPC, "file system, machine or control group lack the memory",
     "free some ('df /dev/shm', 'free'), or make a smaller heap with a max_len"},
    {CAUSE_NONE, KIND_OPEN | KIND_FILE, EDQUOT, "the user's quota on the file system is used up",
     "free some space, or have it raised"},
    {CAUSE_NONE, KIND_OPEN | KIND_FILE, EFBIG,
     "the length exceeds RLIMIT_FSIZE, or what the file system can hold",
     "raise 'ulimit -f', or make a smaller heap"},
    {CAUSE_NONE, KIND_OPEN | KIND_FILE, ENOMEM,
     "len or max_len cannot be mapped, or the kernel has no memory",
     "raise 'ulimit -v' (after mlockall() 'ulimit -l'), or give a smaller max_len"},
    {CAUSE_NONE, KIND_OPEN, EAGAIN, "all slots for connections are taken",
     "close connections; 'shmheap ls --processes' lists them"},
    {CAUSE_NONE, KIND_OPEN | KIND_FILE, EINTR,
     "signals came faster than the kernel reserves one page",
     "block the timer's signal during the call"},
    {CAUSE_NONE, KIND_OPEN, EBADF, "the descriptor is not open", "pass one that is"},
    {CAUSE_NONE, KIND_ANY, EXDEV, "the thread may run on several sockets",
     "bind it to one first: taskset, numactl, mpirun --bind-to socket"},
    {CAUSE_NONE, KIND_REMOVE | KIND_FILE, ENOTSUP,
     "the heap lies in the caller's memory, and has no file",
     "leave the call out, or make the heap with a name"},
    {CAUSE_NONE, KIND_OPEN | KIND_FILE, EROFS, "the file system is read-only",
     "open with SHMHEAP_READ_ONLY, or choose another place"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE | KIND_FILE, ENOTDIR, "a part of the path is no folder",
     "compare the path with 'ls'"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE | KIND_FILE, EISDIR, "the path is that of a folder",
     "add the name of a file"},
    {CAUSE_NONE, KIND_OPEN | KIND_REMOVE | KIND_FILE, ELOOP,
     "the path has too many symbolic links, or they lead in a circle", "look at 'ls -l'"},
    {CAUSE_NONE, KIND_ANY, EIO, "the storage reported an error",
     "look at the kernel's log ('dmesg'); make the heap anew in another place"},
    {CAUSE_NONE, KIND_ANY, EMFILE, "this process has no descriptor left",
     "close some, or raise 'ulimit -n'"},
    {CAUSE_NONE, KIND_ANY, ENFILE, "this machine has no descriptor left",
     "close some, or raise fs.file-max"},
    {CAUSE_NONE, KIND_FILE, EEXIST, "the path exists", "remove that file, or choose another path"},
    {CAUSE_NONE, KIND_FILE, ENOENT, "the path's folder does not exist", "make the folder first"},
    {CAUSE_NONE, KIND_USE | KIND_FILE, EBADF,
     "the program closed the heap's descriptors, and no name leads to its file",
     "do not close them (closefrom), or use a heap with a name"},
    {CAUSE_NONE, KIND_USE, ETIMEDOUT, "the heap's lock stayed taken",
     "'shmheap stat %n' names its owner; continue that process or end it"},
    {CAUSE_NONE, KIND_USE | KIND_FILE, EBADMSG, "the memory is damaged, and was left as it was",
     "'shmheap check %n' names the place; run the writers under AddressSanitizer; make the heap "
     "anew"},
    {CAUSE_NONE, KIND_USE | KIND_FILE, EAGAIN,
     "no slot is free for this process, or the heap changes too fast to read",
     "try again; 'shmheap ls --processes' lists the connections"},
    {CAUSE_NONE, KIND_USE, EACCES, "this child of fork() may not open the heap's file",
     "give the file a wider mode, or open the heap before the process changes its user"},
    {CAUSE_NONE, KIND_USE, ENOENT, "this child of fork() cannot open the heap's file",
     "mount /proc, or give the heap a name that the child can open"},
    {CAUSE_NONE, KIND_USE, ENOMEM, "nothing fits, and the heap cannot grow",
     "free objects, reap, or make the heap with a larger len or max_len"},
    {CAUSE_NONE, KIND_HANDLE, ESTALE,
     "the object is not there under this handle: it was freed, moved, sent or received already",
     "take the handle anew; one receiver for each send"},
    {CAUSE_NONE, KIND_HANDLE, EPERM, "another connection holds the object",
     "send it where it was allocated or received; a child of fork() holds none of its parent's "
     "objects"},
    {CAUSE_NONE, KIND_HANDLE, ENOMSG, "the object in transit has another label",
     "receive it as what it is; the handle stays valid"},
    {CAUSE_NONE, KIND_HANDLE, ERANGE, "the object is shorter than the call requires",
     "compare the types of sender and receiver; the handle stays valid"},
};

static const struct {
    int error;
    const char *name;
} names[] = {
    {EACCES, "EACCES"},
    {EAGAIN, "EAGAIN"},
    {EBADF, "EBADF"},
    {EBADMSG, "EBADMSG"},
    {EBUSY, "EBUSY"},
    {EDQUOT, "EDQUOT"},
    {EEXIST, "EEXIST"},
    {EFBIG, "EFBIG"},
    {EINTR, "EINTR"},
    {EINVAL, "EINVAL"},
    {EIO, "EIO"},
    {EISDIR, "EISDIR"},
    {ELOOP, "ELOOP"},
    {EMFILE, "EMFILE"},
    {ENAMETOOLONG, "ENAMETOOLONG"},
    {ENFILE, "ENFILE"},
    {ENODEV, "ENODEV"},
    {ENOENT, "ENOENT"},
    {ENOMEM, "ENOMEM"},
    {ENOMSG, "ENOMSG"},
    {ENOSPC, "ENOSPC"},
    {ENOTDIR, "ENOTDIR"},
    {ENOTSUP, "ENOTSUP"},
    {ENXIO, "ENXIO"},
    {EPERM, "EPERM"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
    {ERANGE, "ERANGE"},
    {EROFS, "EROFS"},
    {ESTALE, "ESTALE"},
    {ETIMEDOUT, "ETIMEDOUT"},
    {EXDEV, "EXDEV"},
};

const struct error_row *error_row_at(unsigned i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

const struct error_row *error_row_of(const struct error_record *note)
{
    unsigned kinds = note->call < ERROR_CALLS ? calls[note->call].kinds : 0;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (note->cause != CAUSE_NONE ? rows[i].cause == note->cause
                                      : rows[i].cause == CAUSE_NONE && (rows[i].kinds & kinds) &&
                                            rows[i].error == note->error)
            return &rows[i];
    return NULL;
}

const char *error_argument_name(uint64_t argument)
{
    static const char *const arguments[ARGUMENTS] = {
        [ARGUMENT_OUT] = "out",     [ARGUMENT_PTRS] = "ptrs",    [ARGUMENT_VISIT] = "visit",
        [ARGUMENT_STATS] = "stats", [ARGUMENT_PATH] = "path",    [ARGUMENT_WORDS] = "words",
        [ARGUMENT_COUNT] = "count", [ARGUMENT_BUFFER] = "buffer"};
    return argument < ARGUMENTS ? arguments[argument] : "";
}

const char *error_argument_valid(uint64_t argument)
{
    static const char *const values[ARGUMENTS] = {
        [ARGUMENT_OUT] = "the address of a shmheap_memory_handle",
        [ARGUMENT_PTRS] = "an array of count pointers",
        [ARGUMENT_VISIT] = "a function",
        [ARGUMENT_STATS] = "the address of a shmheap_stats",
        [ARGUMENT_PATH] = "the path of the new file",
        [ARGUMENT_WORDS] = "an array of count words",
        [ARGUMENT_COUNT] = "1 or more",
        [ARGUMENT_BUFFER] = "room for that many bytes"};
    return argument < ARGUMENTS ? values[argument] : "";
}

const char *error_call_name(unsigned call) { return call < ERROR_CALLS ? calls[call].name : ""; }

const char *error_errno_name(int error)
{
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}
