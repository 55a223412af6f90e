/* In a copy no process takes part: its lock is free, no thread waits, and no slot has a living
 * holder or heirs, whatever the words of the heap said. Nor is there what was freed meanwhile.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { LEN = 1 << 20 };

void (*shmheap_store_hook)(void);
void (*shmheap_access_hook)(const void *word, int stores);

static struct control *control;
static struct slot *entry;

/* Threads begin to wait at any time, also while the lock is held. */
static void others_wait(void)
{
    control->waiting = 1;
    control->wait_sleepers = 1;
}

static void a_copy_has_no_processes(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    const char *path = test_path();
    CHECK(shmheap_alloc(mem, 100) != NULL);
    control = mem.heap->control;
    unsigned slot = mem.heap->slot;
    entry = slot_entry(mem.heap, slot);
    entry->word |= SLOT_HAS_HEIRS | SLOT_BY_PID;
    uint32_t futex = control->wait_futex;
    shmheap_store_hook = others_wait;
    CHECK_EQ(shmheap_copy(mem, path), 0);
    shmheap_store_hook = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    unsigned char *image = mmap(NULL, mem.heap->layout.region_off, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(image != MAP_FAILED);
    const struct control *copied = (const struct control *)(const void *)image;
    const struct slot *slots =
        (const struct slot *)(const void *)(image + mem.heap->layout.slots_off);
    CHECK_EQ(copied->lock, 0);
    CHECK_EQ(copied->waiting, 0);
    CHECK_EQ(copied->wait_sleepers, 0);
    CHECK_EQ(copied->wait_futex, futex);
    CHECK_EQ(copied->sequence % 2, 0);
    CHECK_EQ(slots[slot].word, entry->word & ~(uint64_t)(SLOT_HAS_HEIRS | SLOT_BY_PID));
    CHECK(munmap(image, mem.heap->layout.region_off) == 0 && close(fd) == 0);
    entry->word &= ~(uint64_t)(SLOT_HAS_HEIRS | SLOT_BY_PID);
    shmheap_disconnect(mem);
}

/* When the copy takes the lock: its rounds without the lock have copied the object. */
static struct {
    shmheap_memory_handle mem;
    void *object;
    const void *lock;
} goes;

static void object_goes(const void *word, int stores)
{
    void *object = goes.object;
    if (!stores || object == NULL || word != goes.lock)
        return;
    goes.object = NULL; /* the free takes the lock, too */
    CHECK_EQ(shmheap_try_free(goes.mem, object), 0);
}

static void what_is_freed_meanwhile_is_not_copied(void)
{
    enum { OBJECT_LEN = 64 << 10, PAGE = 4096 };
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    const char *path = test_path();
    goes.mem = test_connect_again(mem, 0);
    goes.object = shmheap_alloc(goes.mem, OBJECT_LEN);
    CHECK(goes.object != NULL && shmheap_alloc(mem, 100) != NULL);
    uint64_t off = (uint64_t)((char *)goes.object - (char *)goes.mem.heap->base);
    test_fill(goes.object, OBJECT_LEN, 1);
    goes.lock = &mem.heap->control->lock;
    shmheap_access_hook = object_goes;
    CHECK_EQ(shmheap_copy(mem, path), 0);
    shmheap_access_hook = NULL;
    CHECK(goes.object == NULL);
    static unsigned char copied[OBJECT_LEN - PAGE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, copied, sizeof copied, (off_t)(off + PAGE)), sizeof copied);
    /* The pages that have nothing but the block. */
    for (uint64_t at = 0; at < (off + OBJECT_LEN) / PAGE * PAGE - off - PAGE; at++)
        CHECK_EQ(copied[at], 0);
    CHECK_EQ(close(fd), 0);
    shmheap_disconnect(goes.mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_copy_has_no_processes),
                                    TEST(what_is_freed_meanwhile_is_not_copied)};
TEST_MAIN(tests)
