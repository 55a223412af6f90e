/* Where a row's heap lies: names that no other row has, folders, the caller's memory, and the
 * proof that nothing of it is left at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/cover/cover.h"
#include "tests/seams/seams.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 1024, TMPFS_MAGIC_NUMBER = 0x01021994 };
enum { HUGE_PAGE = 2 << 20, SPARSE_FROM = 64 << 20 };
static const char shm_folder[] = "/dev/shm";

static int folder_is_tmpfs(const char *folder)
{
    struct statfs status;
    return statfs(folder, &status) == 0 && status.f_type == TMPFS_MAGIC_NUMBER;
}

static const char *folder_on_disk(void)
{
    const char *candidates[] = {getenv("TEST_TMPDIR"), "/var/tmp", "/tmp"};
    for (unsigned i = 0; i < 3; i++)
        if (candidates[i] != NULL && access(candidates[i], W_OK) == 0 &&
            !folder_is_tmpfs(candidates[i]))
            return candidates[i];
    return NULL;
}

/* A tmpfs of this row alone, with room for the heap and little more, where /dev/shm was. Processes
 * that take a heap over at once may still hold the one before, and the one before that. */
static void small_tmpfs(void)
{
    char options[64];
    uint64_t heaps = row_is(FLAGS, FLAGS_TAKE_OVER) ? 3 : 1;
    uint64_t room = heaps * (stage->len + stage->len / 16) + (1 << 20);
    snprintf(options, sizeof options, "size=%llu,mode=1777", (unsigned long long)room);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("seams", shm_folder, "tmpfs", 0, options) != 0)
        seams_skip(EVENT, "a small tmpfs cannot be mounted here: %s", strerror(errno));
    stage->place.private_mounts = 1;
}

/* The machine's limit of huge pages that are made when they are needed: raised or lowered. Returns
 * 0, or -1: it cannot be changed. The lock is for other rows, of other runs. */
static int huge_pages_change(int64_t by)
{
    long long now = -1;
    int written = 0;
    FILE *file = fopen("/proc/sys/vm/nr_overcommit_hugepages", "r+e");
    if (file == NULL)
        return -1;
    flock(fileno(file), LOCK_EX);
    if (fscanf(file, "%lld", &now) == 1 && now + by >= 0) {
        rewind(file);
        written = fprintf(file, "%lld", now + (long long)by) > 0 && fflush(file) == 0;
    }
    fclose(file);
    return written ? 0 : -1;
}

/* A hugetlbfs of this row alone on the folder, its pages reserved, so that no row takes those of
 * another: for each heap of the row (those that a dead process left, and others, too) all that it
 * may become. */
static void huge_mount(struct place *place)
{
    char options[96];
    uint64_t heap = stage->max_len + stage->max_len / 16 + 3 * HUGE_PAGE;
    uint64_t heaps = row_is(FLAGS, FLAGS_TAKE_OVER) ? 4 : 2;
    uint64_t pages = (heaps * heap + HUGE_PAGE - 1) / HUGE_PAGE;
    unsigned long long room = pages * HUGE_PAGE;
    snprintf(options, sizeof options, "size=%llu,min_size=%llu,mode=0755", room, room);
    if (huge_pages_change((int64_t)pages) != 0)
        seams_skip(MEMORY, "the machine's limit of huge pages cannot be changed here");
    place->huge_pages = pages;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("seams", place->folder, "hugetlbfs", 0, options) != 0)
        seams_skip(MEMORY, "a hugetlbfs with pages of its own cannot be mounted here: %s",
                   strerror(errno));
    place->mounted = 1;
}

/* All pages of the hugetlbfs are free again, and no process has anything of it. */
static void huge_unmount(struct place *place)
{
    struct statfs status;
    EXPECT(statfs(place->folder, &status) == 0 && status.f_bfree == status.f_blocks,
           "all huge pages are expected to be free at the end; %llu of %llu are",
           (unsigned long long)status.f_bfree, (unsigned long long)status.f_blocks);
    EXPECT(umount(place->folder) == 0,
           "no process is expected to have anything of the hugetlbfs at the end: %s",
           strerror(errno));
}

static void folder_make(struct place *place)
{
    const char *above = row_is(MEMORY, MEMORY_FILE_DISK) ? folder_on_disk() : shm_folder;
    if (above == NULL)
        seams_skip(MEMORY, "no folder on a disk can be written here: all are tmpfs");
    if (!row_is(MEMORY, MEMORY_FILE_DISK) && !folder_is_tmpfs(shm_folder))
        seams_skip(MEMORY, "%s is no tmpfs here", shm_folder);
    snprintf(place->folder, sizeof place->folder, "%s/%s", above, place->tag);
    EXPECT(mkdir(place->folder, 0755) == 0, "a folder is expected to be made: %s", strerror(errno));
    if (row_is(MEMORY, MEMORY_FILE_HUGE))
        huge_mount(place);
    snprintf(place->name, sizeof place->name, "%s/heap", place->folder);
    snprintf(place->other, sizeof place->other, "%s/other", place->folder);
}

static void memory_make(struct place *place)
{
    int flags = row_is(MEMORY, MEMORY_SHARED) ? MAP_SHARED : MAP_PRIVATE;
    place->memory_len = stage->max_len + stage->max_len / 16 + (4 << 20);
    place->memory = mmap(NULL, place->memory_len, PROT_READ | PROT_WRITE,
                         flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(place->memory != MAP_FAILED, "memory of the caller's is expected to be had: %s",
           strerror(errno));
}

/* A container of Docker has 64 MiB of /dev/shm. A heap grows to twice its length, a dead process
 * leaves a heap, a copy is as long. A heap of 1 GiB is sparse: it fills a part. */
static void shm_room_check(void)
{
    struct statfs status;
    uint64_t need = stage->len > SPARSE_FROM ? stage->len / 4 : 4 * stage->len;
    if (statfs(shm_folder, &status) == 0 && status.f_blocks != 0 &&
        (uint64_t)status.f_bavail * (uint64_t)status.f_bsize < need)
        seams_skip(SIZE, "%s has less than %llu MiB free (docker run --shm-size=4g)", shm_folder,
                   (unsigned long long)(need >> 20));
}

void place_make(void)
{
    struct place *place = &stage->place;
    uint64_t state = stage->seed ^ (uint64_t)getpid() << 32;
    snprintf(place->tag, sizeof place->tag, "seams-%d-%08llx", (int)getpid(),
             (unsigned long long)(cover_random(&state) & 0xffffffff));
    snprintf(place->name, sizeof place->name, "/%s", place->tag);
    snprintf(place->other, sizeof place->other, "/%s-other", place->tag);
    if (row_is(EVENT, EVENT_FULL))
        small_tmpfs();
    else if (row_is(MEMORY, MEMORY_SHM) || row_is(MEMORY, MEMORY_FILE_TMPFS))
        shm_room_check();
    if (row_file())
        folder_make(place);
    if (row_callers())
        memory_make(place);
    EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, place->post) == 0,
           "a socket is expected");
}

void place_note_file(int fd)
{
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0) {
        stage->place.device = status.st_dev;
        stage->place.inode = status.st_ino;
    }
}

static int descriptor_of_heap(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && stage->place.inode != 0 &&
           status.st_ino == stage->place.inode && status.st_dev == stage->place.device;
}

int descriptors_open(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A line of /proc/self/maps: from-to rights offset device inode path. */
static int mapping_of_heap(const char *line)
{
    unsigned high, low;
    unsigned long long inode;
    if (sscanf(line, "%*s %*s %*s %x:%x %llu", &high, &low, &inode) != 3 || stage->place.inode == 0)
        return 0;
    return inode == stage->place.inode && makedev(high, low) == stage->place.device;
}

void place_check_process(void)
{
    char line[512];
    int of_heap = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        of_heap += descriptor_of_heap(fd);
    EXPECT(of_heap == 0,
           "after shmheap_disconnect no descriptor of the heap's file is expected; %d are left",
           of_heap);
    if (me()->fds_known) {
        int now = descriptors_open();
        EXPECT(now == me()->fds_before,
               "after shmheap_disconnect %d open descriptors are expected, as before "
               "opening; there are %d",
               me()->fds_before, now);
    }
    FILE *maps = fopen("/proc/self/maps", "re"); /* not there after chroot() */
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        EXPECT(!mapping_of_heap(line),
               "after shmheap_disconnect no mapping of the heap is expected; left: %s", line);
    if (maps != NULL)
        fclose(maps);
}

/* Removes what has the tag in its name, and says what it found. */
static unsigned folder_clear(const char *folder, int remove_them, char *found, size_t room)
{
    DIR *entries = opendir(folder);
    unsigned count = 0;
    int all = strcmp(folder, stage->place.folder) == 0;
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char path[600];
        if (entry->d_name[0] == '.' || (!all && strstr(entry->d_name, stage->place.tag) == NULL))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(found, room, "%s", path);
        count++;
        if (remove_them)
            remove(path);
    }
    if (entries != NULL)
        closedir(entries);
    return count;
}

void place_check_end(void)
{
    char found[600] = "";
    unsigned left = 0;
    if (stage->place.folder[0] != 0) {
        left = folder_clear(stage->place.folder, 0, found, sizeof found);
        EXPECT(left == 0, "no file is expected in the heap's folder at the end; left: %s", found);
        if (stage->place.mounted)
            huge_unmount(&stage->place);
        EXPECT(rmdir(stage->place.folder) == 0, "the heap's folder is expected to be empty: %s",
               strerror(errno));
    }
    left = folder_clear(shm_folder, 0, found, sizeof found);
    EXPECT(left == 0, "nothing of the row is expected in /dev/shm at the end; left: %s", found);
}

void place_remove(void)
{
    char found[600];
    if (stage->place.huge_pages != 0)
        huge_pages_change(-(int64_t)stage->place.huge_pages);
    if (stage->place.group[0] != 0)
        rmdir(stage->place.group);
    if (stage->place.folder[0] != 0)
        folder_clear(stage->place.folder, 1, found, sizeof found);
    if (stage->place.folder[0] != 0)
        rmdir(stage->place.folder);
    if (stage->place.tag[0] != 0)
        folder_clear(shm_folder, 1, found, sizeof found);
}
