/* Opening and closing by name: options, permissions, waiting, several connections.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

/* What shmheap_open makes of flags on a name (or path) where there is a heap, or nothing; 0 is
 * success. */
static int expected_errno(unsigned flags, int exists)
{
    int create = (flags & SHMHEAP_CREATE) != 0;
    if (flags >= SHMHEAP_NO_DUMP << 1)
        return EINVAL;
    if (!create && (flags & (SHMHEAP_EXCLUSIVE | SHMHEAP_ANONYMOUS | SHMHEAP_TAKE_OVER)))
        return EINVAL;
    if ((create && (flags & SHMHEAP_READ_ONLY)) ||
        ((flags & SHMHEAP_ANONYMOUS) &&
         (flags & (SHMHEAP_FILE | SHMHEAP_TAKE_OVER | SHMHEAP_SOCKET))))
        return EINVAL;
    if (flags & SHMHEAP_ANONYMOUS)
        return 0;
    if ((flags & SHMHEAP_SOCKET) && shmheap_socket() < 0)
        return ENOTSUP;
    if (exists)
        return flags & SHMHEAP_EXCLUSIVE ? EEXIST : 0;
    return create ? 0 : ENOENT;
}

static void check_flags(const char *name, unsigned flags, int exists)
{
    shmheap_options options = {.flags = flags, .len = 4096};
    shmheap_memory_handle mem;
    memset(&mem, 0xff, sizeof mem);
    errno = 0;
    int found = shmheap_open(&mem, name, &options) == 0 ? 0 : errno;
    int expected = expected_errno(flags, exists);
    if (found != expected)
        printf("  flags %#x, %s\n", flags, exists ? "exists" : "missing");
    CHECK_EQ(found, expected);
    CHECK_EQ(shmheap_valid(mem), expected == 0);
    if (expected == 0) {
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Of one socket, whatever the machine. */
static void run_on_one_processor(void)
{
    cpu_set_t cpus;
    CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    for (unsigned cpu = 0, kept = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &cpus) && kept++ != 0)
            CPU_CLR(cpu, &cpus);
    CHECK_EQ(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

/* The name that shmheap_open makes of it. */
static const char *name_opened(const char *name, unsigned flags)
{
    static char of_socket[300];
    snprintf(of_socket, sizeof of_socket, "%s.socket%d", name, shmheap_socket());
    return flags & SHMHEAP_SOCKET ? of_socket : name;
}

static void every_combination_of_flags(void)
{
    const char *name = test_name(), *path = test_path();
    shmheap_memory_handle mem;
    run_on_one_processor();
    test_name_with(name, name_opened("", SHMHEAP_SOCKET));
    for (unsigned flags = 0; flags < SHMHEAP_NO_DUMP << 1; flags++) {
        const char *of = flags & SHMHEAP_FILE ? path : name;
        const shmheap_options there = {.flags = SHMHEAP_CREATE | (flags & SHMHEAP_FILE),
                                       .len = 4096};
        unlink(name_opened(path, flags));
        shm_unlink(name_opened(name, flags));
        check_flags(of, flags, 0);
        CHECK_EQ(shmheap_open(&mem, name_opened(of, flags), &there), 0);
        check_flags(of, flags, 1);
        shmheap_disconnect(mem);
    }
    shm_unlink(name);
    unlink(name_opened(path, SHMHEAP_SOCKET));
    for (unsigned bit = 12; bit < 32; bit++)
        check_flags(name, SHMHEAP_CREATE | 1u << bit, 0);
}

static void wrong_options_are_refused(void)
{
    static const shmheap_options wrong[] = {{.flags = SHMHEAP_CREATE, .len = 127},
                                            {.flags = SHMHEAP_CREATE, .len = 4096, .max_len = 4095},
                                            {.flags = SHMHEAP_CREATE, .alignment = 1},
                                            {.flags = SHMHEAP_CREATE, .alignment = 4},
                                            {.flags = SHMHEAP_CREATE, .alignment = 24},
                                            {.flags = SHMHEAP_CREATE, .alignment = 32},
                                            {.flags = SHMHEAP_CREATE, .alignment = 4096},
                                            {.flags = SHMHEAP_CREATE, .alignment = SIZE_MAX},
                                            {.flags = SHMHEAP_CREATE, .mode = 010000}};
    const char *name = test_name();
    shmheap_memory_handle mem;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_REFUSED(shmheap_open(&mem, name, &wrong[i]) == -1, EINVAL);
        CHECK(!shmheap_valid(mem));
    }
    CHECK_REFUSED(shmheap_open(NULL, name, NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_open(&mem, name, NULL) == -1, ENOENT);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
}

static void names_that_cannot_be(void)
{
    static char long_name[400] = "/";
    memset(long_name + 1, 'x', sizeof long_name - 2);
    const char *const wrong[] = {NULL, "", "/", "/a/b", "//"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_REFUSED(!shmheap_valid(shmheap_create(wrong[i], 4096)), EINVAL);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(NULL)), EINVAL);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect("")), EINVAL);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(long_name, 4096)), ENAMETOOLONG);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(long_name)), ENAMETOOLONG);
    CHECK_REFUSED(shmheap_unlink(long_name) == -1, ENAMETOOLONG);
    CHECK_REFUSED(shmheap_unlink(NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_unlink(test_name()) == -1, ENOENT);
}

/* The permission bits are the options', whatever the umask. */
static void check_mode(const char *name, unsigned mode, unsigned mask, unsigned flags)
{
    shmheap_options options = {
        .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | flags, .len = 4096, .mode = mode};
    shmheap_memory_handle mem;
    struct stat status;
    mode_t before = umask(mask);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    umask(before);
    CHECK(fstat(shmheap_fd(mem), &status) == 0);
    CHECK_EQ(status.st_mode & 07777, mode ? mode : 0600);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    shmheap_destroy(name, mem);
}

static void mode_is_exact_whatever_the_umask(void)
{
    static const unsigned modes[] = {0, 0600, 0660, 0666, 0640, 0644, 0400, 0777};
    static const unsigned masks[] = {0, 022, 077, 0777};
    const char *name = test_name(), *path = test_path();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
            check_mode(name, modes[i], masks[k], 0);
            check_mode(path, modes[i], masks[k], SHMHEAP_FILE);
        }
}

static void create_refuses_an_existing_name(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 4096);
    CHECK(shmheap_valid(mem));
    void *ptr = shmheap_alloc(mem, 100);
    test_fill(ptr, 100, 1);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, 8192)), EEXIST);
    CHECK(test_filled(ptr, 100, 1));
    CHECK_EQ(test_stat(mem).len, 4096);
    shmheap_destroy(name, mem);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
    mem = shmheap_create(name, 8192);
    CHECK(shmheap_valid(mem));
    shmheap_destroy(name, mem);
    CHECK_REFUSED(shmheap_unlink(name) == -1, ENOENT);
}

static void unlink_leaves_the_connected_alone(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 4096), other = test_connect(name);
    CHECK_EQ(shmheap_unlink(name), 0);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
    shmheap_memory_handle second = shmheap_create(name, 4096);
    CHECK(test_stat(second).id != test_stat(mem).id);
    void *ptr = shmheap_alloc(mem, 100);
    CHECK(shmheap_handle_to_ptr(other, shmheap_ptr_to_handle(mem, ptr)) != NULL);
    test_check_empty(second);
    shmheap_disconnect(mem);
    shmheap_disconnect(other);
    shmheap_destroy(name, second);
}

/* What is empty may become a heap any moment: connect waits, but not for ever. */
static void waiting_for_a_heap_that_never_comes(void)
{
    const char *name = test_name();
    shmheap_options options = {.timeout_ms = 30};
    shmheap_memory_handle mem;
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ETIMEDOUT);
    CHECK(ftruncate(fd, 1 << 20) == 0);
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ETIMEDOUT);
    options.flags = SHMHEAP_CREATE;
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ETIMEDOUT);
    CHECK(!shmheap_valid(mem));
    close(fd);
}

static void open_what_never_comes(void *context)
{
    const shmheap_options options = {.timeout_ms = 100};
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_open_fd(&mem, *(int *)context, &options) == -1, ETIMEDOUT);
}

static int is_mapped_by(pid_t pid, const char *text)
{
    char path[40], line[1024];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps))
        found |= strstr(line, text) != NULL;
    fclose(maps);
    return found;
}

/* The maker of the heap has given up, and removed the name. By name the caller opens another file;
 * by descriptor there is none. */
static void waiting_for_a_heap_whose_name_goes(void)
{
    for (int i = 0; i < 5; i++) {
        const char *name = test_name();
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        CHECK(fd >= 0);
        pid_t pid = test_fork(open_what_never_comes, &fd);
        while (!is_mapped_by(pid, name + 1)) /* as a process that waits does */
            sched_yield();
        CHECK(shm_unlink(name) == 0);
        test_join(pid);
        CHECK(close(fd) == 0);
    }
}

/* A process that tests whether a heap is in use, or removes it, blocks connecting processes for
 * some system calls; they wait for one that never ends until their time is up. */
static void waiting_for_a_process_that_admits_none(void)
{
    enum { USERS_BYTE = 1024 };
    const char *name = test_name();
    const struct flock all = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = USERS_BYTE + 1};
    shmheap_options options = {.timeout_ms = 10};
    shmheap_memory_handle mem = shmheap_create(name, 65536);
    shmheap_disconnect(mem);
    int fd = shm_open(name, O_RDWR, 0);
    CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLK, &all) == 0);
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ETIMEDOUT);
    CHECK_REFUSED(shmheap_open_fd(&mem, fd, &options) == -1, ETIMEDOUT);
    options.flags = SHMHEAP_CREATE;
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ETIMEDOUT);
    CHECK(!shmheap_valid(mem));
    close(fd);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    shmheap_destroy(name, mem);
}

static void several_heaps_in_one_process(void)
{
    enum { HEAPS = 20, OBJECTS = 50 };
    shmheap_memory_handle heaps[HEAPS];
    void *objects[HEAPS][OBJECTS];
    for (size_t i = 0; i < HEAPS; i++)
        heaps[i] = shmheap_create(test_name(), 65536 + 4096 * i);
    for (size_t k = 0; k < OBJECTS; k++)
        for (size_t i = 0; i < HEAPS; i++) {
            objects[i][k] = shmheap_alloc(heaps[i], 20 * k);
            CHECK(objects[i][k] != NULL);
            test_fill(objects[i][k], 20 * k, i * OBJECTS + k);
        }
    for (size_t i = 0; i < HEAPS; i++) {
        CHECK_EQ(test_stat(heaps[i]).used_blocks, OBJECTS);
        CHECK_REFUSED(shmheap_try_free(heaps[i], objects[(i + 1) % HEAPS][1]) == -1, EINVAL);
        for (size_t k = 0; k < OBJECTS; k++) {
            CHECK(test_filled(objects[i][k], 20 * k, i * OBJECTS + k));
            CHECK_EQ(shmheap_try_free(heaps[i], objects[i][k]), 0);
        }
        test_check_empty(heaps[i]);
    }
    for (size_t i = 0; i < HEAPS; i++)
        shmheap_disconnect(heaps[i]);
}

static void two_connections_to_one_heap(void)
{
    const char *name = test_name();
    shmheap_memory_handle a = shmheap_create(name, 65536), b = test_connect(name),
                          c = test_connect(name);
    CHECK_EQ(test_stat(a).processes, 3);
    void *ptr = shmheap_alloc(a, 100);
    CHECK_REFUSED(shmheap_try_free(b, ptr) == -1, EINVAL); /* a pointer of another mapping */
    shmheap_disconnect(b);
    CHECK(shmheap_valid(a) && !shmheap_valid(b) && shmheap_valid(c));
    CHECK_EQ(test_stat(a).processes, 2);
    shmheap_disconnect(a);
    CHECK_EQ(test_stat(c).used_blocks, 1);
    CHECK(shmheap_alloc(c, 100) != NULL);
    shmheap_destroy(name, c);
}

static void calls_on_what_is_not_connected(void)
{
    shmheap_memory_handle never = {NULL}, mem = test_anonymous(4096, 0, 0);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, shmheap_alloc(mem, 10));
    shmheap_stats stats;
    shmheap_disconnect(mem);
    const shmheap_memory_handle closed[] = {never, mem};
    for (size_t i = 0; i < 2; i++) {
        CHECK(!shmheap_valid(closed[i]));
        CHECK_REFUSED(shmheap_alloc(closed[i], 10) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_calloc(closed[i], 10, 10) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_aligned_alloc(closed[i], 16, 10) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_realloc(closed[i], &stats, 10) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_try_free(closed[i], &stats) == -1, EINVAL);
        CHECK_REFUSED(shmheap_usable_size(closed[i], &stats) == 0, EINVAL);
        CHECK_REFUSED(shmheap_underlying(closed[i]) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_fd(closed[i]) == -1, EINVAL);
        CHECK_REFUSED(shmheap_ptr_to_handle(closed[i], &stats).bits == 0, EINVAL);
        CHECK_REFUSED(shmheap_handle_to_ptr(closed[i], handle) == NULL, EINVAL);
        CHECK_REFUSED(shmheap_check(closed[i], NULL) == -1, EINVAL);
        CHECK_REFUSED(shmheap_stat(closed[i], &stats) == -1, EINVAL);
        CHECK_REFUSED((shmheap_disconnect(closed[i]), 1), EINVAL);
    }
}

/* Lines of /proc/self/maps that contain the text. */
static unsigned mappings_of(const char *text)
{
    char line[1024];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps))
        count += strstr(line, text) != NULL;
    fclose(maps);
    return count;
}

static void disconnect_unmaps_everything(void)
{
    const char *name = test_name();
    shmheap_memory_handle a = shmheap_create(name, 1 << 20), b = test_connect(name);
    CHECK_LE(2, mappings_of(name + 1));
    shmheap_disconnect(a);
    CHECK_LE(1, mappings_of(name + 1));
    shmheap_disconnect(b);
    CHECK_EQ(mappings_of(name + 1), 0);
    /* Refused connections leave nothing either. */
    int fd = shm_open(name, O_RDWR, 0);
    CHECK(fd >= 0 && ftruncate(fd, 1 << 16) == 0);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), EBADMSG);
    CHECK_EQ(mappings_of(name + 1), 0);
    int next = dup(0);
    CHECK(!shmheap_valid(shmheap_connect(name)));
    CHECK(close(next) == 0 && dup(0) == next);
    close(next);
    close(fd);
}

static const struct test tests[] = {TEST(every_combination_of_flags),
                                    TEST(wrong_options_are_refused),
                                    TEST(names_that_cannot_be),
                                    TEST(mode_is_exact_whatever_the_umask),
                                    TEST(create_refuses_an_existing_name),
                                    TEST(unlink_leaves_the_connected_alone),
                                    TEST(waiting_for_a_heap_that_never_comes),
                                    TEST(waiting_for_a_heap_whose_name_goes),
                                    TEST(waiting_for_a_process_that_admits_none),
                                    TEST(several_heaps_in_one_process),
                                    TEST(two_connections_to_one_heap),
                                    TEST(calls_on_what_is_not_connected),
                                    TEST(disconnect_unmaps_everything)};
TEST_MAIN(tests)
