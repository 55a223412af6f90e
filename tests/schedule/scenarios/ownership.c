/* ownership.c: handles, sending and receiving, reaping.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 64, BYTES = 1024, LABEL = 77 };

/* Actor 0 makes an object and sends it. */
static void send_one(unsigned actor)
{
    const uint64_t label = LABEL;
    if (actor == 0)
        stage->handles[0] = shmheap_send_labelled(mem, shmheap_alloc(mem, SIZE), &label, 1);
}

static void receive_it(unsigned actor)
{
    (void)actor;
    call_begins();
    record_ptr(shmheap_receive(mem, stage->handles[0]));
}

static unsigned winners(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < stage->count; i++)
        count += stage->actors[i].result_count != 0 && stage->actors[i].results[0] >> 32 == 0;
    return count;
}

/* One actor has the object. It may be one that died, which then has no result. */
static const char *one_wins(void)
{
    unsigned count = winners();
    return count > 1                          ? "two actors have received one object"
           : count == 0 && stage->deaths == 0 ? "no actor has received the object"
                                              : NULL;
}

const struct scenario two_receivers = {.name = "two_receivers",
                                       .actors = 2,
                                       .bytes = BYTES,
                                       .flags = DIES,
                                       .begin = send_one,
                                       .run = receive_it,
                                       .judge = one_wins};

static void receive_one_way(unsigned actor)
{
    call_begins();
    record_ptr(actor % 2 == 0 ? shmheap_receive_labelled(mem, stage->handles[0], LABEL, 8)
                              : shmheap_receive(mem, stage->handles[0]));
    if (stage->actors[actor].results[0] >> 32 == 0) {
        call_begins();
        record_status(shmheap_put_back(mem, stage->handles[0]));
    }
}

/* Each receiver puts the object back, so each may get it. */
const struct scenario put_back = {.name = "put_back",
                                  .actors = 2,
                                  .bytes = BYTES,
                                  .flags = DIES,
                                  .begin = send_one,
                                  .run = receive_one_way};

const struct scenario four_receivers = {.name = "four_receivers",
                                        .actors = 4,
                                        .bytes = BYTES,
                                        .begin = send_one,
                                        .run = receive_one_way};

static void one_object(unsigned actor)
{
    if (actor == 0)
        object_note(0, shmheap_alloc(mem, SIZE));
}

static void record_handle(shmheap_object_handle handle) { record(handle.bits != 0); }

static void handle_and_free(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_handle(shmheap_ptr_to_handle(mem, object(0)));
    else
        record_status(shmheap_try_free(mem, object(0)));
}

const struct scenario handle_against_free = {.name = "handle_against_free",
                                             .actors = 2,
                                             .bytes = BYTES,
                                             .flags = DIES,
                                             .begin = one_object,
                                             .run = handle_and_free};

static void send_and_free(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_handle(stage->handles[0] = shmheap_send(mem, object(0)));
    else
        record_status(shmheap_try_free(mem, object(0)));
}

/* Where both calls succeed, the object is freed and its handle is stale. */
static const char *sent_or_freed(void)
{
    const struct actor *sender = &stage->actors[0], *other = &stage->actors[1];
    int sent = sender->result_count != 0 && sender->results[0] != 0;
    int freed = other->result_count != 0 && other->results[0] == 0;
    if (stage->deaths == 0 && !sent && !freed)
        return "neither call succeeds";
    if (sent && freed && shmheap_receive(director_mem, stage->handles[0]) != NULL)
        return "an object that was freed can be received";
    return NULL;
}

/* Misuse: the owner sends what another process frees. Both calls may succeed. */
const struct scenario send_against_free = {.name = "send_against_free",
                                           .actors = 2,
                                           .bytes = BYTES,
                                           .flags = DIES | LOOSE,
                                           .begin = one_object,
                                           .run = send_and_free,
                                           .judge = sent_or_freed};

static void share_one(unsigned actor)
{
    one_object(actor);
    if (actor == 0)
        stage->handles[0] = shmheap_ptr_to_handle(mem, object(0));
}

/* The place gets another object: the handle is stale, or led to the first object. */
static void resolve_and_replace(unsigned actor)
{
    call_begins();
    if (actor == 0) {
        record_status(shmheap_try_free(mem, object(0)));
        call_begins();
        record_ptr(shmheap_alloc(mem, SIZE));
    } else {
        record_ptr(shmheap_handle_to_ptr(mem, stage->handles[0]));
        call_begins();
        record_ptr(shmheap_handle_to_ptr(mem, stage->handles[0]));
    }
}

const struct scenario resolve_against_free = {.name = "resolve_against_free",
                                              .actors = 2,
                                              .bytes = BYTES,
                                              .flags = DIES,
                                              .begin = share_one,
                                              .run = resolve_and_replace};

static void receive_and_reap(unsigned actor)
{
    call_begins();
    if (actor == 0) {
        record_ptr(shmheap_receive(mem, stage->handles[0]));
        call_begins();
        record_ptr(shmheap_alloc(mem, SIZE));
    } else {
        record_status((int)shmheap_reap(mem, SHMHEAP_REAP_SHARED));
    }
}

/* What is in transit, or a living process's, stays. */
const struct scenario reap_against_receive = {.name = "reap_against_receive",
                                              .actors = 2,
                                              .bytes = BYTES,
                                              .flags = DIES | DIES_ALONE,
                                              .begin = send_one,
                                              .run = receive_and_reap};

/* Peek reads while the receiver writes. */
static void peek_and_receive(unsigned actor)
{
    uint64_t word = 0;
    call_begins();
    if (actor == 0) {
        size_t len = shmheap_peek(mem, stage->handles[0], -8, &word, sizeof word);
        record(len != 0 ? word : 0);
    } else {
        shared_u64 *ptr = record_ptr(shmheap_receive(mem, stage->handles[0]));
        size_t words = shmheap_usable_size(mem, ptr) / sizeof *ptr;
        for (size_t i = 0; i < words; i++)
            store_u64(&ptr[i], 55); /* a step, as the core's own stores */
    }
}

/* Bytes that its new holder has written are never taken for those of the object in transit. */
static const char *peek_is_whole(void)
{
    const struct actor *actor = &stage->actors[0];
    return actor->result_count != 0 && actor->results[0] != 0 && actor->results[0] != LABEL
               ? "peek has read what the receiver wrote"
               : NULL;
}

const struct scenario peek_against_receive = {.name = "peek_against_receive",
                                              .actors = 2,
                                              .bytes = BYTES,
                                              .flags = DIES,
                                              .begin = send_one,
                                              .run = peek_and_receive,
                                              .judge = peek_is_whole};
