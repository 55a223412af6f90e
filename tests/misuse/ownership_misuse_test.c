/* Sending, receiving and reaping what one may not: refused with the right errno, and not a byte of
 * the heap changes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 65536, OBJECT_LEN = 100 };

/* A heap with an object of each kind. */
struct scene {
    shmheap_memory_handle mem, other; /* two connections of this process, each with a slot */
    char *held, *freed, *sent, *others, *left;
    shmheap_object_handle shared, sent_handle, stale, freed_handle, received_handle;
    struct test_snapshot before;
};

static char *make(shmheap_memory_handle mem)
{
    char *ptr = shmheap_alloc(mem, OBJECT_LEN);
    CHECK(ptr != NULL);
    test_fill(ptr, OBJECT_LEN, 9);
    return ptr;
}

static char *seen_by(shmheap_memory_handle mem, shmheap_memory_handle owner, const char *ptr)
{
    return (char *)shmheap_underlying(mem) + test_offset(owner, ptr);
}

static void scene_begin(struct scene *scene, size_t alignment)
{
    shmheap_memory_handle leaving;
    scene->mem = test_anonymous(LEN, 0, alignment);
    CHECK_EQ(shmheap_open_fd(&scene->other, shmheap_fd(scene->mem), NULL), 0);
    CHECK_EQ(shmheap_open_fd(&leaving, shmheap_fd(scene->mem), NULL), 0);
    scene->held = make(scene->mem);
    scene->shared = shmheap_ptr_to_handle(scene->mem, scene->held);
    scene->freed = make(scene->mem);
    scene->freed_handle = shmheap_ptr_to_handle(scene->mem, scene->freed);
    scene->sent = make(scene->mem);
    scene->stale = shmheap_ptr_to_handle(scene->mem, scene->sent);
    scene->sent_handle = shmheap_send(scene->mem, scene->sent);
    scene->others = seen_by(scene->mem, scene->other, make(scene->other));
    scene->left = seen_by(scene->mem, leaving, make(leaving));
    char *passed = make(scene->mem);
    scene->received_handle = shmheap_send(scene->mem, passed);
    CHECK_PTR(shmheap_receive(scene->mem, scene->received_handle), passed);
    shmheap_free(scene->mem, scene->freed);
    shmheap_disconnect(leaving);
    CHECK(scene->shared.bits && scene->freed_handle.bits && scene->stale.bits &&
          scene->sent_handle.bits);
    scene->before = test_snapshot_take(scene->mem);
}

static void check_untouched(const struct scene *scene)
{
    CHECK(test_snapshot_same(scene->mem, &scene->before));
    CHECK_SOUND(scene->mem);
}

static void scene_end(struct scene *scene)
{
    check_untouched(scene);
    test_snapshot_drop(&scene->before);
    CHECK_PTR(shmheap_receive(scene->mem, scene->sent_handle),
              scene->sent); /* it still is what it was */
    CHECK(test_filled(scene->sent, OBJECT_LEN, 9));
    shmheap_disconnect(scene->other);
    shmheap_disconnect(scene->mem);
}

static void for_both_alignments(void (*run)(struct scene *))
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        struct scene scene;
        scene_begin(&scene, alignment);
        run(&scene);
        scene_end(&scene);
    }
}

static void check_not_received(const struct scene *scene, uint64_t bits, int error)
{
    const shmheap_object_handle handle = {bits};
    CHECK_REFUSED(shmheap_receive(scene->mem, handle) == NULL, error);
    CHECK_REFUSED(shmheap_receive(scene->other, handle) == NULL, error);
    CHECK_REFUSED(shmheap_peek(scene->other, handle, 0, NULL, 0) == 0, error);
}

static void run_receive_unsent(struct scene *scene)
{
    check_not_received(scene, scene->shared.bits, ESTALE);
    check_not_received(scene, scene->freed_handle.bits, ESTALE);
    check_not_received(scene, scene->stale.bits, ESTALE);
    check_not_received(scene, scene->received_handle.bits, ESTALE);
    check_not_received(scene, 0, EINVAL);
    check_untouched(scene);
}

static void receiving_what_was_never_sent(void) { for_both_alignments(run_receive_unsent); }

/* Of another heap, or beyond the end: no handle at all. Else a stale one. */
static int error_of(const struct scene *scene, uint64_t bits)
{
    uint64_t granules = (LEN - 8) / scene->before.stats.alignment;
    int foreign = bits >> 51 != scene->sent_handle.bits >> 51 ||
                  (bits & ((UINT64_C(1) << 36) - 1)) >= granules;
    return foreign ? EINVAL : ESTALE;
}

/* Each bit wrong, every generation but the right one, and every granule but the right one. */
static void run_receive_near(struct scene *scene)
{
    uint64_t bits = scene->sent_handle.bits;
    for (unsigned bit = 0; bit < 64; bit++)
        check_not_received(scene, bits ^ UINT64_C(1) << bit,
                           error_of(scene, bits ^ UINT64_C(1) << bit));
    for (uint64_t generation = 0; generation < 32768; generation++)
        if (generation != (bits >> 36 & 32767))
            check_not_received(scene, (bits & ~(UINT64_C(32767) << 36)) | generation << 36, ESTALE);
    for (uint64_t granule = 0; granule < LEN / 4; granule++) {
        uint64_t wrong = (bits >> 36 << 36) | granule;
        if (wrong != bits)
            check_not_received(scene, wrong, error_of(scene, wrong));
    }
    check_untouched(scene);
}

static void handles_that_are_nearly_right(void) { for_both_alignments(run_receive_near); }

static void run_receive_random(struct scene *scene)
{
    struct test_random random = test_random_begin(1);
    uint64_t tag = scene->shared.bits >> 51;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t bits = test_random_next(&random);
        if (i % 2) /* of this heap */
            bits = tag << 51 | (bits & 0x7fff) << 36 | test_random_below(&random, LEN / 4);
        if (bits != scene->sent_handle.bits)
            check_not_received(scene, bits, error_of(scene, bits));
    }
    check_untouched(scene);
}

static void random_handles(void) { for_both_alignments(run_receive_random); }

static void check_not_sent(const struct scene *scene, void *ptr, int error)
{
    CHECK_REFUSED(shmheap_send(scene->mem, ptr).bits == 0, error);
}

static void run_send_wrong(struct scene *scene)
{
    char *region = shmheap_underlying(scene->mem);
    char on_stack[16];
    check_not_sent(scene, scene->others, EPERM);
    check_not_sent(scene, scene->left, EPERM);
    check_not_sent(scene, scene->freed, EINVAL);
    check_not_sent(scene, scene->sent, EINVAL);
    check_not_sent(scene, NULL, EINVAL);
    check_not_sent(scene, on_stack, EINVAL);
    check_not_sent(scene, seen_by(scene->other, scene->mem, scene->held),
                   EINVAL); /* another connection's address */
    for (ptrdiff_t i = 1; i < OBJECT_LEN; i++)
        check_not_sent(scene, scene->held + i, EINVAL);
    for (ptrdiff_t i = -4096; i < 16; i++)
        check_not_sent(scene, region + i, EINVAL);
    for (ptrdiff_t i = LEN - 64; i < LEN + 4096; i++)
        check_not_sent(scene, region + i, EINVAL);
    check_untouched(scene);
    CHECK(test_filled(scene->held, OBJECT_LEN, 9));
}

static void sending_what_one_does_not_hold(void) { for_both_alignments(run_send_wrong); }

/* An object in transit has no owner: no process may free, resize, measure or name it. */
static void run_use_sent(struct scene *scene)
{
    CHECK_REFUSED(shmheap_try_free(scene->mem, scene->sent) == -1, EINVAL);
    CHECK_REFUSED(shmheap_realloc(scene->mem, scene->sent, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_usable_size(scene->mem, scene->sent) == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(scene->mem, scene->sent).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_handle_to_ptr(scene->mem, scene->sent_handle) == NULL, ESTALE);
    check_untouched(scene);
}

static void using_what_is_in_transit(void) { for_both_alignments(run_use_sent); }

static void run_reap_wrong(struct scene *scene)
{
    for (unsigned bit = 1; bit < 32; bit++)
        CHECK_REFUSED(shmheap_reap(scene->mem, 1u << bit) == -1, EINVAL);
    CHECK_REFUSED(shmheap_reap(scene->mem, ~0u) == -1, EINVAL);
    check_untouched(scene);
}

static void unknown_flags_of_reap(void) { for_both_alignments(run_reap_wrong); }

/* A child holds none of what its parent holds. */
static void send_in_child(void *context)
{
    struct scene *scene = context;
    check_not_sent(scene, scene->held, EPERM);
    check_not_sent(scene, scene->freed, EINVAL);
    check_not_sent(scene, scene->sent, EINVAL);
    check_untouched(scene);
}

static void run_send_in_child(struct scene *scene) { test_in_child(send_in_child, scene); }

static void a_child_sends_its_parents(void) { for_both_alignments(run_send_in_child); }

/* The object of a dead process cannot be sent by this one. */
struct victim {
    shmheap_memory_handle mem;
    int ready[2];
    volatile uint64_t offset;
};

static void hold(void *context)
{
    struct victim *victim = context;
    victim->offset = test_offset(victim->mem, make(victim->mem));
    CHECK_EQ(write(victim->ready[1], "r", 1), 1);
    for (;;)
        pause();
}

static void sending_what_a_dead_one_held(void)
{
    struct victim *victim = test_shared(sizeof *victim);
    char byte;
    victim->mem = test_anonymous(LEN, 0, 0);
    CHECK(pipe(victim->ready) == 0);
    pid_t pid = test_fork(hold, victim);
    CHECK_EQ(read(victim->ready[0], &byte, 1), 1);
    char *ptr = (char *)shmheap_underlying(victim->mem) + victim->offset;
    CHECK_REFUSED(shmheap_send(victim->mem, ptr).bits == 0, EPERM);
    test_kill(pid);
    CHECK_REFUSED(shmheap_send(victim->mem, ptr).bits == 0, EPERM);
    CHECK(test_filled(ptr, OBJECT_LEN, 9));
    CHECK_EQ(shmheap_reap(victim->mem, 0), 1);
    CHECK_REFUSED(shmheap_send(victim->mem, ptr).bits == 0, EINVAL);
    test_check_empty(victim->mem);
    CHECK(close(victim->ready[0]) == 0 && close(victim->ready[1]) == 0);
    shmheap_disconnect(victim->mem);
    test_unshare(victim, sizeof *victim);
}

/* Memory of the caller's own has as few as seven slots. */
enum { SMALL = 8192, SMALL_SLOTS = 11 };

struct small {
    unsigned char *memory;
    shmheap_memory_handle mems[SMALL_SLOTS];
    char *ptr;
    shmheap_object_handle sent;
};

static void child_without_a_slot(void *context)
{
    const struct small *small = context;
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_alloc(small->mems[0], 8) == NULL, EAGAIN);
    CHECK_REFUSED(shmheap_try_free(small->mems[0], small->ptr) == -1, EAGAIN);
    CHECK_REFUSED(shmheap_receive(small->mems[0], small->sent) == NULL, EAGAIN);
    CHECK_REFUSED(shmheap_send(small->mems[0], small->ptr).bits == 0, EPERM);
    CHECK_REFUSED(shmheap_reap(small->mems[0], 0) == -1, EAGAIN);
    CHECK_REFUSED(shmheap_attach_at(&mem, small->memory, SMALL) == -1, EAGAIN);
    CHECK(!shmheap_valid(mem));
}

static void a_full_slot_table(void)
{
    struct small small = {.memory = test_shared(SMALL)};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&small.mems[0], small.memory, SMALL, NULL), 0);
    CHECK_EQ(test_stat(small.mems[0]).slots, SMALL_SLOTS);
    for (unsigned i = 1; i < SMALL_SLOTS; i++)
        CHECK_EQ(shmheap_attach_at(&small.mems[i], small.memory, SMALL), 0);
    small.ptr = make(small.mems[0]);
    small.sent = shmheap_send(small.mems[1], make(small.mems[1]));
    CHECK(small.sent.bits != 0);
    struct test_snapshot before = test_snapshot_take(small.mems[0]);
    CHECK_REFUSED(shmheap_attach_at(&mem, small.memory, SMALL) == -1, EAGAIN);
    CHECK(!shmheap_valid(mem));
    CHECK(test_snapshot_same(small.mems[0], &before));
    test_in_child(child_without_a_slot, &small);
    CHECK(test_snapshot_same(small.mems[0], &before));
    CHECK_EQ(test_stat(small.mems[0]).processes, SMALL_SLOTS);
    CHECK_SOUND(small.mems[0]);
    test_snapshot_drop(&before);
    /* One leaves, and there is room for one. */
    shmheap_disconnect(small.mems[6]);
    CHECK_EQ(shmheap_attach_at(&small.mems[6], small.memory, SMALL), 0);
    CHECK_PTR(shmheap_receive(small.mems[6], small.sent) != NULL ? small.ptr : NULL, small.ptr);
    for (unsigned i = 0; i < SMALL_SLOTS; i++)
        shmheap_disconnect(small.mems[i]);
    test_unshare(small.memory, SMALL);
}

static const struct test tests[] = {TEST(receiving_what_was_never_sent),
                                    TEST(handles_that_are_nearly_right),
                                    TEST(random_handles),
                                    TEST(sending_what_one_does_not_hold),
                                    TEST(using_what_is_in_transit),
                                    TEST(unknown_flags_of_reap),
                                    TEST(a_child_sends_its_parents),
                                    TEST(sending_what_a_dead_one_held),
                                    TEST(a_full_slot_table)};
TEST_MAIN(tests)
