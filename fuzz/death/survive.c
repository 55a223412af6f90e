/* survive.c: checks what a survivor of a death finds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "fuzz/world/contents.h"
#include "fuzz/death/death.h"

static struct blocks now, reaped;

static int filled(shmheap_memory_handle mem, const struct world_object *object, uint64_t least)
{
    return contents_same((unsigned char *)shmheap_underlying(mem) + object->offset, object->len,
                         object->mark, least);
}

static int is_of_dead(const struct death *death, const shmheap_block_info *block)
{
    return block->slot == 0 || block->slot == death->slots[0] || block->slot == death->slots[1] ||
           block->slot == death->slots[2];
}

/* Names and the records of caches are made from blocks that the caller owns first. A death or a
 * lack of space may leave such a block behind. */
static int may_leave_blocks(const struct death *death)
{
    return death->op.kind == OP_NAMED || death->op.kind == OP_UNNAME || death->world->shape.cached;
}

/* Each object existed before the call or would exist after it. Each object that exists in both
 * cases exists now. Recovery may move the table of names. */
static void check_blocks(const struct death *death)
{
    for (unsigned i = 0; i < now.count; i++) {
        const shmheap_block_info *block = &now.all[i];
        if (!block_is_used(block) || block->state == SHMHEAP_STATE_INTERNAL ||
            blocks_have_object(&death->before, block->offset) ||
            blocks_have_object(&death->after, block->offset))
            continue;
        if (world_printing)
            printf("    /* an unexpected block: offset %llu, state %u, slot %u */\n",
                   (unsigned long long)block->offset, block->state, block->slot);
        FUZZ_CHECK(may_leave_blocks(death) && block->state == SHMHEAP_STATE_USED &&
                   is_of_dead(death, block));
    }
    for (unsigned i = 0; i < death->before.count; i++) {
        const shmheap_block_info *block = &death->before.all[i];
        if (block_is_used(block) && block->state != SHMHEAP_STATE_INTERNAL &&
            blocks_have_object(&death->after, block->offset))
            FUZZ_CHECK(blocks_have_object(&now, block->offset));
    }
}

static int is_target(const struct death *death, unsigned index)
{
    switch (death->op.kind) {
        case OP_FREE:
        case OP_REALLOC:
        case OP_LABELLED: /* the label replaces the end of its contents */
            return index == death->target;
        case OP_FREE_MANY:
            return index >= death->target;
        default:
            return 0;
    }
}

static void check_resized(const struct death *death, shmheap_memory_handle mem)
{
    const struct world_object *old = &death->world->objects[death->target], *new = &death->resized;
    uint64_t least = old->len < new->len ? old->len : new->len;
    struct world_object moved = *old;
    moved.offset = new->offset;
    FUZZ_CHECK((blocks_have_object(&now, old->offset) && filled(mem, old, least)) ||
               (blocks_have_object(&now, moved.offset) && filled(mem, &moved, least)));
}

/* The call ends the last use of the name: it frees the object, and a new table of names may begin
 * in its place as a block in use. */
static int is_last_use(const struct death *death, unsigned index)
{
    const unsigned *users = death->world->names[index].users;
    return death->op.kind == OP_UNNAME && index == death->target &&
           users[0] + users[1] + users[2] == 1;
}

/* Every byte of every object except the call's. The table of names may now lie in the place of a
 * reaped object, so only blocks that hold objects are compared. */
static void check_contents(const struct death *death, shmheap_memory_handle mem,
                           const struct blocks *blocks)
{
    const struct world *world = death->world;
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_object *object = &world->objects[i];
        if (is_target(death, i) || !blocks_have_object(blocks, object->offset))
            continue;
        FUZZ_CHECK(filled(mem, object, object->len));
        /* No process may use the pointer of an object that is being sent. */
        if (blocks_find(blocks, object->offset)->state != SHMHEAP_STATE_SENT)
            FUZZ_CHECK(shmheap_usable_size(mem, (char *)shmheap_underlying(mem) + object->offset) >=
                       object->len);
    }
    for (unsigned i = 0; i < WORLD_NAMES; i++) {
        const struct world_object *object = &world->names[i].object;
        if (object->offset != 0 && !is_last_use(death, i) &&
            blocks_have_object(blocks, object->offset))
            FUZZ_CHECK(filled(mem, object, object->len));
    }
}

/* A name, except the call's, exists if and only if a living or a disconnected process uses it. */
static void check_names(const struct death *death, shmheap_memory_handle mem)
{
    for (unsigned i = 0; i < WORLD_NAMES; i++) {
        const struct world_name *name = &death->world->names[i];
        unsigned others = name->users[!death->op.side] + name->users[2];
        char text[8];
        size_t len;
        world_name_text(text, i);
        void *found = shmheap_find(mem, text, &len);
        if ((death->op.kind == OP_UNNAME && i == death->target) ||
            (death->op.kind == OP_RECONNECT && name->users[death->op.side]))
            continue;
        FUZZ_CHECK((found != NULL) == (others > 0));
        FUZZ_CHECK(!found || (len == name->object.len && filled(mem, &name->object, len)));
    }
}

/* Reaping freed the unshared objects of dead processes, and nothing else. */
static void check_reaped(const struct death *death)
{
    for (unsigned i = 0; i < now.count; i++) {
        const shmheap_block_info *block = &now.all[i];
        int stays = block->state == SHMHEAP_STATE_SHARED || block->state == SHMHEAP_STATE_SENT ||
                    (block->state == SHMHEAP_STATE_USED && !is_of_dead(death, block));
        const shmheap_block_info *later = stays ? blocks_find(&reaped, block->offset) : NULL;
        FUZZ_CHECK(!stays || (later && later->size == block->size && later->state == block->state));
    }
    for (unsigned i = 0; i < reaped.count; i++) {
        const shmheap_block_info *block = &reaped.all[i];
        FUZZ_CHECK(!block_is_used(block) || block->state == SHMHEAP_STATE_INTERNAL ||
                   blocks_have_object(&now, block->offset));
        FUZZ_CHECK(block->slot != 0 ||
                   (block->state != SHMHEAP_STATE_USED && block->state != SHMHEAP_STATE_CACHED));
    }
}

static void check_usable(shmheap_memory_handle mem)
{
    shmheap_stats stats;
    void *ptr = shmheap_alloc(mem, 10);
    FUZZ_CHECK(ptr || errno == ENOMEM);
    FUZZ_CHECK(!ptr || shmheap_try_free(mem, ptr) == 0);
    FUZZ_CHECK(shmheap_stat(mem, &stats) == 0 && stats.dead == 0 && stats.recoveries <= 2);
    FUZZ_CHECK(stats.processes == 2); /* the survivor and the other side */
    world_check_sound(mem);
}

void death_survive(const struct death *death, shmheap_memory_handle mem)
{
    world_check_sound(mem);
    blocks_take(&now, mem);
    check_blocks(death);
    check_contents(death, mem, &now);
    if (death->op.kind == OP_REALLOC && death->resized.offset)
        check_resized(death, mem);
    FUZZ_CHECK(shmheap_reap(mem, 0) >= 0);
    world_check_sound(mem);
    blocks_take(&reaped, mem);
    check_reaped(death);
    check_contents(death, mem, &reaped);
    check_names(death, mem);
    check_usable(mem);
}
