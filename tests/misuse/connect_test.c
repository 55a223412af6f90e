/* Connecting to what is no heap, or none that is whole: the errno of the header, and neither a
 * crash nor a hang.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/misuse/victim/victim.h"

enum { LEN = 4096, CALLS = 40, GARBAGE_ROUNDS = 2000, CONTROL_PAGE = 4096 };

static const shmheap_options soon = {.timeout_ms = 20};
static const shmheap_options soon_read_only = {.timeout_ms = 20, .flags = SHMHEAP_READ_ONLY};

/* Both kinds of connection are refused with one of two errno values. */
static void check_refused(const char *name, int error, int or_error)
{
    const shmheap_options *const kinds[] = {&soon, &soon_read_only};
    for (unsigned i = 0; i < 2; i++) {
        shmheap_memory_handle mem;
        memset(&mem, 0xff, sizeof mem);
        errno = 0;
        int result = shmheap_open(&mem, name, kinds[i]);
        int found = errno;
        CHECK_EQ(result, -1);
        CHECK(!shmheap_valid(mem));
        if (found != or_error)
            CHECK_EQ(found, error);
    }
}

static int create_segment(const char *name, const void *bytes, size_t len)
{
    int fd = shm_open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, len), len);
    return fd;
}

static void to_a_missing_name(void) { check_refused(test_name(), ENOENT, ENOENT); }

static void to_a_text(void)
{
    static char text[100000];
    const char *name = test_name();
    static const size_t lens[] = {1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 4096, 70000, 100000};
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "once upon a time there was a heap.\n"[i % 35];
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        close(create_segment(name, text, lens[i]));
        check_refused(name, EBADMSG, EBADMSG);
    }
}

static void to_an_empty_segment(void)
{
    const char *name = test_name();
    close(create_segment(name, "", 0));
    check_refused(name, ETIMEDOUT, ETIMEDOUT);
}

/* The bytes of a heap with some objects and without connections. */
static unsigned char *heap_image(const char *name, size_t *bytes)
{
    struct stat status;
    shmheap_options options = {.len = LEN, .max_len = 4 * LEN, .flags = SHMHEAP_CREATE};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    for (size_t i = 0; i < 20; i++) {
        void *ptr = shmheap_alloc(mem, 10 * i);
        if (i % 2)
            shmheap_free(mem, ptr);
    }
    *bytes = (size_t)test_stat(mem).segment_len; /* the file is longer: whole pages */
    CHECK(fstat(shmheap_fd(mem), &status) == 0);
    CHECK_LE(*bytes, status.st_size);
    unsigned char *image = malloc(*bytes);
    CHECK(image != NULL);
    int fd = dup(shmheap_fd_writable(mem));
    shmheap_disconnect(mem);
    CHECK_EQ(pread(fd, image, *bytes, 0), *bytes);
    close(fd);
    return image;
}

static void to_a_truncated_heap(void)
{
    const char *name = test_name();
    size_t bytes;
    unsigned char *image = heap_image(name, &bytes);
    for (size_t len = 1; len < bytes; len += len < 600 || len > bytes - 600 ? 1 : 509) {
        close(create_segment(name, image, len));
        check_refused(name, EBADMSG, EBADMSG);
    }
    close(create_segment(name, image, bytes));
    shmheap_disconnect(test_connect(name));
    free(image);
}

static void to_another_version(void)
{
    const char *name = test_name();
    size_t bytes;
    unsigned char *image = heap_image(name, &bytes);
    static const uint32_t versions[] = {0, FORMAT_VERSION + 1, FORMAT_VERSION + 2, 77, UINT32_MAX};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        memcpy(image + offsetof(struct control, version), &versions[i], sizeof versions[i]);
        close(create_segment(name, image, bytes));
        check_refused(name, EPROTONOSUPPORT, EPROTONOSUPPORT);
    }
    free(image);
}

static void to_what_is_no_file(void)
{
    const char *name = test_name();
    const char *path = test_shm_path(name);
    alarm(30); /* open() of a pipe without a writer would block for ever */
    CHECK(mkdir(path, 0700) == 0);
    check_refused(name, EBADMSG, EINVAL); /* glibc makes EINVAL of EISDIR */
    CHECK(rmdir(path) == 0);
    CHECK(mkfifo(path, 0600) == 0);
    check_refused(name, EBADMSG, ENXIO);
    CHECK(unlink(path) == 0);
    CHECK(symlink("/etc/passwd", path) == 0);
    check_refused(name, ELOOP, ELOOP);
    CHECK(unlink(path) == 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    check_refused(name, ENXIO, EBADMSG);
    close(fd);
    alarm(0);
}

static void to_paths_of_no_file(void)
{
    static const char *const paths[] = {"/", "/dev/null", "/dev/zero", "/proc/self/mem",
                                        "/dev/full"};
    const char *fifo = test_path();
    shmheap_memory_handle mem;
    CHECK(mkfifo(fifo, 0600) == 0);
    for (unsigned flags = SHMHEAP_FILE; flags <= (SHMHEAP_FILE | SHMHEAP_READ_ONLY);
         flags += SHMHEAP_READ_ONLY) {
        shmheap_options options = {.timeout_ms = 20, .flags = flags};
        CHECK_REFUSED(shmheap_open(&mem, fifo, &options) == -1, EBADMSG);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            CHECK_EQ(shmheap_open(&mem, paths[i], &options), -1);
            CHECK(errno == EBADMSG || errno == EISDIR || errno == EACCES || errno == EIO);
        }
    }
}

/* Root may open everything, so the child gives up what makes it root. */
static void connect_without_rights(void *context)
{
    const char *name = context;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    CHECK_EQ(syscall(SYS_capset, &header, none), 0);
    check_refused(name, EACCES, EACCES);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), EACCES);
}

static void without_permission(void)
{
    const char *name = test_name();
    size_t bytes;
    free(heap_image(name, &bytes));
    CHECK(chmod(test_shm_path(name), 0) == 0);
    test_in_child(connect_without_rights, (void *)(uintptr_t)name);
}

/* Damaged images, one after the other, under one name. */
struct images {
    struct victim victim;
    const char *name;
    unsigned char *image;
    size_t bytes;
    uint64_t connected;
};

static void try_image(struct images *images, const unsigned char *bytes, size_t len, uint64_t round)
{
    struct test_random random = test_random_begin(round);
    shmheap_memory_handle mem;
    close(create_segment(images->name, bytes, len));
    test_choose_list_max(round % 2 ? 64 : 0);
    snprintf(images->victim.call, sizeof images->victim.call, "open");
    errno = 0;
    if (shmheap_open(&mem, images->name, round % 8 ? &soon : &soon_read_only) != 0) {
        CHECK(errno == EBADMSG || errno == EPROTONOSUPPORT || errno == ETIMEDOUT ||
              errno == ENOMEM || errno == EAGAIN);
        return;
    }
    images->connected++;
    victim_calls(&images->victim, mem, &random, CALLS);
    snprintf(images->victim.call, sizeof images->victim.call, "disconnect");
    shmheap_disconnect(mem);
}

static void flip_each_byte(void *context)
{
    static const unsigned char flips[] = {0xff, 0x01, 0x80};
    struct images *images = context;
    for (uint64_t round = 0; round < CONTROL_PAGE * sizeof flips; round++) {
        size_t place = round / sizeof flips;
        unsigned char flip = flips[round % sizeof flips];
        victim_round(&images->victim, round, "byte %zu ^ %#x", place, flip);
        images->image[place] ^= flip;
        try_image(images, images->image, images->bytes, round);
        images->image[place] ^= flip;
    }
}

static void garbage(void *context)
{
    struct images *images = context;
    unsigned char *bytes = malloc(images->bytes);
    CHECK(bytes != NULL);
    for (uint64_t round = 0; round < GARBAGE_ROUNDS; round++) {
        struct test_random random = test_random_begin(round + 5000);
        size_t from = round % 2 ? 0 : test_random_below(&random, 1024);
        size_t len = 1 + test_random_below(&random, images->bytes);
        /* Half of them begin as a heap does. */
        memcpy(bytes, images->image, images->bytes);
        for (size_t i = from; i < len; i++)
            bytes[i] = (unsigned char)test_random_next(&random);
        victim_round(&images->victim, round, "garbage from %zu on, %zu bytes", from, len);
        try_image(images, bytes, round % 4 == 2 ? images->bytes : len, round);
    }
    free(bytes);
}

static void run_images(void (*run)(void *))
{
    struct images *images = test_shared(sizeof *images);
    images->name = test_name();
    images->image = heap_image(images->name, &images->bytes);
    victim_run(&images->victim, run, images);
    printf("  %llu images, %llu of them let in; then %llu calls accepted, %llu refused, %llu gave "
           "up waiting\n",
           (unsigned long long)images->victim.round + 1, (unsigned long long)images->connected,
           (unsigned long long)images->victim.accepted, (unsigned long long)images->victim.refused,
           (unsigned long long)images->victim.timed_out);
    free(images->image);
    test_unshare(images, sizeof *images);
}

static void every_byte_of_the_control_page_flipped(void) { run_images(flip_each_byte); }
static void random_garbage(void) { run_images(garbage); }

static const struct test tests[] = {TEST(to_a_missing_name),
                                    TEST(to_a_text),
                                    TEST(to_an_empty_segment),
                                    TEST(to_a_truncated_heap),
                                    TEST(to_another_version),
                                    TEST(to_what_is_no_file),
                                    TEST(to_paths_of_no_file),
                                    TEST(without_permission),
                                    TEST(every_byte_of_the_control_page_flipped),
                                    TEST(random_garbage)};
TEST_MAIN(tests)
