/* How participants come to their connections.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/seams.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum { TABLE = 4, FILLED = 7, OPEN_TIMEOUT_MS = 20000, WAITS_FOR_GO = 256 };

void options_fill(shmheap_options *options, int make)
{
    static const unsigned of_maker[FLAGS_VALUES] = {[FLAGS_REAP] = SHMHEAP_REAP,
                                                    [FLAGS_SPARSE] = SHMHEAP_SPARSE,
                                                    [FLAGS_TAKE_OVER] = SHMHEAP_TAKE_OVER};
    memset(options, 0, sizeof *options);
    if (row_is(FLAGS, FLAGS_HUGE))
        options->flags |= SHMHEAP_HUGE_PAGES;
    if (row_is(CACHES, CACHES_ALL) ||
        (row_is(CACHES, CACHES_SOME) && (self ^ stage->subject) % 2 == 0))
        options->flags |= SHMHEAP_CACHED;
    if (row_file())
        options->flags |= SHMHEAP_FILE;
    options->timeout_ms = OPEN_TIMEOUT_MS;
    if (!make)
        return;
    options->flags |= of_maker[row_value(FLAGS)];
    if (!row_callers())
        options->flags |= SHMHEAP_CREATE | (row_is(SIZE, SIZE_1G) ? (unsigned)SHMHEAP_SPARSE : 0);
    options->len = stage->len;
    options->max_len = row_is(GROWTH, GROWTH_GROWS) ? stage->max_len : 0;
    options->alignment = row_is(ALIGNMENT, ALIGNMENT_8) ? 8 : 16;
    options->mode = row_is(EVENT, EVENT_READER) ? 0644 : 0600;
}

/* A descriptor that another participant has sent. */
int fd_receive(void)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&byte, 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    int fd = -1;
    ssize_t got;
    do
        got = recvmsg(stage->place.post[0], &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    EXPECT(got == 1, "a descriptor is expected by the socket (errno %d)", errno);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL)
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

long act_post_fd(uint64_t unused)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {(void *)(uintptr_t) "d", 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    int fd = shmheap_fd(mem);
    (void)unused;
    EXPECT(fd >= 0, "shmheap_fd is expected to give a descriptor (errno %d)", errno);
    memset(control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ssize_t sent;
    do
        sent = sendmsg(stage->place.post[1], &message, 0);
    while (sent < 0 && errno == EINTR);
    EXPECT(sent == 1, "the descriptor is expected to be sent (errno %d)", errno);
    return 0;
}

static int open_by_fd(const shmheap_options *options)
{
    shmheap_options of_fd = *options;
    int fd = fd_receive();
    of_fd.flags &= (unsigned)(SHMHEAP_CACHED | SHMHEAP_HUGE_PAGES | SHMHEAP_READ_ONLY);
    int result = shmheap_open_fd(&mem, fd, &of_fd), reason = errno;
    close(fd);
    errno = reason;
    return result;
}

static int open_callers(enum how how, const shmheap_options *options)
{
    struct place *place = &stage->place;
    if (how == HOW_MAKE)
        return shmheap_create_at(&mem, place->memory, place->memory_len, options);
    return shmheap_attach_at(&mem, place->memory, place->memory_len);
}

/* One attempt: as shmheap_open. */
static int open_once(enum how how, shmheap_options *options)
{
    if (how == HOW_BY_FD)
        return open_by_fd(options);
    if (row_callers())
        return open_callers(how, options);
    if (row_is(MEMORY, MEMORY_ANON_FORK) || row_is(MEMORY, MEMORY_ANON_FD)) {
        options->flags |= SHMHEAP_ANONYMOUS;
        return shmheap_open(&mem, stage->place.tag, options);
    }
    if (how == HOW_MAKE)
        options->flags |= SHMHEAP_EXCLUSIVE;
    return shmheap_open(&mem, stage->place.name, options);
}

/* The heap is not there yet: what connecting says then. */
static int not_there_yet(int error) { return error == (row_callers() ? EBADMSG : ENOENT); }

long act_open(uint64_t argument)
{
    enum how how = (enum how)(argument & ~(uint64_t)WAITS_FOR_GO);
    shmheap_options options;
    int forking = stage->fork_while_opening && self == stage->subject, result;
    options_fill(&options, how == HOW_MAKE || how == HOW_MAKE_OR_CONNECT);
    if (self == stage->observer)
        options.flags = (options.flags & (unsigned)SHMHEAP_FILE) | SHMHEAP_READ_ONLY;
    me()->fds_before = descriptors_open();
    if (argument & WAITS_FOR_GO)
        go_wait();
    if (forking)
        fork_opening_begin();
    while ((result = open_once(how, &options)) != 0 && how == HOW_CONNECT_SOON &&
           not_there_yet(errno))
        sched_yield();
    int error = errno;
    if (forking)
        fork_opening_end();
    static const char *const words[] = {"making the heap", "making the heap or connecting to it",
                                        "connecting", "connecting while the heap is made",
                                        "opening by a descriptor"};
    EXPECT(result == 0, "%s is expected to succeed; errno %d (%s)", words[how], error,
           strerror(error));
    place_note_file(shmheap_fd(mem));
    me()->has_slot = self != stage->observer;
    me()->end = END_LIVES;
    return 0;
}

long act_leave(uint64_t unused)
{
    (void)unused;
    shmheap_disconnect(mem);
    EXPECT(!shmheap_valid(mem), "shmheap_valid is expected to deny a connection that was ended");
    if (!row_is(MEMORY, MEMORY_ARRAY))
        place_check_process();
    return 0;
}

static long act_daemon(uint64_t index)
{
    peer_expect_child((unsigned)index);
    EXPECT(daemon(1, 1) == 0, "daemon(3) is expected to succeed: %s", strerror(errno));
    peer_become((unsigned)index);
}

/* The maker calls daemon(3): it ends, and a child of it goes on as the subject. */
static void daemonize(void)
{
    stage->subject = helper_new();
    tell(stage->maker, act_daemon, stage->subject);
    peer_await_end(stage->maker, END_DEAD);
    peer_await_start(stage->subject);
}

static int joins_by_fd(unsigned index)
{
    return stage->nameless || row_is(MEMORY, MEMORY_ANON_FD) ||
           (row_is(OPENED, OPENED_BY_FD) && index == stage->subject);
}

/* from: a connected participant, by which this one gets the heap where there is no other way. */
static void join(unsigned index, unsigned from)
{
    int inherits = row_is(OPENED, OPENED_INHERITED) && index == stage->subject;
    if (inherits || row_is(MEMORY, MEMORY_ANON_FORK) || row_is(MEMORY, MEMORY_ARRAY)) {
        ask(from, act_fork, index);
        peer_await_start(index);
        return;
    }
    peer_start(index);
    event_prelude(index);
    if (joins_by_fd(index))
        ask(from, act_post_fd, 0);
    ask(index, act_open, joins_by_fd(index) ? HOW_BY_FD : HOW_CONNECT);
}

unsigned newcomer(void)
{
    unsigned index = helper_new();
    join(index, stage->witness);
    return index;
}

/* What a dead process has left, for SHMHEAP_TAKE_OVER. */
static void leftover_make(void)
{
    unsigned index = helper_new();
    peer_start(index);
    ask(index, act_open, HOW_MAKE);
    ask(index, act_fill, TABLE);
    peer_kill(index);
    memset(stage->peers[index].objects, 0, sizeof stage->peers[index].objects);
}

static void open_at_once(void)
{
    int making = row_is(OPENED, OPENED_AT_ONCE);
    for (unsigned i = 0; i < stage->processes; i++) {
        peer_start(i);
        event_prelude(i);
    }
    for (unsigned i = 0; i < stage->processes; i++)
        tell(i, act_open,
             WAITS_FOR_GO | (making   ? HOW_MAKE_OR_CONNECT
                             : i == 0 ? HOW_MAKE
                                      : HOW_CONNECT_SOON));
    go_all();
    for (unsigned i = 0; i < stage->processes; i++)
        answer(i);
    ask(0, act_fill, TABLE);
}

static void open_in_turn(void)
{
    peer_start(stage->maker);
    event_prelude(stage->maker);
    ask(stage->maker, act_open, HOW_MAKE);
    ask(stage->maker, act_fill, TABLE);
    if (row_is(OPENED, OPENED_DAEMON))
        daemonize();
    unsigned from = row_is(OPENED, OPENED_DAEMON) ? stage->subject : stage->maker;
    for (unsigned i = 1; i < stage->processes; i++)
        join(i, from);
}

/* Roles: the subject is the maker where it makes the heap; the witness is never the subject. */
static void roles_give(void)
{
    stage->maker = 0;
    stage->subject = row_is(OPENED, OPENED_CREATE) || row_is(OPENED, OPENED_DAEMON) ? 0 : 1;
    stage->witness = stage->processes == 2 || stage->subject == 0 ? 1 - stage->subject : 2;
    stage->observer = NO_PEER;
}

void opening_run(void)
{
    roles_give();
    if (row_is(FLAGS, FLAGS_TAKE_OVER))
        leftover_make();
    if (row_is(OPENED, OPENED_AT_ONCE) || row_is(OPENED, OPENED_DURING))
        open_at_once();
    else
        open_in_turn();
    if (row_is(FLAGS, FLAGS_OBSERVER)) {
        stage->observer = helper_new();
        if (row_is(MEMORY, MEMORY_ANON_FD))
            ask(stage->witness, act_post_fd, 0);
        peer_start(stage->observer);
        ask(stage->observer, act_open, row_is(MEMORY, MEMORY_ANON_FD) ? HOW_BY_FD : HOW_CONNECT);
    }
    ask(stage->subject, act_fill, FILLED);
    ask(stage->witness, act_fill, FILLED);
    for (unsigned i = 0; i < stage->processes; i++)
        if (i != stage->subject && i != stage->witness && peer_running(i))
            tell(i, act_fill, FILLED);
    for (unsigned i = 0; i < stage->processes; i++)
        if (i != stage->subject && i != stage->witness && peer_running(i))
            answer(i);
}
