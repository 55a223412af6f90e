/* How much memory a process may still take, as the machine and its control groups tell: in folders
 * that look like /proc and /sys/fs/cgroup, of version 1, of version 2, and inside a container.
 *
 * open is wrapped: it counts the readings of /proc/meminfo.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/os/memory.h"
#include "tests/support/test.h"

enum { PATH_ROOM = 600, FILES_MAX = 16 };

#define MIB(n) ((uint64_t)(n) << 20)
#define MUCH "MemTotal: 9999999 kB\nMemAvailable: 4194304 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
#define SWAP "MemTotal: 9999999 kB\nMemAvailable: 4194304 kB\nSwapTotal: 0 kB\nSwapFree: 20480 kB\n"
#define V2 "31 23 0:28 / @ rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1                                                                                         \
    "30 23 0:27 / /nowhere rw - cgroup cpu rw,cpu\n"                                               \
    "31 23 0:28 / @ rw - cgroup cgroup rw,memory\n"
#define OF_HOST "31 23 0:28 /docker/0af @ ro - cgroup2 cgroup rw\n"
#define NONE "9223372036854771712\n"

/* struct machine: files below a folder, and what they mean. In texts, @ is the folder sys. */
struct machine {
    const char *text;
    const char *meminfo, *cgroup, *mountinfo;
    struct {
        const char *path, *text;
    } files[FILES_MAX];
    uint64_t left;
};

static const struct machine machines[] = {
    {"no control groups", MUCH, NULL, NULL, {{NULL, NULL}}, MIB(4096)},
    {"none mounted",
     SWAP,
     "0::/a\n",
     "22 27 0:21 / /proc rw - proc proc rw\n",
     {{NULL, NULL}},
     MIB(4116)},
    {"an old kernel", "MemTotal: 99 kB\nMemFree: 9 kB\n", NULL, NULL, {{NULL, NULL}}, UINT64_MAX},
    {"2: no limit",
     MUCH,
     "0::/a/b\n",
     V2,
     {{"a/memory.max", "max\n"}, {"a/b/memory.max", "max\n"}},
     MIB(4096)},
    {"2: a limit",
     MUCH,
     "0::/a/b\n",
     V2,
     {{"a/b/memory.max", "104857600\n"}, {"a/b/memory.current", "41943040\n"}},
     MIB(60)},
    {"2: a limit far above",
     MUCH,
     "0::/a/b/c/d\n",
     V2,
     {{"a/memory.max", "104857600\n"},
      {"a/memory.current", "94371840\n"},
      {"a/b/c/d/memory.max", "max\n"}},
     MIB(10)},
    {"2: the least of both",
     MUCH,
     "0::/a/b\n",
     V2,
     {{"a/memory.max", "104857600\n"},
      {"a/memory.current", "94371840\n"},
      {"a/b/memory.max", "20971520\n"},
      {"a/b/memory.current", "18874368\n"}},
     MIB(2)},
    {"2: more than the limit",
     MUCH,
     "0::/a\n",
     V2,
     {{"a/memory.max", "104857600\n"}, {"a/memory.current", "104857601\n"}},
     0},
    {"2: page cache",
     MUCH,
     "0::/a\n",
     V2,
     {{"a/memory.max", "104857600\n"},
      {"a/memory.current", "104857600\n"},
      {"a/memory.stat", "anon 7\nfile 94371840\nshmem 10485760\ninactive_anon 5\nactive_anon 6\n"
                        "inactive_file 10485760\nactive_file 5242880\nunevictable 9\n"}},
     MIB(15)},
    {"2: swap",
     SWAP,
     "0::/a\n",
     V2,
     {{"a/memory.max", "104857600\n"},
      {"a/memory.current", "94371840\n"},
      {"a/memory.swap.max", "max\n"},
      {"a/memory.swap.current", "0\n"}},
     MIB(30)},
    {"2: little swap",
     SWAP,
     "0::/a\n",
     V2,
     {{"a/memory.max", "104857600\n"},
      {"a/memory.current", "94371840\n"},
      {"a/memory.swap.max", "3145728\n"},
      {"a/memory.swap.current", "1048576\n"}},
     MIB(12)},
    {"2: inside a container",
     MUCH,
     "0::/\n",
     V2,
     {{"memory.max", "104857600\n"}, {"memory.current", "41943040\n"}},
     MIB(60)},
    {"2: a group beside the container's",
     MUCH,
     "0::/../other\n",
     V2,
     {{"memory.max", "104857600\n"}, {"memory.current", "41943040\n"}},
     MIB(60)},
    {"2: a container that sees the host's path",
     MUCH,
     "0::/docker/0af\n",
     OF_HOST,
     {{"memory.max", "104857600\n"}, {"memory.current", "41943040\n"}},
     MIB(60)},
    {"2: and a group in it",
     MUCH,
     "0::/docker/0af/job\n",
     OF_HOST,
     {{"job/memory.max", "104857600\n"}, {"job/memory.current", "41943040\n"}},
     MIB(60)},
    {"2: a path that only begins so",
     MUCH,
     "0::/docker/0afff\n",
     OF_HOST,
     {{"memory.max", "104857600\n"},
      {"memory.current", "41943040\n"},
      {"ff/memory.max", "1\n"},
      {"ff/memory.current", "1\n"}},
     MIB(60)},
    {"2: a group that was removed",
     MUCH,
     "0::/a/b (deleted)\n",
     V2,
     {{"a/memory.max", "104857600\n"}, {"a/memory.current", "41943040\n"}},
     MIB(60)},
    {"2: texts that mean nothing",
     MUCH,
     "0::/a\nx\n::\n1:y\n",
     V2 "short\n - \n",
     {{"a/memory.max", "hello\n"}, {"a/memory.current", "\n"}},
     MIB(4096)},
    {"1: no limit",
     MUCH,
     "5:cpu:/x\n4:memory:/a\n",
     V1,
     {{"a/memory.limit_in_bytes", NONE}, {"a/memory.usage_in_bytes", "1\n"}},
     MIB(4096)},
    {"1: a limit",
     MUCH,
     "5:cpu:/x\n4:memory:/a\n",
     V1,
     {{"a/memory.limit_in_bytes", "104857600\n"}, {"a/memory.usage_in_bytes", "41943040\n"}},
     MIB(60)},
    {"1: page cache",
     MUCH,
     "4:hugetlb,memory:/a\n",
     V1,
     {{"a/memory.limit_in_bytes", "104857600\n"},
      {"a/memory.usage_in_bytes", "104857600\n"},
      {"a/memory.stat", "cache 9\ninactive_file 1\nactive_file 1\ntotal_inactive_file 1048576\n"
                        "total_active_file 2097152\n"}},
     MIB(3)},
    {"1: swap and memory together",
     SWAP,
     "4:memory:/a\n",
     V1,
     {{"a/memory.limit_in_bytes", "104857600\n"},
      {"a/memory.usage_in_bytes", "94371840\n"},
      {"a/memory.memsw.limit_in_bytes", "110100480\n"},
      {"a/memory.memsw.usage_in_bytes", "94371840\n"}},
     MIB(15)},
    {"1: without swap accounting",
     SWAP,
     "4:memory:/a\n",
     V1,
     {{"a/memory.limit_in_bytes", "104857600\n"}, {"a/memory.usage_in_bytes", "94371840\n"}},
     MIB(30)},
    {"both: memory in version 1",
     MUCH,
     "4:memory:/a\n0::/b\n",
     V1,
     {{"a/memory.limit_in_bytes", "104857600\n"},
      {"a/memory.usage_in_bytes", "41943040\n"},
      {"b/memory.max", "1\n"},
      {"b/memory.current", "1\n"}},
     MIB(60)},
};

/* Makes the folders on the way. */
static void put(const char *folder, const char *name, const char *text)
{
    char path[PATH_ROOM];
    CHECK(snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_ROOM);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* text with each @ replaced by the folder's name, its blanks written as the kernel writes them. */
static const char *with_folder(const char *text, const char *folder)
{
    static char out[4096];
    size_t len = 0;
    for (; *text != 0; text++) {
        if (*text != '@') {
            out[len++] = *text;
            continue;
        }
        for (const char *at = folder; *at != 0; at++)
            len += (size_t)sprintf(out + len, *at == ' ' ? "\\040" : "%c", *at);
    }
    out[len] = 0;
    return out;
}

static void each_machine(void)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct machine *machine = &machines[i];
        const char *folder = test_path();
        char sys[PATH_ROOM], command[PATH_ROOM + 20];
        printf("  %s\n", machine->text);
        snprintf(sys, sizeof sys, "%s/my sys", folder);
        put(folder, "meminfo", machine->meminfo);
        if (machine->cgroup != NULL)
            put(folder, "self/cgroup", machine->cgroup);
        if (machine->mountinfo != NULL)
            put(folder, "self/mountinfo", with_folder(machine->mountinfo, sys));
        for (size_t file = 0; file < FILES_MAX && machine->files[file].path != NULL; file++)
            put(sys, machine->files[file].path, machine->files[file].text);
        CHECK_EQ(memory_left(folder, UINT64_MAX), machine->left);
        CHECK(memory_left(folder, 1) >= (machine->left < 1 ? 0 : 1));
        snprintf(command, sizeof command, "rm -r '%s'", folder);
        CHECK_EQ(system(command), 0);
    }
}

/* Mounts before the control group's fill the first reads of the file in each way; one is longer
 * than any buffer, as overlayfs's line with its layers may be. */
static void a_long_list_of_mounts(void)
{
    enum { STEPS = 300, STEP = 37, LONG = 20000 };
    static char text[LONG + STEPS * STEP + 400];
    const char *folder = test_path();
    char sys[PATH_ROOM], command[PATH_ROOM + 20];
    snprintf(sys, sizeof sys, "%s/sys", folder);
    put(folder, "meminfo", MUCH);
    put(folder, "self/cgroup", "0::/a\n");
    put(sys, "a/memory.max", "104857600\n");
    put(sys, "a/memory.current", "41943040\n");
    for (unsigned i = 0; i < STEPS; i += 7) {
        size_t len = (size_t)sprintf(text, "21 1 0:1 / /x rw - overlay overlay rw,lowerdir=");
        for (unsigned k = 0; k < (i % 2 ? LONG : 100) + i * STEP; k++)
            text[len++] = 'l';
        sprintf(text + len, "\n%s", with_folder(V2, sys));
        put(folder, "self/mountinfo", text);
        CHECK_EQ(memory_left(folder, UINT64_MAX), MIB(60));
    }
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
}

/* Small requests are looked at together. One that no machine has is refused each time. */
static void what_no_machine_has(void)
{
    errno = 1234;
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(memory_suffices(1 << 20), 0);
    CHECK_EQ(errno, 1234);
    for (unsigned i = 0; i < 3; i++)
        CHECK_REFUSED(memory_suffices(UINT64_C(1) << 60) == -1, ENOSPC);
    CHECK_EQ(memory_suffices(1), 0);
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);

static unsigned readings;
static const char *groups; /* a file that counts as /proc/self/cgroup; NULL: that itself */

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    readings += strcmp(path, "/proc/meminfo") == 0;
    if (groups != NULL && strcmp(path, "/proc/self/cgroup") == 0)
        path = groups;
    return __real_open(path, flags, mode);
}

static void child_reads_once(void *context)
{
    CHECK(context == NULL);
    readings = 0;
    CHECK_EQ(memory_suffices(1 << 20), 0);
    CHECK_EQ(memory_suffices(1 << 20), 0);
    CHECK_LE(1, readings);
}

/* A forked child does not spend what its parent found: it may be in another control group by
 * then. */
static void children_read_for_themselves(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0); /* now the library notices forks */
    for (unsigned i = 0; i < 20; i++) {
        CHECK_EQ(memory_suffices(1 << 20), 0);
        test_join(test_fork(child_reads_once, NULL));
    }
    shmheap_disconnect(mem);
}

/* Makes calls until one is served from what the call before found. 0: none is, so memory is short
 * here. */
static int suffices_without_reading(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        readings = 0;
        CHECK_EQ(memory_suffices(1 << 12), 0);
        if (readings == 0)
            return 1;
    }
    return 0;
}

/* What a process found in one control group does not count in another one, which a runtime has
 * moved it to. */
static void a_process_that_is_moved(void)
{
    const char *folder = test_path();
    char path[PATH_ROOM];
    CHECK(snprintf(path, sizeof path, "%s/cgroup", folder) < PATH_ROOM);
    put(folder, "cgroup", "0::/a\n");
    groups = path;
    for (unsigned i = 0; i < 10; i++) {
        if (!suffices_without_reading()) {
            printf("  skipped: each request reads what is left: there is too little memory\n");
            break;
        }
        put(folder, "cgroup", i % 2 == 0 ? "0::/a/limited\n" : "0::/a\n");
        readings = 0;
        CHECK_EQ(memory_suffices(1 << 12), 0);
        CHECK_EQ(readings, 1);
    }
    groups = NULL;
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
}

static void heaps_that_no_machine_has(void)
{
    const char *name = test_name();
    struct stat status;
    uint64_t most = UINT64_C(1) << 39;
    if (most > SIZE_MAX) {
        printf("  skipped: a process of 32 bits cannot ask for so much\n");
        return;
    }
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, (size_t)most)), ENOSPC);
    CHECK(stat(test_shm_path(name), &status) != 0);
    shmheap_memory_handle mem = test_anonymous(1 << 20, (size_t)most, 0);
    CHECK_REFUSED(shmheap_alloc(mem, (size_t)most / 2) == NULL, ENOMEM);
    CHECK(shmheap_alloc(mem, 1 << 20) != NULL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(each_machine),
                                    TEST(a_long_list_of_mounts),
                                    TEST(what_no_machine_has),
                                    TEST(children_read_for_themselves),
                                    TEST(a_process_that_is_moved),
                                    TEST(heaps_that_no_machine_has)};
TEST_MAIN(tests)
