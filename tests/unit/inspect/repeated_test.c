/* A read-only connection reads without the lock. What it read while the heap changed does not
 * count: it reads again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { LEN = 1 << 16 };

void (*shmheap_load_hook)(const void *word);

/* The reader loads a header that the writer has half written. The writer ends its change before the
 * reader loads the sequence. */
static struct {
    struct control *control; /* of the writer */
    uint64_t *header, right;
    const void *header_read, *sequence_read; /* where the reader loads these words */
    enum { BEFORE, WRITES, DONE } phase;
} change;

static void change_at_load(const void *word)
{
    if (word == change.header_read && change.phase == BEFORE) {
        *change.header = change.right & ~(uint64_t)HEADER_SIZE_MASK;
        change.phase = WRITES;
    } else if (word == change.sequence_read && change.phase == WRITES) {
        *change.header = change.right;
        change.control->sequence += 2;
        change.phase = DONE;
    }
}

static int count(const shmheap_block_info *block, void *context)
{
    (void)block;
    ++*(unsigned *)context;
    return 0;
}

static void a_walk_over_a_half_written_header(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    uint64_t *second = shmheap_alloc(mem, 100);
    CHECK(second != NULL);
    shmheap_memory_handle reader = test_connect_again(mem, SHMHEAP_READ_ONLY);
    change.control = mem.heap->control;
    change.header = second - 1;
    change.right = *change.header;
    change.header_read = block_header(reader.heap, block_of_pointer(mem.heap, second));
    change.sequence_read = &reader.heap->control->sequence;
    unsigned blocks = 0;
    shmheap_load_hook = change_at_load;
    int result = shmheap_walk(reader, count, &blocks);
    shmheap_load_hook = NULL;
    CHECK_EQ(result, 0);
    CHECK_EQ(change.phase, DONE);
    CHECK_EQ(blocks, 3); /* two objects and the free block */
    shmheap_disconnect(reader);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_walk_over_a_half_written_header)};
TEST_MAIN(tests)
