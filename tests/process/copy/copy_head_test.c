/* In a copy no process takes part: its lock is free, no thread waits, and no slot has a living
 * holder or heirs, whatever the words of the heap said.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { LEN = 1 << 20 };

void (*shmheap_store_hook)(void);

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

static const struct test tests[] = {TEST(a_copy_has_no_processes)};
TEST_MAIN(tests)
