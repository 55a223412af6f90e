/* Heaps without a name, whose descriptor is passed on.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

static void send_fd(int socket, int fd)
{
    char byte = 0;
    struct iovec data = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
    char byte;
    struct iovec data = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int fd = -1;
    CHECK_EQ(recvmsg(socket, &message, 0), 1);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    CHECK(rights != NULL && rights->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    CHECK(fd >= 0);
    return fd;
}

/* Was forked before there was a heap: knows it by the descriptor alone. */
static void receiver(void *context)
{
    int socket = *(int *)context, fd = receive_fd(socket);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open_fd(&mem, fd, NULL), 0);
    CHECK(fcntl(fd, F_GETFD) >= 0); /* not closed, and not kept: */
    CHECK(close(fd) == 0);
    char *ptr = shmheap_alloc(mem, 1000);
    CHECK(ptr != NULL);
    test_fill(ptr, 1000, 5);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    CHECK_EQ(write(socket, &handle, sizeof handle), sizeof handle);
    CHECK(shmheap_alloc(mem, 1 << 19) != NULL); /* by growth */
    shmheap_disconnect(mem);
}

static void passed_over_a_socket(void)
{
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    pid_t pid = test_fork(receiver, &sockets[1]);
    shmheap_memory_handle mem = test_anonymous(65536, 1 << 20, 0);
    send_fd(sockets[0], shmheap_fd(mem));
    shmheap_object_handle handle;
    CHECK_EQ(read(sockets[0], &handle, sizeof handle), sizeof handle);
    char *ptr = shmheap_handle_to_ptr(mem, handle);
    CHECK(ptr != NULL && test_filled(ptr, 1000, 5));
    test_join(pid);
    CHECK(test_stat(mem).len > 1 << 19);
    CHECK(test_filled(ptr, 1000, 5));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    close(sockets[0]);
    close(sockets[1]);
}

static void cannot_be_shrunk(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 1 << 20, 0);
    CHECK_REFUSED(ftruncate(shmheap_fd_writable(mem), 0) == -1, EPERM);
    CHECK_REFUSED(ftruncate(shmheap_fd_writable(mem), 4096) == -1, EPERM);
    CHECK(shmheap_alloc(mem, 60000) != NULL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* As a process leaves it that dies while it grows the file; sparse heaps grow within the file. */
static void may_be_longer_than_the_heap(void)
{
    shmheap_options options = {
        .len = 65536, .max_len = 1 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    for (int sparse = 0; sparse <= 1; sparse++) {
        shmheap_memory_handle mem;
        options.flags |= sparse ? SHMHEAP_SPARSE : 0;
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        CHECK_EQ(ftruncate(shmheap_fd_writable(mem), 4 << 20), 0);
        CHECK(shmheap_alloc(mem, 1 << 19) != NULL);
        CHECK_EQ(test_stat(mem).grows, 1);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

static void the_descriptor_is_close_on_exec(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    CHECK(fcntl(shmheap_fd(mem), F_GETFD) & FD_CLOEXEC);
    shmheap_disconnect(mem);
    CHECK_REFUSED(shmheap_fd(mem) == -1, EINVAL);
}

static void opened_twice_in_one_process(void)
{
    shmheap_memory_handle a = test_anonymous(65536, 0, 0), b, c;
    shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    CHECK_EQ(shmheap_open_fd(&b, shmheap_fd(a), NULL), 0);
    CHECK_EQ(shmheap_open_fd(&c, shmheap_fd(a), &read_only), 0);
    void *ptr = shmheap_alloc(a, 100);
    test_fill(ptr, 100, 1);
    shmheap_object_handle handle = shmheap_ptr_to_handle(a, ptr);
    shmheap_disconnect(a);
    CHECK(test_filled(shmheap_handle_to_ptr(b, handle), 100, 1));
    CHECK(test_filled(shmheap_handle_to_ptr(c, handle), 100, 1));
    CHECK_REFUSED(shmheap_alloc(c, 1) == NULL, EACCES);
    shmheap_disconnect(b);
    CHECK(test_filled(shmheap_handle_to_ptr(c, handle), 100, 1));
    shmheap_disconnect(c);
}

static void wrong_descriptors_are_refused(void)
{
    shmheap_memory_handle mem;
    const char *path = test_path();
    CHECK_REFUSED(shmheap_open_fd(&mem, -1, NULL) == -1, EBADF);
    CHECK(!shmheap_valid(mem));
    CHECK_REFUSED(shmheap_open_fd(&mem, 987654, NULL) == -1, EBADF);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "this is a text, and no heap\n", 28), 28);
    CHECK_REFUSED(shmheap_open_fd(&mem, fd, NULL) == -1, EBADMSG);
    CHECK(close(fd) == 0);
    int device = open("/dev/null", O_RDWR), folder = open("/", O_RDONLY);
    CHECK(device >= 0 && folder >= 0);
    CHECK_REFUSED(shmheap_open_fd(&mem, device, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_open_fd(&mem, folder, NULL) == -1, EBADMSG);
    CHECK(close(device) == 0 && close(folder) == 0);
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK_REFUSED(shmheap_open_fd(&mem, ends[0], NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_open_fd(&mem, ends[1], NULL) == -1, EBADMSG);
    close(ends[0]);
    close(ends[1]);
    CHECK(!shmheap_valid(mem));
}

/* The lowest free descriptor tells whether a call, refused or not, forgot to close one. */
static int lowest_free_fd(void)
{
    int fd = dup(0);
    CHECK(fd >= 0 && close(fd) == 0);
    return fd;
}

static void nothing_is_left_open(void)
{
    int before = lowest_free_fd();
    shmheap_options unknown = {.flags = ~0u};
    for (unsigned i = 0; i < 20; i++) {
        shmheap_memory_handle a = test_anonymous(65536, 1 << 20, 0), b, c;
        CHECK_EQ(shmheap_open_fd(&b, shmheap_fd(a), NULL), 0);
        CHECK_REFUSED(shmheap_open_fd(&c, shmheap_fd(a), &unknown) == -1, EINVAL);
        CHECK_REFUSED(shmheap_open_fd(&c, -1, NULL) == -1, EBADF);
        shmheap_disconnect(a);
        shmheap_disconnect(b);
    }
    CHECK_EQ(lowest_free_fd(), before);
}

static void in_use_while_anybody_is_connected(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0), reader;
    shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    int fd = dup(shmheap_fd(mem));
    CHECK_EQ(shmheap_open_fd(&reader, fd, &read_only), 0);
    CHECK_EQ(shmheap_in_use(fd), 1);
    shmheap_disconnect(mem);
    CHECK_EQ(shmheap_in_use(fd), 1);
    shmheap_disconnect(reader);
    CHECK_EQ(shmheap_in_use(fd), 0);
    CHECK_EQ(shmheap_open_fd(&mem, fd, NULL), 0);
    CHECK_EQ(shmheap_in_use(fd), 1);
    shmheap_disconnect(mem);
    CHECK_EQ(shmheap_in_use(fd), 0);
    close(fd);
    CHECK_REFUSED(shmheap_in_use(-1) == -1, EBADF);
}

/* Addresses for so many bytes, memory aside. Under valgrind a process has some 60 GiB of them. */
static int has_addresses(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(room == MAP_FAILED || munmap(room, bytes) == 0);
    return room != MAP_FAILED;
}

/* The kernel would begin to give it, and when all is gone kill processes. */
static void more_than_the_machine_has(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX / 16)
        return; /* more than a 32-bit process can request */
    size_t all = (size_t)bytes;
    if (!has_addresses(10 * all)) { /* 8, and an index */
        puts("too few addresses here");
        return;
    }
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS, .len = 4 * all};
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_open(&mem, NULL, &options) == -1, ENOSPC);
    options = (shmheap_options){
        .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS, .len = 1 << 20, .max_len = 8 * all};
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK_REFUSED(shmheap_alloc(mem, 4 * all) == NULL, ENOMEM);
    CHECK(shmheap_alloc(mem, 2 << 20) != NULL);
    shmheap_disconnect(mem);
}

/* Where standard streams are closed, a heap's file does not get their numbers: what is printed
 * would go into the heap. */
static void check_closed(void) { CHECK_REFUSED(fcntl(0, F_GETFD) == -1, EBADF); }

static void child_takes_a_slot(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    CHECK_EQ(test_own_slot(mem), 2);
    CHECK_EQ(test_stat(mem).processes, 2);
}

static void check_without_descriptor_0(shmheap_memory_handle mem)
{
    check_closed();
    CHECK_LE(3, shmheap_fd(mem));
    CHECK_LE(3, shmheap_fd_writable(mem));
    CHECK_EQ(test_own_slot(mem), 1);
    test_in_child(child_takes_a_slot, &mem);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), 0);
    CHECK(shmheap_aligned_alloc(mem, 4096, 10) != NULL);
    CHECK(shmheap_alloc(mem, 1 << 19) != NULL); /* by growth, seen from another connection */
    shmheap_memory_handle other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    CHECK_EQ(test_own_slot(other), 2);
    CHECK_EQ(test_stat(mem).processes, 2);
    shmheap_disconnect(mem);
    check_closed();
    CHECK_EQ(test_stat(other).processes, 1);
    CHECK_SOUND(other);
    int spare = fcntl(shmheap_fd(other), F_DUPFD_CLOEXEC, 10);
    shmheap_disconnect(other);
    CHECK_EQ(shmheap_open_fd(&mem, spare, NULL), 0);
    check_closed();
    CHECK_LE(3, shmheap_fd(mem));
    CHECK_EQ(test_own_slot(mem), 3); /* objects of those before are still there */
    shmheap_disconnect(mem);
    check_closed();
    CHECK(close(spare) == 0);
}

static void use_without_descriptor_0(void *context)
{
    const char *name = context;
    const shmheap_options options = {
        .len = 65536, .max_len = 1 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_TAKE_OVER};
    shmheap_memory_handle mem;
    CHECK(close(0) == 0);
    int socket = shmheap_socket();
    check_closed();
    CHECK(open("/dev/null", O_RDONLY) == 0);
    CHECK_EQ(shmheap_socket(), socket);
    CHECK(close(0) == 0);
    mem = test_anonymous(65536, 1 << 20, 0);
    CHECK_REFUSED(ftruncate(shmheap_fd_writable(mem), 4096) == -1, EPERM);
    check_without_descriptor_0(mem);
    for (int i = 0; i < 2; i++) { /* made, and then taken over */
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
        check_without_descriptor_0(mem);
    }
    mem = test_connect(name);
    CHECK_LE(3, shmheap_fd(mem));
    CHECK_REFUSED(shmheap_unlink_unused(name) == -1, EBUSY);
    shmheap_disconnect(mem);
    CHECK_EQ(shmheap_unlink_unused(name), 0);
    check_closed();
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
}

static void without_descriptor_0(void)
{
    test_in_child(use_without_descriptor_0, (void *)(uintptr_t)test_name());
}

static const struct test tests[] = {
    TEST(passed_over_a_socket),        TEST(cannot_be_shrunk),
    TEST(may_be_longer_than_the_heap), TEST(the_descriptor_is_close_on_exec),
    TEST(opened_twice_in_one_process), TEST(wrong_descriptors_are_refused),
    TEST(nothing_is_left_open),        TEST(in_use_while_anybody_is_connected),
    TEST(more_than_the_machine_has),   TEST(without_descriptor_0)};
TEST_MAIN(tests)
