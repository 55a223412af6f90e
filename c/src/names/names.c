/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <string.h>

#include "../free_set/index.h"
#include "../process/slot_claim.h"

enum { TABLE_LEAST = 64, TABLE_SPARSE = 8, CHAIN_MAX = 64, FIND_TRIES = 16 };
enum { ENTRY_HASH_SHIFT = HEADER_SIZE_BITS, USER_COUNT_SHIFT = 32 };

#define GENERATION_BITS (~UINT64_C(0) << HEADER_GENERATION_SHIFT)

/* Blocks ---------------------------------------------------------------- */

/* The header of the block at granule if that is in this state; else 0. Any number may be asked for.
 * */
static uint64_t header_in_state(const struct shmheap *heap, uint64_t granule, unsigned state)
{
    uint64_t end = connection_end(heap);
    uint64_t header =
        granule < end && index_is_start(heap, granule) ? block_load(heap, granule) : 0;
    return header_state(header) == state && block_size_checked(heap, granule, header, end) != 0
               ? header
               : 0;
}

/* The payload of the internal block of this kind, of len bytes at least, at granule; NULL: there is
 * none. */
static void *internal_at(const struct shmheap *heap, uint64_t granule, uint64_t kind, uint64_t len)
{
    uint64_t header = header_in_state(heap, granule, SHMHEAP_STATE_INTERNAL);
    if (header == 0 || block_payload_len(heap, header_size(header)) < len)
        return NULL;
    void *payload = block_payload(heap, granule);
    return load_u64(payload) == kind ? payload : NULL;
}

static struct name_record *record_at(const struct shmheap *heap, uint64_t granule)
{
    return internal_at(heap, granule, INTERNAL_NAME, sizeof(struct name_record));
}

static struct name_more *more_at(const struct shmheap *heap, uint64_t granule)
{
    return internal_at(heap, granule, INTERNAL_USERS, sizeof(struct name_more));
}

const struct name_record *names_record(const struct shmheap *heap, uint64_t granule)
{
    return record_at(heap, granule);
}

static uint64_t reference(uint64_t granule, uint64_t header)
{
    return granule | (header & GENERATION_BITS);
}
static uint64_t reference_granule(uint64_t word) { return word & HEADER_SIZE_MASK; }

/* The header of the block that was referred to, while it is in this state; else 0. */
static uint64_t header_of_reference(const struct shmheap *heap, uint64_t word, unsigned state)
{
    uint64_t header = header_in_state(heap, reference_granule(word), state);
    return (header & GENERATION_BITS) == (word & GENERATION_BITS) ? header : 0;
}

/* The last 8 bytes of an object with a name: its record. */
static shared_u64 *object_back(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    unsigned char *payload = block_payload(heap, granule);
    return (shared_u64 *)(void *)(payload + block_payload_len(heap, header_size(header)) -
                                  sizeof(uint64_t));
}

static uint64_t object_len_of(const struct shmheap *heap, uint64_t header)
{
    return block_payload_len(heap, header_size(header)) - sizeof(uint64_t);
}

static void internal_free(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = block_load(heap, granule), size = index_size_checked(heap, granule, header);
    if (size != 0)
        heap->fit->free_span(heap, granule, size, 1);
}

/* A used block of ours becomes one that belongs to nobody: the store that publishes what is in it.
 * */
static void block_give(struct shmheap *heap, uint64_t granule, unsigned state)
{
    uint64_t header = block_load(heap, granule);
    block_publish(heap, granule,
                  header_make(header_size(header), state, SLOT_GONE, header_generation(header)));
}

static void changes_begin(struct shmheap *heap)
{
    store_u64(&heap->control->names_changes, load_u64(&heap->control->names_changes) | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void changes_end(struct shmheap *heap)
{
    store_publish(&heap->control->names_changes, (load_u64(&heap->control->names_changes) | 1) + 1);
}

/* Names ----------------------------------------------------------------- */

/* Multiplied, xor'ed and shifted a word at a time; keyed with the heap's id, which is random. */
static uint64_t hash_words(uint64_t key, const uint64_t *words, uint64_t count)
{
    uint64_t hash = key ^ count;
    for (uint64_t i = 0; i < count; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 29;
}

static uint64_t name_words(uint64_t len) { return (len + 7) / 8; }

int name_set(const struct shmheap *heap, struct name *name, const char *text)
{
    size_t len = text != NULL ? strnlen(text, NAME_LEN_MAX + 1) : 0;
    if (len == 0 || len > NAME_LEN_MAX) {
        errno = len == 0 ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    memset(name->words, 0, sizeof name->words);
    memcpy(name->words, text, len);
    name->len = len;
    name->kept = 0;
    name->hash = hash_words(heap->id, name->words, name_words(len));
    return 0;
}

static int record_is(const struct shmheap *heap, uint64_t granule, const struct name *name)
{
    uint64_t words = name_words(name->len);
    const struct name_record *record =
        internal_at(heap, granule, INTERNAL_NAME, sizeof *record + words * 8);
    if (record == NULL || load_u64(&record->name_len) != name->len)
        return 0;
    const shared_u64 *text = record->name;
    for (uint64_t i = 0; i < words; i++)
        if (load_u64(text + i) != name->words[i])
            return 0;
    return 1;
}

/* The table ------------------------------------------------------------- */

/* struct table is private: the table as found now; entries NULL: there is none. */
struct table {
    shared_u64 *entries;
    uint64_t mask, granule;
};

static struct table table_now(const struct shmheap *heap)
{
    struct table table = {NULL, 0, load_u64(&heap->control->names_table) - 1};
    uint64_t header = header_in_state(heap, table.granule, SHMHEAP_STATE_INTERNAL);
    uint64_t len = header != 0 ? block_payload_len(heap, header_size(header)) : 0;
    if (len < sizeof(struct name_table) + sizeof(uint64_t))
        return table;
    struct name_table *found = block_payload(heap, table.granule);
    if (load_u64(&found->kind) == INTERNAL_TABLE) {
        table.entries = found->entries;
        table.mask = (UINT64_C(1) << bit_highest((len - sizeof *found) / sizeof(uint64_t))) - 1;
    }
    return table;
}

static uint64_t entry_home(const struct table *table, uint64_t entry)
{
    return (entry >> ENTRY_HASH_SHIFT) & table->mask;
}

static uint64_t entry_of(uint64_t granule, uint64_t hash)
{
    return (granule + 1) | hash >> ENTRY_HASH_SHIFT << ENTRY_HASH_SHIFT;
}

static uint64_t entry_granule(uint64_t entry) { return (entry & HEADER_SIZE_MASK) - 1; }

/* Where the heap had no room for a table: one record after the other. */
static uint64_t record_walk(const struct shmheap *heap, const struct name *name)
{
    struct block_step step = {0, 0, 0};
    uint64_t end = connection_end(heap);
    for (; block_walk_at(heap, &step, end) == BLOCK_WALK_BLOCK; block_walk_next(&step))
        if (record_is(heap, step.granule, name))
            return step.granule;
    return GRANULE_NONE;
}

static uint64_t record_find(const struct shmheap *heap, const struct name *name)
{
    struct table table = table_now(heap);
    if (table.entries == NULL)
        return load_u64(&heap->control->names_count) != 0 ? record_walk(heap, name) : GRANULE_NONE;
    uint64_t at = entry_home(&table, name->hash);
    for (uint64_t probes = 0; probes <= table.mask; probes++, at = (at + 1) & table.mask) {
        uint64_t entry = load_acquire(&table.entries[at]);
        if (entry == 0)
            break;
        if (entry >> ENTRY_HASH_SHIFT == name->hash >> ENTRY_HASH_SHIFT &&
            record_is(heap, entry_granule(entry), name))
            return entry_granule(entry);
    }
    return GRANULE_NONE;
}

static void table_insert(const struct table *table, uint64_t entry)
{
    uint64_t at = entry_home(table, entry);
    for (uint64_t probes = 0; probes <= table->mask; probes++, at = (at + 1) & table->mask)
        if (load_u64(&table->entries[at]) == 0) {
            store_publish(&table->entries[at], entry);
            return;
        }
}

/* Entries behind the gap that may not lie beyond it move up, so that no search ends too early. */
static void table_remove(struct shmheap *heap, uint64_t entry)
{
    struct table table = table_now(heap);
    if (table.entries == NULL)
        return;
    uint64_t gap = entry_home(&table, entry), probes = 0;
    for (; probes <= table.mask && load_u64(&table.entries[gap]) != entry; probes++)
        gap = (gap + 1) & table.mask;
    for (uint64_t at = (gap + 1) & table.mask; probes <= table.mask;
         probes++, at = (at + 1) & table.mask) {
        uint64_t other = load_u64(&table.entries[at]);
        if (other == 0)
            break;
        if (((at - entry_home(&table, other)) & table.mask) >= ((at - gap) & table.mask)) {
            store_publish(&table.entries[gap], other);
            gap = at;
        }
    }
    if (load_u64(&table.entries[gap]) != 0)
        store_publish(&table.entries[gap], 0);
}

static uint64_t table_len(uint64_t entries)
{
    return sizeof(struct name_table) + entries * sizeof(uint64_t);
}

/* How many names there are is what a peer says: the bytes may be more than a size_t has. Then more
 * granules than any heap has. */
static uint64_t table_need(const struct shmheap *heap, uint64_t entries)
{
    uint64_t len = table_len(entries),
             need = len <= heap->layout.max_len ? block_granules(heap, (size_t)len) : 0;
    return need != 0 ? need : HEADER_SIZE_MASK;
}

/* Twice the names, so that searches stay short. */
static uint64_t table_entries_for(uint64_t names)
{
    uint64_t entries = TABLE_LEAST;
    while (entries < 2 * names)
        entries *= 2;
    return entries;
}

/* Does visit with each internal block, which it may free, and others with it. */
static void internals_each(struct shmheap *heap,
                           void (*visit)(struct shmheap *heap, uint64_t granule))
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (header_state(step.header) == SHMHEAP_STATE_INTERNAL) {
            visit(heap, step.granule);
            next = index_next_start(heap, next);
        }
        step.granule = next;
    }
}

static void name_enter(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = record_at(heap, granule);
    struct table table = table_now(heap);
    if (record != NULL && table.entries != NULL)
        table_insert(&table, entry_of(granule, load_u64(&record->hash)));
}

/* A new table with what is in the old one, which goes: 0, or -1 when there is no space. A death in
 * here leaves a used block of the dead, or two tables, of which recovery makes one. */
static int table_replace(struct shmheap *heap, uint64_t entries)
{
    int64_t granule = heap->fit->alloc(heap, table_need(heap, entries));
    if (granule < 0)
        return -1;
    struct name_table *fresh = block_payload(heap, (uint64_t)granule);
    struct table old = table_now(heap), table = {fresh->entries, entries - 1, (uint64_t)granule};
    memset(fresh, 0, (size_t)table_len(entries));
    store_u64(&fresh->kind, INTERNAL_TABLE);
    for (uint64_t i = 0; old.entries != NULL && i <= old.mask; i++) {
        uint64_t entry = load_u64(&old.entries[i]);
        if (entry != 0)
            table_insert(&table, entry);
    }
    block_give(heap, (uint64_t)granule, SHMHEAP_STATE_INTERNAL);
    store_publish(&heap->control->names_table, (uint64_t)granule + 1);
    if (old.entries != NULL)
        internal_free(heap, old.granule);
    else if (load_u64(&heap->control->names_count) != 0)
        internals_each(heap, name_enter);
    return 0;
}

/* After a name has gone, whose lowest block began at freed: a table that is far too large becomes
 * smaller, and the smallest one goes to where it would be made now. So what stays is as if the
 * names that have gone had never come. */
static void table_settle(struct shmheap *heap, uint64_t freed)
{
    struct table table = table_now(heap);
    uint64_t names = load_u64(&heap->control->names_count) & HEADER_SIZE_MASK,
             entries = table.mask + 1;
    if (table.entries == NULL)
        table_replace(heap, table_entries_for(names)); /* there was no space for one */
    else if (entries > TABLE_LEAST && names <= entries / TABLE_SPARSE)
        table_replace(heap, table_entries_for(2 * names));
    else if (entries <= TABLE_LEAST && freed < table.granule &&
             fit_place(heap, table_need(heap, TABLE_LEAST)) < table.granule)
        table_replace(heap, TABLE_LEAST);
}

/* Without names there is no table: a heap is as it was before the first one. A death in here leaves
 * a table that nothing refers to, which recovery frees. */
static void table_drop(struct shmheap *heap)
{
    struct table table = table_now(heap);
    store_publish(&heap->control->names_table, 0);
    if (table.entries != NULL)
        internal_free(heap, table.granule);
}

/* How many entries the table has to get before another name comes; 0: it has enough. */
static uint64_t table_wanted(const struct shmheap *heap)
{
    struct table table = table_now(heap);
    uint64_t names = load_u64(&heap->control->names_count) & HEADER_SIZE_MASK;
    return table.entries != NULL && names + 1 <= (table.mask + 1) / 2
               ? 0
               : table_entries_for(names + 1);
}

/* Users ----------------------------------------------------------------- */

static unsigned user_slot(uint64_t word) { return (uint32_t)word; }
static uint64_t user_count(uint64_t word) { return word >> USER_COUNT_SHIFT; }

/* struct users is private: goes through the words of a record's users. */
struct users {
    const struct shmheap *heap;
    shared_u64 *words;
    uint64_t next;
    unsigned left, chain;
};

static struct users users_of(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = {heap, (shared_u64 *)(uintptr_t)record->users, load_u64(&record->more),
                          NAME_USERS, 0};
    return users;
}

/* The next word, or NULL. Bounded, whatever the links say. */
static shared_u64 *users_next(struct users *users)
{
    if (users->left == 0) {
        struct name_more *more =
            users->chain++ < CHAIN_MAX ? more_at(users->heap, users->next - 1) : NULL;
        if (more == NULL)
            return NULL;
        users->words = more->users;
        users->next = load_u64(&more->more);
        users->left = USERS_MORE;
    }
    users->left--;
    return users->words++;
}

uint64_t names_users(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = users_of(heap, record);
    uint64_t sum = 0;
    for (shared_u64 *word; (word = users_next(&users)) != NULL;)
        sum += user_count(load_u64(word));
    return sum;
}

/* The word of this slot, with a count; NULL: it has none. */
static shared_u64 *user_find(const struct shmheap *heap, const struct name_record *record,
                             unsigned slot)
{
    struct users users = users_of(heap, record);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        if (user_slot(user) == slot && user_count(user) != 0)
            return word;
    }
    return NULL;
}

/* Something holds the name: a user, or the mark that it is kept. Any value but 0 is the mark: a
 * forged one costs a name that stays. */
static int record_is_held(const struct shmheap *heap, const struct name_record *record)
{
    return load_u64(&record->kept) != 0 || names_users(heap, record) != 0;
}

/* Uses that nobody will give back: of those who left in order, whether their slots were given away
 * since or not. */
static shared_u64 *user_that_left(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = users_of(heap, record);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        unsigned slot = user_slot(user);
        if (user_count(user) != 0 &&
            (slot == SLOT_DEPARTED || slot == SLOT_GONE || slot_departed(heap, slot)))
            return word;
    }
    return NULL;
}

static shared_u64 *user_vacancy(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = users_of(heap, record);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;)
        if (load_u64(word) == 0)
            return word;
    return NULL;
}

static void more_link(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    struct name_more *more = block_payload(heap, granule);
    store_u64(&more->more, load_u64(&record->more));
    store_u64(&record->more, granule + 1);
}

/* A block for more users, this one in it. A death before it is published: a used block of the dead;
 * after it, recovery links it. */
static int user_add_block(struct shmheap *heap, struct name_record *record, uint64_t record_granule,
                          uint64_t word)
{
    int64_t granule = heap->fit->alloc(heap, block_granules(heap, sizeof(struct name_more)));
    if (granule < 0)
        return (int)granule;
    struct name_more *more = block_payload(heap, (uint64_t)granule);
    memset(more, 0, sizeof *more);
    store_u64(&more->kind, INTERNAL_USERS);
    store_u64(&more->record, reference(record_granule, block_load(heap, record_granule)));
    store_u64(&more->users[0], word);
    block_give(heap, (uint64_t)granule, SHMHEAP_STATE_INTERNAL);
    more_link(heap, record, (uint64_t)granule);
    return 0;
}

/* Counts one more use by this connection: 0, FIT_NONE, FIT_BAD. */
static int user_add(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    const uint64_t one = UINT64_C(1) << USER_COUNT_SHIFT;
    shared_u64 *word = user_find(heap, record, heap->slot);
    if (word != NULL) {
        uint64_t user = load_u64(word);
        if (user_count(user) == UINT32_MAX)
            return FIT_NONE;
        store_publish(word, user + one);
        return 0;
    }
    word = user_vacancy(heap, record);
    if (word == NULL)
        return user_add_block(heap, record, granule, heap->slot | one);
    store_publish(word, heap->slot | one);
    return 0;
}

/* Making and removing --------------------------------------------------- */

/* The parts of a name that nothing holds, in an order in which a death leaves what recovery finds
 * and goes on with. */
static void name_free_parts(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    struct name_more *more;
    uint64_t at = load_u64(&record->more) - 1;
    for (unsigned i = 0; i < CHAIN_MAX && (more = more_at(heap, at)) != NULL; i++) {
        uint64_t next = load_u64(&more->more);
        store_u64(&record->more, next);
        internal_free(heap, at);
        at = next - 1;
    }
    uint64_t object = load_u64(&record->object);
    if (header_of_reference(heap, object, SHMHEAP_STATE_NAMED) != 0)
        internal_free(heap, reference_granule(object));
    internal_free(heap, granule);
}

static void name_remove(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    uint64_t object = reference_granule(load_u64(&record->object));
    changes_begin(heap);
    table_remove(heap, entry_of(granule, load_u64(&record->hash)));
    name_free_parts(heap, record, granule);
    uint64_t left = load_u64(&heap->control->names_count) - 1;
    store_u64(&heap->control->names_count, left);
    if (left == 0)
        table_drop(heap);
    else
        table_settle(heap, object < granule ? object : granule);
    changes_end(heap);
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

/* Object and record are used blocks of ours until the record is published. From then on the name is
 * there, and recovery does the rest. */
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
    uint64_t header = header_in_state(heap, (uint64_t)object, SHMHEAP_STATE_USED);
    if (header == 0)
        return FIT_BAD;
    store_u64(&heap->control->names_ever, 1);
    record_fill(heap, block_payload(heap, (uint64_t)record), name,
                reference((uint64_t)object, header), len);
    store_u64(object_back(heap, (uint64_t)object, header),
              reference((uint64_t)record, block_load(heap, (uint64_t)record)));
    block_give(heap, (uint64_t)record, SHMHEAP_STATE_INTERNAL);
    block_give(heap, (uint64_t)object, SHMHEAP_STATE_NAMED);
    name_enter(heap, (uint64_t)record);
    store_u64(&heap->control->names_count, load_u64(&heap->control->names_count) + 1);
    return object;
}

/* Readers without the lock find out that names have come or gone. */
static int64_t name_make_announced(struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t need = object_need(heap, len), wanted = table_wanted(heap);
    if (need == 0 || need > index_largest_of_all(heap))
        return FIT_NONE; /* before the table is made larger in vain */
    const struct table before = table_now(heap);
    changes_begin(heap);
    int64_t object =
        wanted == 0 || table_replace(heap, wanted) == 0 ? name_make(heap, name, len) : FIT_NONE;
    if (object < 0 && load_u64(&heap->control->names_count) == 0)
        table_drop(heap);
    else if (object < 0 && before.entries != NULL && table_now(heap).granule != before.granule)
        table_replace(heap, before.mask + 1);
    changes_end(heap);
    return object;
}

uint64_t names_namespace(const struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t wanted = table_wanted(heap), need = object_need(heap, len);
    if (need == 0)
        return HEADER_SIZE_MASK;
    return need + record_need(heap, name) + block_granules(heap, sizeof(struct name_more)) +
           (wanted != 0 ? table_need(heap, wanted) : 0);
}

int64_t names_use(struct shmheap *heap, const struct name *name, size_t len)
{
    uint64_t granule = record_find(heap, name);
    if (granule == GRANULE_NONE)
        return name_make_announced(heap, name, len);
    struct name_record *record = record_at(heap, granule);
    uint64_t object = record != NULL ? load_u64(&record->object) : 0;
    uint64_t header = record != NULL ? header_of_reference(heap, object, SHMHEAP_STATE_NAMED) : 0;
    if (header == 0)
        return FIT_BAD;
    uint64_t has = load_u64(&record->object_len);
    if (len > has || has > object_len_of(heap, header))
        return len > has ? NAMES_TOO_SHORT : FIT_BAD;
    int result = user_add(heap, record, granule);
    if (result == 0 && name->kept)
        store_publish(&record->kept, 1);
    return result == 0 ? (int64_t)reference_granule(object) : result;
}

int names_release(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = header_in_state(heap, granule, SHMHEAP_STATE_NAMED);
    if (header == 0)
        return FIT_UNKNOWN;
    uint64_t back = load_u64(object_back(heap, granule, header)), at = reference_granule(back);
    struct name_record *record = record_at(heap, at);
    if (record == NULL || load_u64(&record->object) != reference(granule, header))
        return FIT_BAD;
    shared_u64 *word = user_find(heap, record, heap->slot);
    if (word == NULL && (word = user_that_left(heap, record)) == NULL)
        return NAMES_NO_USER;
    uint64_t less = load_u64(word) - (UINT64_C(1) << USER_COUNT_SHIFT);
    store_publish(word, user_count(less) != 0 ? less : 0);
    if (!record_is_held(heap, record))
        name_remove(heap, record, at);
    return 0;
}

int names_keep(struct shmheap *heap, const struct name *name)
{
    uint64_t granule = record_find(heap, name);
    if (granule == GRANULE_NONE)
        return FIT_UNKNOWN;
    struct name_record *record = record_at(heap, granule);
    if (record == NULL)
        return FIT_BAD;
    store_publish(&record->kept, 1);
    return 0;
}

/* The uses of dead processes, unless children that they forked may go on with them, and of those
 * that left in order. */
static void users_drop_departed(struct shmheap *heap, const struct name_record *record)
{
    uint64_t reapable[SLOT_SET_WORDS];
    struct users users = users_of(heap, record);
    slot_reapable(heap, reapable);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;) {
        uint64_t seen = load_u64(word);
        unsigned slot = user_slot(seen);
        int departed = slot == SLOT_GONE || slot == SLOT_DEPARTED || slot_departed(heap, slot) ||
                       (slot < heap->slot_count && slot_set_has(reapable, slot));
        if (user_count(seen) != 0 && departed)
            store_publish(word, 0);
    }
}

/* A death behind the first store leaves a name in use by departed processes, or one that nothing
 * holds, which recovery removes. */
int names_remove(struct shmheap *heap, const struct name *name)
{
    uint64_t granule = record_find(heap, name);
    if (granule == GRANULE_NONE)
        return FIT_UNKNOWN;
    struct name_record *record = record_at(heap, granule);
    if (record == NULL)
        return FIT_BAD;
    store_publish(&record->kept, 0);
    users_drop_departed(heap, record);
    if (record_is_held(heap, record))
        return 1;
    name_remove(heap, record, granule);
    return 0;
}

/* Looking --------------------------------------------------------------- */

/* What the record at granule says, if it says so throughout: the object's granule, or FIT_BAD. */
static int64_t record_read(const struct shmheap *heap, uint64_t granule, const struct name *name,
                           uint64_t *len)
{
    uint64_t before = header_in_state(heap, granule, SHMHEAP_STATE_INTERNAL);
    if (before == 0 || !record_is(heap, granule, name))
        return FIT_BAD;
    const struct name_record *record = block_payload(heap, granule);
    uint64_t object = load_u64(&record->object), has = load_u64(&record->object_len);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (block_load(heap, granule) != before)
        return FIT_BAD;
    uint64_t header = header_of_reference(heap, object, SHMHEAP_STATE_NAMED);
    if (header == 0 || has > object_len_of(heap, header))
        return FIT_BAD;
    *len = has;
    return (int64_t)reference_granule(object);
}

int64_t names_find(const struct shmheap *heap, const struct name *name, int locked, uint64_t *len)
{
    for (int i = 0; i < FIND_TRIES; i++) {
        uint64_t before = load_acquire(&heap->control->names_changes),
                 granule = record_find(heap, name);
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
    const struct name_record *record = record_at(heap, granule);
    uint64_t len = record != NULL ? load_u64(&record->name_len) : 0;
    struct name name = {{0}, len, record != NULL ? load_u64(&record->hash) : 0, 0};
    if (len == 0 || len > NAME_LEN_MAX ||
        internal_at(heap, granule, INTERNAL_NAME,
                    sizeof *record + name_words(len) * sizeof(uint64_t)) == NULL)
        return 0;
    for (uint64_t i = 0; i < name_words(len); i++)
        name.words[i] = load_u64(&record->name[i]);
    uint64_t object = load_u64(&record->object),
             header = header_of_reference(heap, object, SHMHEAP_STATE_NAMED);
    return header != 0 && record_is_held(heap, record) && record_find(heap, &name) == granule &&
           name.hash == hash_words(heap->id, name.words, name_words(len)) &&
           load_u64(&record->object_len) <= object_len_of(heap, header) &&
           load_u64(object_back(heap, reference_granule(object), header)) ==
               reference(granule, block_load(heap, granule));
}

uint64_t names_object_len(const struct shmheap *heap, uint64_t granule)
{
    uint64_t header = header_in_state(heap, granule, SHMHEAP_STATE_NAMED);
    if (header == 0)
        return 0;
    uint64_t back = load_u64(object_back(heap, granule, header));
    const struct name_record *record = record_at(heap, reference_granule(back));
    uint64_t len = record != NULL && load_u64(&record->object) == reference(granule, header)
                       ? load_u64(&record->object_len)
                       : 0;
    return len <= object_len_of(heap, header) ? len : 0;
}

/* Deaths ---------------------------------------------------------------- */

static int slot_in(const uint64_t *slots, unsigned slot)
{
    return slot <= HEADER_SLOT_MASK && slot_set_has(slots, slot);
}

/* All uses with one label share a word, so that a kept name does not grow by a word with each
 * process that used it and departed. A death between both stores leaves some uses counted twice, of
 * departed processes. */
static void user_relabel(struct shmheap *heap, const struct name_record *record, shared_u64 *word,
                         uint64_t count, unsigned label)
{
    shared_u64 *same = user_find(heap, record, label);
    if (same == NULL || same == word) {
        store_u64(word, count << USER_COUNT_SHIFT | label);
        return;
    }
    uint64_t sum = user_count(load_u64(same)) + count;
    store_publish(same, (sum < UINT32_MAX ? sum : UINT32_MAX) << USER_COUNT_SHIFT | label);
    store_publish(word, 0);
}

static void users_relabel(struct shmheap *heap, const struct name_record *record,
                          const uint64_t *gone, const uint64_t *left)
{
    struct users users = users_of(heap, record);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;) {
        uint64_t was = load_u64(word), count = user_count(was);
        if (count != 0 && slot_in(gone, user_slot(was)))
            user_relabel(heap, record, word, count, SLOT_GONE);
        else if (count != 0 && slot_in(left, user_slot(was)))
            user_relabel(heap, record, word, count, SLOT_DEPARTED);
    }
}

void names_relabel(struct shmheap *heap, const uint64_t *gone, const uint64_t *left)
{
    struct block_step step = {0, 0, 0};
    if (load_u64(&heap->control->names_ever) == 0)
        return;
    for (; block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK; block_walk_next(&step)) {
        const struct name_record *record = record_at(heap, step.granule);
        if (record != NULL)
            users_relabel(heap, record, gone, left);
    }
}

static void users_reap(struct shmheap *heap, const struct name_record *record, const uint64_t *dead)
{
    struct users users = users_of(heap, record);
    for (shared_u64 *word; (word = users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        if (user_count(user) != 0 && slot_in(dead, user_slot(user)))
            store_publish(word, 0);
    }
}

long names_reap(struct shmheap *heap, const uint64_t *dead)
{
    struct block_step step = {0, 0, 0};
    long freed = 0;
    if (load_u64(&heap->control->names_ever) == 0)
        return 0;
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        struct name_record *record = record_at(heap, step.granule);
        uint64_t next = step.granule + step.size;
        if (record != NULL) {
            users_reap(heap, record, dead);
            if (!record_is_held(heap, record)) {
                name_remove(heap, record, step.granule);
                freed++;
                next = index_next_start(heap, next);
            }
        }
        step.granule = next;
    }
    if (step.granule == heap->end)
        return freed;
    errno = EBADMSG;
    return -1;
}

static void tables_free(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = record_at(heap, granule);
    if (record != NULL)
        store_u64(&record->more, 0);
    else if (internal_at(heap, granule, INTERNAL_TABLE, sizeof(struct name_table)) != NULL)
        internal_free(heap, granule);
}

static void more_relink(struct shmheap *heap, uint64_t granule)
{
    struct name_more *more = more_at(heap, granule);
    if (more == NULL)
        return;
    uint64_t word = load_u64(&more->record), at = reference_granule(word);
    struct name_record *record = record_at(heap, at);
    if (record != NULL && ((block_load(heap, at) ^ word) & GENERATION_BITS) == 0)
        more_link(heap, record, granule);
    else
        internal_free(heap, granule);
}

/* A name that is held gets its object in the state it should have; one that nothing holds goes. */
static void name_settle(struct shmheap *heap, uint64_t granule)
{
    struct name_record *record = record_at(heap, granule);
    if (record == NULL)
        return;
    uint64_t object = load_u64(&record->object), at = reference_granule(object);
    if (header_of_reference(heap, object, SHMHEAP_STATE_USED) != 0)
        block_give(heap, at, SHMHEAP_STATE_NAMED);
    uint64_t header = header_of_reference(heap, object, SHMHEAP_STATE_NAMED);
    if (header == 0 || !record_is_held(heap, record)) {
        name_free_parts(heap, record, granule);
        return;
    }
    store_u64(object_back(heap, at, header), reference(granule, block_load(heap, granule)));
    store_u64(&heap->control->names_count, load_u64(&heap->control->names_count) + 1);
}

void names_recover(struct shmheap *heap)
{
    if (load_u64(&heap->control->names_ever) == 0)
        return;
    changes_begin(heap);
    store_u64(&heap->control->names_table, 0);
    store_u64(&heap->control->names_count, 0);
    internals_each(heap, tables_free);
    internals_each(heap, more_relink);
    internals_each(heap, name_settle);
    uint64_t names = load_u64(&heap->control->names_count);
    if (names != 0)
        table_replace(
            heap, table_entries_for(names)); /* without space for it names are found by walking */
    changes_end(heap);
}
