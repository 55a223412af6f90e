/* departed.c: cleans up names after deaths and departures, by walks over all records.
 * SPDX-License-Identifier: Apache-2.0 */
#include "departed.h"

#include <errno.h>

#include "names.h"
#include "table.h"
#include "../process/slot.h"

static int slot_in(const uint64_t *slots, unsigned slot)
{
    return slot <= HEADER_SLOT_MASK && slot_set_has(slots, slot);
}

/* struct label is a label for the uses of dead or of departed processes, and the word that counts
 * them; NULL: none yet. */
struct label {
    unsigned slot;
    shared_u64 *word;
};

/* Gives the uses in word a label. Uses with the same label share a word, so that a kept name
 * does not grow with each process that used it and departed. A death between both stores leaves
 * some uses of departed processes counted twice. */
static void user_relabel(struct label *label, shared_u64 *word, uint64_t count)
{
    if (label->word == NULL || label->word == word) {
        label->word = word;
        store_u64(word, count << USER_COUNT_SHIFT | label->slot);
        return;
    }
    uint64_t sum = user_count(load_u64(label->word)) + count;
    store_publish(label->word,
                  (sum < UINT32_MAX ? sum : UINT32_MAX) << USER_COUNT_SHIFT | label->slot);
    store_publish(word, 0);
}

static void users_relabel(struct shmheap *heap, const struct name_record *record,
                          const uint64_t *dead, const uint64_t *departed)
{
    struct label gone = {SLOT_GONE, names_user_find(heap, record, SLOT_GONE)},
                 left = {SLOT_DEPARTED, names_user_find(heap, record, SLOT_DEPARTED)};
    struct users users = names_users_of(heap, record);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;) {
        uint64_t was = load_u64(word), count = user_count(was);
        if (count != 0 && slot_in(dead, user_slot(was)))
            user_relabel(&gone, word, count);
        else if (count != 0 && slot_in(departed, user_slot(was)))
            user_relabel(&left, word, count);
    }
}

void names_relabel(struct shmheap *heap, const uint64_t *dead, const uint64_t *departed)
{
    struct block_step step = {0, 0, 0};
    if (load_u64(&heap->control->names_ever) == 0)
        return;
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step)) {
        const struct name_record *record = names_record_at(heap, step.granule);
        if (record != NULL)
            users_relabel(heap, record, dead, departed);
    }
}

static void users_reap(struct shmheap *heap, const struct name_record *record, const uint64_t *dead)
{
    struct users users = names_users_of(heap, record);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        if (user_count(user) != 0 && slot_in(dead, user_slot(user)))
            store_publish(word, 0);
    }
}

long names_reap(struct shmheap *heap, const uint64_t *dead)
{
    struct block_step step = {0, 0, 0};
    uint64_t lowest = GRANULE_NONE;
    long freed = 0;
    if (load_u64(&heap->control->names_ever) == 0)
        return 0;
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        struct name_record *record = names_record_at(heap, step.granule);
        uint64_t next = step.granule + step.size;
        if (record != NULL) {
            users_reap(heap, record, dead);
            if (!names_record_is_held(heap, record)) {
                names_take_record(heap, record, step.granule, &lowest);
                freed++;
                next = index_next_start(heap, next);
            }
        }
        step.granule = next;
    }
    names_taken(heap, lowest);
    if (step.granule == heap->end)
        return freed;
    errno = EBADMSG;
    return -1;
}

static void tables_free(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = names_record_at(heap, granule);
    if (record != NULL)
        store_u64(&record->more, 0);
    else if (names_internal_at(heap, granule, INTERNAL_TABLE, sizeof(struct name_table)) != NULL)
        names_internal_free(heap, granule);
}

static void more_relink(struct shmheap *heap, uint64_t granule)
{
    struct name_more *more = names_more_at(heap, granule);
    if (more == NULL)
        return;
    uint64_t word = load_u64(&more->record), at = reference_granule(word);
    struct name_record *record = names_record_at(heap, at);
    if (record != NULL && ((block_load(heap, at) ^ word) & GENERATION_BITS) == 0)
        names_more_link(heap, record, granule);
    else
        names_internal_free(heap, granule);
}

/* Gives the object of a name that is held the state that it should have; removes a name that
 * nothing holds. */
static void name_settle(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = names_record_at(heap, granule);
    if (record == NULL)
        return;
    uint64_t object = load_u64(&record->object), at = reference_granule(object);
    if (names_header_of(heap, object, SHMHEAP_STATE_USED) != 0)
        names_block_publish(heap, at, SHMHEAP_STATE_NAMED);
    uint64_t header = names_header_of(heap, object, SHMHEAP_STATE_NAMED);
    if (header == 0 || !names_record_is_held(heap, record)) {
        names_free_parts(heap, record, granule);
        return;
    }
    store_u64(object_record_word(heap, at, header),
              reference_make(granule, block_load(heap, granule)));
    store_u64(&heap->control->names_count, load_u64(&heap->control->names_count) + 1);
}

void names_recover(struct shmheap *heap)
{
    if (load_u64(&heap->control->names_ever) == 0)
        return;
    names_changes_begin(heap);
    store_u64(&heap->control->names_table, 0);
    store_u64(&heap->control->names_count, 0);
    names_internals_each(heap, tables_free);
    names_internals_each(heap, more_relink);
    names_internals_each(heap, name_settle);
    uint64_t names = load_u64(&heap->control->names_count);
    if (names != 0)
        names_table_replace(heap, names_table_entries_for(
                                      names)); /* without space for a table a walk finds names */
    names_changes_end(heap);
}
