/* What must hold after the event, whatever it was. The witness, a participant to which nothing
 * happened, looks.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   sound      shmheap_check finds nothing, before and after reaping, in the witness and in a
 *              newcomer.
 *   alive      shmheap_processes shows each living participant as alive, no dead participant as
 *              alive, and no participant that left.
 *   reaping    shmheap_reap takes what only dead processes knew, and nothing else: not what
 *              living or departed processes made, not what was sent or shared, not what a living
 *              child inherited.
 *   contents   each object that must be there is as it was written, by its address, handle and
 *              name.
 *   kept       kept names stay with their objects, however many processes end, until they are
 *              removed by name.
 *   the end    all leave and what they left is freed: then no block is used; no descriptor, no
 *              mapping and no file is left; the name of a heap without users is removed as unused.
 */
#include "tests/seams/seams.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

/* struct seen is private: the processes that the heap shows. */
struct seen {
    unsigned count;
    struct {
        int64_t pid;
        int alive;
    } entries[2 * PEERS_MAX];
};

static int see(const shmheap_process_info *process, void *context)
{
    struct seen *seen = context;
    if (seen->count == sizeof seen->entries / sizeof *seen->entries)
        return 1;
    seen->entries[seen->count].pid = process->pid;
    seen->entries[seen->count++].alive = process->alive;
    return 0;
}

/* 0: not shown, 1: dead, 2: alive. */
static int shown(const struct seen *seen, int64_t pid)
{
    int best = 0;
    for (unsigned i = 0; i < seen->count; i++)
        if (seen->entries[i].pid == pid && seen->entries[i].alive + 1 > best)
            best = seen->entries[i].alive + 1;
    return best;
}

static void alive_check(void)
{
    static struct seen seen;
    static const char *const words[] = {"not at all", "as dead", "as alive"};
    seen.count = 0;
    EXPECT(shmheap_processes(mem, see, &seen) == 0,
           "shmheap_processes is expected to succeed (errno %d)", errno);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &stage->peers[i];
        int found = peer->end != END_STARTS ? shown(&seen, peer->pid) : 0;
        if (peer->end == END_LIVES && peer->has_slot)
            EXPECT(found == 2,
                   "participant %u lives and is expected to be shown as alive; it is shown %s", i,
                   words[found]);
        if (peer->end == END_DEAD)
            EXPECT(found != 2,
                   "participant %u is dead and is expected not to be shown as alive; it is", i);
        if (peer->end == END_LEFT)
            EXPECT(found == 0,
                   "participant %u left in order and is expected not to be shown; it is shown %s",
                   i, words[found]);
    }
}

/* Whether a living process may know an object of a dead process: a child that was forked when the
 * object was there, or a child of that child, knows it. Of a child that was forked before, the
 * library does not know that it cannot: such objects may stay until it has ended (--strict: they
 * must not). */
enum knows { KNOWS_NONE, KNOWS_UNSURE, KNOWS_LIVING };

/* Participant index or its ancestor, whichever is a child of owner; NO_PEER: none is. */
static unsigned child_of(unsigned owner, unsigned index)
{
    for (unsigned steps = 0; index != NO_PEER && steps < HELPERS; steps++) {
        if (stage->peers[index].end == END_STARTS)
            return NO_PEER;
        if (stage->peers[index].parent == owner)
            return index;
        index = stage->peers[index].parent;
    }
    return NO_PEER;
}

static enum knows known(unsigned owner, unsigned object)
{
    enum knows best = KNOWS_NONE;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (i == owner || stage->peers[i].end != END_LIVES)
            continue;
        unsigned child = child_of(owner, i);
        if (child == NO_PEER)
            continue;
        int sure = stage->peers[child].claims >> object & 1;
        enum knows knows = !sure && stage->strict                       ? KNOWS_NONE
                           : sure && !stage->peers[child].claims_unsure ? KNOWS_LIVING
                                                                        : KNOWS_UNSURE;
        best = knows > best ? knows : best;
    }
    return best;
}

int oracle_child_lives(unsigned index)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (i != index && stage->peers[i].end == END_LIVES && child_of(index, i) != NO_PEER)
            return 1;
    return 0;
}

/* Another object of the account lies there now. */
static int taken_again(const struct object *object)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            const struct object *other = &stage->peers[i].objects[j];
            if (other != object && other->state != OBJECT_NONE && other->offset == object->offset &&
                stage->peers[i].end != END_DEAD)
                return 1;
        }
    return 0;
}

static int is_gone(const struct object *object)
{
    return shmheap_usable_size(mem, object_place(object)) == 0 || taken_again(object);
}

/* Objects may have been reaped before the witness reaps: the heap does, or the event. */
static int reaps_otherwise(void)
{
    return row_is(FLAGS, FLAGS_REAP) || row_is(EVENT, EVENT_READER) || row_is(EVENT, EVENT_CANCEL);
}

/* Whether the common name has a user that did not die. */
static enum knows common_known(void)
{
    enum knows best = KNOWS_NONE;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            const struct object *object = &stage->peers[i].objects[j];
            if (object->state == OBJECT_NONE || object->kind != KIND_COMMON)
                continue;
            enum knows this = object->state == OBJECT_DOUBTFUL  ? KNOWS_UNSURE
                              : stage->peers[i].end == END_DEAD ? known(i, j)
                                                                : KNOWS_LIVING;
            best = this > best ? this : best;
        }
    return best;
}

/* After reaping, what is gone leaves the account too. */
static void dead_object_check(unsigned owner, unsigned index, int reaped)
{
    struct object *object = &stage->peers[owner].objects[index];
    enum knows knows = object->kind == KIND_COMMON ? common_known() : known(owner, index);
    int stays = object->kind == KIND_SHARED || object->kind == KIND_SENT ||
                object->kind == KIND_KEPT || knows == KNOWS_LIVING || (!reaped && !reaps_otherwise());
    if (object->state != OBJECT_LIVES)
        return;
    if (!stays && reaped) {
        int gone = is_gone(object);
        EXPECT(gone || knows == KNOWS_UNSURE,
               "the object at %llu, which only dead participant %u knew (kind %d), is "
               "expected to be gone after shmheap_reap; it is still there",
               (unsigned long long)object->offset, owner, (int)object->kind);
        if (gone)
            object_forget(object);
    } else if (stays)
        object_check(object, knows == KNOWS_LIVING
                                 ? "a dead process's (a living child inherited it)"
                             : reaped ? "a dead process's (sent, kept, or a handle was taken)"
                                      : "a dead process's (nobody has reaped)");
}

static void objects_check(int reaped)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            const struct object *object = &stage->peers[i].objects[j];
            if (stage->peers[i].end == END_DEAD)
                dead_object_check(i, j, reaped);
            else if (object->state == OBJECT_LIVES)
                object_check(object, stage->peers[i].end == END_LEFT ? "a departed process's"
                                                                     : "a living process's");
        }
}

static long act_oracle(uint64_t unused)
{
    (void)unused;
    check_sound("after the event");
    if (row_is(MEMORY, MEMORY_ARRAY))
        return 0;
    alive_check();
    objects_check(0);
    EXPECT(shmheap_reap(mem, 0) >= 0, "shmheap_reap is expected to succeed (errno %d)", errno);
    check_sound("after shmheap_reap");
    objects_check(1);
    alive_check();
    long more = shmheap_reap(mem, 0);
    EXPECT(more == 0, "the second shmheap_reap is expected to find nothing; it returns %ld", more);
    return 0;
}

static long act_newcomer(uint64_t unused)
{
    (void)unused;
    check_sound("for a process that has just connected");
    act_fill(2);
    act_churn(10);
    return 0;
}

static int count_block(const shmheap_block_info *block, void *context)
{
    (void)block;
    ++*(uint64_t *)context;
    return 0;
}

static long act_observe(uint64_t unused)
{
    uint64_t blocks = 0;
    (void)unused;
    check_sound("for a read-only connection");
    EXPECT(shmheap_walk(mem, count_block, &blocks) == 0 && blocks > 0,
           "a read-only connection is expected to walk");
    for (unsigned i = 0; i < OBJECTS_MAX; i++) {
        const struct object *object = &stage->peers[stage->witness].objects[i];
        if (object->state == OBJECT_LIVES && object->kind == KIND_KEPT)
            object_check(object, "for a read-only connection the witness's");
    }
    errno = 0;
    EXPECT(shmheap_alloc(mem, 1) == NULL && errno == EACCES,
           "a read-only connection is expected to be refused an "
           "allocation with EACCES; errno is %d",
           errno);
    return 0;
}

void oracle_run(void)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (i != stage->observer && stage->peers[i].end == END_LIVES && peer_running(i))
            tell(i, act_check, 0);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (i != stage->observer && stage->peers[i].end == END_LIVES && peer_running(i))
            answer(i);
    ask(stage->witness, act_oracle, 0);
    unsigned late = newcomer();
    ask(late, act_newcomer, 0);
    if (stage->observer != NO_PEER)
        ask(stage->observer, act_observe, 0);
    ask(stage->witness, act_churn, 50);
    ask(stage->witness, act_oracle, 0);
}

/* The end. */

struct remains {
    uint64_t blocks, sent, named;
    shmheap_block_info first;
};

static int remain(const shmheap_block_info *block, void *context)
{
    struct remains *remains = context;
    int used = block->state == SHMHEAP_STATE_USED || block->state == SHMHEAP_STATE_SHARED;
    remains->named += block->state == SHMHEAP_STATE_NAMED;
    if (used && remains->blocks++ == 0)
        remains->first = *block;
    remains->sent += block->state == SHMHEAP_STATE_SENT;
    return 0;
}

static void sent_collect(const struct object *object)
{
    shmheap_object_handle handle = {object->handle};
    void *ptr = shmheap_receive(mem, handle);
    EXPECT(ptr == object_place(object),
           "an object that was sent is expected to be received once (errno %d)", errno);
    EXPECT(shmheap_receive(mem, handle) == NULL && errno == ESTALE,
           "an object is expected to be received once; the second time errno is %d", errno);
}

/* The name of an object that a process kept, perhaps (it ended inside the call). A process that was
 * forked by its owner may still use it when the owner is dead. */
static void kept_collect(const struct object *object, const struct peer *owner, int perhaps)
{
    char name[OBJECT_NAME_MAX];
    int inherited = owner->end == END_DEAD && child_of((unsigned)(owner - stage->peers), self) != NO_PEER;
    object_name(object, name);
    int result = shmheap_name_remove(mem, name), error = errno;
    EXPECT(result == 0 || (result == 1 && inherited) || (perhaps && error == ENOENT),
           "shmheap_name_remove of a name that processes kept which are gone is expected to return "
           "0%s; it returns %d (errno %d)",
           inherited ? " or 1" : "", result, error);
    EXPECT(result == 1 || shmheap_find(mem, name, NULL) == NULL,
           "a name that was removed is expected not to be found");
}

/* Frees an object of a process that is not there any more, where that has not been reaped. Uses of
 * names that dead processes had are for shmheap_reap alone. */
static void object_collect(struct object *object, const struct peer *owner)
{
    void *ptr = object_place(object);
    int dead = owner->end == END_DEAD;
    object->state = OBJECT_NONE;
    if (object->kind == KIND_SENT)
        sent_collect(object);
    else if (dead && (object->kind == KIND_NAMED || object->kind == KIND_COMMON ||
                      shmheap_usable_size(mem, ptr) == 0))
        return;
    else
        object_check(object, "a departed process's");
    if (object->kind != KIND_KEPT || !dead)
        EXPECT(shmheap_try_free(mem, ptr) == 0,
               "what a process left is expected to be freed by another (kind %d, errno %d)",
               (int)object->kind, errno);
    if (object->kind == KIND_KEPT)
        kept_collect(object, owner, 0);
}

/* Names that stay as long as this process does: it inherited them from one that is dead. */
static uint64_t names_inherited(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++)
            count += stage->peers[i].end == END_DEAD && child_of(i, self) != NO_PEER &&
                     stage->peers[i].objects[j].state != OBJECT_NONE &&
                     stage->peers[i].objects[j].kind >= KIND_NAMED;
    return count;
}

/* Doubtful objects that stay as long as this process does: it may have inherited them. */
static uint64_t doubtful_inherited(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++)
            count += stage->peers[i].end == END_DEAD && child_of(i, self) != NO_PEER &&
                     stage->peers[i].objects[j].state == OBJECT_DOUBTFUL;
    return count;
}

static void nothing_remains(uint64_t names, uint64_t doubtful)
{
    struct remains remains;
    memset(&remains, 0, sizeof remains);
    EXPECT(shmheap_walk(mem, remain, &remains) == 0,
           "shmheap_walk is expected to succeed (errno %d)", errno);
    EXPECT(remains.blocks <= doubtful_inherited(),
           "no object is expected at the end; %llu are left that no process knows, the first at "
           "%llu, %llu bytes, state %d, slot %u",
           (unsigned long long)remains.blocks, (unsigned long long)remains.first.offset,
           (unsigned long long)remains.first.len, (int)remains.first.state, remains.first.slot);
    EXPECT(remains.named <= names,
           "%llu objects with names are expected at the end; there are %llu",
           (unsigned long long)names, (unsigned long long)remains.named);
    EXPECT(remains.sent <= doubtful, "no object in transit is expected at the end; %llu are left",
           (unsigned long long)remains.sent);
}

static long act_collect(uint64_t unused)
{
    uint64_t doubtful = 0, names = names_inherited() + stage->names_left;
    (void)unused;
    EXPECT(shmheap_reap(mem, SHMHEAP_REAP_SHARED) >= 0,
           "shmheap_reap is expected to succeed (errno %d)", errno);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            unsigned owner = (self + i) % PEERS_MAX; /* uses of its own are given back first */
            struct object *object = &stage->peers[owner].objects[j];
            doubtful += object->state == OBJECT_DOUBTFUL;
            if (object->state == OBJECT_DOUBTFUL && object->kind == KIND_KEPT)
                kept_collect(object, &stage->peers[owner], 1);
            if (object->state == OBJECT_LIVES)
                object_collect(object, &stage->peers[owner]);
        }
    nothing_remains(names, doubtful);
    check_sound("at the end");
    return 0;
}

static void leave(unsigned index)
{
    ask(index, act_leave, 0);
    stage->peers[index].end = END_LEFT;
}

/* Another process than the witness frees what is left, where one can come that inherits nothing. */
static unsigned collector(void)
{
    int inherits = row_is(MEMORY, MEMORY_ANON_FORK) || row_is(MEMORY, MEMORY_ARRAY);
    return inherits ? stage->witness : newcomer();
}

static void name_end(void)
{
    if (!row_named() || stage->nameless)
        return;
    if (row_is(MEMORY, MEMORY_SHM))
        EXPECT(shmheap_unlink_unused(stage->place.name) == 0,
               "the name of a heap that all have left is expected to be removed by "
               "shmheap_unlink_unused; errno %d (%s)",
               errno, strerror(errno));
    else
        EXPECT(unlink(stage->place.name) == 0,
               "the heap's file is expected to be there still (errno %d)", errno);
}

void oracle_end(void)
{
    unsigned last = collector();
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (i != last && stage->peers[i].end == END_LIVES && peer_running(i))
            leave(i);
    if (!row_is(MEMORY, MEMORY_ARRAY))
        ask(last, act_collect, 0);
    leave(last);
    name_end();
    place_check_end();
}
