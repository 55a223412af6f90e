/* The subject loses descriptors or rights.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum { DESCRIPTORS_MAX = 1024, FOREIGN = 8, NOBODY_ID = 65534 };

/* Then files of the program's own get the numbers, and must stay open. */
static long act_closefrom(uint64_t unused)
{
    (void)unused;
    for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
        close(fd);
    for (unsigned i = 0; i < FOREIGN; i++)
        EXPECT(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0, "/dev/null is expected to open");
    me()->fds_before = descriptors_open();
    act_fill(3);
    act_churn(100);
    return 0;
}

void event_closefrom(void) { ask(stage->subject, act_closefrom, 0); }

long act_close_standard(uint64_t unused)
{
    (void)unused;
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    return 0;
}

static long act_print(uint64_t unused)
{
    int fd = shmheap_fd(mem);
    (void)unused;
    EXPECT(fd < 0 || fd > 2, "no descriptor of the heap is expected below 3; shmheap_fd is %d", fd);
    EXPECT(write(1, "listening\n", 10) == -1,
           "standard output is closed; writing to it is expected to fail");
    check_sound("after the program has printed to a closed standard output");
    act_churn(50);
    return 0;
}

void event_stdout(void) { ask(stage->subject, act_print, 0); }

static long act_setuid(uint64_t unused)
{
    (void)unused;
    if (geteuid() != 0 || setgid(NOBODY_ID) != 0 || setuid(NOBODY_ID) != 0)
        seams_skip(EVENT, "the user cannot be changed here: %s",
                   geteuid() != 0 ? "not root" : strerror(errno));
    return 0;
}

void event_setuid(void)
{
    ask(stage->subject, act_setuid, 0);
    fork_with_less();
}

static long act_chroot(uint64_t unused)
{
    char root[200];
    (void)unused;
    snprintf(root, sizeof root, "/dev/shm/%s-root", stage->place.tag);
    EXPECT(mkdir(root, 0755) == 0, "an empty folder is expected to be made: %s", strerror(errno));
    int result = chroot(root) != 0 || chdir("/") != 0, reason = errno;
    if (result != 0)
        seams_skip(EVENT, "the root folder cannot be changed here: %s", strerror(reason));
    return 0;
}

void event_chroot(void)
{
    char root[200];
    ask(stage->subject, act_chroot, 0);
    snprintf(root, sizeof root, "/dev/shm/%s-root", stage->place.tag);
    rmdir(root);
    fork_with_less();
}

/* The limit is where the process stands; one more heap is refused, and leaves nothing. */
static long act_nofile(uint64_t unused)
{
    struct rlimit limit;
    shmheap_memory_handle other;
    (void)unused;
    me()->fds_known = 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit is expected to be set: %s",
           strerror(errno));
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        continue;
    EXPECT(errno == EMFILE, "the limit is expected to be reached (errno %d)", errno);
    if (row_named()) {
        shmheap_options options;
        options_fill(&options, 1);
        options.flags &= ~(unsigned)SHMHEAP_TAKE_OVER;
        EXPECT(shmheap_open(&other, stage->place.other, &options) != 0 && errno == EMFILE,
               "without a descriptor left another heap is expected to be refused with EMFILE; "
               "errno %d",
               errno);
    }
    return 0;
}

void event_nofile(void)
{
    ask(stage->subject, act_nofile, 0);
    fork_with_less();
}

/* A process keeps what shmheap_fd lends, and releases all locks on it that are its to release. */
static long act_borrow(uint64_t unused)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    int fd = fd_receive();
    (void)unused;
    EXPECT(fd >= 0, "a descriptor is expected by the socket");
    fcntl(fd, F_OFD_SETLK, &lock);
    return 0;
}

void event_fd_lent(void)
{
    unsigned borrower = helper_new();
    peer_start(borrower);
    ask(stage->subject, act_post_fd, 0);
    ask(borrower, act_borrow, 0);
    ask(stage->subject, act_churn, 50);
    oracle_run();
    peer_kill(stage->subject);
    oracle_run();
    kill(stage->peers[borrower].pid, SIGKILL);
    peer_await_end(borrower, END_DEAD);
}
