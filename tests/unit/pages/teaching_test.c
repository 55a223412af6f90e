/* The page for teachers: the offsets in its table are those of the heap, and those that its rules
 * give. SPDX-License-Identifier: Apache-2.0 */
#include "shmheap_textbook.h"

#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1024, OBJECTS = 26, BLOCKS_MAX = 64, FAILS = -1, FREED = -2 };

/* A line of the table: the object's letter, its bytes or FREED, its offset, FAILS or FREED. */
struct command {
    char letter;
    long bytes, offset;
};

static size_t table_read(struct command *commands, size_t room)
{
    char line[256], where[16];
    size_t count = 0;
    int number;
    FILE *page = fopen("docs/teaching.md", "r");
    CHECK(page != NULL);
    while (count < room && fgets(line, sizeof line, page) != NULL) {
        struct command *next = &commands[count];
        if (sscanf(line, "| %d | %c = alloc(%ld) | %15s", &number, &next->letter, &next->bytes,
                   where) == 4)
            next->offset = strcmp(where, "NULL") == 0 ? FAILS : atol(where);
        else if (sscanf(line, "| %d | free(%c) |", &number, &next->letter) == 2)
            next->bytes = next->offset = FREED;
        else
            continue;
        CHECK_EQ(number, ++count);
        CHECK(next->letter >= 'A' && next->letter < 'A' + OBJECTS);
    }
    fclose(page);
    return count;
}

/* The rules of the page, on a list of blocks: where a block's header is, its bytes with the header,
 * and whether it is free. */
struct model {
    struct {
        long at, size;
        int is_free;
    } blocks[BLOCKS_MAX];
    size_t count;
};

static void model_insert(struct model *model, size_t at, long offset, long size)
{
    CHECK(model->count < BLOCKS_MAX);
    memmove(&model->blocks[at + 1], &model->blocks[at],
            (model->count - at) * sizeof model->blocks[0]);
    model->blocks[at].at = offset;
    model->blocks[at].size = size;
    model->blocks[at].is_free = 1;
    model->count++;
}

static void model_remove(struct model *model, size_t at)
{
    model->count--;
    memmove(&model->blocks[at], &model->blocks[at + 1],
            (model->count - at) * sizeof model->blocks[0]);
}

static long model_alloc(struct model *model, long bytes)
{
    long size = (bytes + 7) / 8 * 8 + 8;
    size = size < 16 ? 16 : size;
    for (size_t i = 0; i < model->count; i++) {
        if (!model->blocks[i].is_free || model->blocks[i].size < size)
            continue;
        if (model->blocks[i].size - size >= 16) {
            model_insert(model, i + 1, model->blocks[i].at + size, model->blocks[i].size - size);
            model->blocks[i].size = size;
        }
        model->blocks[i].is_free = 0;
        return model->blocks[i].at + 8;
    }
    return FAILS;
}

static void model_free(struct model *model, long offset)
{
    size_t i = 0;
    while (model->blocks[i].at + 8 != offset)
        CHECK(++i < model->count);
    model->blocks[i].is_free = 1;
    if (i + 1 < model->count && model->blocks[i + 1].is_free) {
        model->blocks[i].size += model->blocks[i + 1].size;
        model_remove(model, i + 1);
    }
    if (i > 0 && model->blocks[i - 1].is_free) {
        model->blocks[i - 1].size += model->blocks[i].size;
        model_remove(model, i);
    }
}

static void the_offsets_of_the_page(void)
{
    struct command commands[64];
    struct model model = {.count = 0};
    void *objects[OBJECTS] = {NULL};
    size_t count = table_read(commands, 64);
    CHECK_EQ(count, 20);
    shmheap_memory_handle heap = shmheap_create(test_name(), LEN);
    CHECK(shmheap_valid(heap));
    model_insert(&model, 0, 8, LEN - 8);
    for (size_t i = 0; i < count; i++) {
        struct command *command = &commands[i];
        void **object = &objects[command->letter - 'A'];
        if (command->bytes == FREED) {
            CHECK(*object != NULL);
            model_free(&model, (long)test_offset(heap, *object));
            CHECK_EQ(shmheap_try_free(heap, *object), 0);
            *object = NULL;
            continue;
        }
        CHECK_PTR(*object, NULL);
        *object = shmheap_alloc(heap, (size_t)command->bytes);
        CHECK_EQ(*object != NULL ? (long)test_offset(heap, *object) : FAILS, command->offset);
        CHECK_EQ(model_alloc(&model, command->bytes), command->offset);
    }
    CHECK_SOUND(heap);
}

/* Any sequence, not the page's alone. */
static void any_sequence_is_as_the_rules_say(void)
{
    struct test_random random = test_random_begin(3);
    for (size_t round = test_rounds(200); round > 0; round--) {
        struct model model = {.count = 0};
        void *objects[OBJECTS] = {NULL};
        shmheap_memory_handle heap = shmheap_create(test_name(), LEN);
        CHECK(shmheap_valid(heap));
        model_insert(&model, 0, 8, LEN - 8);
        for (int i = 0; i < 100; i++) {
            void **object = &objects[test_random_below(&random, OBJECTS)];
            if (*object != NULL) {
                model_free(&model, (long)test_offset(heap, *object));
                shmheap_free(heap, *object);
                *object = NULL;
            } else {
                long bytes = (long)test_random_below(&random, 200),
                     expected = model_alloc(&model, bytes);
                *object = shmheap_alloc(heap, (size_t)bytes);
                CHECK_EQ(*object != NULL ? (long)test_offset(heap, *object) : FAILS, expected);
            }
        }
        shmheap_disconnect(heap);
    }
}

static void creating_fails_as_it_does_without(void)
{
    const char *name = test_name();
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, 0)), EINVAL);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, 127)), EINVAL);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(NULL, 1024)), EINVAL);
    CHECK_REFUSED(!shmheap_valid((shmheap_create)(name, 0)), EINVAL);
    CHECK(shmheap_valid(shmheap_create(name, 1024)));
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, 1024)), EEXIST);
    shmheap_stats stats = test_stat(test_connect(name));
    CHECK_EQ(stats.alignment, 8);
    CHECK_EQ(stats.len, 1024);
}

static const struct test tests[] = {
    TEST(the_offsets_of_the_page),
    TEST(any_sequence_is_as_the_rules_say),
    TEST(creating_fails_as_it_does_without),
};
TEST_MAIN(tests)
