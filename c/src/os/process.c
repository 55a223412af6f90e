/* process.c: this and other processes: by /proc/PID/task/PID/stat; memory by mremap and msync, a
 * wiped page.
 * SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/kernel.h"
#include "../base/shared.h"

enum { NAMESPACE_MASK = 0xffffff };

void *process_map(void *address, size_t len, int protection, int flags, int fd)
{
    void *memory = mmap(address, len, protection, flags, fd, 0);
    if (memory == MAP_FAILED && (errno == EAGAIN || errno == ENOMEM))
        error_cause(ENOMEM, CAUSE_MAP, len, 0);
    return memory;
}

/* The mark ------------------------------------------------------------- */

/*   [ page that is zero in children |  first WIPED bytes ][ the rest ... pages ]
 *                                    ^ memory                                     */
static size_t memory_len(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return page + (size_t)round_up(bytes - PROCESS_WIPED, page);
}

/* LeakSanitizer's, in a program built with it: memory that only this mapping points to is no
 * leak. */
extern void __lsan_register_root_region(const void *memory, size_t bytes) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *memory, size_t bytes) __attribute__((weak));

void *process_memory(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = process_map(NULL, memory_len(bytes), PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (memory == MAP_FAILED)
        return NULL;
    int before = errno;
    madvise(memory, page, MADV_WIPEONFORK);
    errno = before;
    if (__lsan_register_root_region != NULL)
        __lsan_register_root_region(memory, memory_len(bytes));
    return memory + page - PROCESS_WIPED;
}

void process_memory_free(void *memory, size_t bytes)
{
    unsigned char *mapped = (unsigned char *)memory + PROCESS_WIPED - (size_t)sysconf(_SC_PAGESIZE);
    if (__lsan_unregister_root_region != NULL)
        __lsan_unregister_root_region(mapped, memory_len(bytes));
    munmap(mapped, memory_len(bytes));
}

static shared_u32 mark_nowhere;
static shared_u32 *fork_mark = &mark_nowhere;
static pid_t handled_in; /* the process that set the mark */
static void (*in_child)(int in_handler);

void process_fork_handled(void)
{
    __atomic_store_n(&handled_in, getpid(), __ATOMIC_RELAXED);
    __atomic_store_n(SHARED_VALUE(fork_mark), 1u, __ATOMIC_RELEASE);
}

/* The pid alone does not tell: the first process of a PID namespace has pid 1, its parent may, too.
 * The mark alone does not tell where a kernel ignores MADV_WIPEONFORK. */
int process_fork_is_handled(void)
{
    return load_u32(fork_mark) != 0 && __atomic_load_n(&handled_in, __ATOMIC_RELAXED) == getpid();
}

void process_on_fork(void (*call)(int in_handler))
{
    shared_u32 *made = process_memory(PROCESS_WIPED);
    in_child = call;
    process_namespace(); /* before a chroot() may hide /proc */
    if (made != NULL)
        fork_mark = made;
    process_fork_handled();
}

void process_notice_fork(void)
{
    if (UNLIKELY(in_child != NULL && load_u32(fork_mark) == 0)) {
        process_fork_handled(); /* first: in_child may call this function */
        in_child(0);
    }
}

/* Pids ----------------------------------------------------------------- */

/* struct pid_stat has fields of /proc/PID/stat. start 0: unknown. */
struct pid_stat {
    char state;
    unsigned threads;
    uint64_t start;
};

/* Numbers of fields. Field 2, the program's name, may contain blanks and parentheses. */
enum { FIELD_STATE = 3, FIELD_THREADS = 20, FIELD_START = 22 };

/* Reads the file of the process's first thread, which began with the process. qemu-user invents
 * /proc/PID/stat for the calling process itself, so other processes would read another time. */
static struct pid_stat pid_stat_read(int64_t pid)
{
    struct pid_stat stat = {0, 0, 0};
    char path[60], text[512];
    snprintf(path, sizeof path, "/proc/%lld/task/%lld/stat", (long long)pid, (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return stat;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    char *field = strrchr(text, ')');
    if (field == NULL || field[1] == 0)
        return stat;
    stat.state = field[2];
    for (unsigned number = 2; number < FIELD_START && field != NULL; number++) {
        if (number == FIELD_THREADS)
            stat.threads = (unsigned)strtoul(field, NULL, 10);
        field = strchr(field + 1, ' ');
    }
    stat.start = field != NULL ? strtoull(field + 1, NULL, 10) : 0;
    return stat;
}

static shared_u64 start_known; /* of this process; 0: not read yet */

uint64_t process_start(void)
{
    uint64_t start = load_u64(&start_known);
    if (start == 0) {
        start = pid_stat_read(getpid()).start;
        __atomic_store_n(SHARED_VALUE(&start_known), start, __ATOMIC_RELAXED);
    }
    return start;
}

void process_forget(void) { __atomic_store_n(SHARED_VALUE(&start_known), 0, __ATOMIC_RELAXED); }

static uint64_t namespace_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

static uint32_t namespace_read(void)
{
    uint64_t pids = namespace_of("/proc/self/ns/pid");
    /* Kernels before 5.6 have no time namespaces: 0 for all processes. */
    uint64_t number = pids * 31 + namespace_of("/proc/self/ns/time");
    uint32_t folded = (uint32_t)(number ^ number >> 24) & NAMESPACE_MASK;
    return pids == 0 ? 0 : folded != 0 ? folded : 1;
}

/* Low half: the namespace that was last read. High half: the pid of the reader. */
static shared_u64 known_namespace;

uint32_t process_namespace(void)
{
    uint32_t now = namespace_read();
    uint64_t known = load_u64(&known_namespace), pid = (uint32_t)getpid();
    if (now == 0) {
        /* There is no /proc, as after chroot(). A process never leaves its PID namespace, and a
         * child that sees its parent's pid is in its parent's namespace. */
        if (known >> 32 != pid && known >> 32 != (uint32_t)getppid())
            return 0;
        now = (uint32_t)known;
    }
    __atomic_store_n(SHARED_VALUE(&known_namespace), pid << 32 | now, __ATOMIC_RELAXED);
    return now;
}

int process_lives(int64_t pid, uint64_t start)
{
    if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return 0;
    struct pid_stat stat = pid_stat_read(pid);
    int ended = (stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1;
    return !ended && (start == 0 || stat.start == 0 || stat.start == start);
}

int process_lives_in(uint64_t namespace_id, int64_t pid, uint64_t start)
{
    return namespace_id != 0 && namespace_id == process_namespace() && process_lives(pid, start);
}

int process_is_alone(void)
{
    struct pid_stat stat = pid_stat_read(getpid());
    return stat.threads == 1 && getpid() == (pid_t)syscall(SYS_gettid);
}

/* Memory --------------------------------------------------------------- */

/* Returns 'p' or 's' as /proc/self/maps shows the mapping at this address; 0: no such mapping. */
static char maps_sharing(uintptr_t address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], sharing = 0;
    while (maps != NULL && sharing == 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        char rights[5];
        if (sscanf(line, "%llx-%llx %4s", &from, &to, rights) == 3 && from <= address &&
            address < to)
            sharing = rights[3];
    }
    if (maps != NULL)
        fclose(maps);
    return sharing;
}

int process_memory_is_private(const void *address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int before = errno;
    /* A length of 0 requests a second mapping of the page, which the kernel refuses for private
     * memory. */
    void *twin =
        mremap((void *)((uintptr_t)address & ~(uintptr_t)(page - 1)), 0, page, MREMAP_MAYMOVE);
    if (twin != MAP_FAILED)
        munmap(twin, page);
    int is_private = twin == MAP_FAILED && maps_sharing((uintptr_t)address) == 'p';
    errno = before;
    return is_private;
}

int process_memory_probe(const void *memory, uint64_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)memory & ~(page - 1);
    if (bytes - 1 > UINTPTR_MAX - (uintptr_t)memory)
        return 0;
    int before = errno;
    /* MS_ASYNC writes nothing back; the kernel walks the mappings and reports a gap. */
    size_t len = (size_t)((uintptr_t)memory + (bytes - 1) - first) + 1;
    int there = msync((void *)first, len, MS_ASYNC) == 0 ? 1 : errno == ENOMEM ? 0 : -1;
    errno = before;
    return there;
}

/* The library ---------------------------------------------------------- */

/* glibc alone: dlclose() of musl unloads nothing. */
#ifdef __GLIBC__

/* Weak: a static program has no dlclose(), and before glibc 2.34 a program that does not load
 * libdl has none either. */
extern int dladdr1(const void *address, Dl_info *info, void **extra, int flags)
    __attribute__((weak));
extern void *dlopen(const char *path, int flags) __attribute__((weak));

void process_keep_library(void)
{
    static int kept;
    Dl_info info;
    void *extra = NULL;
    if (__atomic_exchange_n(&kept, 1, __ATOMIC_RELAXED) || dladdr1 == NULL || dlopen == NULL ||
        dladdr1(&kept, &info, &extra, RTLD_DL_LINKMAP) == 0 || extra == NULL)
        return;
    const struct link_map *map = extra;
    if (map->l_name != NULL && map->l_name[0] != 0) /* else it is part of the program */
        (void)dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

#else

void process_keep_library(void) {}

#endif

/* Cancellation --------------------------------------------------------- */

int process_cancel_off(void)
{
    int state = PTHREAD_CANCEL_ENABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

void process_cancel_restore(int state)
{
    int disabled;
    pthread_setcancelstate(state, &disabled);
}
