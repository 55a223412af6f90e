/* Real limits: small file systems of each kind, filled to the last page, and a control group with a
 * limit. Needs the right to mount and to make groups; what cannot be had is said and counted.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/group.h"
#include "tests/support/test.h"

enum { ROOM = 1200, LEN = 1 << 20, LARGE = 1 << 30, OBJECT = 100000, OBJECTS = 8000, CROWD = 40 };
enum { HUGE_PAGES = 40, GROUP_LIMIT = 48 << 20, HEAPS = 100 };

/* struct place: a file system. prepare mounts it on the folder "on", and may use a file "image".
 * again: writing to clean pages once more takes no minutes. */
struct place {
    const char *text, *prepare;
    int again, huge_pages;
};

#define IMAGE(size, mkfs) "truncate -s " size " image && " mkfs " image && mount -o loop image on"
#define OVER                                                                                       \
    "mkdir below on/u on/w over && mount -t overlay "                                              \
    "-o lowerdir=below,upperdir=on/u,workdir=on/w none over && mount --move over on"

static const struct place places[] = {
    {"tmpfs", "mount -t tmpfs -o size=64m none on", 1, 0},
    {"ext2", IMAGE("64M", "mkfs.ext2 -q -F -b 4096"), 1, 0},
    {"ext2 with small blocks", IMAGE("64M", "mkfs.ext2 -q -F -b 1024"), 1, 0},
    {"ext3", IMAGE("64M", "mkfs.ext3 -q -F"), 1, 0},
    {"ext4", IMAGE("64M", "mkfs.ext4 -q -F"), 1, 0},
    {"vfat", IMAGE("64M", "mkfs.vfat"), 1, 0},
    {"xfs", IMAGE("320M", "mkfs.xfs -q -f"), 1, 0},
    {"btrfs", IMAGE("128M", "mkfs.btrfs -q -f"), 0, 0}, /* full, it looks for space at each page */
    {"overlayfs over tmpfs", "mount -t tmpfs -o size=64m none on && " OVER, 1, 0},
    {"overlayfs over ext4", IMAGE("64M", "mkfs.ext4 -q -F") " && " OVER, 1, 0},
    {"hugetlbfs", "mount -t hugetlbfs none on", 1, HUGE_PAGES},
};

static void *objects[OBJECTS];

static int run(const char *folder, const char *command)
{
    char text[ROOM];
    CHECK(snprintf(text, sizeof text, "cd '%s' && PATH=$PATH:/usr/sbin:/sbin && (%s) >log 2>&1",
                   folder, command) < ROOM);
    test_tolerate_crashes(1);
    int status = system(text);
    test_tolerate_crashes(0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint64_t free_blocks(const char *folder)
{
    struct statfs status;
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && syncfs(fd) == 0 && fstatfs(fd, &status) == 0 && close(fd) == 0);
    return status.f_bfree;
}

static unsigned mappings_of(const char *path)
{
    char line[ROOM];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, path) != NULL;
    fclose(maps);
    return count;
}

/* Objects until none fits, and then small ones: how many large ones. */
static size_t fill(shmheap_memory_handle mem)
{
    size_t count = 0;
    for (; count < OBJECTS && (objects[count] = shmheap_alloc(mem, OBJECT)) != NULL; count++)
        test_fill(objects[count], OBJECT, count);
    CHECK_EQ(errno, ENOMEM);
    for (void *small; (small = shmheap_alloc(mem, 1000)) != NULL;)
        test_fill(small, 1000, 7);
    CHECK_EQ(errno, ENOMEM);
    return count;
}

static void fill_again(size_t count, int fd)
{
    CHECK_EQ(syncfs(fd), 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(test_filled(objects[i], OBJECT, i));
        test_fill(objects[i], OBJECT, i + 1);
    }
    CHECK_EQ(fsync(fd), 0);
}

static void grow_to_the_end(const char *path, unsigned flags, int again)
{
    shmheap_options options = {.len = LEN, .max_len = LARGE};
    options.flags = SHMHEAP_FILE | SHMHEAP_CREATE | flags;
    shmheap_memory_handle mem, crowd[CROWD];
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQ(shmheap_open_fd(&crowd[i], shmheap_fd(mem), NULL), 0);
    size_t count = fill(mem);
    CHECK(count > 100 && count < OBJECTS);
    if (again)
        fill_again(count, shmheap_fd(mem));
    CHECK_EQ(test_stat(mem).processes, CROWD + 1);
    CHECK_SOUND(mem);
    printf("    %zu objects, %llu KiB\n", count, (unsigned long long)test_stat(mem).len / 1024);
    for (unsigned i = 0; i < CROWD; i++)
        shmheap_disconnect(crowd[i]);
    shmheap_destroy(path, mem);
}

static void too_large(const char *path)
{
    shmheap_options options = {.len = LARGE, .flags = SHMHEAP_FILE | SHMHEAP_CREATE};
    shmheap_memory_handle mem;
    struct stat status;
    CHECK_REFUSED(shmheap_open(&mem, path, &options) == -1, ENOSPC);
    CHECK_REFUSED(stat(path, &status) == -1, ENOENT);
}

struct visit {
    const struct place *place;
    const char *folder;
    int *state; /* shared: 1 when the place could be had */
};

static void use_place(const struct visit *visit)
{
    char folder[ROOM], path[ROOM + 10];
    snprintf(folder, sizeof folder, "%s/on", visit->folder);
    snprintf(path, sizeof path, "%s/heap", folder);
    uint64_t before = free_blocks(folder);
    too_large(path);
    CHECK_LE(before, free_blocks(folder) + before / 16); /* XFS and btrfs keep some */
    grow_to_the_end(path, 0, visit->place->again);
    grow_to_the_end(path, SHMHEAP_HUGE_PAGES, visit->place->again);
    CHECK_EQ(mappings_of(path), 0);
    if (visit->place->again)
        CHECK_LE(before, free_blocks(folder) + before / 16);
}

/* A mount namespace of its own, so that nothing stays mounted however the process ends. */
static void visit(void *context)
{
    const struct visit *visit = context;
    CHECK(mkdir(visit->folder, 0700) == 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        run(visit->folder, "mkdir on") != 0 || run(visit->folder, visit->place->prepare) != 0)
        return;
    *visit->state = 1;
    use_place(visit);
}

/* The machine's number of huge pages: what it was, or -1 where it cannot be changed. */
static long huge_pages_change(long by)
{
    long now = -1;
    FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r+");
    if (file == NULL)
        return -1;
    int read = fscanf(file, "%ld", &now);
    rewind(file);
    int written = read == 1 && fprintf(file, "%ld", now + by) > 0;
    return fclose(file) == 0 && written ? now : -1;
}

static void remove_folder(const char *folder)
{
    char command[ROOM];
    snprintf(command, sizeof command, "rm -rf --one-file-system '%s'", folder);
    CHECK_EQ(system(command), 0);
}

static void each_place(void)
{
    unsigned ran = 0, skipped = 0;
    int *state = test_shared(sizeof *state);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct visit place = {&places[i], test_path(), state};
        printf("  %s\n", places[i].text);
        fflush(stdout);
        *state = 0;
        if (places[i].huge_pages == 0 || huge_pages_change(places[i].huge_pages) >= 0) {
            pid_t pid = test_fork(visit, &place);
            test_join(pid);
            if (places[i].huge_pages != 0)
                huge_pages_change(-places[i].huge_pages);
        }
        if (!*state)
            printf("    skipped: it cannot be made or mounted here\n");
        ran += *state != 0;
        skipped += *state == 0;
        remove_folder(place.folder);
    }
    printf("  %u file systems filled, %u skipped\n", ran, skipped);
    test_unshare(state, sizeof *state);
}

/* Control groups ------------------------------------------------------------------------------ */

static void makes_large(void *folder)
{
    const char *name = test_name();
    struct stat status;
    CHECK_EQ(group_enter(folder), 0);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, 256 << 20)), ENOSPC);
    CHECK(stat(test_shm_path(name), &status) != 0);
    shmheap_memory_handle mem = shmheap_create(name, GROUP_LIMIT / 2);
    CHECK(shmheap_valid(mem));
    shmheap_destroy(name, mem);
}

static void grows(void *folder)
{
    CHECK_EQ(group_enter(folder), 0);
    shmheap_memory_handle mem = test_anonymous(LEN, 256 << 20, 0);
    size_t count = fill(mem);
    CHECK((uint64_t)count * OBJECT > GROUP_LIMIT / 2);
    CHECK_SOUND(mem);
    printf("    %zu objects\n", count);
}

static void makes_many(void *folder)
{
    static shmheap_memory_handle mems[HEAPS];
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    unsigned count = 0;
    CHECK_EQ(group_enter(folder), 0);
    while (count < HEAPS && shmheap_open(&mems[count], NULL, &options) == 0)
        count++;
    CHECK_EQ(errno, ENOSPC);
    CHECK_LE(count, GROUP_LIMIT / LEN);
    CHECK(count > GROUP_LIMIT / LEN / 2);
    printf("    %u heaps\n", count);
}

static void group_with_a_limit(void)
{
    char folder[ROOM];
    if (group_make(folder, sizeof folder, GROUP_LIMIT) != 0) {
        printf("  skipped: no control group with a limit can be made here\n");
        return;
    }
    test_tolerate_crashes(1);
    int large = test_wait(test_fork(makes_large, folder));
    int grown = test_wait(test_fork(grows, folder));
    int many = test_wait(test_fork(makes_many, folder));
    test_tolerate_crashes(0);
    CHECK_EQ(group_remove(folder), 0);
    CHECK_EQ(large, 0);
    CHECK_EQ(grown, 0);
    CHECK_EQ(many, 0);
}

static const struct test tests[] = {TEST(each_place), TEST(group_with_a_limit)};
TEST_MAIN(tests)
