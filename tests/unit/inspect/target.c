/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inspect/target.h"

#include <sys/mman.h>
#include <unistd.h>

uint64_t *header_at(const struct target *target, uint64_t granule)
{
    return (uint64_t *)(void *)(target->base + target->layout.region_off + REGION_LEAD +
                                (granule << target->shift));
}

void *payload_at(const struct target *target, uint64_t granule)
{
    return header_at(target, granule) + 1;
}

uint64_t payload_off(const struct target *target, uint64_t granule)
{
    return REGION_LEAD + HEADER_SIZE + (granule << target->shift);
}

uint64_t chunk_off(const struct target *target, uint64_t chunk)
{
    return REGION_LEAD + ((chunk * CHUNK_GRANULES) << target->shift);
}

uint64_t size_at(const struct target *target, uint64_t granule)
{
    return *header_at(target, granule) & HEADER_SIZE_MASK;
}

static unsigned state_at(const struct target *target, uint64_t granule)
{
    return *header_at(target, granule) >> HEADER_STATE_SHIFT & HEADER_STATE_MASK;
}

struct chunk_bits *bits_of(const struct target *target, uint64_t granule)
{
    return (struct chunk_bits *)(void *)(target->base + target->layout.bits_off) +
           granule / CHUNK_GRANULES;
}

uint32_t *entry_of(const struct target *target, unsigned level, uint64_t entry)
{
    return (uint32_t *)(void *)(target->base + target->layout.level_off[level]) + entry;
}

uint64_t *word_of(const struct target *target, unsigned level, uint64_t group, uint64_t size)
{
    return (uint64_t *)(void *)(target->base + target->layout.bin_off[level]) + group * BINS + size;
}

uint64_t *row_of(const struct target *target, uint64_t granule, uint64_t size)
{
    return word_of(target, 0, granule / CHUNK_GRANULES / WORD_BITS, size);
}

uint64_t bit(uint64_t granule) { return UINT64_C(1) << granule % CHUNK_GRANULES; }

static void poke(struct target *target, void *at, unsigned bytes, uint64_t value)
{
    CHECK(target->count < WRITES_MAX);
    target->writes[target->count].at = at;
    target->writes[target->count].bytes = bytes;
    target->writes[target->count].was = 0;
    memcpy(&target->writes[target->count++].was, at, bytes);
    memcpy(at, &value, bytes);
}

void poke_u64(struct target *target, uint64_t *at, uint64_t value) { poke(target, at, 8, value); }

void poke_u32(struct target *target, uint32_t *at, uint32_t value) { poke(target, at, 4, value); }

void undo(struct target *target)
{
    while (target->count > 0) {
        target->count--;
        memcpy(target->writes[target->count].at, &target->writes[target->count].was,
               target->writes[target->count].bytes);
    }
}

static void target_find_blocks(struct target *target)
{
    uint64_t granule = 0;
    target->hole = target->large = target->named = target->record = target->table = 0;
    for (; granule < target->granules; granule += size_at(target, granule)) {
        unsigned state = state_at(target, granule);
        uint64_t kind = *(uint64_t *)payload_at(target, granule);
        int is_free = state == SHMHEAP_STATE_FREE;
        if (is_free && target->hole == 0)
            target->hole = granule;
        if (is_free && size_at(target, granule) >= BINS &&
            granule + size_at(target, granule) != target->granules)
            target->large = granule;
        if (state == SHMHEAP_STATE_USED)
            target->used = granule;
        if (state == SHMHEAP_STATE_NAMED)
            target->named = granule;
        if (state == SHMHEAP_STATE_INTERNAL)
            *(kind == INTERNAL_NAME ? &target->record : &target->table) = granule;
        target->top = granule;
    }
    CHECK_EQ(granule, target->granules);
    CHECK_EQ(state_at(target, target->top), SHMHEAP_STATE_FREE);
    CHECK(target->large != 0 && size_at(target, target->hole) < BINS);
    CHECK(target->named != 0 && target->record != 0 && target->table != 0);
}

static void target_fill(struct target *target)
{
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        CHECK((objects[i] = shmheap_alloc(target->mem, OBJECT_LEN)) != NULL);
    void *large = shmheap_alloc(target->mem, LARGE_LEN);
    CHECK(large != NULL);
    CHECK(shmheap_alloc_named(target->mem, "rule", 100) != NULL);
    CHECK_EQ(shmheap_try_free(target->mem, large), 0);
    CHECK_EQ(shmheap_try_free(target->mem, objects[FREED_FROM]), 0);
    for (size_t i = FREED_FROM + 2; i < OBJECTS - 4; i += target->list ? LIST_STEP : 4)
        CHECK_EQ(shmheap_free_many(target->mem, objects + i, 3), 3);
}

static void target_begin(struct target *target, unsigned char *base)
{
    target->base = base;
    target->control = (struct control *)(void *)base;
    target->shift = target->control->shift;
    target->count = 0;
    target_fill(target);
    CHECK_EQ(layout_compute(&target->layout, target->control->max_len, target->shift,
                            target->control->slot_count, target->control->region_align),
             0);
    CHECK_EQ(target->layout.region_off, target->control->region_off);
    target->granules = layout_granules(target->control->len, target->shift);
    target_find_blocks(target);
    CHECK((target->control->listed <= LIST_MAX) == target->list &&
          (target->list || target->control->listed == NOT_LISTED));
    CHECK_SOUND(target->mem);
}

void target_in_file(struct target *target, size_t alignment)
{
    target->mem = test_anonymous(LEN, MAX_LEN, alignment);
    off_t bytes = lseek(shmheap_fd(target->mem), 0, SEEK_END);
    target->map_len = (size_t)bytes;
    unsigned char *base = mmap(NULL, target->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
                               shmheap_fd_writable(target->mem), 0);
    CHECK(base != MAP_FAILED);
    target_begin(target, base);
}

void target_in_memory(struct target *target, size_t alignment)
{
    const shmheap_options options = {.len = LEN, .alignment = alignment};
    target->map_len = ARENA;
    unsigned char *base = test_shared(ARENA);
    CHECK_EQ(shmheap_create_at(&target->mem, base, ARENA, &options), 0);
    target_begin(target, base);
}

void target_end(struct target *target)
{
    CHECK_SOUND(target->mem);
    shmheap_disconnect(target->mem);
    test_unshare(target->base, target->map_len);
}
