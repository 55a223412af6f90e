/* The checker itself: for each numbered rule of FORMAT.md, heaps in which a peer has broken that rule and no other, and the
 * report names it, and the place.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The writes go to the places that FORMAT.md names, computed by layout.h from the segment's own first bytes, as another
 * program would; nothing of the connection is used. Each is undone afterwards, and then the heap is sound again. */
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/inspect/check.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum {
    LEN = 256000,
    MAX_LEN = 2 * LEN,
    ARENA =
        512
        << 10, /* of 249.98 chunks of 64 granules of 16, so that all rows of entries have an end */
    OBJECT_LEN = 200,
    LARGE_LEN = 2000,
    OBJECTS = 1000,
    FREED_FROM = 10,
    WRITES_MAX = 16,
    LIST_STEP = 40,
    SLOT_UNUSED = 500,
    STATE_UNKNOWN = 7,
    WAYS_MAX = 10
};

/* struct image is private: a heap as a peer sees it, and what that peer has overwritten.
 *
 *   [ USED ] x 10 [ free of 1 ][ USED ][ free of 3 ][ USED ][ free of 3 ] ... [ USED ][ free ][ table, records, named ] [ tail ]
 *
 * in blocks of objects of 200 bytes; the last free one, of 2,000, is large. */
struct image {
    shmheap_memory_handle mem;
    unsigned char *base;
    size_t map_len;
    struct control *control;
    struct layout layout;
    uint64_t granules; /* in the region now */
    unsigned shift;
    int list; /* fewer are free: every tenth of those, so that they are in a list, not in rows and tree */
    uint64_t used, hole, large, top, record, named, table; /* granules of blocks of each kind */
    struct {
        void *at;
        uint64_t was;
        unsigned bytes;
    } writes[WRITES_MAX];
    unsigned count;
};

/* Reading --------------------------------------------------------------- */

static uint64_t *header_at(const struct image *image, uint64_t granule)
{
    return (uint64_t *)(void *)(image->base + image->layout.region_off + REGION_LEAD +
                                (granule << image->shift));
}

static void *payload_at(const struct image *image, uint64_t granule)
{
    return header_at(image, granule) + 1;
}
static uint64_t payload_off(const struct image *image, uint64_t granule)
{
    return REGION_LEAD + HEADER_SIZE + (granule << image->shift);
}
static uint64_t chunk_off(const struct image *image, uint64_t chunk)
{
    return REGION_LEAD + ((chunk * CHUNK_GRANULES) << image->shift);
}
static uint64_t size_at(const struct image *image, uint64_t granule)
{
    return *header_at(image, granule) & HEADER_SIZE_MASK;
}
static unsigned state_at(const struct image *image, uint64_t granule)
{
    return *header_at(image, granule) >> HEADER_STATE_SHIFT & HEADER_STATE_MASK;
}

static struct chunk_bits *bits_of(const struct image *image, uint64_t granule)
{
    return (struct chunk_bits *)(void *)(image->base + image->layout.bits_off) +
           granule / CHUNK_GRANULES;
}

static uint32_t *entry_of(const struct image *image, unsigned level, uint64_t entry)
{
    return (uint32_t *)(void *)(image->base + image->layout.level_off[level]) + entry;
}

/* The word of a row, by group, or by the chunk of a granule on level 0. */
static uint64_t *word_of(const struct image *image, unsigned level, uint64_t group, uint64_t size)
{
    return (uint64_t *)(void *)(image->base + image->layout.bin_off[level]) + group * BINS + size;
}

static uint64_t *row_of(const struct image *image, uint64_t granule, uint64_t size)
{
    return word_of(image, 0, granule / CHUNK_GRANULES / BINS, size);
}

static uint64_t bit(uint64_t granule) { return UINT64_C(1) << granule % CHUNK_GRANULES; }

/* Writing --------------------------------------------------------------- */

static void poke(struct image *image, void *at, unsigned bytes, uint64_t value)
{
    CHECK(image->count < WRITES_MAX);
    image->writes[image->count].at = at;
    image->writes[image->count].bytes = bytes;
    image->writes[image->count].was = 0;
    memcpy(&image->writes[image->count++].was, at, bytes);
    memcpy(at, &value, bytes);
}

static void poke_u64(struct image *image, uint64_t *at, uint64_t value)
{
    poke(image, at, 8, value);
}
static void poke_u32(struct image *image, uint32_t *at, uint32_t value)
{
    poke(image, at, 4, value);
}

static void undo(struct image *image)
{
    while (image->count > 0) {
        image->count--;
        memcpy(image->writes[image->count].at, &image->writes[image->count].was,
               image->writes[image->count].bytes);
    }
}

/* The heap -------------------------------------------------------------- */

static void image_find_blocks(struct image *image)
{
    uint64_t granule = 0;
    image->hole = image->large = image->named = image->record = image->table = 0;
    for (; granule < image->granules; granule += size_at(image, granule)) {
        unsigned state = state_at(image, granule);
        uint64_t kind = *(uint64_t *)payload_at(image, granule);
        int is_free = state == SHMHEAP_STATE_FREE;
        if (is_free && image->hole == 0)
            image->hole = granule;
        if (is_free && size_at(image, granule) >= BINS &&
            granule + size_at(image, granule) != image->granules)
            image->large = granule;
        if (state == SHMHEAP_STATE_USED)
            image->used = granule;
        if (state == SHMHEAP_STATE_NAMED)
            image->named = granule;
        if (state == SHMHEAP_STATE_INTERNAL)
            *(kind == INTERNAL_NAME ? &image->record : &image->table) = granule;
        image->top = granule;
    }
    CHECK_EQ(granule, image->granules);
    CHECK_EQ(state_at(image, image->top), SHMHEAP_STATE_FREE);
    CHECK(image->large != 0 && size_at(image, image->hole) < BINS);
    CHECK(image->named != 0 && image->record != 0 && image->table != 0);
}

static void image_fill(struct image *image)
{
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        CHECK((objects[i] = shmheap_alloc(image->mem, OBJECT_LEN)) != NULL);
    void *large = shmheap_alloc(image->mem, LARGE_LEN);
    CHECK(large != NULL);
    CHECK(shmheap_alloc_named(image->mem, "rule", 100) != NULL);
    CHECK_EQ(shmheap_try_free(image->mem, large), 0);
    CHECK_EQ(shmheap_try_free(image->mem, objects[FREED_FROM]), 0);
    for (size_t i = FREED_FROM + 2; i < OBJECTS - 4; i += image->list ? LIST_STEP : 4)
        CHECK_EQ(shmheap_free_many(image->mem, objects + i, 3), 3);
}

static void image_begin(struct image *image, unsigned char *base)
{
    image->base = base;
    image->control = (struct control *)(void *)base;
    image->shift = image->control->shift;
    image->count = 0;
    image_fill(image);
    CHECK_EQ(layout_compute(&image->layout, image->control->max_len, image->shift,
                            image->control->slot_count, image->control->region_align),
             0);
    CHECK_EQ(image->layout.region_off, image->control->region_off);
    image->granules = layout_granules(image->control->len, image->shift);
    image_find_blocks(image);
    CHECK((image->control->listed <= LIST_MAX) == image->list &&
          (image->list || image->control->listed == NOT_LISTED));
    CHECK_SOUND(image->mem);
}

static void image_in_file(struct image *image, size_t alignment)
{
    image->mem = test_anonymous(LEN, MAX_LEN, alignment);
    off_t bytes = lseek(shmheap_fd(image->mem), 0, SEEK_END);
    image->map_len = (size_t)bytes;
    unsigned char *base = mmap(NULL, image->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
                               shmheap_fd_writable(image->mem), 0);
    CHECK(base != MAP_FAILED);
    image_begin(image, base);
}

static void image_in_memory(struct image *image, size_t alignment)
{
    const shmheap_options options = {.len = LEN, .alignment = alignment};
    image->map_len = ARENA;
    unsigned char *base = test_shared(ARENA);
    CHECK_EQ(shmheap_create_at(&image->mem, base, ARENA, &options), 0);
    image_begin(image, base);
}

static void image_end(struct image *image)
{
    CHECK_SOUND(image->mem);
    shmheap_disconnect(image->mem);
    test_unshare(image->base, image->map_len);
}

/* Breaking -------------------------------------------------------------- */

/* Each breaks its rule alone, in one of several ways, and returns the offset that the report has to name. */
static const uint64_t no_such_way = UINT64_MAX;

static uint64_t break_fixed(struct image *image, unsigned way)
{
    struct control *control = image->control;
    uint32_t *words[] = {&control->version, &control->shift, &control->region_align,
                         &control->slot_count};
    uint64_t *longs[] = {&control->magic,      &control->id,    &control->max_len,
                         &control->region_off, &control->flags, &control->created_ns};
    if (way < 4)
        poke_u32(image, words[way], *words[way] + 1);
    else if (way < 10)
        poke_u64(image, longs[way - 4], *longs[way - 4] + 1);
    return way < 10 ? 0 : no_such_way;
}

/* What is behind such a block nobody can say, so that no later rule is looked at. */
static uint64_t break_size(struct image *image, unsigned way)
{
    const uint64_t at = way == 0 ? image->top : image->used,
                   header = *header_at(image, at) & ~HEADER_SIZE_MASK;
    const uint64_t sizes[] = {size_at(image, at) + 1, 0, layout_block_min(image->shift) - 1,
                              HEADER_SIZE_MASK, image->granules - at + 1};
    if (way >= 5)
        return no_such_way;
    poke_u64(image, header_at(image, at), header | sizes[way]);
    return payload_off(image, at);
}

static uint64_t break_state(struct image *image, unsigned way)
{
    if (way > 0)
        return no_such_way;
    poke_u64(image, header_at(image, image->used),
             *header_at(image, image->used) | (uint64_t)STATE_UNKNOWN << HEADER_STATE_SHIFT);
    return payload_off(image, image->used);
}

static uint64_t break_free_header(struct image *image, unsigned way)
{
    const unsigned shifts[] = {HEADER_SLOT_SHIFT, HEADER_GENERATION_SHIFT,
                               HEADER_GENERATION_SHIFT + 14};
    if (way >= 3)
        return no_such_way;
    poke_u64(image, header_at(image, image->hole),
             *header_at(image, image->hole) | UINT64_C(1) << shifts[way]);
    return payload_off(image, image->hole);
}

/* A slot that nobody has, one that the table does not have (in files it has all), and the slot of all these blocks made free. */
static uint64_t break_slot(struct image *image, unsigned way)
{
    const uint64_t mask = (uint64_t)HEADER_SLOT_MASK << HEADER_SLOT_SHIFT,
                   header = *header_at(image, image->used);
    const uint64_t own = (header & mask) >> HEADER_SLOT_SHIFT,
                   slots[] = {SLOT_UNUSED, image->control->slot_count};
    if (way == 2) {
        poke_u64(image, &((struct slot *)(void *)(image->base + image->layout.slots_off))[own].word,
                 SLOT_FREE);
        return payload_off(image, 0);
    }
    if (way > 2 || (way == 1 && slots[1] == SLOT_DEPARTED))
        return no_such_way;
    poke_u64(image, header_at(image, image->used),
             (header & ~mask) | slots[way] << HEADER_SLOT_SHIFT);
    return payload_off(image, image->used);
}

/* [ hole ] => [ front ][ rest ]   all that follows from the headers is written as well; the chunk has a larger free block. */
static uint64_t break_free_pair(struct image *image, unsigned way)
{
    const uint64_t front = 5, rest = image->hole + front;
    struct chunk_bits *bits = bits_of(image, image->hole);
    if (way > 0)
        return no_such_way;
    CHECK(bits == bits_of(image, rest) && size_at(image, image->hole) > 2 * front);
    poke_u64(image, header_at(image, rest), size_at(image, image->hole) - front);
    poke_u64(image, header_at(image, image->hole), front);
    poke_u64(image, &bits->start, bits->start | bit(rest));
    if (!image->list)
        poke_u64(image, &bits->boundary, bits->boundary | bit(rest - 1) | bit(rest));
    poke_u64(image, &image->control->free_blocks, image->control->free_blocks + 1);
    return payload_off(image, rest);
}

static uint64_t break_tail(struct image *image, unsigned way)
{
    const uint64_t tails[] = {image->granules, image->top + 1, image->used, 0, UINT64_MAX};
    if (way >= 5)
        return no_such_way;
    poke_u64(image, &image->control->top, tails[way]);
    return payload_off(image, image->top);
}

/* One too few, one too many, one behind the end. */
static uint64_t break_start(struct image *image, unsigned way)
{
    const uint64_t at[] = {image->used, image->used + 1, image->hole + 1, image->granules};
    if (way >= 4)
        return no_such_way;
    poke_u64(image, &bits_of(image, at[way])->start, bits_of(image, at[way])->start ^ bit(at[way]));
    return chunk_off(image, at[way] / CHUNK_GRANULES);
}

/* One too few, one too many; where there is a list all are too many. */
static uint64_t break_edge(struct image *image, unsigned way)
{
    const uint64_t last = image->hole + size_at(image, image->hole) - 1;
    const uint64_t at[] = {image->hole,    last,       image->hole + 1,
                           image->used,    image->top, image->granules - 1,
                           image->granules};
    if (way >= 7)
        return no_such_way;
    poke_u64(image, &bits_of(image, at[way])->boundary,
             bits_of(image, at[way])->boundary ^ bit(at[way]));
    return chunk_off(image, at[way] / CHUNK_GRANULES);
}

/* Rows: a size that is missing, one too many, in the row of no size; with what is above made to fit. The tree: too small, none, the tail counted,
 * with all above made to fit. Where there is a list all of these are too many, but for none. */
static uint64_t break_sizes(struct image *image, unsigned way)
{
    const uint64_t size = size_at(image, image->hole), chunk = image->hole / CHUNK_GRANULES;
    const uint64_t sizes[] = {size, BINS - 1, 0}, mine = UINT64_C(1) << chunk % BINS;
    if (way < 3) {
        uint64_t *word = row_of(image, image->hole, sizes[way]), changed = *word ^ mine;
        poke_u64(image, word, changed);
        for (unsigned level = 1; level < image->layout.bin_levels; level++)
            poke_u64(image, word_of(image, level, 0, sizes[way]), changed != 0);
        return chunk_off(image, chunk & ~(uint64_t)(BINS - 1));
    }
    const uint64_t at = (way < 5 ? image->large : image->top) / CHUNK_GRANULES;
    const uint64_t values[] = {size_at(image, image->large) - 1, 0, image->granules - image->top};
    if (way >= 6 || (way == 4 && image->list))
        return no_such_way;
    for (unsigned level = 0; level < image->layout.levels; level++)
        poke_u32(image, entry_of(image, level, at >> 4 * level), (uint32_t)values[way - 3]);
    return chunk_off(image, at);
}

/* An entry of each level of the tree; and behind the last one of the lowest and of the highest. */
static uint64_t break_tree(struct image *image, unsigned way)
{
    const unsigned top = image->layout.levels - 1;
    const uint64_t chunks = (image->granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES,
                   behind = (chunks + 255) / 256;
    const struct {
        unsigned level;
        uint64_t entry;
    } at[] = {{1, 0}, {1, 3}, {top, 0}, {0, chunks}, {top, behind}};
    if (way >= 5)
        return no_such_way;
    CHECK(top == 2 && chunks % NODE_CHILDREN != 0 && behind < NODE_CHILDREN);
    uint32_t *entry = entry_of(image, at[way].level, at[way].entry);
    poke_u32(image, entry, *entry == 0 ? 1 : *entry - 1);
    return chunk_off(image, at[way].entry << 4 * at[way].level);
}

/* Level 1 of the rows: a bit missing, one too many, one where no word is. */
static uint64_t break_row_levels(struct image *image, unsigned way)
{
    const uint64_t groups =
        ((image->granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES + BINS - 1) / BINS;
    const uint64_t size = size_at(image, image->hole),
                   bits[] = {1, UINT64_C(1) << (groups - 1), UINT64_C(1) << groups};
    if (way >= 3 || image->layout.bin_levels < 2)
        return no_such_way;
    CHECK(image->layout.bin_levels == 2 && groups > 1 && groups < BINS &&
          *word_of(image, 0, groups - 1, size) == 0);
    uint64_t *word = word_of(image, 1, 0, size);
    poke_u64(image, word, *word ^ bits[way]);
    return chunk_off(image, 0);
}

/* The first of a row: another, none, one of an empty row, of no size, of the large ones, behind them. */
static uint64_t break_firsts(struct image *image, unsigned way)
{
    const uint64_t size = size_at(image, image->hole);
    const unsigned places[] = {(unsigned)size, (unsigned)size, BINS - 1, 0, BINS, BINS + 1};
    if (way >= 6 || image->list)
        return no_such_way;
    uint32_t *first = &image->control->first[places[way]];
    poke_u32(image, first, way == 1 ? 0 : *first == 0 ? 1 : *first - 1);
    return 0;
}

/* The list: of no possible length, which says that there is none; too short, too long, a block of another size, another block, two in the wrong order,
 * something behind the last. */
static uint64_t break_list(struct image *image, unsigned way)
{
    struct control *control = image->control;
    const uint64_t listed = control->listed;
    if (way == 0) {
        poke_u64(image, &control->listed, LIST_MAX + 1);
        return 0;
    }
    if (way >= 8 || !image->list)
        return no_such_way;
    uint32_t *hole = control->first, *sizes = hole + LIST_MAX; /* which is the first of all */
    CHECK_EQ(*hole - 1, image->hole);
    const uint64_t last = hole[listed - 1] - 1;
    if (way <= 2)
        poke_u64(image, &control->listed, way == 1 ? listed - 1 : listed + 1);
    else if (way <= 4)
        poke_u32(image, way == 3 ? sizes : hole, (way == 3 ? *sizes : *hole) + 1);
    else if (way <= 6)
        poke_u32(image, way == 5 ? hole + listed : sizes + listed, 1);
    if (way == 7) {
        uint32_t first = *hole, second = hole[1], first_size = *sizes, second_size = sizes[1];
        poke_u32(image, hole, second);
        poke_u32(image, hole + 1, first);
        poke_u32(image, sizes, second_size);
        poke_u32(image, sizes + 1, first_size);
    }
    return way == 1                           ? payload_off(image, last)
           : way == 3 || way == 4 || way == 7 ? payload_off(image, image->hole)
                                              : 0;
}

static uint64_t break_counts(struct image *image, unsigned way)
{
    struct control *control = image->control;
    uint64_t *counts[] = {&control->used_granules, &control->free_blocks, &control->allocs,
                          &control->frees};
    if (way >= 4)
        return no_such_way;
    poke_u64(image, counts[way], *counts[way] - 1);
    return 0;
}

static uint64_t *table_entry(const struct image *image)
{
    struct name_table *table = payload_at(image, image->table);
    uint64_t *entry = table->entries;
    while ((*entry & HEADER_SIZE_MASK) != image->record + 1)
        entry++;
    return entry;
}

/* The record itself: without users, with an impossible length, another name, hash, object, or length of the object. */
static uint64_t break_record(struct image *image, unsigned way)
{
    struct name_record *record = payload_at(image, image->record);
    uint64_t *fields[] = {
        &record->users[0], &record->name_len, &record->name_len,  (uint64_t *)(void *)record->name,
        &record->hash,     &record->object,   &record->object_len};
    const uint64_t values[] = {0,
                               0,
                               NAME_LEN_MAX + 1,
                               'x',
                               record->hash + 1,
                               record->object + (UINT64_C(1) << HEADER_GENERATION_SHIFT),
                               LEN};
    if (way >= 7)
        return no_such_way;
    poke_u64(image, fields[way], values[way]);
    return payload_off(image, image->record);
}

/* What belongs to it: no entry in the table, an object that does not point back, one that is not in state named. (A heap without any
 * table is sound: where there is no space for one, names are found by walking.) */
static uint64_t break_named(struct image *image, unsigned way)
{
    const uint64_t state = (uint64_t)HEADER_STATE_MASK << HEADER_STATE_SHIFT,
                   header = *header_at(image, image->named);
    if (way == 0)
        poke_u64(image, table_entry(image), 0);
    else if (way == 1)
        poke_u64(image, header_at(image, image->named + size_at(image, image->named)) - 1, 0);
    else if (way == 2)
        poke_u64(image, header_at(image, image->named),
                 (header & ~state) | (uint64_t)SHMHEAP_STATE_SHARED << HEADER_STATE_SHIFT);
    return way < 3 ? payload_off(image, image->record) : no_such_way;
}

/* Their number, and an object in state named that no record knows. */
static uint64_t break_names_count(struct image *image, unsigned way)
{
    const uint64_t header =
        *header_at(image, image->used) - ((uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT);
    if (way == 0)
        poke_u64(image, &image->control->names_count, 2);
    else if (way == 1)
        poke_u64(image, header_at(image, image->used),
                 header + ((uint64_t)SHMHEAP_STATE_NAMED << HEADER_STATE_SHIFT));
    return way < 2 ? 0 : no_such_way;
}

static const struct {
    unsigned rule;
    uint64_t (*write)(struct image *image, unsigned way);
} breaks[] = {{1, break_fixed},       {3, break_size},    {4, break_state},
              {5, break_free_header}, {6, break_slot},    {7, break_free_pair},
              {8, break_tail},        {9, break_start},   {10, break_edge},
              {11, break_sizes},      {11, break_list},   {12, break_tree},
              {12, break_row_levels}, {12, break_firsts}, {13, break_counts},
              {14, break_record},     {14, break_named},  {14, break_names_count}};

/* Reporting ------------------------------------------------------------- */

static void check_reported(shmheap_memory_handle mem, unsigned rule, unsigned way, uint64_t off)
{
    shmheap_report report;
    int result = shmheap_check(mem, &report);
    if (result != 1 || report.rule != rule || report.offset != off)
        test_fail(__FILE__, __LINE__,
                  "rule %u, way %u: shmheap_check is %d and names rule %u at %llu, not at %llu: %s",
                  rule, way, result, report.rule, (unsigned long long)report.offset,
                  (unsigned long long)off, report.text);
    CHECK(report.expected != report.found ||
          rule == 6); /* which gives a state and a slot's number */
    CHECK(strlen(report.text) > 10);
}

/* How many ways there were. A connection without the right to write sees the same. */
static unsigned break_all_ways(struct image *image, shmheap_memory_handle reader, unsigned rule,
                               uint64_t (*write)(struct image *, unsigned))
{
    unsigned done = 0;
    for (unsigned way = 0; way <= WAYS_MAX; way++) {
        uint64_t off = write(image, way);
        if (off == no_such_way)
            continue;
        check_reported(image->mem, rule, way, off);
        if (shmheap_valid(reader))
            check_reported(reader, rule, way, off);
        undo(image);
        CHECK_SOUND(image->mem);
        done++;
    }
    CHECK(done > 0 || (image->list && write == break_firsts));
    return done;
}

static void each_rule(struct image *image)
{
    const shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle reader = {NULL};
    unsigned done = 0;
    if (shmheap_fd(image->mem) >= 0)
        CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(image->mem), &options), 0);
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++)
        done += break_all_ways(image, reader, breaks[i].rule, breaks[i].write);
    printf("  granule %u, %s, %s: %u damages\n", 1u << image->shift,
           image->list ? "list" : "rows and tree",
           shmheap_valid(reader) ? "in a file, with a reader" : "in memory", done);
    if (shmheap_valid(reader))
        shmheap_disconnect(reader);
}

static void each_rule_is_reported(void)
{
    struct image image = {.list = 0};
    test_choose_core(0);
    for (int form = 0; form < 4; form++) {
        const size_t alignment = form % 2 == 0 ? 8 : 16;
        image.list = form / 2;
        image_in_file(&image, alignment);
        each_rule(&image);
        image_end(&image);
        image_in_memory(&image, alignment);
        each_rule(&image);
        image_end(&image);
    }
}

/* The same with a heap whose last block is in use: the tail is the end, and there is nothing in it. */
static void the_tail_of_a_full_heap(void)
{
    struct image image = {.list = 0};
    image_in_file(&image, 16);
    CHECK(shmheap_alloc(image.mem, ((image.granules - image.top) << image.shift) - HEADER_SIZE) !=
          NULL);
    CHECK_SOUND(image.mem);
    CHECK_EQ(image.control->top, image.granules);
    const uint64_t tails[] = {image.top, 0, image.granules + 1};
    for (unsigned i = 0; i < 3; i++) {
        poke_u64(&image, &image.control->top, tails[i]);
        check_reported(image.mem, 8, i, payload_off(&image, image.granules));
        undo(&image);
    }
    image_end(&image);
}

/* Rule 2 cannot be reported by shmheap_check: how long the region is everybody asks who enters the heap, and refuses. So the
 * call says that it could not look, and what is behind it, held against such a heap, names the rule. */
static void an_impossible_length(void)
{
    struct image image = {.list = 0};
    image_in_file(&image, 16);
    const uint64_t lens[] = {0,       REGION_LEN_MIN - 1, LEN - 1,   LEN - 4096,
                             MAX_LEN, MAX_LEN + 1,        UINT64_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        shmheap_report report;
        poke_u64(&image, &image.control->len, lens[i]);
        CHECK_REFUSED(shmheap_check(image.mem, &report) == -1, EBADMSG);
        CHECK_EQ(check_heap(image.mem.heap, &report), 1);
        CHECK_EQ(report.rule, 2);
        CHECK_EQ(report.expected, LEN);
        CHECK_EQ(report.found, lens[i]);
        undo(&image);
        CHECK_SOUND(image.mem);
    }
    image_end(&image);
}

static const struct test tests[] = {TEST(each_rule_is_reported), TEST(the_tail_of_a_full_heap),
                                    TEST(an_impossible_length)};
TEST_MAIN(tests)
