/* The heap is copied while its processes work.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum { MANY = 100000000, YIELDS = 30 }; /* each may last as long as all others' turns */

/* On the heap's own file system, but that of huge pages cannot be written to. */
static void copy_path(char *path, size_t room)
{
    if (row_is(MEMORY, MEMORY_FILE_DISK))
        snprintf(path, room, "%s/copy", stage->place.folder);
    else
        snprintf(path, room, "/dev/shm/%s-copy", stage->place.tag);
}

/* 0 or errno. */
static long act_copy(uint64_t unused)
{
    char path[220];
    (void)unused;
    copy_path(path, sizeof path);
    int result = shmheap_copy(mem, path), error = errno;
    if (row_callers()) {
        EXPECT(result == -1 && error == ENOTSUP,
               "copying a heap in the caller's memory is expected to fail with ENOTSUP; errno %d",
               error);
        return 0;
    }
    EXPECT(result == 0 || error == EAGAIN,
           "copying is expected to succeed, or to fail with EAGAIN where the heap changes too "
           "fast; errno %d (%s)",
           error, strerror(error));
    if (result != 0) {
        EXPECT(access(path, F_OK) != 0, "nothing is expected to be left of a copy that failed");
        return error;
    }
    EXPECT(shmheap_copy(mem, path) == -1 && errno == EEXIST,
           "copying to a file that is there is expected to fail with EEXIST; errno %d", errno);
    return 0;
}

/* What stands in the account, and did when the copy was made: act_churn makes and frees private
 * objects, and kept ones for a time. */
static void copied_check(int reaped)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            const struct object *object = &stage->peers[i].objects[j];
            int stays = object->kind == KIND_SHARED || object->kind == KIND_SENT ||
                        object->kind == KIND_KEPT;
            if (object->state == OBJECT_LIVES && object->kind != KIND_PRIVATE && !object->passing &&
                (stays || !reaped))
                object_check(object, reaped ? "after reaping, a copied" : "a copied");
        }
}

/* The copier did nothing else meanwhile. */
static void copier_objects_check(unsigned copier, int there)
{
    for (unsigned j = 0; j < OBJECTS_MAX; j++) {
        const struct object *object = &stage->peers[copier].objects[j];
        if (object->state != OBJECT_LIVES || object->kind != KIND_PRIVATE)
            continue;
        if (there)
            object_check(object, "the copier's");
        else
            EXPECT(shmheap_usable_size(mem, object_place(object)) == 0,
                   "the copier's private object at %llu is expected to be reaped in the copy",
                   (unsigned long long)object->offset);
    }
}

/* copier: the process that made the copy, or NO_PEER: it was killed, and the copy may not be
 * there. */
static long act_copy_check(uint64_t copier)
{
    char path[220];
    shmheap_options options = {.flags = SHMHEAP_FILE};
    copy_path(path, sizeof path);
    if (copier == NO_PEER && access(path, F_OK) != 0)
        return 0;
    EXPECT(shmheap_open(&mem, path, &options) == 0,
           "a copy is expected to be opened; errno %d (%s)", errno, strerror(errno));
    check_sound("in a copy");
    copied_check(0);
    if (copier != NO_PEER)
        copier_objects_check((unsigned)copier, 1);
    EXPECT(shmheap_reap(mem, 0) >= 0, "a copy is expected to be reaped (errno %d)", errno);
    check_sound("in a copy that was reaped");
    copied_check(1);
    if (copier != NO_PEER)
        copier_objects_check((unsigned)copier, 0);
    void *ptr = shmheap_alloc(mem, 1);
    EXPECT(ptr != NULL || errno == ENOMEM, "a copy is expected to serve (errno %d)", errno);
    shmheap_disconnect(mem);
    EXPECT(unlink(path) == 0, "the copy is expected to be there: %s", strerror(errno));
    return 0;
}

static void copy_check(unsigned copier)
{
    unsigned checker = helper_new();
    if (row_callers())
        return;
    peer_start(checker);
    ask(checker, act_copy_check, copier);
    kill(stage->peers[checker].pid, SIGKILL);
    peer_await_end(checker, END_STARTS);
}

static void work_begin(unsigned but)
{
    stage->rest = 0;
    for (unsigned i = 0; i < stage->processes; i++)
        if (i != but && peer_running(i))
            tell(i, act_churn, MANY);
}

static void work_end(unsigned but)
{
    stage->rest = 1;
    for (unsigned i = 0; i < stage->processes; i++)
        if (i != but && peer_running(i))
            answer(i);
    stage->rest = 0;
}

void event_copy(void)
{
    unsigned copier = stage->witness, victim = newcomer();
    work_begin(copier);
    long error = ask(copier, act_copy, 0);
    work_end(copier);
    if (error == EAGAIN)
        EXPECT(ask(copier, act_copy, 0) == 0, "a heap at rest is expected to be copied");
    copy_check(copier);
    work_begin(copier);
    tell(victim, act_copy, 0);
    for (uint64_t i = stage->seed % YIELDS; i > 0; i--)
        sched_yield();
    peer_kill(victim);
    work_end(copier);
    copy_check(NO_PEER);
}
