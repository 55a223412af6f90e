/* The end of a row: all leave, and what they left is freed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/seams.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    int inherited = owner->end == END_DEAD &&
                    oracle_child_of((unsigned)(owner - stage->peers), self) != NO_PEER;
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
            count += stage->peers[i].end == END_DEAD && oracle_child_of(i, self) != NO_PEER &&
                     stage->peers[i].objects[j].state != OBJECT_NONE &&
                     stage->peers[i].objects[j].kind >= KIND_NAMED;
    return count;
}

/* Used blocks that a death inside a call on the object leaves at most: the object and the record of
 * a name that is being made, or both places of an object that moves. */
static uint64_t blocks_left(const struct object *object)
{
    int moves = object->kind == KIND_PRIVATE && object->offset != 0;
    return object->kind >= KIND_NAMED || moves ? 2 : 1;
}

/* Blocks of doubtful objects that stay as long as this process does: it may have inherited them. */
static uint64_t doubtful_inherited(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        for (unsigned j = 0; j < OBJECTS_MAX; j++)
            if (stage->peers[i].end == END_DEAD && oracle_child_of(i, self) != NO_PEER &&
                stage->peers[i].objects[j].state == OBJECT_DOUBTFUL)
                count += blocks_left(&stage->peers[i].objects[j]);
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

/* Another process than the witness frees the remaining objects, where one can connect that inherits
 * nothing. */
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
