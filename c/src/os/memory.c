/* memory.c: how much memory is left: it reads /proc and the files of control groups into buffers on
 * the stack, without malloc.
 *
 * memory_left is the minimum over the machine, the groups of the process and the groups above
 * them, in both versions of control groups. memory_suffices reads them only when the surplus of
 * its last check is used up or older than a second.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/shared.h"

/* Sizes of buffers, for small stacks. The library does not see the limits of a longer path. */
enum { TEXT_ROOM = 4096, PATH_ROOM = 1024, FILE_ROOM = PATH_ROOM + 64, HIERARCHIES = 2 };

#define NO_LIMIT UINT64_MAX
#define LIMIT_V1_NONE (UINT64_C(1) << 62) /* version 1 shows a number near 2^63 without a limit */
#define SPARE (UINT64_C(1) << 20)
#define SPARE_PART 64 /* page tables take about 1/200 of the memory that they map */
#define BUDGET_PART 8
#define BUDGET_MOST (UINT64_C(64) << 20)
#define BUDGET_NS UINT64_C(1000000000)

/* struct hierarchy: where control groups that may limit memory are mounted. */
struct hierarchy {
    char root[PATH_ROOM];  /* the group at the mount point */
    char point[PATH_ROOM]; /* empty: none */
};

/* of[0] is version 2, of[1] version 1. A machine may have both; one hierarchy limits memory. */
struct hierarchies {
    struct hierarchy of[HIERARCHIES];
};

struct limit_files {
    const char *limit, *used, *swap_limit, *swap_used;
    const char *inactive, *active; /* lines of memory.stat */
    int swap_counts_memory;        /* the swap limit counts memory and swap together */
};

static const struct limit_files files_of[HIERARCHIES] = {
    {"memory.max", "memory.current", "memory.swap.max", "memory.swap.current", "\ninactive_file ",
     "\nactive_file ", 0},
    {"memory.limit_in_bytes", "memory.usage_in_bytes", "memory.memsw.limit_in_bytes",
     "memory.memsw.usage_in_bytes", "\ntotal_inactive_file ", "\ntotal_active_file ", 1},
};

/* Reads at most room - 1 bytes of the file and adds NUL: 0; -1 when it is unreadable or empty. */
static int text_read(char *text, size_t room, const char *folder, const char *name)
{
    char path[FILE_ROOM];
    text[0] = 0;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = 0;
    ssize_t got;
    while (len < room - 1 && (got = read(fd, text + len, room - 1 - len)) > 0)
        len += (size_t)got;
    close(fd);
    text[len] = 0;
    return len != 0 ? 0 : -1;
}

/* Returns the number behind name in text, or otherwise where the name is missing. */
static uint64_t number_behind(const char *text, const char *name, uint64_t otherwise)
{
    const char *line = strstr(text, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) : otherwise;
}

/* Returns the number in a file. "max" and an unreadable file: NO_LIMIT. */
static uint64_t number_in(const char *folder, const char *name)
{
    char text[64], *end;
    if (text_read(text, sizeof text, folder, name) != 0)
        return NO_LIMIT;
    uint64_t number = strtoull(text, &end, 10);
    return end == text || number >= LIMIT_V1_NONE ? NO_LIMIT : number;
}

static uint64_t sum(uint64_t a, uint64_t b) { return a > NO_LIMIT - b ? NO_LIMIT : a + b; }
static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t left_of(uint64_t limit, uint64_t used) { return limit > used ? limit - used : 0; }

/* Returns the bytes that the group at folder allows. It reads the page cache, which is slow, only
 * where the rest is less than need. */
static uint64_t group_left(const char *folder, const struct limit_files *files, uint64_t swap_free,
                           uint64_t need)
{
    char text[TEXT_ROOM];
    uint64_t limit = number_in(folder, files->limit);
    uint64_t used = limit != NO_LIMIT ? number_in(folder, files->used) : NO_LIMIT;
    if (used == NO_LIMIT)
        return NO_LIMIT;
    uint64_t left = left_of(limit, used);
    if (left >= need && !files->swap_counts_memory)
        return left;
    text_read(text, sizeof text, folder, "memory.stat");
    uint64_t cache = number_behind(text, files->inactive, 0);
    cache = sum(cache, number_behind(text, files->active, 0));
    uint64_t swap_limit = number_in(folder, files->swap_limit);
    uint64_t swap_used = number_in(folder, files->swap_used);
    left = sum(left, cache);
    if (swap_limit == NO_LIMIT || swap_used == NO_LIMIT)
        return sum(left, swap_free);
    if (files->swap_counts_memory)
        return lesser(sum(left, swap_free), sum(left_of(swap_limit, swap_used), cache));
    return sum(left, lesser(left_of(swap_limit, swap_used), swap_free));
}

/* Returns the group's path below the mount point. NULL: the mount does not show the group, as in a
 * container. The limits of the group at the mount point hold for the process nevertheless. */
static const char *path_below(const char *root, const char *path)
{
    size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != 0) ||
        strncmp(path, "/..", 3) == 0)
        return NULL;
    return strcmp(path + len, "/") == 0 ? "" : path + len;
}

/* Returns the minimum of the group at this path and the groups above it. */
static uint64_t path_left(const struct hierarchy *hierarchy, const struct limit_files *files,
                          const char *path, uint64_t swap_free, uint64_t need)
{
    char folder[PATH_ROOM];
    const char *below = path_below(hierarchy->root, path);
    size_t top = strlen(hierarchy->point);
    uint64_t left = NO_LIMIT;
    if (snprintf(folder, sizeof folder, "%s%s", hierarchy->point, below != NULL ? below : "") >=
        (int)sizeof folder)
        return NO_LIMIT;
    for (;;) {
        left = lesser(left, group_left(folder, files, swap_free, need));
        char *end = strlen(folder) > top ? strrchr(folder + top, '/') : NULL;
        if (end == NULL)
            return left;
        *end = 0;
    }
}

/* Lines of /proc/self/mountinfo: 36 35 98:0 /root /point rw,noatime master:1 - cgroup2 source
 * options */

/* The kernel writes blanks and backslashes as three octal digits. */
static void octal_decode(char *text)
{
    char *to = text;
    for (; *text != 0; text++) {
        unsigned code;
        if (text[0] == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            text += 3;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

static int has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == 0 || at[len] == '\n'))
            return 1;
    return 0;
}

/* Notes the line if it is the first mount of a hierarchy. */
static void mount_note(struct hierarchies *found, const char *line)
{
    char root[PATH_ROOM], point[PATH_ROOM], type[16], options[128];
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(rest, " - %15s %*s %127s", type, options) != 2)
        return;
    int version_1 = strcmp(type, "cgroup") == 0;
    if (version_1 ? !has_word(options, "memory") : strcmp(type, "cgroup2") != 0)
        return;
    struct hierarchy *hierarchy = &found->of[version_1];
    if (hierarchy->point[0] != 0 || sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
        return;
    octal_decode(root);
    octal_decode(point);
    memcpy(hierarchy->root, root, sizeof root);
    memcpy(hierarchy->point, point, sizeof point);
}

/* Notes each line. A line too long for the buffer is no control group's: overlayfs lists its
 * layers. No stdio: a child of _Fork() must not use malloc. */
static NOINLINE void mounts_read(int fd, struct hierarchies *found)
{
    char text[TEXT_ROOM], *end;
    size_t len = 0;
    ssize_t got;
    int is_rest = 0; /* the rest of a line that is too long */
    while ((got = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        char *line = text;
        len += (size_t)got;
        text[len] = 0;
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1, is_rest = 0) {
            *end = 0;
            if (!is_rest)
                mount_note(found, line);
        }
        len -= (size_t)(line - text);
        memmove(text, line, len);
        if (len == sizeof text - 1) {
            is_rest = 1;
            len = 0;
        }
    }
}

static NOINLINE void hierarchies_find(struct hierarchies *found, const char *proc)
{
    char path[FILE_ROOM];
    memset(found, 0, sizeof *found);
    snprintf(path, sizeof path, "%s/self/mountinfo", proc);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    mounts_read(fd, found);
    close(fd);
}

/* Returns the minimum of all hierarchies. /proc/self/cgroup has a line "0::/path" for version 2 and
 * a line "4:cpu,memory:/path" for each hierarchy of version 1. */
static NOINLINE uint64_t groups_left(const struct hierarchies *hierarchies, const char *proc,
                                     uint64_t swap_free, uint64_t need)
{
    char text[TEXT_ROOM], *rest = NULL;
    uint64_t left = NO_LIMIT;
    text_read(text, sizeof text, proc, "self/cgroup");
    char *line = strtok_r(text, "\n", &rest);
    for (; line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = 0;
        int version_1 = controllers[1] != 0;
        const struct hierarchy *hierarchy = &hierarchies->of[version_1];
        if (hierarchy->point[0] == 0 || (version_1 && !has_word(controllers + 1, "memory")))
            continue;
        uint64_t here = path_left(hierarchy, &files_of[version_1], path, swap_free, need);
        left = lesser(left, here);
    }
    return left;
}

/* NOINLINE, as groups_left: a small stack must not hold both buffers at once. */
static NOINLINE uint64_t machine_left(const char *proc, uint64_t *swap_free)
{
    char text[TEXT_ROOM];
    text_read(text, sizeof text, proc, "meminfo");
    uint64_t available = number_behind(text, "\nMemAvailable:", NO_LIMIT);
    *swap_free = number_behind(text, "\nSwapFree:", 0) * 1024;
    return available != NO_LIMIT ? sum(available * 1024, *swap_free) : NO_LIMIT;
}

static uint64_t all_left(const struct hierarchies *hierarchies, const char *proc, uint64_t need)
{
    uint64_t swap_free, machine = machine_left(proc, &swap_free);
    return lesser(machine, groups_left(hierarchies, proc, swap_free, need));
}

uint64_t memory_left(const char *proc, uint64_t need)
{
    struct hierarchies hierarchies;
    hierarchies_find(&hierarchies, proc);
    return all_left(&hierarchies, proc, need);
}

/* Finds once a process where the hierarchies are mounted: mountinfo of a container or a sandbox has
 * hundreds of lines. A thread that comes while another one stores them does not wait, but finds
 * them for itself. So does a child that was forked in that moment. */
static uint64_t process_left(uint64_t need)
{
    enum { UNKNOWN, BEING_STORED, STORED };
    static struct hierarchies stored;
    static uint32_t state;
    struct hierarchies found;
    if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == STORED)
        return all_left(&stored, "/proc", need);
    hierarchies_find(&found, "/proc");
    uint32_t unknown = UNKNOWN;
    if (__atomic_compare_exchange_n(&state, &unknown, BEING_STORED, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        stored = found;
        __atomic_store_n(&state, STORED, __ATOMIC_RELEASE);
    }
    return all_left(&found, "/proc", need);
}

/* The surplus that the last check found, when it expires, and a hash of the groups that it was
 * found in. Threads may overdraw it by less than one request each. */
static int64_t memory_budget;
static shared_u64 budget_end_ns, budget_groups;

/* A hash of the process's groups (FNV-1a): a runtime may have moved the process meanwhile. */
static NOINLINE uint64_t groups_hash(void)
{
    char text[TEXT_ROOM];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    text_read(text, sizeof text, "/proc", "self/cgroup");
    for (const char *next = text; *next != 0; next++)
        hash = (hash ^ (unsigned char)*next) * UINT64_C(0x100000001b3);
    return hash;
}

static int budget_take(uint64_t bytes, uint64_t now)
{
    return now < load_u64(&budget_end_ns) && bytes <= BUDGET_MOST &&
           groups_hash() == load_u64(&budget_groups) &&
           __atomic_fetch_sub(&memory_budget, (int64_t)bytes, __ATOMIC_RELAXED) >= (int64_t)bytes;
}

static void budget_set(uint64_t bytes, uint64_t now)
{
    store_u64(&budget_end_ns, 0); /* while its parts change, no thread takes from it */
    __atomic_store_n(&memory_budget, (int64_t)lesser(bytes, BUDGET_MOST), __ATOMIC_RELAXED);
    store_u64(&budget_groups, groups_hash());
    __atomic_store_n(SHARED_VALUE(&budget_end_ns), now + BUDGET_NS, __ATOMIC_RELEASE);
}

void memory_forget(void) { store_u64(&budget_end_ns, 0); }

int memory_suffices(uint64_t bytes)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    int before = errno, taken = budget_take(bytes, now);
    errno = before;
    if (taken)
        return 0;
    uint64_t need = sum(sum(bytes, bytes / SPARE_PART), SPARE), left = process_left(need);
    budget_set(left > need ? (left - need) / BUDGET_PART : 0, now);
    errno = before;
    return left >= need ? 0 : error_cause(ENOSPC, CAUSE_MEMORY_LEFT, need, left);
}
