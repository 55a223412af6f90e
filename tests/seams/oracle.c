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

#include <stdio.h>
#include <string.h>

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

unsigned oracle_child_of(unsigned owner, unsigned index)
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
        unsigned child = oracle_child_of(owner, i);
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
        if (i != index && stage->peers[i].end == END_LIVES && oracle_child_of(index, i) != NO_PEER)
            return 1;
    return 0;
}

/* Whether an object of the account lies at this place now. Of a dead process that can be an object
 * that reaping leaves alone: the process had got the place of a process that died earlier. A
 * process that dies inside an allocation has not noted the place; a kept name leads there. */
static int lies_at(const struct peer *owner, const struct object *object, uint64_t offset)
{
    char name[OBJECT_NAME_MAX];
    if (owner->end != END_DEAD || object->kind == KIND_SHARED || object->kind == KIND_SENT)
        return object->offset == offset;
    object_name(object, name);
    return object->kind == KIND_KEPT &&
           shmheap_find(mem, name, NULL) == (unsigned char *)shmheap_underlying(mem) + offset;
}

/* Another object of the account lies there now. */
static int taken_again(const struct object *object)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++) {
            const struct object *other = &stage->peers[i].objects[j];
            if (other != object && other->state != OBJECT_NONE &&
                lies_at(&stage->peers[i], other, object->offset))
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
    return row_is(FLAGS, FLAGS_REAP) || row_is(EVENT, EVENT_READER) ||
           row_is(EVENT, EVENT_CANCEL) || row_is(EVENT, EVENT_KILL_NEXT);
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
                object->kind == KIND_KEPT || knows == KNOWS_LIVING ||
                (!reaped && !reaps_otherwise());
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
                                      : "a dead process's (not reaped yet)");
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
