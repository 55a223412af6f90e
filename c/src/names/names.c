/* names.c: makes, uses, finds and removes names.
 * SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "table.h"
#include "../process/slot_claim.h"

/* Searches without the lock, before one under the lock. */
enum { FIND_TRIES = 16 };

void names_free_parts(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    struct name_more *more;
    uint64_t at = load_u64(&record->more) - 1;
    for (unsigned i = 0; i < CHAIN_MAX && (more = names_more_at(heap, at)) != NULL; i++) {
        uint64_t next = load_u64(&more->more);
        store_u64(&record->more, next);
        names_internal_free(heap, at);
        at = next - 1;
    }
    uint64_t object = load_u64(&record->object);
    if (names_header_of(heap, object, SHMHEAP_STATE_NAMED) != 0)
        names_internal_free(heap, reference_granule(object));
    names_internal_free(heap, granule);
}

void names_take_record(struct shmheap *heap, struct name_record *record, uint64_t granule,
                       uint64_t *lowest)
{
    uint64_t object = reference_granule(load_u64(&record->object));
    names_changes_begin(heap);
    names_table_remove(heap, names_table_entry(granule, load_u64(&record->hash)));
    names_free_parts(heap, record, granule);
    store_u64(&heap->control->names_count, load_u64(&heap->control->names_count) - 1);
    *lowest = object < *lowest ? object : *lowest;
    *lowest = granule < *lowest ? granule : *lowest;
}

void names_taken(struct shmheap *heap, uint64_t lowest)
{
    if (lowest == GRANULE_NONE)
        return;
    if (load_u64(&heap->control->names_count) == 0)
        names_table_drop(heap);
    else
        names_table_settle(heap, lowest);
    names_changes_end(heap);
}

static uint64_t record_need(const struct shmheap *heap, const struct name *name)
{
    return block_granules(heap, sizeof(struct name_record) + name_words(name->len) * 8);
}

/* 0: more than a heap can have. */
static uint64_t object_need(const struct shmheap *heap, size_t len)
{
    return len <= (size_t)-1 / 4 ? block_granules(heap, len + sizeof(uint64_t)) : 0;
}

static void record_fill(struct shmheap *heap, struct name_record *record, const struct name *name,
                        uint64_t object, size_t len)
{
    shared_u64 *text = record->name;
    store_u64(&record->kind, INTERNAL_NAME);
    store_u64(&record->object, object);
    store_u64(&record->object_len, len);
    store_u64(&record->hash, name->hash);
    store_u64(&record->more, 0);
    for (unsigned i = 0; i < NAME_USERS; i++)
        store_u64(&record->users[i], i == 0 ? heap->slot | UINT64_C(1) << USER_COUNT_SHIFT : 0);
    store_u64(&record->kept, name->kept);
    store_u64(&record->name_len, name->len);
    for (uint64_t i = 0; i < name_words(name->len); i++)
        store_u64(text + i, name->words[i]);
}

/* Object and record are used blocks of this process until the record is published. A death
 * before that leaves both to be reaped; after it the name exists, and recovery completes it. */
static int64_t name_make(struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t need = object_need(heap, len);
    if (need == 0)
        return FIT_NONE;
    int64_t record = heap->fit->alloc(heap, record_need(heap, name));
    if (record < 0)
        return record;
    int64_t object = heap->fit->alloc(heap, need);
    if (object < 0) {
        heap->fit->free(heap, (uint64_t)record);
        return object;
    }
    uint64_t header = names_header_in_state(heap, (uint64_t)object, SHMHEAP_STATE_USED);
    if (header == 0)
        return FIT_BAD;
    record_fill(heap, block_payload(heap, (uint64_t)record), name,
                reference_make((uint64_t)object, header), len);
    store_u64(object_record_word(heap, (uint64_t)object, header),
              reference_make((uint64_t)record, block_load(heap, (uint64_t)record)));
    names_block_publish(heap, (uint64_t)record, SHMHEAP_STATE_INTERNAL);
    names_block_publish(heap, (uint64_t)object, SHMHEAP_STATE_NAMED);
    names_table_enter(heap, (uint64_t)record);
    store_u64(&heap->control->names_count, load_u64(&heap->control->names_count) + 1);
    return object;
}

/* As name_make; tells readers without the lock that names change. Makes room in the table first.
 * names_ever is set before the first block of names: else recovery would not look for them. */
static int64_t name_make_announced(struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t need = object_need(heap, len), wanted = names_table_wanted(heap);
    if (need == 0 || need > index_largest_of_all(heap))
        return FIT_NONE; /* before a table is made larger in vain */
    const struct table before = names_table_now(heap);
    store_u64(&heap->control->names_ever, 1);
    names_changes_begin(heap);
    int64_t object = wanted == 0 || names_table_replace(heap, wanted) == 0
                         ? name_make(heap, name, len)
                         : FIT_NONE;
    if (object < 0 && load_u64(&heap->control->names_count) == 0)
        names_table_drop(heap);
    else if (object < 0 && before.entries != NULL &&
             names_table_now(heap).granule != before.granule)
        names_table_replace(heap, before.mask + 1);
    names_changes_end(heap);
    return object;
}

uint64_t names_space_needed(const struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t wanted = names_table_wanted(heap), need = object_need(heap, len);
    if (need == 0)
        return HEADER_SIZE_MASK;
    return need + record_need(heap, name) + block_granules(heap, sizeof(struct name_more)) +
           (wanted != 0 ? names_table_need(heap, wanted) : 0);
}

int64_t names_use(struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t granule = names_table_find(heap, name);
    if (granule == GRANULE_NONE)
        return name_make_announced(heap, name, len);
    struct name_record *record = names_record_at(heap, granule);
    uint64_t object = record != NULL ? load_u64(&record->object) : 0;
    uint64_t header = record != NULL ? names_header_of(heap, object, SHMHEAP_STATE_NAMED) : 0;
    if (header == 0)
        return FIT_BAD;
    uint64_t has = load_u64(&record->object_len);
    if (len > has || has > object_len(heap, header))
        return len > has ? NAMES_TOO_SHORT : FIT_BAD;
    int result = names_user_add(heap, record, granule);
    if (result == 0 && name->kept)
        store_publish(&record->kept, 1);
    return result == 0 ? (int64_t)reference_granule(object) : result;
}

int names_release(struct shmheap *heap, uint64_t granule, uint64_t *lowest)
{
    uint64_t header = names_header_in_state(heap, granule, SHMHEAP_STATE_NAMED);
    if (header == 0)
        return FIT_UNKNOWN;
    uint64_t back = load_u64(object_record_word(heap, granule, header)),
             at = reference_granule(back);
    struct name_record *record = names_record_at(heap, at);
    if (record == NULL || load_u64(&record->object) != reference_make(granule, header))
        return FIT_BAD;
    shared_u64 *word = names_user_find(heap, record, heap->slot);
    if (word == NULL && (word = names_user_departed(heap, record)) == NULL)
        return NAMES_NO_USER;
    uint64_t less = load_u64(word) - (UINT64_C(1) << USER_COUNT_SHIFT);
    store_publish(word, user_count(less) != 0 ? less : 0);
    if (!names_record_is_held(heap, record))
        names_take_record(heap, record, at, lowest);
    return 0;
}

/* Finds the record of the name and its granule. Returns 0, FIT_UNKNOWN (there is none) or
 * FIT_BAD. */
static int record_of_name(struct shmheap *heap, const struct name *name, uint64_t *granule,
                          struct name_record **record)
{
    *granule = names_table_find(heap, name);
    if (*granule == GRANULE_NONE)
        return FIT_UNKNOWN;
    *record = names_record_at(heap, *granule);
    return *record != NULL ? 0 : FIT_BAD;
}

int names_keep(struct shmheap *heap, const struct name *name)
{
    uint64_t granule;
    struct name_record *record;
    int result = record_of_name(heap, name, &granule, &record);
    if (result == 0)
        store_publish(&record->kept, 1);
    return result;
}

/* Drops the uses of departed processes, and of dead processes unless a child may continue with
 * them. */
static void users_drop_departed(struct shmheap *heap, const struct name_record *record)
{
    uint64_t reapable[SLOT_SET_WORDS];
    struct users users = names_users_of(heap, record);
    const unsigned limit = slot_limit(heap);
    slot_reapable(heap, reapable);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;) {
        uint64_t seen = load_u64(word);
        unsigned slot = user_slot(seen);
        int departed =
            slot == SLOT_GONE || slot == SLOT_DEPARTED ||
            (slot < limit && (slot_departed(heap, slot) || slot_set_has(reapable, slot)));
        if (user_count(seen) != 0 && departed)
            store_publish(word, 0);
    }
}

/* A death behind the first store leaves a name in use by departed processes, or a name that
 * nothing holds, which recovery removes. */
int names_remove(struct shmheap *heap, const struct name *name)
{
    uint64_t granule;
    struct name_record *record;
    int result = record_of_name(heap, name, &granule, &record);
    if (result != 0)
        return result;
    store_publish(&record->kept, 0);
    users_drop_departed(heap, record);
    if (names_record_is_held(heap, record))
        return 1;
    uint64_t lowest = GRANULE_NONE;
    names_take_record(heap, record, granule, &lowest);
    names_taken(heap, lowest);
    return 0;
}

/* Reads the record at granule, whole or not at all. Returns the object's granule, or FIT_BAD. */
static int64_t record_read(const struct shmheap *heap, uint64_t granule, const struct name *name,
                           uint64_t *len)
{
    uint64_t before = names_header_in_state(heap, granule, SHMHEAP_STATE_INTERNAL);
    if (before == 0 || !names_record_is(heap, granule, name))
        return FIT_BAD;
    const struct name_record *record = block_payload(heap, granule);
    uint64_t object = load_u64(&record->object), has = load_u64(&record->object_len);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (block_load(heap, granule) != before)
        return FIT_BAD;
    uint64_t header = names_header_of(heap, object, SHMHEAP_STATE_NAMED);
    if (header == 0 || has > object_len(heap, header))
        return FIT_BAD;
    *len = has;
    return (int64_t)reference_granule(object);
}

int64_t names_find(const struct shmheap *heap, const struct name *name, int locked, uint64_t *len)
{
    for (int i = 0; i < FIND_TRIES; i++) {
        uint64_t before = load_acquire(&heap->control->names_changes),
                 granule = names_table_find(heap, name);
        int64_t object =
            granule != GRANULE_NONE ? record_read(heap, granule, name, len) : FIT_UNKNOWN;
        if (object >= 0 || locked)
            return object;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (object == FIT_UNKNOWN && !(before & 1) &&
            load_u64(&heap->control->names_changes) == before)
            return FIT_UNKNOWN;
    }
    return NAMES_BUSY;
}

int names_sound(const struct shmheap *heap, uint64_t granule)
{
    const struct name_record *record = names_record_at(heap, granule);
    uint64_t len = record != NULL ? load_u64(&record->name_len) : 0;
    struct name name = {{0}, len, record != NULL ? load_u64(&record->hash) : 0, 0};
    if (len == 0 || len > NAME_LEN_MAX ||
        names_internal_at(heap, granule, INTERNAL_NAME,
                          sizeof *record + name_words(len) * sizeof(uint64_t)) == NULL)
        return 0;
    for (uint64_t i = 0; i < name_words(len); i++)
        name.words[i] = load_u64(&record->name[i]);
    uint64_t object = load_u64(&record->object),
             header = names_header_of(heap, object, SHMHEAP_STATE_NAMED);
    return header != 0 && names_record_is_held(heap, record) &&
           (names_table_now(heap).entries == NULL || names_table_find(heap, &name) == granule) &&
           name.hash == names_hash_words(heap->id, name.words, name_words(len)) &&
           load_u64(&record->object_len) <= object_len(heap, header) &&
           load_u64(object_record_word(heap, reference_granule(object), header)) ==
               reference_make(granule, block_load(heap, granule));
}

uint64_t names_object_len(const struct shmheap *heap, uint64_t granule)
{
    uint64_t header = names_header_in_state(heap, granule, SHMHEAP_STATE_NAMED);
    if (header == 0)
        return 0;
    uint64_t back = load_u64(object_record_word(heap, granule, header));
    const struct name_record *record = names_record_at(heap, reference_granule(back));
    uint64_t len = record != NULL && load_u64(&record->object) == reference_make(granule, header)
                       ? load_u64(&record->object_len)
                       : 0;
    return len <= object_len(heap, header) ? len : 0;
}
