/* Whether a process counts as living depends on that process alone: not on what becomes of
 * descriptors, nor on its children.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/process/ground.h"

enum { DESCRIPTORS = 1024, LARGER = GROUND_LEN * 3 / 2, LATE_LEN = 256 << 20 };

/* The kernel takes advice, or says so and ignores it as qemu-user does, or a filter of system calls
 * refuses it. */
static enum { TAKES_ADVICE, IGNORES_ADVICE, REFUSES_ADVICE, ADVISED } kernel;

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    if (kernel == TAKES_ADVICE)
        return __real_madvise(at, len, advice);
    errno = EPERM;
    return kernel == IGNORES_ADVICE ? 0 : -1;
}

/* A peer does something and lives; then it is killed, and what it held is reaped. */
static void check_lives_until_killed(enum ground_kind kind, void (*before)(struct peer *),
                                     void (*act)(struct peer *))
{
    struct ground ground = ground_begin(kind);
    struct peer *peer = peer_begin(&ground, before, act);
    CHECK_LIVING(&ground, 2, 0);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
    peer_kill(peer);
    CHECK_LIVING(&ground, 1, 1);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), PEER_OBJECTS);
    test_check_empty(ground.mem);
    peer_end(peer);
    ground_end(&ground);
}

static void check_each_kind(void (*before)(struct peer *), void (*act)(struct peer *))
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
        check_lives_until_killed(kind, before, act);
}

/* Descriptors ----------------------------------------------------------- */

static void close_from(int first)
{
    for (int fd = first; fd < DESCRIPTORS; fd++)
        close(fd);
}

static void use(shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 1000);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_SOUND(mem);
}

static void closes_from_3(struct peer *peer)
{
    close_from(3);
    use(peer->mem);
}

static void closes_all(struct peer *peer)
{
    close_from(0);
    use(peer->mem);
}

static void descriptors_closed_after_opening(void)
{
    check_each_kind(NULL, closes_from_3);
    check_each_kind(NULL, closes_all);
}

/* The test's own connection has lost its descriptors: it sees the peer live and die. It can reap
 * the peer's objects where the kernel lets it open the file by the mapping. Elsewhere it cannot
 * know that no child claims them, and leaves them to another process. */
static void look_without_descriptors(void *context)
{
    const int *has_rights = context;
    struct ground ground = ground_begin(GROUND_ANONYMOUS);
    struct peer *peer = peer_begin(&ground, NULL, NULL), *second = peer_begin(&ground, NULL, NULL);
    if (!*has_rights)
        test_drop_rights();
    shmheap_memory_handle other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(ground.mem), NULL), 0);
    int kept = fcntl(shmheap_fd(other), F_DUPFD_CLOEXEC, 3); /* for later */
    CHECK(kept >= 3);
    shmheap_disconnect(other);
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        if (fd != kept)
            close(fd);
    CHECK_LIVING(&ground, 3, 0);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
    peer_kill(peer);
    CHECK_LIVING(&ground, 2, 1);
    use(ground.mem);
    long reaped = shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED);
    if (!*has_rights)
        CHECK_EQ(reaped, 0);
    else if (reaped == 0)
        printf("  skipped: no right to open the file by its mapping\n");
    else
        CHECK_EQ(reaped, PEER_OBJECTS);
    CHECK_EQ(shmheap_open_fd(&other, kept, NULL), 0); /* it reaps the rest */
    CHECK_EQ(shmheap_reap(other, SHMHEAP_REAP_SHARED), PEER_OBJECTS - reaped);
    shmheap_disconnect(other);
    CHECK_LIVING(&ground, 2, 0);
    peer_kill(second);
    CHECK_LIVING(&ground, 1, 1);
    CHECK_SOUND(ground.mem);
}

static void a_process_without_descriptors_sees_deaths(void)
{
    for (int has_rights = 0; has_rights < 2; has_rights++)
        test_in_child(look_without_descriptors, &has_rights);
}

/* A heap with a name finds its file again; the numbers belong to another file by now, which is
 * neither written nor closed. */
static void grows_without_descriptors(struct peer *peer)
{
    enum { OTHERS = 16 };
    const char *path = test_path();
    struct stat status;
    int others[OTHERS];
    close_from(3);
    for (unsigned i = 0; i < OTHERS; i++)
        CHECK((others[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0);
    CHECK_EQ(write(others[0], "precious", 8), 8);
    void *ptr = shmheap_alloc(peer->mem, LARGER);
    CHECK(ptr != NULL);
    memset(ptr, 1, LARGER);
    CHECK_LE(1, test_stat(peer->mem).grows);
    CHECK(shmheap_fd(peer->mem) > others[OTHERS - 1] &&
          shmheap_fd_writable(peer->mem) > others[OTHERS - 1]);
    CHECK_EQ(shmheap_try_free(peer->mem, ptr), 0);
    shmheap_memory_handle second = ground_join(peer->ground, 0);
    use(second);
    shmheap_disconnect(second);
    for (unsigned i = 0; i < OTHERS; i++)
        CHECK(fstat(others[i], &status) == 0 && status.st_size == 8);
}

static void a_heap_grows_after_its_descriptors_were_closed(void)
{
    check_lives_until_killed(GROUND_NAME, NULL, grows_without_descriptors);
    check_lives_until_killed(GROUND_FILE, NULL, grows_without_descriptors);
}

/* The number of the heap's descriptor is another file's when the connection ends. */
static void a_number_that_was_reused_is_not_closed(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, GROUND_LEN);
    int lent = shmheap_fd(mem), writable = shmheap_fd_writable(mem);
    CHECK(lent >= 3 && writable >= 3);
    close_from(3);
    int first = open("/dev/null", O_RDWR), last = first;
    while (last < writable || last < lent)
        CHECK((last = open("/dev/null", O_RDWR)) >= 0);
    shmheap_destroy(name, mem);
    for (int fd = first; fd <= last; fd++)
        CHECK(fcntl(fd, F_GETFD) >= 0 && close(fd) == 0);
}

static void closes_standard_streams(struct peer *peer)
{
    CHECK(peer->act != NULL);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
}

static void has_no_standard_streams(struct peer *peer)
{
    for (int fd = 0; fd < 3; fd++)
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
    CHECK(peer->ground->kind == GROUND_MEMORY ||
          (shmheap_fd(peer->mem) >= 3 && shmheap_fd_writable(peer->mem) >= 3));
    use(peer->mem);
}

static void no_heap_becomes_a_standard_stream(void)
{
    check_each_kind(closes_standard_streams, has_no_standard_streams);
}

/* Lent descriptors ------------------------------------------------------ */

static void lock_and_unlock(int fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 2000};
    fcntl(fd, F_OFD_SETLK, &lock); /* refused, since slots are locked */
    lock.l_type = F_UNLCK;
    lock.l_len = 0;
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
}

static void plays_with_lent_descriptors(struct peer *peer)
{
    int lent[] = {shmheap_fd(peer->mem), shmheap_fd_writable(peer->mem)};
    for (unsigned i = 0; i < 2; i++) {
        lock_and_unlock(lent[i]);
        int copy = dup(
            /* the end of any descriptor of a file drops a process's own POSIX locks on it */
            lent[i]);
        CHECK(copy >= 0 && close(copy) == 0);
        CHECK(fcntl(lent[i], F_GETFD) & FD_CLOEXEC);
    }
    peer_fork(peer, NULL); /* which has both as well */
}

static void lent_descriptors_carry_no_life(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_MEMORY; kind++) {
        struct ground ground = ground_begin(kind);
        struct peer *peer = peer_begin(&ground, NULL, plays_with_lent_descriptors);
        CHECK_LIVING(&ground, 2, 0);
        peer_kill(peer);
        CHECK_LIVING(&ground, 1, 1);
        peer_kill_children(peer);
        CHECK_EQ(shmheap_reap(ground.mem, 0), PEER_OBJECTS);
        peer_end(peer);
        ground_end(&ground);
    }
}

static void a_lent_descriptor_writes_only_if_asked_for(void)
{
    struct ground ground = ground_begin(GROUND_NAME);
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle reader;
    CHECK_REFUSED(write(shmheap_fd(ground.mem), "x", 1) == -1, EBADF);
    CHECK_REFUSED(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, shmheap_fd(ground.mem), 0) == MAP_FAILED,
                  EACCES);
    CHECK_EQ(fcntl(shmheap_fd_writable(ground.mem), F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(shmheap_open(&reader, ground.name, &read_only), 0);
    CHECK_LE(3, shmheap_fd(reader));
    CHECK_REFUSED(shmheap_fd_writable(reader) == -1, EACCES);
    shmheap_disconnect(reader);
    ground_end(&ground);
}

/* Children -------------------------------------------------------------- */

static void forks_idle(struct peer *peer) { peer_fork(peer, NULL); }

static void take_one(shmheap_memory_handle mem) { CHECK(shmheap_alloc(mem, 50) != NULL); }
static void forks_busy(struct peer *peer) { peer_fork(peer, take_one); }

static void check_parent_is_killed(enum ground_kind kind, unsigned busy)
{
    struct ground ground = ground_begin(kind);
    struct peer *peer = peer_begin(&ground, NULL, busy ? forks_busy : forks_idle);
    CHECK_LIVING(&ground, 2 + busy, 0);
    peer_kill(peer);
    CHECK_LIVING(&ground, 1 + busy, 1);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0); /* the child may know them */
    peer_kill_children(peer);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), PEER_OBJECTS + busy);
    CHECK_LIVING(&ground, 1, 0);
    test_check_empty(ground.mem);
    peer_end(peer);
    ground_end(&ground);
}

static void a_parent_is_killed_and_its_child_lives(void)
{
    for (kernel = TAKES_ADVICE; kernel < ADVISED; kernel++)
        for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
            for (unsigned busy = 0; busy < 2; busy++)
                check_parent_is_killed(kind, busy);
    kernel = TAKES_ADVICE;
}

/* A thread makes a large heap while another one forks. */
struct late {
    const char *name;
    shmheap_memory_handle mem;
    int opened;
};

static void *open_late(void *context)
{
    struct late *late = context;
    late->mem = shmheap_create(late->name, LATE_LEN);
    CHECK(shmheap_valid(late->mem));
    __atomic_store_n(&late->opened, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static struct late late;

static void forks_during_open(struct peer *peer)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, open_late, &late), 0);
    while (access(test_shm_path(late.name), F_OK) != 0)
        sched_yield();
    while (!__atomic_load_n(&late.opened, __ATOMIC_SEQ_CST) && peer->child_count < 8) {
        peer_fork(peer, NULL);
        if (__atomic_load_n(&late.opened, __ATOMIC_SEQ_CST))
            test_kill(peer->children[--peer->child_count]); /* it may have the connection */
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(shmheap_alloc(late.mem, 1000) != NULL);
}

static void a_fork_while_a_heap_is_being_opened(void)
{
    if (!test_shm_has(300))
        return;
    struct ground ground = ground_begin(GROUND_NAME);
    late.name = test_name();
    struct peer *peer = peer_begin(&ground, NULL, forks_during_open);
    peer_kill(peer);
    shmheap_memory_handle mem = test_connect(late.name);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    shmheap_disconnect(mem);
    printf("  %u children forked meanwhile\n", peer->child_count);
    CHECK_EQ(shmheap_unlink_unused(late.name), 0);
    peer_kill_children(peer);
    peer_end(peer);
    ground_end(&ground);
}

/* Threads --------------------------------------------------------------- */

static void *stay(void *context)
{
    struct peer *peer = context;
    use(peer->mem);
    test_barrier_wait(&peer->done);
    for (;;)
        pause();
    return NULL;
}

static void ends_the_main_thread(struct peer *peer)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, stay, peer), 0);
    pthread_exit(NULL);
}

static void a_process_without_its_main_thread(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        struct ground ground = ground_begin(kind);
        struct peer *peer = peer_begin(&ground, NULL, ends_the_main_thread);
        while (test_state(peer->pid) != 'Z')
            sched_yield();
        CHECK_LIVING(&ground, 2, 0);
        CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
        peer_kill(peer);
        CHECK_LIVING(&ground, 1, 1);
        CHECK_EQ(shmheap_reap(ground.mem, 0), PEER_OBJECTS);
        peer_end(peer);
        ground_end(&ground);
    }
}

static const struct test tests[] = {TEST(descriptors_closed_after_opening),
                                    TEST(a_process_without_descriptors_sees_deaths),
                                    TEST(a_heap_grows_after_its_descriptors_were_closed),
                                    TEST(a_number_that_was_reused_is_not_closed),
                                    TEST(no_heap_becomes_a_standard_stream),
                                    TEST(lent_descriptors_carry_no_life),
                                    TEST(a_lent_descriptor_writes_only_if_asked_for),
                                    TEST(a_parent_is_killed_and_its_child_lives),
                                    TEST(a_fork_while_a_heap_is_being_opened),
                                    TEST(a_process_without_its_main_thread)};
TEST_MAIN(tests)
